"""What the tests of mailbus-extract share: documents, a setup with a stand-in, a hostile API, a receiver of POSTs."""

import base64
import hashlib
import hmac
import http.server
import json
import socket
import sqlite3
import subprocess
import threading
import time
import zlib

from mailbus_testing import BIN, SECRET, Gateway, Sim, Subscriber, received, wait_for

KEY = {"AGENTMAIL_API_KEY": "am_test"}


def pdf(text, pages=1):
    """A PDF with a page of text, by hand: no tool is needed, and every text gives other bytes."""
    line = text.encode("cp1252").replace(b"\\", rb"\\").replace(b"(", rb"\(").replace(b")", rb"\)")
    stream = zlib.compress(b"BT /F1 12 Tf 72 720 Td (" + line + b") Tj ET")
    kids = " ".join(f"{5 + number} 0 R" for number in range(pages))
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        f"<</Type/Pages/Kids[{kids}]/Count {pages}>>".encode(),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>",
        b"<</Length %d/Filter/FlateDecode>>stream\n" % len(stream) + stream + b"\nendstream",
        *[b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Resources<</Font<</F1 3 0 R>>>>/Contents 4 0 R>>"] * pages,
    ]
    out, places = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj%s endobj\n" % (number, body)
    table = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    return out + b"trailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, table)


def attached(name, data, content_type="application/pdf", **more):
    """An attachment as the stand-in and the guide's events take it."""
    return {"filename": name, "content_type": content_type, "content": base64.b64encode(data).decode(), **more}


class Setup:
    """A gateway, a stand-in whose API is used, and the events of mails that the stand-in has."""

    def __init__(self, folder):
        self.folder = folder
        self.gateway = Gateway(folder)
        try:
            self.sim = Sim()
        except BaseException:
            self.gateway.kill()
            raise
        self.number = 0
        self.expected = 0  # mails whose files are looked at

    def extract(self, *arguments, env=None, ready=True, base_url=None, **settings):
        settings.setdefault("api__base_url", base_url or self.sim.base_url)
        settings.setdefault("retry__first_pause", "50ms")
        settings.setdefault("retry__max_pause", "1s")
        settings.setdefault("bus__start", "oldest")
        settings.setdefault("extract__ocr", "no")
        return Subscriber("mailbus-extract", self.folder, self.gateway.bus(), *arguments, env={**KEY, **(env or {})},
                          ready=ready, **settings)

    def mail(self, *attachments, headers=None, topic="message.received", event_id=None, sender=None):
        """A mail arrives: the stand-in keeps it and its attachments, its event goes to the gateway."""
        self.number += 1
        message_id = f"<mail{self.number}@example.com>"
        sender = sender or f"Person {self.number} <person{self.number}@example.com>"
        known = {"inbox_id": "support@agentmail.to", "from": sender, "to": ["support@agentmail.to"],
                 "subject": "Invoice", "text": "See attachment.", "message_id": message_id,
                 "attachments": list(attachments), "headers": headers or {}}
        self.sim.receive(**known)
        inbox = "support%40agentmail.to"
        status, stored = self.sim.call("GET", f"/v0/inboxes/{inbox}/messages/{message_id.replace('<', '%3C').replace('>', '%3E')}",
                                       headers={"Authorization": "Bearer am_test"})
        assert status == 200, stored
        return self.event(stored.get("attachments", []), message_id=message_id, sender=sender, topic=topic,
                          event_id=event_id, headers={"Subject": "Invoice", **(headers or {})})

    def event(self, attachments, *, message_id="<m@example.com>", sender="Jane <jane@example.com>",
              topic="message.received", event_id=None, headers=None):
        """Only the event, with these attachments as they stand."""
        event = received(self.number, topic=topic, event_id=event_id, inbox_id="support@agentmail.to",
                         to=["support@agentmail.to"], message_id=message_id, subject="Invoice", attachments=attachments)
        event["message"]["from"] = sender
        event["message"]["headers"] = headers or {"Subject": "Invoice"}
        status, answer = self.gateway.post(event)
        assert status == 200, answer
        self.expected += topic == "message.received" and len(attachments) > 0
        return event["event_id"]

    def rows(self, query, *values):
        """From the state file; [] while there is none."""
        try:
            with sqlite3.connect(f"file:{self.folder / 'mailbus-extract.db'}?mode=ro", uri=True) as db:
                return db.execute(query, values).fetchall()
        except sqlite3.OperationalError:
            return []

    def files(self):
        """{(event, attachment): status} of what has ended."""
        return {(event, place): status for event, place, status in
                self.rows("SELECT event_id, place, status FROM files WHERE status IS NOT NULL")}

    def wait_files(self, count, program):
        return wait_for(lambda: len(self.files()) >= count and self.files(),
                        lambda: f"{count} files: {self.files()}\n{program.tail()}")

    def wait_idle(self, program):
        """All events are taken in, and handled to their ends."""
        wait_for(lambda: self.rows("SELECT (SELECT count(*) FROM mails), (SELECT count(*) FROM mailbus_inbox)") == [(self.expected, 0)],
                 lambda: f"{self.expected} mails: {self.rows('SELECT event_id FROM mails')}\n{program.tail()}")

    def mailbus(self, *arguments, status=0):
        done = subprocess.run([BIN / "mailbus", "extract", *arguments, "--state", self.folder / "mailbus-extract.db"],
                              capture_output=True, text=True, timeout=30)
        assert done.returncode == status, (done.returncode, done.stdout, done.stderr)
        return done.stdout if status == 0 else done.stderr

    def close(self):
        for program in (self.sim, self.gateway):
            if program.process.poll() is None:
                program.stop()

    def kill(self):
        self.sim.kill()
        self.gateway.kill()


