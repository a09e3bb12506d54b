"""A service that misbehaves: stands before the AgentMail stand-in and spoils answers by script."""

import socket
import socketserver
import struct
import threading


def answer(status, body=b"", *headers):
    """The bytes of an HTTP answer."""
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", "Content-Type: application/json", "Connection: close", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


class BadApi:
    """`spoil(fault, …)` says what the next calls of reply and forward under keys that are new here get; every
    other call the stand-in answers itself.

    A fault is (done, bytes, end): `done`, the stand-in carries the call out all the same; then these bytes are the answer, and
    `end` is "close", "reset" or "endless" (more and more bytes, until the client has enough).
    """

    def __init__(self, address):
        self.upstream = address.rsplit(":", 1)
        self.lock = threading.Lock()
        self.faults = []
        self.calls = []  # of reply and forward: (path, idempotency key, body)
        outer = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                outer.serve(self.connection, self.rfile)

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True

        self.server = Server(("127.0.0.1", 0), Handler)
        self.base_url = "http://127.0.0.1:%d/v0" % self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self.thread.start()

    def spoil(self, *faults):
        with self.lock:
            self.faults += faults

    def serve(self, connection, rfile):
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = rfile.readline(65536)
            if not line:
                return
            head += line
        headers = {k.strip().lower(): v.strip() for k, _, v in (line.partition(":") for line in head.decode().split("\r\n")[1:] if line)}
        body = rfile.read(int(headers.get("content-length", 0)))
        path = head.split(b" ")[1].decode()
        fault = None
        if path.endswith(("/reply", "/forward")):
            key = headers.get("idempotency-key")
            with self.lock:
                new = key not in [call[1] for call in self.calls]
                self.calls.append((path, key, body))
                fault = self.faults.pop(0) if self.faults and new else None
        done, spoiled, end = fault or (True, None, "close")
        real = self.ask(head, body) if done else b""
        try:
            connection.sendall(real if spoiled is None else spoiled)
            while end == "endless":
                connection.sendall(b"x" * 65536)
        except OSError:
            return  # the client has enough
        if end == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()

    def ask(self, head, body):
        """The stand-in's own answer."""
        with socket.create_connection((self.upstream[0], int(self.upstream[1])), timeout=30) as upstream:
            upstream.sendall(head[:-2] + b"Connection: close\r\n\r\n" + body)
            parts = []
            while part := upstream.recv(65536):
                parts.append(part)
        return b"".join(parts)

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
