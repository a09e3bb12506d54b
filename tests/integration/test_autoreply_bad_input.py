"""What strangers write and what a service in trouble answers: the right verdict, the right note, no effect twice."""

import json
import sqlite3
import time
from email.utils import formatdate

import pytest

from autoreply_testing import SUPPORT, answers, open_post
from bad_api import BadApi, answer
from mailbus_testing import received, wait_for


@pytest.fixture
def post(tmp_path):
    with open_post(tmp_path) as setup:
        yield setup


def state(post, sql):
    with sqlite3.connect(f"file:{post.folder / 'mailbus-autoreply.db'}?mode=ro", uri=True) as db:
        return db.execute(sql).fetchall()


# --- mails -------------------------------------------------------------------------------------------------------


def test_mails_with_something_wrong(post):
    """Each with its verdict; what is answered is answered once, to the one who wrote, and to nobody else."""
    everybody = ["support@agentmail.to"] + [f"other{n}@example.org" for n in range(499)]
    with post.autoreply() as program:
        expected = {
            post.mail(subject=None): "answered",
            post.mail(from_=None, known=False): "no-sender",
            post.mail(from_=[], known=False): "no-sender",
            post.mail(from_="", known=False): "no-sender",
            post.mail(from_="nobody", known=False): "no-sender",
            post.mail(from_=7, known=False): "no-sender",
            post.mail(to=everybody): "answered",
            post.mail(to=everybody[1:], cc=everybody[1:], bcc=everybody): "not-addressed",
            post.mail(reply_to=[f"victim{n}@example.org" for n in range(500)]): "answered",
            post.mail(subject="Hi\r\nBcc: victim@example.org\r\n\r\nbody"): "answered",
            post.mail(text="x" * 1000000): "answered",
            post.mail(subject="s" * 100000): "answered",
            post.mail(headers={"Subject": "x", "X-Long": "y" * 200000}, sim_headers={}): "answered",
            post.mail(in_reply_to="x" * 5000, references=["<r@x>"] * 5000): "answered",
            post.mail(attachments=[{"attachment_id": "a", "size": -1, "filename": "../../etc/passwd"}] * 100): "answered",
        }
        history = post.wait_history(*expected, program=program)
        program.stop()
    for event, verdict in expected.items():
        action, reason = history[event]
        assert (action, reason.split(":")[0]) == (("answered", reason) if verdict == "answered" else ("silent", verdict))
    sent = post.sim.sent()
    assert len(sent) == list(expected.values()).count("answered")
    for mail in sent:
        assert len(mail["to"]) == 1 and not mail.get("cc") and not mail.get("bcc")
        assert mail["text"] == SUPPORT and not mail.get("attachments")
        assert {name.lower() for name in mail["headers"]} <= {"auto-submitted", "x-auto-response-suppress", "precedence", "message-id"}
    assert "victim0@example.org" in answers(post.sim) and "victim1@example.org" not in answers(post.sim)
    assert not [who for who in answers(post.sim) if who.startswith("other")]


ADDRESSES = [
    ('"Doe, \\"JD\\" Jane" <jane.doe@example.com>', "jane.doe@example.com"),
    ('Jane <"jane doe"@example.com>', '"jane doe"@example.com'),
    ('"a;b,c@d"@example.com', '"a;b,c@d"@example.com'),
    ('"jane"@example.com', "jane@example.com"),
    ("jane(a (nested) comment)@example.com (Jane)", "jane@example.com"),
    ("Doe, Jane <jane@example.com>", "jane@example.com"),
    ("Jürgen <jürgen@bücher.example>", "jürgen@bücher.example"),
    ("jane@xn--bcher-kva.example", "jane@xn--bcher-kva.example"),
    ({"name": "=?utf-8?q?J=C3=BCrgen?=", "email": "j@example.com"}, "j@example.com"),
    ("\u202eevil <evil@example.com>", "evil@example.com"),
    ("Jane\x01\x7f <jane@example.com>", None),
    ("jane@example.com\r\nBcc: victim@example.org", None),
    ("<jane@example.com>, <mallory@example.org", None),
    ("jane@" + "a" * 300 + ".example", None),
    ("a" * 65 + "@example.com", None),
    ("jane@@example.com", None),
    ("@example.com", None),
]  # a sender, and whom the answer goes to


