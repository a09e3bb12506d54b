"""The protocol's Python examples against the real gateway: what each level promises, and no more."""

import json
import random
import re
import subprocess
import sys
import threading
import uuid

import pytest
from lossy_proxy import LossyProxy
from mailbus_testing import ROOT, Gateway, free_port, received, wait_for

EXAMPLES = ROOT / "proto" / "examples"


class Example:
    """A running example; `taken` fills with what it prints."""

    def __init__(self, level, bus, *topics, state=None):
        arguments = ["--publish", bus["bus.publish"], "--replay", bus["bus.replay"]]
        if state:
            arguments += ["--state", str(state)]
        self.taken, self.errors = [], []
        self.process = subprocess.Popen(
            [sys.executable, EXAMPLES / f"level{level}.py", *arguments, *topics],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.threads = [threading.Thread(target=self._read, args=pair, daemon=True) for pair in (
            (self.process.stdout, lambda line: self.taken.append(json.loads(line))),
            (self.process.stderr, self.errors.append))]
        for thread in self.threads:
            thread.start()

    def _read(self, stream, keep):
        for line in stream:
            keep(line)

    def ids(self):
        return [event["id"] for event in list(self.taken)]

    def wait(self, ids):
        wait_for(lambda: set(ids) <= set(self.ids()),
                 lambda: f"{len(set(ids) - set(self.ids()))} of {len(ids)} events: {''.join(self.errors)}")

    def kill(self):
        self.process.kill()
        self.process.wait()
        for thread in self.threads:
            thread.join(5)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()


def post(gateway, topic, count=1):
    """The ids of `count` events on `topic`."""
    ids = [f"evt_{uuid.uuid4().hex}" for _ in range(count)]
    for id in ids:
        status, answer = gateway.post(received(event_id=id, topic=topic))
        assert status == 200, answer
    return ids


def assert_exactly_once(example, ids):
    found = example.ids()
    assert len(found) == len(set(found)), "taken twice"
    assert set(found) == set(ids)


def assert_in_order(example):
    last = {}
    for event in example.taken:
        assert int(event["sequence"]) > last.get(event["topic"], 0)
        last[event["topic"]] = int(event["sequence"])


def wait_subscribed(gateway, count):
    wait_for(lambda: gateway.metric("mailbus_bus_subscriptions") >= count, f"{count} subscriptions")


def test_level_0_shows_what_comes_and_nothing_of_longer_topics(gateway):
    post(gateway, "message.received", 3)
    with Example(0, gateway.bus(), "message.received", "calendar.*") as example:
        wait_subscribed(gateway, 2)
        post(gateway, "message.received.spam")
        wanted = post(gateway, "message.received", 5) + post(gateway, "calendar.event.created")
        example.wait(wanted)
        assert_exactly_once(example, wanted)
        assert set(example.taken[0]) == {"sequence", "topic", "id"}


@pytest.mark.parametrize("level", [1, 2])
def test_what_was_there_before_is_fetched(gateway, level):
    before = post(gateway, "message.received", 20)
    post(gateway, "message.received.spam", 3)
    with Example(level, gateway.bus(), "message.received", "domain.verified") as example:
        example.wait(before)
        after = post(gateway, "domain.verified", 2) + post(gateway, "message.received", 5)
        example.wait(after)
        assert_exactly_once(example, before + after)
        assert_in_order(example)


@pytest.mark.parametrize("level", [1, 2])
@pytest.mark.parametrize("topics, matching", [
    (["message.received"], r"message\.received"),
    (["message.received", "quiet.topic"], r"message\.received|quiet\.topic"),
    (["message.*"], r"message\..*"),
    (["quiet.topic", "message.s*"], r"quiet\.topic|message\.s.*"),
], ids=["exact", "quiet", "prefix", "both"])
def test_nothing_is_missing_and_nothing_twice_over_a_lossy_network(gateway, level, topics, matching):
    choice = random.Random(7)
    proxy = LossyProxy(gateway.publish, gateway.replay, drop=0.3, cut_every=90)
    try:
        with Example(level, proxy.bus(), *topics) as example:
            wanted = []
            for _ in range(250):
                topic = choice.choices(["message.received", "message.received.spam", "message.sent",
                                        "quiet.topic"], [20, 5, 5, 1.5])[0]
                ids = post(gateway, topic)
                wanted += ids if re.fullmatch(matching, topic) else []
            example.wait(wanted)
            assert proxy.dropped > 30
            assert_exactly_once(example, wanted)
            assert_in_order(example)
    finally:
        proxy.stop()


def test_control_level_0_does_miss_events_over_the_same_network(gateway):
    proxy = LossyProxy(gateway.publish, gateway.replay, drop=0.3, cut_every=10**9)
    try:
        with Example(0, proxy.bus(), "message.received") as example:
            # Until one comes through, nobody knows that the subscription is there.
            wait_for(lambda: post(gateway, "message.received") and example.taken, "the first event")
            wanted = post(gateway, "message.received", 100)
            wait_for(lambda: post(gateway, "message.received")[0] in example.ids(), "a last event")
            assert set(wanted) - set(example.ids())
    finally:
        proxy.stop()


def test_level_2_goes_on_where_it_was_killed(gateway, tmp_path):
    state = tmp_path / "level2.db"
    wanted, found = [], []
    for _ in range(5):
        wanted += post(gateway, "message.received", 10)
        with Example(2, gateway.bus(), "message.*", state=state) as example:
            wanted += post(gateway, "message.sent", 10)
            example.wait(wanted[-10:])
            example.kill()
            found += example.ids()
    assert set(found) == set(wanted)
    # A kill between the printed line and the note of it, which is where these fall, repeats that one line.
    assert len(found) - len(set(found)) <= 5


def test_level_1_goes_on_where_it_was_killed(gateway, tmp_path):
    state = tmp_path / "level1.json"
    first = post(gateway, "message.received", 10)
    with Example(1, gateway.bus(), "message.received", state=state) as example:
        example.wait(first)
        wait_for(lambda: state.exists() and json.loads(state.read_text())["from"] == "11", "the position")
    second = post(gateway, "message.received", 10)
    with Example(1, gateway.bus(), "message.received", state=state) as example:
        example.wait(second)
        assert_exactly_once(example, second)


@pytest.mark.parametrize("level", [1, 2])
def test_another_journal_is_said_loudly(tmp_path, level):
    addresses = {"publish": f"tcp://127.0.0.1:{free_port()}", "replay": f"tcp://127.0.0.1:{free_port()}"}
    state = tmp_path / "state"
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    with Gateway(tmp_path / "one", **addresses) as gateway:
        ids = post(gateway, "message.received", 3)
        with Example(level, gateway.bus(), "message.received", state=state) as example:
            example.wait(ids)
            with_position = (lambda: state.exists()) if level == 1 else (lambda: True)
            wait_for(with_position, "the position")
        gateway.stop()
    with Gateway(tmp_path / "other", **addresses) as gateway:
        post(gateway, "message.received", 3)
        with Example(level, gateway.bus(), "message.received", state=state) as example:
            assert example.process.wait(30) == 1
            for thread in example.threads:
                thread.join(5)
            assert "404" in "".join(example.errors)
            assert example.taken == []


def test_protocol_prints_the_examples_as_they_are():
    text = (ROOT / "proto" / "PROTOCOL.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    for level in range(3):
        assert (EXAMPLES / f"level{level}.py").read_text(encoding="utf-8") in blocks


def test_vectors_are_what_the_program_makes():
    subprocess.run([sys.executable, ROOT / "proto" / "vectors" / "make.py", "--check"], check=True)
