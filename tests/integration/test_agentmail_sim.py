"""agentmail-sim as a user and as other tests meet it: mail in, mail out, signed webhooks, failures."""

import base64
import hashlib
import hmac
import http.client
import http.server
import json
import socket
import subprocess
import threading
import time
import urllib.parse
import urllib.request

import jsonschema
import pytest

import mailbus_testing as mt

INBOX = "support@agentmail.to"
KEY = {"Authorization": "Bearer am_test"}


class Receiver:
    """Takes webhooks: keeps every one, answers what `answer(number)` says (status, headers); None cuts."""

    def __init__(self, answer=lambda number: (200, {})):
        self.deliveries = []
        self.answer = answer
        self.lock = threading.Lock()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with outer.lock:
                    outer.deliveries.append((time.monotonic(), dict(self.headers.items()), body))
                    number = len(outer.deliveries)
                answer = outer.answer(number)
                if answer is None:
                    self.close_connection = True
                    return
                status, headers = answer
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            request_queue_size = 128

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/webhook"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def bodies(self):
        with self.lock:
            return [body for _, _, body in self.deliveries]

    def headers(self):
        with self.lock:
            return [{k.lower(): v for k, v in headers.items()} for _, headers, _ in self.deliveries]

    def events(self, topic=None):
        events = [json.loads(body) for body in self.bodies()]
        return [event for event in events if topic in (None, event["event_type"])]

    def wait(self, count, topic=None):
        return mt.wait_for(lambda: len(self.events(topic)) >= count and self.events(topic),
                           lambda: f"{count} × {topic}; there are {[e['event_type'] for e in self.events()]}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def receiver():
    with Receiver() as self:
        yield self


@pytest.fixture
def sim(receiver):
    with mt.Sim("--inbox", INBOX, webhook_url=receiver.url) as self:
        yield self
        self.stop()


SCHEMAS = {schema["$id"]: schema for schema in (json.loads(file.read_text()) for file in (mt.ROOT / "proto" / "schemas").glob("*.json"))}


def assert_fits_schema(event):
    """The event is what our own published schema of its type says."""
    schema = next(schema for name, schema in SCHEMAS.items() if name.endswith(f"/{event['event_type']}.json"))
    resolver = jsonschema.RefResolver(schema["$id"], schema, store=SCHEMAS)
    jsonschema.Draft202012Validator(schema, resolver=resolver).validate(event)


def path(inbox, *rest):
    return "/v0/inboxes/" + "/".join(urllib.parse.quote(part, safe="") for part in (inbox, *rest))


def api(sim, method, where, body=None, **headers):
    return sim.call(method, where, body, {**KEY, **{k.replace("_", "-"): v for k, v in headers.items()}})


def send(sim, body, inbox=INBOX, **headers):
    return api(sim, "POST", path(inbox, "messages", "send"), body, **headers)


def verify(headers, body, secret=mt.SECRET):
    """A second implementation of the Standard Webhooks signature."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    content = f"{headers['svix-id']}.{headers['svix-timestamp']}.".encode() + body
    expected = "v1," + base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
    assert headers["svix-signature"] == expected
    assert abs(time.time() - int(headers["svix-timestamp"])) < 60


def delivered(sim, **counts):
    """Wait until the report of the deliveries has these counts; it."""
    return mt.wait_for(
        lambda: (lambda report: report if all(report[k] == v for k, v in counts.items()) else None)(
            sim.call("GET", "/sim/deliveries")[1]),
        lambda: f"{counts} in {sim.call('GET', '/sim/deliveries')[1]}")


# Mail comes in


def test_a_mail_that_arrives_is_a_signed_event_with_message_and_thread(sim, receiver):
    answer = sim.receive(
        inbox_id=INBOX, **{"from": "Jane Doe <jane@example.com>"}, to=[f"Support <{INBOX}>"], cc=["boss@example.com"],
        subject="Grüße ☃", text="Hello\n\nOn Mon, Ann wrote:\n> old\n", html="<p>Hello</p>",
        headers={"List-Id": "<x.example.com>"}, in_reply_to="<before@example.com>", references=["<before@example.com>"],
        attachments=[{"filename": "a.txt", "content_type": "text/plain", "content": base64.b64encode(b"abc").decode()}])
    (event,) = receiver.wait(1)
    verify(receiver.headers()[0], receiver.bodies()[0])
    message, thread = event["message"], event["thread"]
    assert (event["type"], event["event_type"], event["event_id"]) == ("event", "message.received", answer["event_id"])
    assert message["message_id"] == answer["message_id"] == thread["last_message_id"]
    assert message["thread_id"] == answer["thread_id"] == thread["thread_id"]
    assert message["from"] == "Jane Doe <jane@example.com>"
    assert message["cc"] == ["boss@example.com"]
    assert message["labels"] == ["received", "unread"]
    assert message["extracted_text"] == "Hello"
    assert message["headers"]["List-Id"] == "<x.example.com>"
    assert message["headers"]["Message-ID"] == message["message_id"]
    assert message["in_reply_to"] == "<before@example.com>"
    assert message["attachments"][0].keys() == {"attachment_id", "filename", "size", "content_type", "content_disposition"}
    assert thread["message_count"] == 1
    assert_fits_schema(event)


def test_what_is_empty_is_left_out(sim, receiver):
    sim.receive(**{"from": "a@example.com"}, to=INBOX)
    (event,) = receiver.wait(1)
    assert not {"cc", "bcc", "attachments", "html", "text", "subject", "in_reply_to", "references"} & event["message"].keys()


# What the service's own documentation gives for each event: the body's key, and the keys in it.
KEYS = {
    "message.sent": ("send", {"inbox_id", "thread_id", "message_id", "timestamp", "recipients"}),
    "message.delivered": ("delivery", {"inbox_id", "thread_id", "message_id", "timestamp", "recipients"}),
    "message.bounced": ("bounce", {"inbox_id", "thread_id", "message_id", "timestamp", "type", "sub_type", "recipients"}),
    "message.complained": ("complaint", {"inbox_id", "thread_id", "message_id", "timestamp", "type", "sub_type", "recipients"}),
}


def test_events_have_the_keys_of_the_service(sim, receiver):
    sim.receive(**{"from": "a@example.com"}, to=INBOX, subject="s", text="t")
    send(sim, {"to": ["b@example.com", "bounce@simulator.amazonses.com", "complaint@simulator.amazonses.com"], "text": "x"})
    events = {event["event_type"]: event for event in receiver.wait(5)}
    for event in events.values():
        assert_fits_schema(event)
    assert events.keys() == {"message.received", *KEYS}
    for topic, (key, keys) in KEYS.items():
        assert events[topic].keys() == {"type", "event_type", "event_id", key}
        assert events[topic][key].keys() == keys
    received = events["message.received"]
    assert received.keys() == {"type", "event_type", "event_id", "message", "thread"}
    assert {"inbox_id", "thread_id", "message_id", "labels", "timestamp", "from", "to", "size", "created_at", "updated_at"} <= received["message"].keys()
    assert {"inbox_id", "thread_id", "labels", "timestamp", "received_timestamp", "senders", "recipients", "last_message_id", "message_count", "size",
            "created_at", "updated_at"} <= received["thread"].keys()


@pytest.mark.parametrize("topic,label", [("message.received.spam", "spam"), ("message.received.blocked", "blocked"),
                                         ("message.received.unauthenticated", "unauthenticated")])
def test_variants_of_received(sim, receiver, topic, label):
    status, _ = sim.call("POST", f"/sim/receive?event_type={topic}", {"from": "a@example.com", "to": INBOX, "text": "x"})
    assert status == 200
    (event,) = receiver.wait(1)
    assert event["event_type"] == topic
    assert event["message"]["labels"] == [label]
    assert_fits_schema(event)


def test_a_sender_on_the_receive_block_list_arrives_as_blocked(sim, receiver):
    assert api(sim, "POST", "/v0/lists/receive/block", {"entry": "bad.example"})[0] == 200
    sim.receive(**{"from": "x@bad.example"}, to=INBOX, text="x")
    assert receiver.wait(1)[0]["event_type"] == "message.received.blocked"


def test_an_answer_joins_the_thread_of_what_it_answers(sim, receiver):
    first = sim.receive(**{"from": "a@example.com"}, to=INBOX, subject="s", text="1")
    _, sent = api(sim, "POST", path(INBOX, "messages", first["message_id"], "reply"), {"text": "2"})
    third = sim.receive(**{"from": "a@example.com"}, to=INBOX, subject="Re: s", text="3", in_reply_to=sent["message_id"])
    assert first["thread_id"] == sent["thread_id"] == third["thread_id"]
    other = sim.receive(**{"from": "a@example.com"}, to=INBOX, subject="s", text="4")
    assert other["thread_id"] != first["thread_id"]
    events = receiver.wait(3, "message.received")
    assert sorted(e["thread"]["message_count"] for e in events) == [1, 1, 3]


def test_text_and_html_of_an_oversize_mail_are_left_out(sim, receiver):
    answer = sim.receive(**{"from": "a@example.com"}, to=INBOX, subject="big", text="x" * 1_100_000)
    (event,) = receiver.wait(1)
    assert not {"text", "html"} & event["message"].keys()
    assert len(receiver.bodies()[0]) < 1_000_000
    _, message = api(sim, "GET", path(INBOX, "messages", answer["message_id"]))
    assert len(message["text"]) == 1_100_000


EML = b"""Received: from a by b;\r
 Mon, 12 Oct 2026 09:31:04 +0000\r
Message-ID: <file1@example.com>\r
From: =?utf-8?B?SsO8cmdlbiBMw7xkdGtl?= <juergen@example.com>\r
To: "Support, Team" <support@agentmail.to>, second@example.com\r
Subject: =?iso-8859-1?Q?Gr=FC=DFe_aus?=\r
 =?utf-8?Q?_K=C3=B6ln?=\r
References: <r1@example.com>\r
 <r2@example.com>\r
In-Reply-To: <r2@example.com>\r
Auto-Submitted: auto-replied\r
MIME-Version: 1.0\r
Content-Type: multipart/mixed; boundary="outer"\r
\r
preamble\r
--outer\r
Content-Type: multipart/alternative; boundary=inner\r
\r
--inner\r
Content-Type: text/plain; charset=iso-8859-1\r
Content-Transfer-Encoding: quoted-printable\r
\r
Sch=F6ne Gr=FC=\r
=DFe\r
--inner\r
Content-Type: text/html; charset=utf-8\r
Content-Transfer-Encoding: base64\r
\r
PHA+U2Now7ZuZTwvcD4=\r
--inner--\r
--outer\r
Content-Type: application/pdf; name="=?utf-8?Q?Rechnung_=C3=BC.pdf?="\r
Content-Disposition: attachment; filename*=utf-8''Rechnung%20%C3%BC.pdf\r
Content-Transfer-Encoding: base64\r
\r
JVBERi0x\r
--outer--\r
"""


def post_file(sim, data, query=""):
    return sim.call("POST", "/sim/receive" + query, data, {"Content-Type": "message/rfc822"})


def test_a_mail_file_is_read_as_a_mail_program_reads_it(sim, receiver):
    status, answer = post_file(sim, EML)
    assert (status, answer["message_id"], answer["inbox_id"]) == (200, "<file1@example.com>", INBOX)
    (event,) = receiver.wait(1)
    message = event["message"]
    assert message["from"] == "Jürgen Lüdtke <juergen@example.com>"
    assert message["to"] == ['"Support, Team" <support@agentmail.to>', "second@example.com"]
    assert message["subject"] == "Grüße aus Köln"
    assert message["text"] == "Schöne Grüße"
    assert message["html"] == "<p>Schöne</p>"
    assert message["references"] == ["<r1@example.com>", "<r2@example.com>"]
    assert message["headers"]["Auto-Submitted"] == "auto-replied"
    assert message["headers"]["Received"] == "from a by b; Mon, 12 Oct 2026 09:31:04 +0000"
    (attachment,) = message["attachments"]
    assert (attachment["filename"], attachment["content_type"], attachment["size"]) == ("Rechnung ü.pdf", "application/pdf", 6)
    _, found = api(sim, "GET", path(INBOX, "messages", "<file1@example.com>", "attachments", attachment["attachment_id"]))
    assert urllib.request.urlopen(found["download_url"]).read() == b"%PDF-1"
    _, raw = api(sim, "GET", path(INBOX, "messages", "<file1@example.com>", "raw"))
    assert urllib.request.urlopen(raw["download_url"]).read() == EML
    assert raw["size"] == len(EML)


@pytest.mark.parametrize("data", [
    b"", b"\r\n\r\nbody", b"\x00\x01\x02", b"no header at all", b"From\r\n: x\r\n\r\n",
    b"From: not an address\r\nTo: support@agentmail.to\r\n\r\nx",
])
def test_what_is_no_mail_is_refused(sim, data):
    status, answer = post_file(sim, data)
    assert status == 400
    assert answer["message"]


def nested(depth):
    head = b"From: a@example.com\r\nTo: support@agentmail.to\r\n"
    return head + b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (i, i) for i in range(depth))


@pytest.mark.parametrize("data", [
    nested(500),
    b"From: a@example.com\r\nTo: support@agentmail.to\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * 5000,
    b"From: a@example.com\r\nTo: support@agentmail.to\r\nSubject: " + b"=?utf-8?Q?" * 20000 + b"\r\n\r\nx",
    b"From: a@example.com\r\nTo: support@agentmail.to\r\nSubject: =?utf-8?Q?a=0D=0ABcc:_x?=\r\n\r\nx",
    b"From: a@example.com\r\nTo: " + b"(" * 50000 + b", support@agentmail.to\r\n\r\nx",
    b"From: a@example.com\r\nTo: support@agentmail.to\r\nContent-Type: text/plain; charset=utf-16\r\n\r\n\x00x\xd8\x00",
    b"From: a@example.com\r\nTo: support@agentmail.to\r\nContent-Type: text/plain; charset=\"=?x?\"\r\n\r\n\xff\xfe\x00",
    b"From: a@example.com\r\nTo: support@agentmail.to\r\nX: " + b"\r\n y" * 5000 + b"\r\n\r\nx",
], ids=["deep", "many parts", "encoded words", "header injection", "comments", "utf-16", "charset", "folds"])
def test_hostile_files_are_taken_or_refused_but_hurt_nobody(sim, receiver, data):
    status, _ = post_file(sim, data, "?inbox_id=" + INBOX)
    assert status in (200, 400)
    if status == 200:
        (event,) = receiver.wait(1)
        assert "\n" not in event["message"].get("subject", "")
    assert sim.call("GET", "/sim/sent")[0] == 200


def test_a_mail_that_was_sent_reads_back_from_its_own_file(sim, receiver):
    _, sent = send(sim, {"to": ["Jürgen <j@example.com>"], "subject": "Grüße ☃ " * 20, "text": "Zeile\n" * 3, "html": "<b>ü</b>",
                         "headers": {"X-Note": "ä"},
                         "attachments": [{"filename": "ü \"q\".txt", "content_type": "text/plain", "content": base64.b64encode(b"\0\1" * 100).decode()}]})
    _, raw = api(sim, "GET", path(INBOX, "messages", sent["message_id"], "raw"))
    data = urllib.request.urlopen(raw["download_url"]).read()
    assert max(len(line) for line in data.split(b"\r\n")) <= 998
    other = post_file(sim, data, "?inbox_id=copy@agentmail.to")
    assert other[0] == 200, other
    (event,) = receiver.wait(1, "message.received")
    message = event["message"]
    assert message["to"] == ["Jürgen <j@example.com>"]
    assert message["subject"].strip() == ("Grüße ☃ " * 20).strip()
    assert (message["text"], message["html"]) == ("Zeile\n" * 3, "<b>ü</b>")
    assert message["headers"]["X-Note"] == "ä"
    assert (message["attachments"][0]["filename"], message["attachments"][0]["size"]) == ("ü \"q\".txt", 200)


@pytest.mark.parametrize("body,word", [
    ({"to": INBOX}, "from"), ({"from": "nobody", "to": INBOX}, "from"), ({"from": "a@example.com"}, "inbox"),
    ({"from": "a@example.com", "to": INBOX, "txet": "x"}, "txet"), ({"from": "a@example.com", "to": 5}, "to"),
    ({"from": "a@example.com", "to": INBOX, "subject": "a\r\nBcc: b"}, "subject"),
    ({"from": "a@example.com", "to": INBOX, "headers": {"A B": "x"}}, "headers"),
    ({"from": "a@example.com", "to": INBOX, "headers": {"A": "x\ny"}}, "headers"),
    ({"from": "a@example.com", "to": INBOX, "attachments": [{"content": "%%%"}]}, "base64"),
    ({"from": "a@example.com", "to": INBOX, "event_type": "Not A Type"}, "event_type"),
    (b"{", "body"), (b"[]", "body"), (b'{"from":"a@b.c","from":"d@e.f"}', "body"),
])
def test_a_mail_that_makes_no_sense_is_refused_in_words(sim, body, word):
    status, answer = sim.call("POST", "/sim/receive", body)
    assert status == 400
    assert word in answer["message"]


def test_the_same_message_id_comes_only_once(sim):
    mail = {"from": "a@example.com", "to": INBOX, "message_id": "<same@example.com>"}
    assert sim.call("POST", "/sim/receive", mail)[0] == 200
    assert sim.call("POST", "/sim/receive", mail)[0] == 409


# Mail goes out


def test_a_mail_sent_is_sent_and_delivered(sim, receiver):
    status, answer = send(sim, {"to": "Ann <ann@example.com>", "bcc": ["b@example.com", "ANN@example.com"], "text": "x"})
    assert status == 200
    receiver.wait(2)
    sent, arrived = receiver.events("message.sent")[0]["send"], receiver.events("message.delivered")[0]["delivery"]
    for part in (sent, arrived):
        assert (part["message_id"], part["thread_id"]) == (answer["message_id"], answer["thread_id"])
        assert part["recipients"] == ["ann@example.com", "b@example.com"]


def test_bounces_and_complaints_come_and_the_address_is_blocked_afterwards(sim, receiver):
    assert send(sim, {"to": "bounce+1@simulator.amazonses.com", "text": "x"})[0] == 200
    (bounce,) = receiver.wait(1, "message.bounced")
    assert bounce["bounce"]["recipients"] == [{"address": "bounce+1@simulator.amazonses.com", "status": "bounced"}]
    assert send(sim, {"to": "complaint@simulator.amazonses.com", "text": "x"})[0] == 200
    (complaint,) = receiver.wait(1, "message.complained")
    assert complaint["complaint"]["recipients"] == ["complaint@simulator.amazonses.com"]
    delivered(sim, pending=0)
    assert [e["event_type"] for e in receiver.events("message.delivered")] == ["message.delivered"]
    for address in ("bounce+1@simulator.amazonses.com", "complaint@simulator.amazonses.com"):
        status, answer = send(sim, {"to": address, "text": "x"})
        assert (status, answer["code"]) == (403, "message_rejected")
    assert send(sim, {"to": "bounce+2@simulator.amazonses.com", "text": "x"})[0] == 200
    assert sim.call("GET", "/sim/sent?format=count")[1] == 3


def test_blocking_can_be_switched_off():
    with mt.Sim("--inbox", INBOX, "--no-blocking") as sim:
        for _ in range(2):
            assert send(sim, {"to": "bounce@simulator.amazonses.com", "text": "x"})[0] == 200
        sim.stop()


def test_two_inboxes_of_ours_can_write_to_each_other(sim, receiver):
    assert api(sim, "POST", "/v0/inboxes", {"username": "robot", "display_name": "Robot"})[0] == 200
    _, sent = send(sim, {"to": f"Robot <robot@agentmail.to>", "subject": "Hi", "text": "x", "headers": {"Auto-Submitted": "auto-replied"}})
    (event,) = receiver.wait(1, "message.received")
    message = event["message"]
    assert (message["inbox_id"], message["message_id"]) == ("robot@agentmail.to", sent["message_id"])
    assert message["headers"]["Auto-Submitted"] == "auto-replied"
    status, answer = api(sim, "POST", path("robot@agentmail.to", "messages", message["message_id"], "reply"), {"text": "y"})
    assert status == 200
    back = receiver.wait(2, "message.received")[-1]["message"]
    assert (back["inbox_id"], back["from"]) == (INBOX, "Robot <robot@agentmail.to>")
    assert back["thread_id"] == sent["thread_id"]
    assert back["in_reply_to"] == sent["message_id"]


def test_a_mail_to_itself_arrives_once(sim, receiver):
    _, sent = send(sim, {"to": INBOX, "text": "note"})
    (event,) = receiver.wait(1, "message.received")
    assert event["message"]["message_id"] == sent["message_id"]


def test_the_answer_goes_where_reply_to_says(sim):
    mail = sim.receive(**{"from": "a@example.com"}, to=INBOX, reply_to="desk@example.com", subject="Re: s", text="x")
    api(sim, "POST", path(INBOX, "messages", mail["message_id"], "reply"), {"text": "y"})
    (sent,) = sim.sent()
    assert (sent["to"], sent["subject"]) == (["desk@example.com"], "Re: s")


@pytest.mark.parametrize("body,status,code", [
    ({"text": "x"}, 422, "missing_recipient"), ({"to": [], "text": "x"}, 422, "missing_recipient"),
    ({"to": "not an address"}, 400, "validation_error"), ({"to": [f"a{i}@example.com" for i in range(51)]}, 400, "validation_error"),
    ({"to": {"email": "a@example.com"}}, 400, "validation_error"), ({"to": "x\r\nBcc: y <a@example.com>"}, 400, "validation_error"),
    ({"to": "a@example.com", "subject": "x\ny"}, 400, "validation_error"),
    ({"to": "a@example.com", "headers": {"X": 1}}, 400, "validation_error"), (b"not json", 400, "validation_error"),
])
def test_bad_mails_are_refused_and_not_sent(sim, body, status, code):
    found, answer = send(sim, body)
    assert (found, answer["code"]) == (status, code)
    assert {"name", "code", "message"} <= answer.keys()
    assert sim.sent() == []


def test_unknown_things_are_not_found(sim):
    assert send(sim, {"to": "a@example.com"}, inbox="none@agentmail.to")[0] == 404
    for method, where in [("POST", path(INBOX, "messages", "<no@x>", "reply")), ("GET", path(INBOX, "messages", "<no@x>")),
                          ("GET", "/v0/webhooks/ep_none"), ("GET", "/v0/lists/send/none"), ("GET", "/v0/nothing"), ("GET", "/"),
                          ("GET", "/v0/inboxes/%ff"), ("GET", "/v0/inboxes/%zz"), ("GET", "/files/none/raw")]:
        status, answer = api(sim, method, where)
        assert (status, answer["code"]) == (404, "not_found"), where
    assert api(sim, "DELETE", "/v0/inboxes")[0] == 405


def test_without_an_api_key_nothing_is_done(sim):
    for headers in ({}, {"Authorization": "Bearer "}, {"Authorization": "Basic x"}):
        status, answer = sim.call("POST", path(INBOX, "messages", "send"), {"to": "a@example.com"}, headers)
        assert (status, answer["code"]) == (401, "unauthorized")
    assert sim.sent() == []


def test_a_download_url_ends(sim):
    mail = sim.receive(**{"from": "a@example.com"}, to=INBOX, text="x")
    _, raw = api(sim, "GET", path(INBOX, "messages", mail["message_id"], "raw"))
    where = raw["download_url"].removeprefix(f"http://{sim.address}").split("?")[0]
    assert sim.call("GET", where + "?expires=1")[0] == 403
    assert sim.call("GET", where)[0] == 403


# Idempotency


def test_a_repeated_key_sends_once_and_emits_once(sim, receiver):
    mail = sim.receive(**{"from": "a@example.com"}, to=INBOX, text="x")
    for call in ("reply", "reply-all", "forward"):
        where = path(INBOX, "messages", mail["message_id"], call)
        answers = [api(sim, "POST", where, {"to": "c@example.com", "text": call}, Idempotency_Key=f"k-{call}") for _ in range(3)]
        assert answers[0][0] == 200
        assert answers[0] == answers[1] == answers[2]
    assert [m["idempotency_key"] for m in sim.sent()] == ["k-reply", "k-reply-all", "k-forward"]
    delivered(sim, pending=0)
    assert len(receiver.events("message.sent")) == 3


def test_a_key_of_another_request_is_a_conflict(sim):
    assert send(sim, {"to": "a@example.com", "text": "1"}, Idempotency_Key="k")[0] == 200
    for body in ({"to": "a@example.com", "text": "2"}, {"to": "b@example.com", "text": "1"}):
        status, answer = send(sim, body, Idempotency_Key="k")
        assert (status, answer["code"]) == (409, "idempotency_key_reused")
    assert len(sim.sent()) == 1


@pytest.mark.parametrize("key,status", [("", 400), ("a b", 400), ("ä".encode().decode("latin-1"), 400), ("x" * 257, 400), ("x" * 256, 200), ("A-z.0_~", 200)])
def test_the_form_of_a_key(sim, key, status):
    assert send(sim, {"to": "a@example.com", "text": "x"}, Idempotency_Key=key)[0] == status
    assert len(sim.sent()) == (status == 200)


def test_a_refused_call_does_not_use_up_its_key(sim):
    assert send(sim, {"text": "x"}, Idempotency_Key="k")[0] == 422
    assert send(sim, {"to": "a@example.com", "text": "x"}, Idempotency_Key="k")[0] == 200


# Failures on demand


def test_api_calls_fail_as_told(sim):
    sim.call("POST", "/sim/fail", {"target": "api", "count": 2, "status": 429, "retry_after": 7})
    connection = http.client.HTTPConnection(sim.address, timeout=30)
    connection.request("GET", "/v0/inboxes", headers=KEY)
    response = connection.getresponse()
    assert (response.status, response.headers["Retry-After"]) == (429, "7")
    assert json.loads(response.read())["code"] == "rate_limit_exceeded"
    connection.close()
    assert send(sim, {"to": "a@example.com", "text": "x"})[0] == 429
    assert sim.sent() == []
    assert send(sim, {"to": "a@example.com", "text": "x"})[0] == 200


def test_a_reset_connection_did_nothing_and_a_failure_afterwards_did(sim):
    sim.call("POST", "/sim/fail", {"target": "api", "mode": "reset"})
    with pytest.raises((http.client.HTTPException, ConnectionError)):
        send(sim, {"to": "a@example.com", "text": "x"}, Idempotency_Key="k1")
    assert sim.sent() == []
    sim.call("POST", "/sim/fail", {"target": "api", "mode": "after", "status": 500})
    assert send(sim, {"to": "a@example.com", "text": "x"}, Idempotency_Key="k2")[0] == 500
    assert len(sim.sent()) == 1
    sim.call("POST", "/sim/fail", {"target": "api", "mode": "after", "status": 0})
    with pytest.raises((http.client.HTTPException, ConnectionError)):
        send(sim, {"to": "a@example.com", "text": "x"}, Idempotency_Key="k3")
    assert len(sim.sent()) == 2
    status, answer = send(sim, {"to": "a@example.com", "text": "x"}, Idempotency_Key="k3")
    assert (status, answer["message_id"]) == (200, sim.sent()[1]["message_id"])


@pytest.mark.parametrize("rule", [{}, {"target": "x"}, {"target": "api", "mode": "x"}, {"target": "api", "count": -1},
                                  {"target": "api", "count": 1.5}, {"target": "api", "status": 200}, {"target": "api", "status": "503"}])
def test_rules_that_make_no_sense_are_refused(sim, rule):
    assert sim.call("POST", "/sim/fail", rule)[0] == 400
    assert api(sim, "GET", "/v0/inboxes")[0] == 200


# Deliveries


def test_a_failed_delivery_is_tried_again_with_the_same_id_on_svixs_schedule():
    answers = [None, (500, {}), (302, {"Location": "/elsewhere"}), (404, {}), (410, {}), (429, {}), (503, {})]
    with Receiver(lambda number: answers[number - 1] if number <= len(answers) else (204, {})) as receiver:
        with mt.Sim(webhook_url=receiver.url, time_scale=100000) as sim:
            sim.receive(**{"from": "a@example.com"}, to=INBOX, text="x")
            report = delivered(sim, succeeded=1)
            (delivery,) = report["deliveries"]
            assert [a["status"] for a in delivery["attempts"]] == [0, 500, 302, 404, 410, 429, 503, 204]
            assert delivery["outcome"] == "succeeded"
            assert {h["svix-id"] for h in receiver.headers()} == {delivery["id"]}
            for headers, body in zip(receiver.headers(), receiver.bodies()):
                verify(headers, body)
            times = [a["time_ms"] for a in delivery["attempts"]]
            for pause, seconds in zip((b - a for a, b in zip(times, times[1:])), (5, 300, 1800, 7200, 18000, 36000, 36000)):
                assert pause >= seconds * 1000 // 100000 - 2  # two clocks, each cut to a millisecond
            sim.stop()


def test_after_eight_attempts_it_is_given_up():
    with Receiver(lambda number: (500, {})) as receiver, mt.Sim(webhook_url=receiver.url, time_scale=1000000) as sim:
        sim.receive(**{"from": "a@example.com"}, to=INBOX, text="x")
        report = delivered(sim, failed=1, pending=0)
        assert len(report["deliveries"][0]["attempts"]) == 8
        assert len(receiver.deliveries) == 8
        sim.stop()


def test_retry_after_is_waited_for():
    with Receiver(lambda number: (503, {"Retry-After": "1"}) if number == 1 else (200, {})) as receiver:
        with mt.Sim(webhook_url=receiver.url, time_scale=100000) as sim:
            sim.receive(**{"from": "a@example.com"}, to=INBOX, text="x")
            delivered(sim, succeeded=1)
            assert receiver.deliveries[1][0] - receiver.deliveries[0][0] >= 0.99
            sim.stop()


def test_deliveries_fail_as_told(sim, receiver):
    sim.call("POST", "/sim/fail", {"target": "webhook", "count": 2, "status": 500})
    sim.receive(**{"from": "a@example.com"}, to=INBOX, text="x")
    report = delivered(sim, succeeded=1)
    assert [a["status"] for a in report["deliveries"][0]["attempts"]] == [500, 500, 200]
    assert len(receiver.deliveries) == 1
    sim.call("POST", "/sim/fail", {"target": "webhook", "count": 1, "mode": "after", "status": 502})
    sim.receive(**{"from": "b@example.com"}, to=INBOX, text="x")
    report = delivered(sim, succeeded=2)
    assert [a["status"] for a in report["deliveries"][1]["attempts"]] == [502, 200]
    assert len(receiver.deliveries) == 3  # the one that was delivered and then failed comes twice
    assert len({h["svix-id"] for h in receiver.headers()}) == 2


def test_an_absent_receiver_gets_everything_when_it_comes(tmp_path):
    port = mt.free_port()
    with mt.Sim(webhook_url=f"http://127.0.0.1:{port}/webhook", time_scale=1000) as sim:
        ids = [sim.receive(**{"from": "a@example.com"}, to=INBOX, text=str(i))["event_id"] for i in range(20)]
        report = mt.wait_for(lambda: (lambda r: r if all(d["attempts"] for d in r["deliveries"]) else None)(sim.call("GET", "/sim/deliveries")[1]),
                             "a first attempt of all")
        assert report["pending"] == 20
        assert report["deliveries"][0]["attempts"][0]["status"] == 0
        assert "connect" in report["deliveries"][0]["attempts"][0]["error"].lower()
        got = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["event_id"])
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_):
                pass

        with http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            delivered(sim, succeeded=20, pending=0)
            server.shutdown()
        assert sorted(got) == sorted(ids)
        sim.stop()


def test_webhooks_get_only_what_they_asked_for(sim, receiver):
    with Receiver() as sent_only, Receiver() as other_inbox:
        assert api(sim, "POST", "/v0/webhooks", {"url": sent_only.url, "event_types": ["message.sent"]})[0] == 200
        assert api(sim, "POST", "/v0/webhooks", {"url": other_inbox.url, "event_types": ["message.received"], "inbox_ids": ["other@agentmail.to"]})[0] == 200
        sim.receive(**{"from": "a@example.com"}, to=INBOX, text="x")
        sim.receive(**{"from": "a@example.com"}, to="other@agentmail.to", text="x")
        send(sim, {"to": "b@example.com", "text": "x"})
        delivered(sim, pending=0, succeeded=6)
        assert len(receiver.deliveries) == 4
        assert [e["event_type"] for e in sent_only.events()] == ["message.sent"]
        assert [e["message"]["inbox_id"] for e in other_inbox.events()] == ["other@agentmail.to"]


def test_a_deleted_webhook_gets_nothing_more(sim):
    with Receiver(lambda number: (500, {})) as failing:
        _, webhook = api(sim, "POST", "/v0/webhooks", {"url": failing.url, "event_types": ["message.received"]})
        sim.receive(**{"from": "a@example.com"}, to=INBOX, text="x")
        mt.wait_for(lambda: failing.deliveries, "an attempt")
        assert api(sim, "DELETE", f"/v0/webhooks/{webhook['webhook_id']}")[0] == 204
        delivered(sim, pending=0, succeeded=1, cancelled=1)


def test_events_are_passed_on_byte_for_byte_under_a_given_id(sim, receiver):
    body = '{ "event_type":"message.sent",  "n": 1.0, "s":"h\\u00e9 ☃" }'.encode()
    status, answer = sim.call("POST", "/sim/events?id=msg_mine", body)
    assert (status, answer) == (200, {"id": "msg_mine", "deliveries": 1})
    mt.wait_for(lambda: receiver.deliveries, "the delivery")
    assert receiver.bodies() == [body]
    assert receiver.headers()[0]["svix-id"] == "msg_mine"
    verify(receiver.headers()[0], body)
    assert sim.call("POST", "/sim/events", b"\xff not json \x00")[0] == 200
    mt.wait_for(lambda: len(receiver.deliveries) == 2, "the delivery")
    verify(receiver.headers()[1], b"\xff not json \x00")
    assert sim.call("POST", "/sim/events?id=a%0Ab", b"{}")[0] == 400
    assert sim.call("POST", "/sim/events?scheme=none", b"{}")[0] == 400


def test_the_guides_scheme_signs_with_the_secret_as_it_is_written(sim, receiver):
    body = b'{"event_type":"message.bounced","bounce":{}}'
    assert sim.call("POST", "/sim/events?scheme=guide", body)[0] == 200
    mt.wait_for(lambda: receiver.deliveries, "the delivery")
    (headers,) = receiver.headers()
    assert headers["x-agentmail-signature"] == mt.guide_headers(body, mt.SECRET)["X-AgentMail-Signature"]
    assert "svix-id" not in headers


def test_a_secret_of_the_guide_signs_everything_so(receiver):
    with mt.Sim(webhook_url=receiver.url, secret="plain words") as sim:
        sim.receive(**{"from": "a@example.com"}, to=INBOX, text="x")
        receiver.wait(1)
        assert receiver.headers()[0]["x-agentmail-signature"] == mt.guide_headers(receiver.bodies()[0], "plain words")["X-AgentMail-Signature"]
        sim.stop()


@pytest.mark.threads
def test_two_thousand_events_come_through_with_their_own_ids(sim, receiver):
    connection = http.client.HTTPConnection(sim.address, timeout=30)
    for number in range(2000):
        connection.request("POST", "/sim/events", json.dumps({"event_type": "message.sent", "event_id": f"evt_{number}", "pad": "x" * 1500}))
        assert connection.getresponse().read()
    connection.close()
    delivered(sim, pending=0, succeeded=2000)
    assert {e["event_id"] for e in receiver.events()} == {f"evt_{n}" for n in range(2000)}
    assert len({h["svix-id"] for h in receiver.headers()}) == 2000


@pytest.mark.threads
def test_control_calls_while_deliveries_run():
    with Receiver(lambda number: (500, {}) if number % 3 == 0 else (200, {})) as receiver:
        with mt.Sim("--inbox", INBOX, webhook_url=receiver.url, time_scale=100000) as sim:
            for number in range(100):
                sim.receive(**{"from": "a@example.com"}, to=INBOX, text="x")
                if number % 10 == 0:
                    assert sim.call("GET", "/sim/deliveries?limit=5")[0] == 200
                if number == 50:
                    assert sim.call("POST", "/sim/reset")[0] == 200
            delivered(sim, pending=0, succeeded=49)
            sim.stop()


# The program itself


def test_reset_leaves_what_the_command_line_said(sim, receiver):
    sim.receive(**{"from": "a@example.com"}, to="new@agentmail.to", text="x")
    send(sim, {"to": "a@example.com", "text": "x"}, Idempotency_Key="k")
    api(sim, "POST", "/v0/lists/send/block", {"entry": "b@example.com"})
    sim.call("POST", "/sim/fail", {"target": "api", "count": 5})
    delivered(sim, pending=0)
    assert sim.call("POST", "/sim/reset")[0] == 200
    assert (sim.sent(), sim.deliveries()) == ([], [])
    assert [i["inbox_id"] for i in api(sim, "GET", "/v0/inboxes")[1]["inboxes"]] == [INBOX]
    assert api(sim, "GET", "/v0/webhooks")[1]["count"] == 1
    assert api(sim, "GET", "/v0/lists/send/block")[1]["count"] == 0
    assert send(sim, {"to": "b@example.com", "text": "y"}, Idempotency_Key="k")[0] == 200


def test_the_text_form_of_what_was_sent_does_nothing_to_a_terminal(sim):
    send(sim, {"to": "a@example.com", "subject": "\x1b[31mred", "text": "line 1\nline\x1b]0;x\x07 2"})
    connection = http.client.HTTPConnection(sim.address, timeout=30)
    connection.request("GET", "/sim/sent?format=text")
    text = connection.getresponse().read().decode()
    connection.close()
    assert "    Subject: \\u001b[31mred\n" in text
    assert "    line 1\n" in text
    assert all(c == "\n" or c >= " " for c in text)


def run(*arguments, env=None):
    return subprocess.run([mt.BIN / "agentmail-sim", *arguments], capture_output=True, text=True, timeout=60, env=env)


@pytest.mark.parametrize("arguments,words", [
    (["--listen"], "a value is missing"), (["--what"], "no such option"), (["operand"], "was not expected"),
    (["--time-scale", "0"], "--time-scale"), (["--time-scale", "fast"], "--time-scale"), (["--time-scale", "nan"], "--time-scale"),
    (["--inbox", "nobody"], "not an address"), (["--webhook-url", "ftp://x"], "http://"), (["--log-level", "loud"], "--log-level"),
])
def test_wrong_options_end_with_status_2_and_a_reason(arguments, words):
    result = run(*arguments)
    assert result.returncode == 2
    assert words in result.stderr


def test_a_broken_secret_or_a_taken_address_end_with_status_1():
    result = run("--listen", "127.0.0.1:0", "--secret", "whsec_short")
    assert result.returncode == 1 and "short" not in result.stderr.split("error=")[1]
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        result = run("--listen", f"127.0.0.1:{taken.getsockname()[1]}")
        assert result.returncode == 1 and "error=" in result.stderr


def test_help_and_version():
    assert "POST /sim/receive" in run("--help").stdout
    assert run("--version").stdout.startswith("agentmail-sim ")


def test_without_a_secret_one_is_made_and_printed(receiver, tmp_path):
    out = tmp_path / "out"
    with out.open("wb") as file:
        program = mt.Program("agentmail-sim", "--listen", "127.0.0.1:0", "--webhook-url", receiver.url, stdout=file)
    with program:
        program.wait_log(stage="main", message="ready")
        secret = out.read_text().strip().removeprefix("webhook secret: ")
        assert secret.startswith("whsec_") and secret not in "\n".join(program.lines)
        address = program.find(stage="http", message="listening")["address"]
        mt.call(address, "POST", "/sim/receive", {"from": "a@example.com", "to": INBOX, "text": "x"})
        receiver.wait(1)
        verify(receiver.headers()[0], receiver.bodies()[0], secret)
        program.stop()
