"""Outgoing mail of every kind, by a test program: forwards and several parts of one event, each exactly once."""

import os
import signal
import sqlite3

import pytest

from autoreply_testing import KEY, open_post
from bad_api import BadApi, answer
from mailbus_testing import Subscriber, wait_for

KILLS = int(os.environ.get("MAILBUS_TEST_KILLS", "5"))
TEAM = "team@corp.example"
PARTS = ("forward", "reply-1", "reply-2", "reply-3")


@pytest.fixture
def post(tmp_path):
    with open_post(tmp_path) as setup:
        yield setup


def history(post):
    """{(event id, part): (action, reason)}."""
    with sqlite3.connect(f"file:{post.folder / 'mailbus-sender.db'}?mode=ro", uri=True) as db:
        return {row[:2]: row[2:] for row in db.execute("SELECT event_id, part, action, reason FROM outgoing_history ORDER BY number")}


def inbox(post):
    """How many events wait."""
    with sqlite3.connect(f"file:{post.folder / 'mailbus-sender.db'}?mode=ro", uri=True) as db:
        return db.execute("SELECT count(*) FROM mailbus_inbox").fetchone()[0]


def wait_history(post, program, *keys):
    return wait_for(lambda: all(key in history(post) for key in keys) and history(post),
                    lambda: f"the history of {keys}: {history(post)}\n{program.tail()}")


def calls(post, kind):
    return [mail for mail in post.sim.sent() if mail.get("call") == kind]


def test_a_mail_is_passed_on_once_and_marked(post):
    with post.sender(sender__forward=TEAM) as program:
        first = post.mail(headers={"List-Id": "<l.example>", "Precedence": "bulk"})  # no answer, but somebody's mail
        second = post.mail(from_="Person <person1@example.com>")  # no limit per sender: each mail is passed on
        done = wait_history(post, program, (first, ""), (second, ""))
        program.stop()
    assert done[first, ""] == ("forwarded", f"rule forward to {TEAM}") and done[second, ""][0] == "forwarded"
    sent = post.sim.sent()
    assert [mail["to"] for mail in sent] == [[TEAM], [TEAM]]
    for mail in sent:
        headers = {name.lower(): value for name, value in mail["headers"].items()}
        assert headers["x-loop"] == "support@agentmail.to" and headers["auto-submitted"] == "auto-generated"
        assert mail["subject"].startswith("Fwd: ") and mail["text"].startswith("For you\n")


def test_what_is_never_passed_on(post):
    with post.sender(sender__forward=TEAM, send__own_inboxes="*@ours.example") as program:
        first = post.mail()
        wait_history(post, program, (first, ""))
        (forwarded,) = post.sim.sent()
        mails = {
            post.mail(headers={"X-Loop": "support@agentmail.to"}): "loop-mark: support@agentmail.to",
            post.mail(headers={"X-Loop": "sales@ours.example"}): "loop-mark: sales@ours.example",
            post.mail(from_=f"Team <{TEAM}>"): f"from-recipient: {TEAM}",
            post.mail(in_reply_to=forwarded["message_id"]): f"answers-us: {forwarded['message_id']}",
            post.mail(from_="MAILER-DAEMON@corp.example"): "robot-sender: MAILER-DAEMON@corp.example",
            post.mail(headers={"Content-Type": "multipart/report; report-type=delivery-status"}):
                "report: multipart/report; report-type=delivery-status",
            post.mail(from_="x@ours.example"): "own-sender: x@ours.example",
        }
        done = wait_history(post, program, *[(event, "") for event in mails])
        program.stop()
    assert {event: done[event, ""] for event in mails} == {event: ("silent", reason) for event, reason in mails.items()}
    assert len(post.sim.sent()) == 1


def test_a_forward_to_an_inbox_of_ours_is_a_loop(post):
    with post.sender(sender__forward="sales@agentmail.to", send__own_inboxes="sales@agentmail.to") as program:
        event = post.mail()
        done = wait_history(post, program, (event, ""))
        program.stop()
    assert done[event, ""] == ("silent", "own-recipient: sales@agentmail.to")
    assert post.sim.sent() == []


def test_two_inboxes_that_forward_to_each_other_stop(post):
    """Each one's target is the other; nobody told them so. The mail goes round once at most."""
    with post.sender(sender__forward="b@agentmail.to") as program:
        event = post.mail(inbox="a@agentmail.to")
        wait_history(post, program, (event, ""))
        (forwarded,) = post.sim.sent()
        # as it arrives at b, and comes back from there
        back = post.mail(inbox="b@agentmail.to", from_="a@agentmail.to", headers=forwarded["headers"])
        done = wait_history(post, program, (back, ""))
        program.stop()
    assert done[back, ""][0] == "silent" and done[back, ""][1].split(":")[0] in ("own-sender", "own-recipient")
    assert len(post.sim.sent()) == 1


