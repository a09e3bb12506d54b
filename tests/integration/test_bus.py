"""The bus of a real gateway, with raw pyzmq on the other side: no code of this project reads the frames."""

import contextlib
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import threading
import uuid

import pytest
import zmq
import zmq.auth
from mailbus_testing import Gateway, call, guide_headers, received, wait_for

# As the AgentMail guide prints them; it shows no body for delivered and complained, so these two follow its style.
GUIDE = {
    "message.received": b"""{
"type": "event",
"event_type": "message.received",
"event_id": "evt_123abc",
"message": {
"inbox_id": "support@agentmail.to",
"thread_id": "thd_789ghi",
"message_id": "msg_123abc",
"from": [{"name": "Jane Doe", "email": "jane@example.com"}],
"to": [{"name": "Support", "email": "support@agentmail.to"}],
"subject": "Question about my account",
"text": "I need help with...",
"html": "<p>I need help with...</p>",
"timestamp": "2023-10-27T10:00:00Z",
"labels": ["received"]
},
"thread": {
"thread_id": "thd_789ghi",
"subject": "Question about my account",
"participants": ["jane@example.com", "support@agentmail.to"],
"message_count": 1
}
}
""",
    "message.sent": b"""{
"type": "event",
"event_type": "message.sent",
"event_id": "evt_456def",
"send": {
"inbox_id": "support@agentmail.to",
"thread_id": "thd_789ghi",
"message_id": "msg_456def",
"timestamp": "2023-10-27T10:05:00Z",
"recipients": ["jane@example.com"]
}
}
""",
    "message.delivered": b"""{
"type": "event",
"event_type": "message.delivered",
"event_id": "evt_789ghi",
"delivery": {
"inbox_id": "support@agentmail.to",
"message_id": "msg_456def",
"timestamp": "2023-10-27T10:05:09Z",
"recipients": ["jane@example.com"]
}
}
""",
    "message.bounced": b"""{
"type": "event",
"event_type": "message.bounced",
"bounce": {
"type": "Permanent",
"sub_type": "General",
"recipients": [{"address": "invalid@example.com", "status": "bounced"}]
}
}
""",
    "message.complained": b"""{
"type": "event",
"event_type": "message.complained",
"event_id": "evt_abc012",
"complaint": {
"type": "abuse",
"recipients": ["jane@example.com"]
}
}
""",
}


@pytest.fixture
def context():
    with zmq.Context() as context:
        context.linger = 0  # of every socket: what is still queued at the end of a test is for nobody
        yield context
        context.destroy(linger=0)


def sub(context, gateway, *prefixes, **curve):
    """A SUB socket that the gateway knows of."""
    peer = context.socket(zmq.SUB)
    peer.set_hwm(0)
    for key, value in curve.items():
        setattr(peer, key, value)
    before = gateway.metric("mailbus_bus_subscriptions")
    for prefix in prefixes or ("",):
        peer.subscribe(prefix)
    peer.connect(gateway.publish)
    if not curve:
        wait_for(lambda: gateway.metric("mailbus_bus_subscriptions") > before, "the subscription to arrive")
    return peer


def dealer(context, gateway, **curve):
    peer = context.socket(zmq.DEALER)
    for key, value in curve.items():
        setattr(peer, key, value)
    peer.connect(gateway.replay)
    return peer


def receive(peer, timeout=20):
    assert peer.poll(timeout * 1000), "nothing came"
    return peer.recv_multipart()


def next_event(peer):
    """The next message that is no bus.heads."""
    while True:
        frames = receive(peer)
        if frames[0] != b"bus.heads":
            return frames


def fetch(peer, verb=b"FETCH", **request):
    """One page: (events as [topic, header, body], the other answers as (verb, parsed JSON))."""
    peer.send_multipart([verb, json.dumps({"request": "t", **request}).encode()])
    events, answers = [], []
    while True:
        frames = receive(peer)
        if frames[0] == b"EVENT":
            assert frames[1] == b"t"
            events.append(frames[2:])
            continue
        answers.append((frames[0].decode(), json.loads(frames[1])))
        if frames[0] in (b"END", b"ERROR"):
            return events, answers


