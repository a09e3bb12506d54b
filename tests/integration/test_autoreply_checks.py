"""mailbus-autoreply asks before it sends: no is silence, no answer is not now, and never yes."""

import signal
import sqlite3

import pytest

from autoreply_testing import KEY, answers, open_post
from mailbus_testing import Subscriber, free_port


@pytest.fixture
def post(tmp_path):
    with open_post(tmp_path) as setup:
        yield setup


class Answerer(Subscriber):
    """mailbus-checklist: answers from a text file, "ADDRESS [until=TIME] [REASON…]" a line."""

    def __init__(self, folder, bus, name, *lines, listen="tcp://127.0.0.1:*"):
        self.own = folder / name
        self.own.mkdir(exist_ok=True)
        self.write(*lines)
        super().__init__("mailbus-checklist", self.own, bus, check__listen=listen, list__path=self.own / "list.txt")
        self.endpoint = self.find(stage="check", message="bound")["endpoint"]

    def write(self, *lines):
        (self.own / "new.txt").write_text("".join(f"{line}\n" for line in lines))
        (self.own / "new.txt").rename(self.own / "list.txt")


def test_who_is_on_a_list_is_not_answered(post, tmp_path):
    bus = post.gateway.bus()
    with Answerer(tmp_path, bus, "a", "person1@example.com complained about us", "person4@example.com") as first, \
            Answerer(tmp_path, bus, "b", "person2@example.com until=2026-12-31T00:00:00Z full mailbox") as second, \
            post.autoreply(send__checks=f"{first.endpoint} {second.endpoint}") as program:
        events = [post.mail() for _ in range(3)]
        events.append(post.mail(from_="person5@example.com", reply_to=["Person4 <PERSON4@example.com>"]))
        history = post.wait_history(*events, program=program)
        for one in (program, first, second):
            one.stop()
    for event, says in zip(events, ("complained about us", "full mailbox", None, "")):
        action, reason = history[event]
        assert action == ("answered" if says is None else "silent")
        if says is not None:
            assert reason.startswith("check: ") and says in reason
    assert set(answers(post.sim)) == {"person3@example.com"}
    with sqlite3.connect(tmp_path / "mailbus-autoreply.db") as db:  # a no is no answer that counts, and nothing to send later
        assert db.execute("SELECT state, count(*) FROM outgoing_mails GROUP BY state").fetchall() == [("sent", 1)]


def test_without_an_answer_nothing_is_sent_until_there_is_one(post, tmp_path):
    """The list's program is down: the mail waits. It is back, and says yes: the mail is answered."""
    bus = post.gateway.bus()
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    settings = {"send__checks": endpoint, "send__check_timeout": "200ms", "retry__max_pause": "300ms"}
    with post.autoreply(**settings) as program:
        events = [post.mail(), post.mail()]
        for event in events:
            line = program.wait_log(message="trying again later", id=event)
            assert line["reason"].startswith("check: ")
        assert post.sim.sent() == [] and post.history() == {}
        with Answerer(tmp_path, bus, "a", "person2@example.com no more", listen=endpoint) as answerer:
            history = post.wait_history(*events, program=program)
            answerer.stop()
        program.stop()
    assert [history[event][0] for event in events] == ["answered", "silent"]
    assert set(answers(post.sim)) == {"person1@example.com"}


def test_a_list_that_cannot_be_read_is_no_yes(post, tmp_path):
    bus = post.gateway.bus()
    with Answerer(tmp_path, bus, "a") as answerer:
        (answerer.own / "list.txt").unlink()
        with post.autoreply(send__checks=answerer.endpoint, send__check_timeout="200ms", retry__max_pause="300ms") as program:
            event = post.mail()
            program.wait_log(message="trying again later", id=event)
            assert post.sim.sent() == []
            answerer.write()
            history = post.wait_history(event, program=program)
            program.stop()
        answerer.stop()
    assert history[event][0] == "answered"


def test_a_no_that_came_before_the_next_try_counts(post, tmp_path):
    """The service was down at the first try, and certainly has nothing; meanwhile the receiver complained."""
    bus = post.gateway.bus()
    with Answerer(tmp_path, bus, "a") as answerer:
        address = post.sim.address
        event = post.mail()
        post.sim.stop()
        with post.autoreply(send__checks=answerer.endpoint, api__base_url=f"http://{address}/v0",
                            retry__max_pause="300ms") as program:
            program.wait_log(message="trying again later", id=event)
            answerer.write("person1@example.com complained")
            history = post.wait_history(event, program=program)
            program.stop()
        answerer.stop()
    assert history[event][0] == "silent" and "complained" in history[event][1]
    with sqlite3.connect(tmp_path / "mailbus-autoreply.db") as db:
        assert db.execute("SELECT state FROM outgoing_mails").fetchall() == [("refused",)]


def test_what_may_have_been_sent_is_ended_without_asking(post, tmp_path):
    """Killed after the service took it: the same request under the same key, whatever a list says by now."""
    bus = post.gateway.bus()
    with Answerer(tmp_path, bus, "a") as answerer:
        event = post.mail()
        with post.autoreply(send__checks=answerer.endpoint, env={**KEY, "MAILBUS_TEST_KILL": "outgoing-sent"}, ready=False) as program:
            assert program.process.wait(60) == -signal.SIGKILL
        answerer.write("person1@example.com complained")
        with post.autoreply(send__checks=answerer.endpoint) as program:
            history = post.wait_history(event, program=program)
            program.stop()
        answerer.stop()
    assert history[event][0] == "answered"
    assert len(post.sim.sent()) == 1


def test_a_flood_is_no_flood_of_questions(post, tmp_path):
    """Whom the limits stop nobody is asked about."""
    bus = post.gateway.bus()
    with Answerer(tmp_path, bus, "a") as answerer:
        with post.autoreply(send__checks=answerer.endpoint, workers=1) as program:
            events = [post.mail(from_="bomber@example.com") for _ in range(20)]
            post.wait_history(*events, program=program)
            assert program.metric("mailbus_autoreply_asked_total") == 1
            program.stop()
        answerer.stop()
    assert len(post.sim.sent()) == 1
