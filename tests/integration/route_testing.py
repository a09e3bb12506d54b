"""What the tests of mailbus-route share: the stand-in for Slack, GitHub and receivers, and an office that routes."""

import base64
import hashlib
import hmac
import json
import os
import socket
import sqlite3
import subprocess
import threading
import time

import pytest

from mailbus_testing import BIN, Gateway, Program, Subscriber, call, received, wait_for

KILLS = int(os.environ.get("MAILBUS_TEST_KILLS", "5"))
SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
ENV = {"SLACK_BOT_TOKEN": "xoxb-demo", "GITHUB_TOKEN": "ghp_demo", "GITHUB_REPOSITORY": "acme/app"}


class RouteSim(Program):
    """The stand-in for Slack, GitHub and a receiver of webhooks."""

    def __init__(self):
        super().__init__("route-sim", "--listen", "127.0.0.1:0")
        try:
            self.wait_log(stage="main", message="ready")
        except BaseException:
            self.kill()
            raise
        self.address = self.find(stage="http", message="listening")["address"]
        self.url = f"http://{self.address}"

    def call(self, method, path, body=None):
        status, answer = call(self.address, method, path, body)
        assert status == 200, (status, answer)
        return answer

    def fail(self, target, **rule):
        self.call("POST", "/sim/fail", {"target": target, **rule})

    def limits(self, **limits):
        self.call("POST", "/sim/limits", limits)

    def messages(self):
        return self.call("GET", "/sim/messages")["messages"]

    def issues(self):
        return self.call("GET", "/sim/issues")["issues"]

    def hooks(self):
        return self.call("GET", "/sim/hooks")["hooks"]

    def limited(self):
        return self.call("GET", "/sim/state")["limited"]


class Office:
    """A gateway, the stand-in, and programs that route between them."""

    def __init__(self, folder):
        self.folder = folder
        self.gateway = Gateway(folder)
        try:
            self.sim = RouteSim()
        except BaseException:
            self.gateway.kill()
            raise
        self.sim.limits(slack_interval_ms=0, github_per_minute=100000)
        self.number = 0
        self.lines = folder / "lines.jsonl"

    def rules(self, text, name="rules.zpl"):
        path = self.folder / name
        path.write_text(text)
        return path

    def secret(self, name, value):
        path = self.folder / name
        path.write_text(value + "\n")
        return path

    def route(self, *arguments, env=None, ready=True, **settings):
        """The paces of real services would only make the tests slow: they have tests of their own."""
        settings = {"slack__base_url": f"{self.sim.url}/api", "github__base_url": f"{self.sim.url}",
                    "slack__interval": "0s", "github__interval": "0s", "route__settle": "0s",
                    "retry__first_pause": "50ms", "bus__start": "oldest", **settings}
        return Subscriber("mailbus-route", self.folder, self.gateway.bus(), *arguments,
                          env={**ENV, **(env or {})}, ready=ready, **settings)

    def mail(self, subject="Billing", *, topic="message.received", **message):
        """A mail arrives; its event's id."""
        self.number += 1
        message.setdefault("message_id", f"<mail{self.number}@example.com>")
        event = received(self.number, topic=topic, subject=subject, **message)
        event["message"] = {key: value for key, value in event["message"].items() if value is not None}
        status, answer = self.gateway.post(event)
        assert status == 200, answer
        return event["event_id"]

    def history(self, state="mailbus-route.db"):
        """[(event, rule, action, reason, reference)], oldest first."""
        path = self.folder / state
        if not path.exists():
            return []
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
            try:
                return db.execute("SELECT event_id, rule, action, reason, reference FROM route_history ORDER BY number").fetchall()
            except sqlite3.OperationalError:  # the tables are not there yet
                return []

    def wait_history(self, *events, program, count=1, state="mailbus-route.db", deadline=None):
        """Wait until each of `events` has `count` lines in the history; {event: [(rule, action, reason, reference)]}."""
        def look():
            found = {event: [] for event in events}
            for event, *line in self.history(state):
                if event in found:
                    found[event].append(tuple(line))
            return found if all(len(lines) >= count for lines in found.values()) else None

        return wait_for(look, lambda: f"the history of {events}: {self.history(state)}\n{program.tail()}", deadline)

    def effects(self):
        with sqlite3.connect(f"file:{self.folder / 'mailbus-route.db'}?mode=ro", uri=True) as db:
            db.row_factory = sqlite3.Row
            return [dict(row) for row in db.execute("SELECT * FROM route_effects ORDER BY number")]

    def dead(self):
        with sqlite3.connect(f"file:{self.folder / 'mailbus-route.db'}?mode=ro", uri=True) as db:
            return dict(db.execute("SELECT id, reason FROM mailbus_dead").fetchall())

    def read_lines(self, path=None):
        path = path or self.lines
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def close(self):
        for program in (self.sim, self.gateway):
            if program.process.poll() is None:
                program.stop()


