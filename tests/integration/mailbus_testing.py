"""Start and stop the real programs, sign webhooks, read metrics: what the integration tests share.

Nothing here sleeps for a fixed time to "be sure": every wait looks at a state (a log line, a counter, a
file) and gives up with a message after a bound.
"""

import base64
import hashlib
import hmac
import http.client
import json
import os
import pathlib
import secrets
import signal
import socket
import subprocess
import threading
import time
import uuid

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("MAILBUS_BIN", ROOT / "build" / "dev" / "bin"))
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
DEADLINE = float(os.environ.get("MAILBUS_TEST_DEADLINE", "60"))


def wait_for(condition, what, deadline=None):
    """Poll `condition` until it is true and return its value; fail with `what` after the deadline."""
    end = time.monotonic() + (deadline or DEADLINE)
    pause = 0.002
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"gave up waiting for {what() if callable(what) else what}")
        threading.Event().wait(pause)
        pause = min(pause * 1.5, 0.1)


def free_port():
    """A port that nobody listens on now. For addresses that must stay the same over a restart: the system gives it to
    nobody who asks for any port, and so to no test beside this one while the program is down."""
    lowest = int(pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    for _ in range(1000):
        with socket.socket() as probe:
            port = secrets.choice(range(10000, lowest))
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no port is free")


def parse_logfmt(line):
    """The fields of one log line; a line that is none gives {}."""
    fields, at = {}, 0
    while at < len(line):
        equals = line.find("=", at)
        if equals < 0:
            break
        key = line[at:equals]
        at = equals + 1
        if at < len(line) and line[at] == '"':
            end = at + 1
            while end < len(line) and line[end] != '"':
                end += 2 if line[end] == "\\" else 1
            try:
                fields[key] = json.loads(line[at : end + 1])
            except ValueError:
                fields[key] = line[at + 1 : end]
            at = end + 2
        else:
            end = line.find(" ", at)
            end = len(line) if end < 0 else end
            fields[key] = line[at:end]
            at = end + 1
    return fields


class Program:
    """A running program. Its standard error is read by a thread into `lines` (text) and `log` (fields)."""

    def __init__(self, name, *arguments, env=None, cwd=None, stdout=None):
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("MAILBUS_", "AGENTMAIL_"))}
        environment.update(env or {})
        self.name = name
        self.lines = []
        self.log = []
        self.process = subprocess.Popen(
            [str(BIN / name), *map(str, arguments)],
            env=environment, cwd=cwd, stdin=subprocess.DEVNULL,
            stdout=stdout if stdout is not None else subprocess.DEVNULL, stderr=subprocess.PIPE,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for raw in self.process.stderr:
            line = raw.decode("utf-8", "replace").rstrip("\n")
            self.lines.append(line)
            self.log.append(parse_logfmt(line))

    @property
    def pid(self):
        return self.process.pid

    def tail(self, count=25):
        return "\n".join(self.lines[-count:])

    def find(self, **fields):
        """The first log line with these fields, or None."""
        for entry in list(self.log):
            if all(entry.get(key) == value for key, value in fields.items()):
                return entry
        return None

    def wait_log(self, deadline=None, **fields):
        def look():
            found = self.find(**fields)
            if found is None and self.process.poll() is not None:
                self._reader.join(5)
                found = self.find(**fields)
                if found is None:
                    raise AssertionError(f"{self.name} ended with {self.process.returncode} before {fields}:\n{self.tail()}")
            return found

        return wait_for(look, lambda: f"{self.name} to log {fields}:\n{self.tail()}", deadline)

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        """kill -9, and wait until it is gone."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._reader.join(5)

    def stop(self, expect=0, deadline=30):
        """SIGTERM; the exit status must be `expect`."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(deadline)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.name} did not stop in {deadline} s:\n{self.tail()}") from None
        self._reader.join(5)
        assert status == expect, f"{self.name} ended with {status}:\n{self.tail(60)}"

    def rss(self):
        """Resident memory in bytes."""
        for line in pathlib.Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise AssertionError(f"{self.name} has no memory: it is gone")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()


def set_arguments(settings):
    """{"section.key": value} as --set arguments."""
    return [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]


class Gateway(Program):
    """A mailbus-gateway in a folder of its own, ready when the constructor returns."""

    def __init__(self, folder, *, secret=SECRET, publish=None, replay=None, listen="127.0.0.1:0",
                 program="mailbus-gateway", env=None, **settings):
        folder = pathlib.Path(folder)
        options = {
            "http.listen": listen,
            "admin.listen": "127.0.0.1:0",
            "journal.path": folder / "journal.db",
            "bus.publish": publish or "tcp://127.0.0.1:*",
            "bus.replay": replay or "tcp://127.0.0.1:*",
        }
        options.update({key.replace("__", "."): value for key, value in settings.items()})
        environment = {"MAILBUS_VERIFY_SECRET": secret} if secret else {}
        environment.update(env or {})
        super().__init__(program, *set_arguments(options), env=environment, cwd=folder)
        self.folder = folder
        self.secret = secret
        try:
            self.wait_log(stage="main", message="ready")
        except BaseException:
            self.kill()
            raise
        self.address = self.find(stage="http", message="listening")["address"]
        self.admin = self.find(stage="admin", message="listening")["address"]
        self.publish = self.find(stage="publisher", message="bound")["endpoint"]
        self.replay = self.find(stage="replay", message="bound")["endpoint"]

    def bus(self):
        """The settings of a subscriber of this gateway."""
        return {"bus.publish": self.publish, "bus.replay": self.replay}

    def post(self, body, headers=None, *, id=None, path="/webhook", secret=None, connection=None):
        """Deliver one signed event; (status, answer as parsed JSON or text)."""
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        if headers is None:
            headers = svix_headers(body, secret or self.secret, id=id)
        own = connection is None
        connection = connection or http.client.HTTPConnection(self.address, timeout=30)
        try:
            connection.request("POST", path, body, {"Content-Type": "application/json", **headers})
            response = connection.getresponse()
            text = response.read().decode()
        finally:
            if own:
                connection.close()
        try:
            return response.status, json.loads(text)
        except ValueError:
            return response.status, text

    def metric(self, name, **labels):
        return metric(self.admin, name, **labels)