def test_the_guides_events_arrive_as_three_frames_byte_for_byte_and_replay_gives_the_same(tmp_path, context):
    secret = "the-guide's own secret"
    with Gateway(tmp_path, secret=secret.replace(" ", "-")) as gateway:
        peer = sub(context, gateway)
        published = []
        last = {}
        for number, (topic, body) in enumerate(GUIDE.items(), 1):
            status, answer = gateway.post(body, guide_headers(body, gateway.secret))
            assert (status, answer) == (200, {"sequence": str(number), "duplicate": False})
            frames = next_event(peer)
            assert len(frames) == 3
            assert frames[0] == topic.encode()
            assert frames[2] == body
            header = json.loads(frames[1])
            assert header["specversion"] == "1.0" and header["type"] == topic
            assert header["datacontenttype"] == "application/json"
            assert header["sequence"] == str(number) and header["previous"] == str(last.get(topic, 0))
            assert uuid.UUID(header["stream"])
            assert all(isinstance(value, str) for value in header.values())
            if b"event_id" in body:
                assert header["id"] == json.loads(body)["event_id"]
            last[topic] = number
            published.append(frames)
        events, answers = fetch(dealer(context, gateway))
        assert events == published
        assert [verb for verb, _ in answers] == ["END"]
        end = answers[0][1]
        assert (end["next"], end["head"], end["oldest"]) == ("6", "5", "1")
        assert end["heads"] == {topic: str(number) for topic, number in last.items()}
        gateway.stop()


def test_a_duplicate_is_published_no_second_time(gateway, context):
    peer = sub(context, gateway)
    event = received(1)
    assert gateway.post(event)[1] == {"sequence": "1", "duplicate": False}
    assert gateway.post(event)[1] == {"sequence": "1", "duplicate": True}
    assert gateway.post(received(2))[0] == 200
    assert json.loads(next_event(peer)[1])["sequence"] == "1"
    assert json.loads(next_event(peer)[1])["sequence"] == "2"


def test_heads_come_every_second_and_name_every_topic(gateway, context):
    gateway.post(received(1))
    gateway.post(received(2, topic="message.received.spam"))
    peer = sub(context, gateway, "bus.heads")
    for _ in range(2):
        topic, header, body = receive(peer, timeout=5)
        assert topic == b"bus.heads"
    assert json.loads(header)["sequence"] == "2"
    assert json.loads(body) == {"message.received": "1", "message.received.spam": "2"}


def test_a_latecomer_fetches_page_by_page(gateway, context):
    for number in range(25):
        assert gateway.post(received(number, topic=("message.received", "message.sent")[number % 2]))[0] == 200
    peer = dealer(context, gateway)
    sequences, start = [], 0
    while True:
        events, answers = fetch(peer, **{"from": str(start)} if start else {}, limit=4, topics=["message.received"])
        assert len(events) <= 4
        sequences += [int(json.loads(header)["sequence"]) for _, header, _ in events]
        start = int(answers[-1][1]["next"])
        if start > int(answers[-1][1]["head"]):
            break
    assert sequences == list(range(1, 26, 2))


def test_another_stream_is_404_and_nonsense_is_400(gateway, context):
    peer = dealer(context, gateway)
    _, answers = fetch(peer, stream=str(uuid.uuid4()))
    assert answers[0][0] == "ERROR" and answers[0][1]["code"] == 404
    _, answers = fetch(peer, topics="message.received")
    assert answers[0][1]["code"] == 400 and answers[0][1]["request"] == "t" and "topics" in answers[0][1]["message"]
    _, answers = fetch(peer, verb=b"HEADS")
    assert answers[0][0] == "END" and answers[0][1]["head"] == "0"


def test_hostile_frames_on_both_sockets_cost_nothing(gateway, context):
    peer = sub(context, gateway)
    gateway.post(received(0))
    before = gateway.rss()
    junk = [b"", b"\x00", b"\x01" + b"x" * 1023, os.urandom(900), b"\xff" * 64]
    for endpoint, kind in ((gateway.publish, zmq.XSUB), (gateway.replay, zmq.DEALER)):
        for round in range(20):
            hostile = context.socket(kind)
            hostile.linger = 100
            hostile.connect(endpoint)
            for frames in ([junk[round % 5]], [junk[3]] * 40, [b"FETCH", junk[4]], [b"x" * 3_000_000]):
                with contextlib.suppress(zmq.Again):
                    hostile.send_multipart(frames, zmq.DONTWAIT)
            hostile.close()
        host, port = endpoint.removeprefix("tcp://").rsplit(":", 1)
        for text in (b"GET / HTTP/1.1\r\n\r\n", os.urandom(4000), b"\xff\0\0\0\0\0\0\0\x01\x7f\x03\x01PLAIN" + b"\0" * 60):
            with socket.create_connection((host, int(port))) as raw, contextlib.suppress(OSError):
                raw.settimeout(10)
                raw.sendall(text)
                while raw.recv(4096):
                    pass
    gateway.post(received(1))
    sequences = {json.loads(next_event(peer)[1])["sequence"] for _ in range(2)}
    assert sequences == {"1", "2"}
    events, _ = fetch(dealer(context, gateway))
    assert len(events) == 2
    assert gateway.metric("mailbus_bus_handshake_failures_total") > 0
    assert gateway.rss() - before < 64 * 1024 * 1024