@pytest.fixture
def office(tmp_path):
    setup = Office(tmp_path)
    try:
        yield setup
        setup.close()
    finally:
        setup.sim.kill()
        setup.gateway.kill()


SLACK = """targets
    team
        kind = "slack"
        channel = "#team"
        token_env = "SLACK_BOT_TOKEN"
rules
    all
        sender = "@"
        target = "team"
"""
GITHUB = """targets
    bugs
        kind = "github"
        repo = "acme/app"
        token_env = "GITHUB_TOKEN"
        labels = "mail, customer"
rules
    all
        sender = "@"
        target = "bugs"
        note = "A mail about **{{nothing}}**."
"""
SLACK_ERROR = '{"ok":false,"error":"%s"}'
FILE = """targets
    lines
        kind = "file"
        path = "lines.jsonl"
rules
    all
        sender = "@"
        target = "lines"
"""


def name_of(value):
    """Short names of parameters."""
    names = {SLACK: "slack", GITHUB: "github", FILE: "file"}
    return names.get(value) if isinstance(value, str) else None


def everything(office):
    """One rule for each kind of target; all of them match."""
    office.secret("hook.secret", SECRET)
    office.secret("webhook.url", f"{office.sim.url}/services/T0/B0/ops")
    return office.rules(f"""targets
    team
        kind = "slack"
        channel = "#team"
        token_env = "SLACK_BOT_TOKEN"
    bugs
        kind = "github"
        repo = "acme/app"
        token_env = "GITHUB_TOKEN"
    lines
        kind = "file"
        path = "lines.jsonl"
    hook
        kind = "url"
        url = "{office.sim.url}/hook/x"
        secret_file = "hook.secret"
rules
    to-slack
        sender = "@"
        target = "team"
    to-github
        sender = "@"
        target = "bugs"
    to-file
        sender = "@"
        target = "lines"
    to-hook
        sender = "@"
        target = "hook"
""")


def webhook_rules(office, more=""):
    office.secret("webhook.url", f"{office.sim.url}/services/T0/B0/ops")
    return office.rules('targets\n    ops\n        kind = "slack"\n        url_file = "webhook.url"\n' + more +
                        'rules\n    all\n        sender = "@"\n        target = "ops"\n        note = "<!here> *mail*"\n')


def verify(hook):
    """The Standard Webhooks signature, checked from the specification and not with our C."""
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    signed = f"{hook['webhook-id']}.{hook['webhook-timestamp']}.{hook['body']}".encode()
    expected = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return hook["webhook-signature"] == expected and abs(int(hook["webhook-timestamp"]) - time.time()) < 300


def mailbus(office, *arguments):
    result = subprocess.run([str(BIN / "mailbus"), *map(str, arguments)], capture_output=True, text=True, timeout=60, cwd=office.folder,
                            env={k: v for k, v in os.environ.items() if not k.startswith(("MAILBUS_", "AGENTMAIL_"))})
    return result


class Wire(threading.Thread):
    """A server of bytes: each connection is read to the end of its request and handed to `answer`."""

    def __init__(self, answer):
        super().__init__(daemon=True)
        self.answer = answer
        self.requests = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.start()

    def run(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection:
                data = b""
                while b"\r\n\r\n" not in data or len(data.split(b"\r\n\r\n", 1)[1]) < self.length(data):
                    piece = connection.recv(65536)
                    if not piece:
                        break
                    data += piece
                self.requests.append(data)
                try:
                    self.answer(connection, data)
                except OSError:
                    pass

    @staticmethod
    def length(data):
        for line in data.split(b"\r\n\r\n", 1)[0].split(b"\r\n"):
            if line.lower().startswith(b"content-length:"):
                return int(line.split(b":")[1])
        return 0

    def close(self):
        self.listener.close()
