"""A post office for the tests of programs that answer mail: a gateway, the AgentMail stand-in, events of mails."""

import contextlib
import sqlite3

from mailbus_testing import Gateway, Sim, Subscriber, received, wait_for

SUPPORT = "Thanks for contacting support! We'll respond within 24 hours."
SALES = "Thanks for your interest! A sales rep will contact you soon."
KEY = {"AGENTMAIL_API_KEY": "am_test"}


class Post:
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

    def autoreply(self, *arguments, env=None, ready=True, **settings):
        return self.subscriber("mailbus-autoreply", *arguments, env=env, ready=ready, **settings)

    def subscriber(self, name, *arguments, env=None, ready=True, **settings):
        settings.setdefault("api__base_url", self.sim.base_url)
        settings.setdefault("retry__first_pause", "50ms")
        settings.setdefault("bus__start", "oldest")
        return Subscriber(name, self.folder, self.gateway.bus(), *arguments,
                          env=env or KEY, ready=ready, **settings)

    def sender(self, *arguments, env=None, ready=True, **settings):
        """mailbus-sender, which forwards and answers everything (tests/outgoing/sender.c)."""
        return self.subscriber("mailbus-sender", *arguments, env=env, ready=ready, **settings)

    def mail(self, inbox="support@agentmail.to", headers=None, *, topic="message.received", known=True, **message):
        """A mail arrives: the stand-in keeps it, its event goes to the gateway. Returns the event's id."""
        self.number += 1
        sender = message.pop("from_", f"Person {self.number} <person{self.number}@example.com>")
        sim_from = message.pop("sim_from", sender)  # where the stand-in does not take the event's
        headers = {"Subject": "Hello"} if headers is None else headers
        sim_headers = message.pop("sim_headers", headers)
        message_id = f"<mail{self.number}@example.com>"
        if known:
            self.sim.receive(**{"inbox_id": inbox, "from": sim_from, "to": [inbox], "subject": "Hello", "text": "Hi.",
                                "message_id": message_id, "headers": {k: v for k, v in sim_headers.items() if k != "Subject"}})
        event = received(self.number, **{"topic": topic, "inbox_id": inbox, "to": [inbox], "message_id": message_id, **message})
        event["message"]["from"] = sender
        event["message"]["headers"] = headers
        if not headers:
            del event["message"]["headers"]
        status, _ = self.gateway.post(event)
        assert status == 200
        return event["event_id"]

    def history(self, state="mailbus-autoreply.db"):
        """{event id: (action, reason)} as far as it is written down."""
        path = self.folder / state
        if not path.exists():
            return {}
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
            try:
                return {row[0]: row[1:] for row in db.execute("SELECT event_id, action, reason FROM outgoing_history")}
            except sqlite3.OperationalError:  # the tables are not there yet
                return {}

    def wait_history(self, *events, program=None, state="mailbus-autoreply.db"):
        def look():
            history = self.history(state)
            return history if all(event in history for event in events) else None

        tail = (lambda: f"the history of {events}: {self.history(state)}\n{program.tail()}") if program else "the history"
        return wait_for(look, tail)

    def close(self):
        for program in (self.sim, self.gateway):
            if program.process.poll() is None:
                program.stop()


@contextlib.contextmanager
def open_post(folder):
    """A Post that must end in order."""
    setup = Post(folder)
    try:
        yield setup
        setup.close()
    finally:
        setup.sim.kill()
        setup.gateway.kill()


def answers(sim):
    """{recipient: [text, …]} of what went out."""
    result = {}
    for mail in sim.sent():
        for recipient in mail["to"]:
            result.setdefault(recipient, []).append(mail["text"])
    return result