def test_addresses_with_quotes_comments_and_other_alphabets(post):
    with post.autoreply(send__again_after="1d", send__per_sender_day=1000, workers=1) as program:
        events = [post.mail(from_=sender, sim_from="someone@example.com", reply_to=[], subject=f"Mail {n}")
                  for n, (sender, _) in enumerate(ADDRESSES)]
        history = post.wait_history(*events, program=program)
        program.stop()
    expected = []
    for _, address in ADDRESSES:
        seen = ("answered", f"rule support to {address}") in expected
        expected.append(("silent", "no-sender") if address is None else
                        ("silent", "answered-before: support") if seen else ("answered", f"rule support to {address}"))
    assert [history[event] for event in events] == expected
    assert answers(post.sim) == {address: [SUPPORT] for _, address in ADDRESSES if address}


def test_what_is_no_utf8_is_told_and_stops_nothing(post):
    """The gateway does not take what is no JSON; nor does an event that has no message stop the next one."""
    event = received(1)
    raw = json.dumps(event).encode().replace(b"Question 1", b"Quest\xff\xc3n")
    assert post.gateway.post(raw)[0] == 400
    escaped = json.dumps(received(2)).encode().replace(b"Question 2", b"\\ud800 \\u0000")
    status, _ = post.gateway.post(escaped)
    assert status in (200, 400)
    empty = {"type": "event", "event_type": "message.received", "event_id": "evt_empty"}
    assert post.gateway.post(empty)[0] == 200
    with post.autoreply() as program:
        last = post.mail()
        history = post.wait_history("evt_empty", last, program=program)
        program.stop()
    assert history[last][0] == "answered"
    assert history["evt_empty"][0] == "rejected" and history["evt_empty"][1].startswith("unreadable: ")
    assert state(post, "SELECT reason FROM mailbus_dead WHERE id = 'evt_empty'")[0][0].startswith("unreadable: ")
    assert len(post.sim.sent()) == 1


# --- the API -----------------------------------------------------------------------------------------------------


def error(name, code, message):
    return json.dumps({"name": name, "code": code, "message": message}).encode()


REFUSALS = [
    (answer(400, error("ValidationError", "invalid_request", "no such thing")), "no such thing"),
    (answer(403, error("MessageRejectedError", "message_rejected", "recipient is suppressed")), "recipient is suppressed"),
    (answer(404, error("NotFoundError", "not_found", "no such message")), "no such message"),
    (answer(409, error("ConflictError", "idempotency_key_reused", "another request")), "another request"),
    (answer(413), "HTTP 413"),
    (answer(422, error("Unprocessable", "missing_recipient", "no recipient \r\n\x1b[31m")), "no recipient"),
]


def test_what_the_service_will_never_take(post):
    """One try, a dead letter with the service's own words; the next mail is not held up."""
    with BadApi(post.sim.address) as api, post.autoreply(api__base_url=api.base_url, workers=1) as program:
        events = []
        for bytes_, _ in REFUSALS:
            api.spoil((False, bytes_, "close"))
            events.append(post.mail())
            post.wait_history(*events, program=program)
        last = post.mail()
        history = post.wait_history(last, program=program)
        program.stop()
        assert len(api.calls) == len(events) + 1
    for event, (_, says) in zip(events, REFUSALS):
        assert history[event][0] == "rejected" and says in history[event][1] and "\x1b" not in history[event][1]
    assert history[last][0] == "answered"
    assert state(post, "SELECT id, reason FROM mailbus_dead ORDER BY number") == [(event, history[event][1]) for event in events]
    assert state(post, "SELECT count(*) FROM mailbus_inbox") == [(0,)]
    assert set(answers(post.sim)) == {f"person{len(events) + 1}@example.com"}
    # a 409 says that something was sent under the key: its note stays unsure
    assert state(post, "SELECT count(*) FROM outgoing_mails WHERE state = 'planned'") == [(1,)]
    assert state(post, "SELECT count(*) FROM outgoing_mails WHERE state = 'refused'") == [(len(events) - 1,)]


