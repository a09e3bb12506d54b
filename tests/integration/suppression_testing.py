"""mailbus-suppression in tests: its events, its program, its command line, and questions to it."""

import json
import os
import subprocess
import uuid

import zmq
from checker import rows
from mailbus_testing import BIN, Subscriber, set_arguments, wait_for

INBOX = "help@agentmail.to"


def report(topic, key, event_id=None, time="2026-10-12T11:00:00.000Z", **fields):
    return {
        "type": "event",
        "event_type": topic,
        "event_id": event_id or f"evt_{uuid.uuid4().hex[:24]}",
        key: {"inbox_id": INBOX, "thread_id": "thd_1", "message_id": "<m1@example.com>", "timestamp": time, **fields},
    }


def complaint(*recipients, type="abuse", sub_type="spam", **more):
    return report("message.complained", "complaint", type=type, sub_type=sub_type, recipients=list(recipients), **more)


def bounce(*recipients, type="Permanent", sub_type="General", status="bounced", **more):
    recipients = [{"address": one, "status": status} if isinstance(one, str) else one for one in recipients]
    return report("message.bounced", "bounce", type=type, sub_type=sub_type, recipients=recipients, **more)


def reject(reason, **more):
    return report("message.rejected", "reject", reason=reason, **more)


def ask(endpoint, address, timeout=5):
    """One question of the check protocol: the answer as JSON, or None where none comes."""
    context = zmq.Context()
    socket = context.socket(zmq.REQ)
    socket.setsockopt(zmq.LINGER, 0)
    try:
        socket.connect(endpoint)
        socket.send(json.dumps({"check": "may-send", "address": address}).encode())
        if not socket.poll(timeout * 1000):
            return None
        return json.loads(socket.recv())
    finally:
        socket.close()
        context.term()


class Suppression(Subscriber):
    """The program, with its state in `folder`."""

    def __init__(self, folder, bus, *arguments, ready=True, env=None, **settings):
        settings.setdefault("check__listen", "tcp://127.0.0.1:*")
        settings.setdefault("bus__start", "oldest")
        settings.setdefault("retry__first_pause", "50ms")
        super().__init__("mailbus-suppression", folder, bus, *arguments, ready=ready, env=env, **settings)
        self.path = folder / "mailbus-suppression.db"
        if ready:
            self.endpoint = self.find(stage="check", message="bound")["endpoint"]

    def ask(self, address, timeout=5):
        return ask(self.endpoint, address, timeout)

    def says(self, address):
        """"yes" or "no", as soon as there is an answer."""
        return wait_for(lambda: self.ask(address, timeout=0.2), lambda: f"an answer about {address}\n{self.tail()}")["answer"]

    def wait_handled(self, *events):
        """Everything up to these events is in the list."""
        wanted = {event["event_id"] for event in events}

        def look():
            known = {row[0] for row in rows(self.path, "SELECT DISTINCT id FROM facts")}
            return wanted <= known

        wait_for(look, lambda: f"events to be handled\n{self.tail()}")


def entries(path):
    """The list as it stands in the file: {address: (reason, first, last, count, certain, event)}."""
    return {row[0]: row[1:] for row in rows(
        path, "SELECT address, reason, first_ms, last_ms, count, certain, event_id FROM entries")}


def mailbus(*arguments, folder, status=0, stdin=None, **settings):
    """`mailbus suppression …` on the state file in `folder`; its standard output."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MAILBUS_")}
    done = subprocess.run(
        [BIN / "mailbus", "suppression", "--state", folder / "mailbus-suppression.db", *set_arguments(settings),
         *map(str, arguments)],
        capture_output=True, text=True, timeout=60, env=environment, input=stdin, cwd=folder)
    assert done.returncode == status, (done.returncode, done.stdout, done.stderr)
    return done


def export(folder):
    return mailbus("export", folder=folder).stdout