class Server:
    """A threaded HTTP server on loopback; `answer(handler)` is called for each request."""

    def __init__(self, answer):
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                server.answer(self)

            do_POST = do_GET

            def log_message(self, *_):
                pass

        self.answer = answer
        self.stopping = threading.Event()
        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.address = f"127.0.0.1:{self.http.server_address[1]}"
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.http.shutdown()
        self.http.server_close()


def send(handler, status, body=b"", **headers):
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    handler.send_response(status)
    for name, value in {"Content-Length": str(len(body)), **headers}.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body)


class HostileApi(Server):
    """An API whose attachments' ids say how it behaves, and a count of the calls of each."""

    def __init__(self, document):
        super().__init__(self.serve)
        self.document = document
        self.lock = threading.Lock()
        self.calls = {}

    @property
    def base_url(self):
        return f"http://{self.address}/v0"

    def count(self, name):
        with self.lock:
            self.calls[name] = self.calls.get(name, 0) + 1
            return self.calls[name]

    def serve(self, handler):
        path = handler.path
        if path.startswith("/v0/"):
            name = path.rsplit("/", 1)[1]
            self.attachment(handler, name, self.count(name))
        else:
            name = path.removeprefix("/files/")
            self.file(handler, name, self.count(f"file {name}"))

    def attachment(self, handler, name, calls):
        url = {
            "other-port": "http://127.0.0.1:1/files/x",
            "loopback": "https://127.0.0.1/files/x",
            "metadata": "https://169.254.169.254/latest/meta-data",
            "private": "https://10.0.0.1/files/x",
            "name": "https://files.localhost/files/x",
            "plain": "http://192.0.2.1/files/x",
            "scheme": "file:///etc/passwd",
        }.get(name, f"http://{self.address}/files/{name}")
        if name == "missing" or (name == "late" and calls < 3):
            send(handler, 404, {"name": "NotFoundError", "message": "no such attachment"})
        elif name == "announced":
            send(handler, 200, {"attachment_id": name, "size": 30 << 20, "download_url": url})
        elif name == "broken":
            send(handler, 500, {"message": "oh"})
        else:
            send(handler, 200, {"attachment_id": name, "size": 1000, "download_url": url})

    def file(self, handler, name, calls):
        if name == "gone":
            send(handler, 410)
        elif name == "expired" and calls < 2:
            send(handler, 403, b"<Error><Code>ExpiredToken</Code></Error>")
        elif name == "declared":
            handler.send_response(200)
            handler.send_header("Content-Length", str(30 << 20))
            handler.end_headers()
            self.stopping.wait(30)
        elif name in ("endless", "large", "trickle"):
            handler.send_response(200)
            handler.send_header("Connection", "close")
            handler.end_headers()
            self.flood(handler, name)
        elif name == "reset" and calls < 3:
            handler.send_response(200)
            handler.send_header("Content-Length", str(len(self.document)))
            handler.end_headers()
            handler.wfile.write(self.document[:100])
            handler.wfile.flush()
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            handler.close_connection = True
        else:
            send(handler, 200, self.document)

    def flood(self, handler, name):
        block = b"\0" * 65536
        sent = 0
        try:
            while not self.stopping.is_set() and (name != "large" or sent < 30 << 20):
                handler.wfile.write(block if name != "trickle" else b"x")
                sent += len(block)
                if name == "trickle":
                    self.stopping.wait(0.05)
        except OSError:
            pass
        handler.close_connection = True


class Receiver(Server):
    """Takes POSTs signed as Standard Webhooks; refuses those that are not."""

    def __init__(self, secret=SECRET, answers=()):
        super().__init__(self.serve)
        self.secret = secret
        self.answers = list(answers)  # (status, headers) of the first ones; then 200
        self.lock = threading.Lock()
        self.taken = []  # (id, body) of every POST with a good signature
        self.refused = 0

    @property
    def url(self):
        return f"http://{self.address}/hook?tenant=1"

    def serve(self, handler):
        body = handler.rfile.read(int(handler.headers["Content-Length"]))
        id, stamp = handler.headers["webhook-id"], handler.headers["webhook-timestamp"]
        key = base64.b64decode(self.secret.removeprefix("whsec_"))
        digest = hmac.new(key, f"{id}.{stamp}.".encode() + body, hashlib.sha256).digest()
        good = handler.headers["webhook-signature"] == "v1," + base64.b64encode(digest).decode()
        good = good and abs(int(stamp) - time.time()) < 300 and handler.path == "/hook?tenant=1"
        with self.lock:
            if good:
                self.taken.append((id, json.loads(body)))
            else:
                self.refused += 1
            status, headers = self.answers.pop(0) if self.answers else (200, {})
        send(handler, status if good else 401, **headers)