def test_parts_of_one_event_are_each_sent_once(post):
    """The second of three fails: the others are not sent again with it."""
    with BadApi(post.sim.address) as api, post.sender(api__base_url=api.base_url, sender__replies=3, sender__forward=TEAM) as program:
        api.spoil((True, answer(500), "close"), (False, answer(503), "close"))
        event = post.mail()
        done = wait_history(post, program, *[(event, part) for part in PARTS])
        wait_for(lambda: inbox(post) == 0, "the event to be done")
        program.stop()
    assert [done[event, part][0] for part in PARTS] == ["forwarded"] + ["answered"] * 3
    assert sorted(mail["text"] for mail in calls(post, "reply")) == ["reply-1", "reply-2", "reply-3"]
    assert len(calls(post, "forward")) == 1
    assert len({key for _, key, _ in api.calls}) == 4 and len(api.calls) == 6


def test_parts_count_for_the_day(post):
    with post.sender(sender__replies=5, send__per_sender_day=3) as program:
        event = post.mail()
        done = wait_history(post, program, *[(event, f"reply-{n}") for n in range(1, 6)])
        program.stop()
    assert [done[event, f"reply-{n}"][0] for n in range(1, 6)] == ["answered"] * 3 + ["silent"] * 2
    assert len(post.sim.sent()) == 3


@pytest.mark.parametrize("point", ["outgoing-sent", "outgoing-noted"])
def test_killed_anywhere_every_part_goes_out_once(post, point):
    """Killed at the n-th passing of the point, so at every one of the parts, and again while it repairs that."""
    events = []
    for number in range(KILLS):
        events.append(post.mail())
        env = {**KEY, "MAILBUS_TEST_KILL": f"{point}:{number % 4 + 1}"}
        with post.sender(sender__replies=3, sender__forward=TEAM, send__per_minute=1000000, env=env, ready=False) as program:
            assert program.process.wait(60) == -signal.SIGKILL, program.tail()
    with post.sender(sender__replies=3, sender__forward=TEAM, send__per_minute=1000000) as program:
        done = wait_history(post, program, *[(event, part) for event in events for part in PARTS])
        wait_for(lambda: inbox(post) == 0, lambda: f"all done:\n{program.tail()}")
        program.stop()
    assert {action for action, _ in done.values()} == {"answered", "forwarded"} and len(done) == 4 * KILLS
    per_mail = {}
    for mail in calls(post, "reply"):
        per_mail.setdefault(mail["to"][0], []).append(mail["text"])
    assert len(per_mail) == KILLS
    assert {tuple(sorted(texts)) for texts in per_mail.values()} == {("reply-1", "reply-2", "reply-3")}
    assert len(calls(post, "forward")) == KILLS


def test_a_forward_that_a_check_refuses_is_seen_by_a_person(post, tmp_path):
    """Silence would lose somebody's mail: it goes to the dead letters."""
    own = tmp_path / "list"
    own.mkdir()
    (own / "list.txt").write_text(f"{TEAM} bounced three times\n")
    with Subscriber("mailbus-checklist", own, post.gateway.bus(), check__listen="tcp://127.0.0.1:*",
                    list__path=own / "list.txt") as answerer:
        endpoint = answerer.find(stage="check", message="bound")["endpoint"]
        with post.sender(sender__forward=TEAM, send__checks=endpoint) as program:
            event = post.mail()
            done = wait_history(post, program, (event, ""))
            program.stop()
        answerer.stop()
    assert done[event, ""][0] == "rejected" and "bounced three times" in done[event, ""][1]
    with sqlite3.connect(post.folder / "mailbus-sender.db") as db:
        assert "bounced three times" in db.execute("SELECT reason FROM mailbus_dead").fetchone()[0]
    assert post.sim.sent() == []


def test_without_a_key_nothing_is_lost(post):
    with post.sender(sender__forward=TEAM, env={"MAILBUS_LOG_LEVEL": "info"}) as program:
        event = post.mail()
        line = program.wait_log(message="trying again later", id=event)
        program.stop()
    assert "api.key is not set" in line["reason"]
    with post.sender(sender__forward=TEAM) as program:
        wait_history(post, program, (event, ""))
        program.stop()
    assert len(post.sim.sent()) == 1