STANDSTILL = """
import sys, zmq
peer = zmq.Context().socket(zmq.SUB)
peer.set_hwm(1)
peer.rcvbuf = 4096
peer.subscribe("message.")
peer.connect(sys.argv[1])
while True:
    peer.recv_multipart()
"""


def test_a_stopped_subscriber_costs_no_more_than_the_high_water_mark(tmp_path, context):
    size, mark = 50_000, 50
    with Gateway(tmp_path, bus__send_hwm=mark, limits__rate=0) as gateway:
        peer = subprocess.Popen([sys.executable, "-c", STANDSTILL, gateway.publish])
        try:
            wait_for(lambda: gateway.metric("mailbus_bus_subscriptions") == 1, "the subscriber")
            peer.send_signal(signal.SIGSTOP)
            for number in range(400):
                assert gateway.post(received(number, text="x" * size))[0] == 200
            wait_for(lambda: gateway.metric("mailbus_bus_published_total") == 400, "400 events to be published")
            heads = gateway.metric("mailbus_bus_heads_total")
            wait_for(lambda: gateway.metric("mailbus_bus_heads_total") >= heads + 2, "the gauge to be fresh")
            assert gateway.metric("mailbus_bus_in_flight_bytes") <= (mark + 2) * (size + 2000)
            events, _ = fetch(dealer(context, gateway), limit=10)  # everybody else goes on
            assert len(events) == 10
        finally:
            peer.kill()
            peer.wait()
        wait_for(lambda: gateway.metric("mailbus_bus_in_flight_bytes") == 0, "the memory to come back")
        gateway.stop()


def test_who_asks_and_never_reads_is_refused_and_others_are_served(tmp_path, context):
    with Gateway(tmp_path, limits__rate=0) as gateway:
        for number in range(300):
            assert gateway.post(received(number, text="x" * 50_000))[0] == 200
        greedy = context.socket(zmq.DEALER)
        greedy.set_hwm(1)
        greedy.rcvbuf = 4096
        greedy.sndhwm = 0
        greedy.connect(gateway.replay)
        before = gateway.rss()
        for _ in range(500):
            greedy.send_multipart([b"FETCH", b'{"request":"more"}'])
        wait_for(lambda: gateway.metric("mailbus_replay_requests_total", result="too_many") >= 100, "refusals")
        assert gateway.metric("mailbus_replay_in_flight_bytes") < 10 * 1024 * 1024
        events, answers = fetch(dealer(context, gateway))
        assert len(events) > 50 and answers[-1][0] == "END"
        assert gateway.rss() - before < 128 * 1024 * 1024
        greedy.close(linger=0)
        gateway.stop()


@pytest.fixture
def keys(tmp_path):
    """A key folder as any czmq program makes it, with two allowed clients."""
    folder = tmp_path / "keys"
    (folder / "clients").mkdir(parents=True)
    zmq.auth.create_certificates(folder, "server")
    for name in ("ann", "bob"):
        zmq.auth.create_certificates(folder / "clients", name)
    for secret in folder.rglob("*.key_secret"):
        secret.chmod(0o600)
    return folder


def curve(keys, name=None):
    """The socket options of a client; without a name, of a stranger."""
    server, _ = zmq.auth.load_certificate(keys / "server.key")
    public, secret = zmq.auth.load_certificate(keys / "clients" / f"{name}.key_secret") if name else zmq.curve_keypair()
    return {"curve_serverkey": server, "curve_publickey": public, "curve_secretkey": secret}


def hears_heads(peer, timeout):
    return bool(peer.poll(timeout * 1000))