BY_DATE = "by date"
TROUBLE = {
    "401": (False, answer(401, error("Unauthorized", "unauthorized", "bad key")), "close"),
    "402": (False, answer(402), "close"),
    "403 of the key": (False, answer(403, error("Forbidden", "forbidden", "not allowed")), "close"),
    "302": (False, answer(302, b"", "Location: http://127.0.0.1:1/"), "close"),
    "408": (True, answer(408), "close"),
    "429 with seconds": (False, answer(429, b"", "Retry-After: 1"), "close"),
    "429 with a date": (False, BY_DATE, "close"),
    "429 with nonsense": (False, answer(429, b"", "Retry-After: soon"), "close"),
    "500": (False, answer(500, b"<html>oops"), "close"),
    "500 but done": (True, answer(500), "close"),
    "503": (False, answer(503, b"", "Retry-After: 1"), "close"),
    "200 of a proxy": (False, answer(200, b"<html>Please log in"), "close"),
    "200 without an id": (True, answer(200, b'{"ok": true}'), "close"),
    "no answer, reset": (True, b"", "reset"),
    "no answer, closed": (False, b"", "close"),
    "reset in mid-answer": (True, b'HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n{"message_id":"', "reset"),
    "cut in mid-answer": (True, b'HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n{"message_id":"<x', "close"),
    "no end": (True, b"HTTP/1.1 200 OK\r\n\r\n", "endless"),
    "a header without end": (True, b"HTTP/1.1 200 OK\r\nX: ", "endless"),
    "another protocol": (False, b"SSH-2.0-OpenSSH_9.2p1\r\n", "close"),
}


def test_trouble_that_passes_delays_one_answer_and_doubles_none(post):
    """All of them, one mail each: the same request under the same key until it works; nothing in the dead letters."""
    with BadApi(post.sim.address) as api, post.autoreply(api__base_url=api.base_url, retry__max_pause="1500ms", workers=1) as program:
        events = {}
        for name, (done, spoiled, end) in TROUBLE.items():
            if spoiled is BY_DATE:
                spoiled = answer(429, b"", f"Retry-After: {formatdate(time.time() + 2, usegmt=True)}")
            api.spoil((done, spoiled, end))
            event = post.mail()
            events[event] = name
            wait_for(lambda: not api.faults, lambda: f"the call that meets {name}:\n{program.tail()}")
        history = post.wait_history(*events, program=program)
        lines = {line["id"]: line["reason"] for line in program.log if line.get("message") == "trying again later"}
        loud = [line for line in program.log if "until this is mended" in line.get("message", "")]
        program.stop()
        keys = {}
        for _, key, body in api.calls:
            keys.setdefault(key, set()).add(body)
        assert len(keys) == len(events) and {len(bodies) for bodies in keys.values()} == {1}
        assert len(api.calls) == 2 * len(events)
    assert {events[event]: history[event][0] for event in events} == {name: "answered" for name in TROUBLE}
    assert {who: len(texts) for who, texts in answers(post.sim).items()} == {f"person{n}@example.com": 1 for n in range(1, len(events) + 1)}
    assert {events[event] for event in lines} == set(events.values())  # each one waited once, and said why
    assert all(reason.startswith("reply: ") for reason in lines.values())
    assert len(loud) == 4  # 401, 402, 403, 302: a person has to do something
    assert state(post, "SELECT count(*) FROM mailbus_dead") == [(0,)]


def test_retry_after_is_obeyed_in_both_forms(post):
    for form in (lambda: "3", lambda: formatdate(time.time() + 4, usegmt=True)):
        with BadApi(post.sim.address) as api, post.autoreply(api__base_url=api.base_url) as program:
            api.spoil((False, answer(429, b"", f"Retry-After: {form()}"), "close"))
            event = post.mail()
            line = program.wait_log(message="trying again later", id=event)
            program.stop()
        assert int(line["pause_ms"]) >= 2500  # without it: 50 ms