class Subscriber(Program):
    """A subscriber program on a gateway, with its state in `folder`."""

    def __init__(self, name, folder, bus, *arguments, env=None, ready=True, **settings):
        self.folder = pathlib.Path(folder)
        options = {"state.path": self.folder / f"{name}.db", "admin.listen": "127.0.0.1:0", **bus}
        options.update({key.replace("__", "."): value for key, value in settings.items()})
        super().__init__(name, *set_arguments(options), *arguments, env=env, cwd=self.folder)
        if ready:
            try:
                self.wait_log(stage="main", message="ready")
            except BaseException:
                self.kill()
                raise
            self.admin = self.find(stage="admin", message="listening")["address"]

    def metric(self, name, **labels):
        return metric(self.admin, name, **labels)


class Sim(Program):
    """The AgentMail stand-in."""

    def __init__(self, *arguments, webhook_url=None, secret=SECRET, listen="127.0.0.1:0", time_scale=100):
        options = ["--listen", listen, "--secret", secret, "--time-scale", str(time_scale)]
        if webhook_url:
            options += ["--webhook-url", webhook_url]
        super().__init__("agentmail-sim", *options, *arguments)
        try:
            self.wait_log(stage="main", message="ready")
        except BaseException:
            self.kill()
            raise
        self.address = self.find(stage="http", message="listening")["address"]
        self.base_url = f"http://{self.address}/v0"

    def call(self, method, path, body=None, headers=None):
        return call(self.address, method, path, body, headers)

    def receive(self, **mail):
        status, answer = self.call("POST", "/sim/receive", mail)
        assert 200 <= status < 300, (status, answer)
        return answer

    def sent(self):
        status, answer = self.call("GET", "/sim/sent")
        assert status == 200, (status, answer)
        return answer["sent"] if isinstance(answer, dict) else answer

    def deliveries(self):
        status, answer = self.call("GET", "/sim/deliveries")
        assert status == 200, (status, answer)
        return answer["deliveries"] if isinstance(answer, dict) else answer


def call(address, method, path, body=None, headers=None):
    """One HTTP request; (status, parsed JSON or text)."""
    connection = http.client.HTTPConnection(address, timeout=30)
    try:
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
            headers = {"Content-Type": "application/json", **(headers or {})}
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        text = response.read().decode("utf-8", "replace")
    finally:
        connection.close()
    try:
        return response.status, json.loads(text)
    except ValueError:
        return response.status, text


def metric(admin, name, **labels):
    """One figure from /metrics: the sum over all series of `name` that have these labels; 0 if none."""
    status, text = call(admin, "GET", "/metrics")
    assert status == 200, (status, text)
    total = 0.0
    for line in text.splitlines():
        if line.startswith("#") or not line.startswith(name):
            continue
        series, value = line.rsplit(" ", 1)
        if series.split("{")[0] == name and all(f'{k}="{v}"' in series for k, v in labels.items()):
            total += float(value)
    return total


def svix_headers(body, secret=SECRET, *, id=None, timestamp=None):
    """The Standard Webhooks headers of one delivery (written from the specification, not from our C)."""
    id = id or f"msg_{uuid.uuid4().hex}"
    timestamp = str(int(time.time() if timestamp is None else timestamp))
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.new(key, f"{id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return {"svix-id": id, "svix-timestamp": timestamp, "svix-signature": "v1," + base64.b64encode(digest).decode()}


def guide_headers(body, secret):
    """The header of the guide's own scheme."""
    return {"X-AgentMail-Signature": "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}


def received(number=0, *, event_id=None, topic="message.received", **message):
    """A message.received event in the live service's shape."""
    return {
        "type": "event",
        "event_type": topic,
        "event_id": event_id or f"evt_{uuid.uuid4().hex[:24]}",
        "message": {
            "inbox_id": "support@agentmail.to",
            "thread_id": f"thd_{number}",
            "message_id": f"<m{number}.{uuid.uuid4().hex[:8]}@example.com>",
            "labels": ["received", "unread"],
            "timestamp": "2026-10-12T09:31:04.000Z",
            "from": "Jane Doe <jane@example.com>",
            "to": ["Support <support@agentmail.to>"],
            "subject": f"Question {number}",
            "text": "I need help with my account.\n",
            "size": 2310,
            "headers": {"Message-ID": f"<m{number}@example.com>"},
            "updated_at": "2026-10-12T09:31:05.412Z",
            "created_at": "2026-10-12T09:31:05.412Z",
            **message,
        },
    }