def test_keys_let_their_owners_in_and_nobody_else(tmp_path, keys, context):
    with Gateway(tmp_path, bus__curve_dir=keys) as gateway:
        assert gateway.find(stage="main", message="checked: an unknown key stays out of the bus")
        ann, bob = (sub(context, gateway, **curve(keys, name)) for name in ("ann", "bob"))
        assert hears_heads(ann, 20) and hears_heads(bob, 20)
        refused = gateway.metric("mailbus_bus_handshake_failures_total")
        stranger, plain = sub(context, gateway, **curve(keys)), sub(context, gateway, linger=0)
        asking, plainly = dealer(context, gateway, **curve(keys)), dealer(context, gateway)
        for peer in (asking, plainly):
            peer.linger = 0
            peer.send_multipart([b"FETCH", b'{"request":"let me in"}'])
        assert gateway.post(received(1))[0] == 200
        for peer in (ann, bob):
            assert next_event(peer)[0] == b"message.received"
        assert len(fetch(dealer(context, gateway, **curve(keys, "ann")))[0]) == 1
        # Both strangers were refused on both sockets; after that there is nothing to wait for.
        for name in ("publisher", "replay"):
            wait_for(lambda: gateway.metric("mailbus_bus_handshake_failures_total", socket=name) >= 3, f"refusals on {name}")
        assert gateway.metric("mailbus_bus_handshake_failures_total") > refused
        assert gateway.find(stage="publisher", message="handshake failed")
        for peer in (stranger, plain, asking, plainly):
            assert not peer.poll(0)
        gateway.stop()


def test_a_revoked_key_is_out_after_sighup_and_the_others_come_back(tmp_path, keys, context):
    with Gateway(tmp_path, bus__curve_dir=keys) as gateway:
        ann, bob = (sub(context, gateway, **curve(keys, name)) for name in ("ann", "bob"))
        asking = dealer(context, gateway, **curve(keys, "bob"))
        assert hears_heads(ann, 20) and hears_heads(bob, 20)
        assert fetch(asking)[1][0][0] == "END"
        (keys / "clients" / "bob.key").unlink()
        gateway.signal(signal.SIGHUP)
        gateway.wait_log(stage="main", message="reloaded")
        for stage in ("publisher", "replay"):
            gateway.wait_log(stage=stage, message="bound again")
        while bob.poll(0):
            bob.recv_multipart()
        failures = gateway.metric("mailbus_bus_handshake_failures_total", socket="publisher")
        gateway.post(received(1))
        wait_for(lambda: len(fetch(dealer(context, gateway, **curve(keys, "ann")))[0]) == 1, "ann to be served")
        assert hears_heads(ann, 30)
        with contextlib.suppress(zmq.Again):  # there is no connection: just as well
            asking.send_multipart([b"FETCH", b'{"request":"still here?"}'], zmq.DONTWAIT)
        wait_for(lambda: gateway.metric("mailbus_bus_handshake_failures_total", socket="publisher") > failures, "bob's refusal")
        assert not bob.poll(0) and not asking.poll(0)
        gateway.stop()


def test_a_broken_key_file_leaves_everybody_as_they_were(tmp_path, keys, context):
    with Gateway(tmp_path, bus__curve_dir=keys) as gateway:
        ann = sub(context, gateway, **curve(keys, "ann"))
        assert hears_heads(ann, 20)
        (keys / "clients" / "typo.key").write_text("no certificate\n")
        gateway.signal(signal.SIGHUP)
        line = gateway.wait_log(stage="main", message="not reloaded, the old stays in force")
        assert line["part"] == "allowed keys" and "typo.key" in line["error"]
        gateway.wait_log(stage="main", message="reloaded")
        assert gateway.metric("mailbus_bus_rebinds_total") == 0
        gateway.stop()


@pytest.mark.threads
def test_many_readers_at_once_see_the_same(tmp_path, context):
    """Posting, subscribing and fetching from several sides at the same time."""
    total = 120
    with Gateway(tmp_path, limits__rate=0) as gateway:
        peers = [sub(context, gateway)] + [sub(context, gateway, f"message.received{'' if n else '.'}") for n in range(2)]
        errors = []

        def post(part):
            try:
                for number in range(part, total, 4):
                    assert gateway.post(received(number))[0] == 200
            except BaseException as error:  # noqa: BLE001 - told to the test
                errors.append(error)

        threads = [threading.Thread(target=post, args=(part,)) for part in range(4)]
        for thread in threads:
            thread.start()
        live = [next_event(peers[0]) for _ in range(total)]
        for thread in threads:
            thread.join()
        assert errors == []
        assert [int(json.loads(header)["sequence"]) for _, header, _ in live] == list(range(1, total + 1))
        assert fetch(dealer(context, gateway))[0] == live
        assert call(gateway.admin, "GET", "/readyz")[0] == 200
        gateway.stop()
