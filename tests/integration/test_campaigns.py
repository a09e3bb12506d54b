"""The promise under faults: kill -9, a lossy network, absence, standstill, shutdown under load.

Rounds are short here; MAILBUS_ROUNDS makes them longer (50 is what the README's figures used). Each campaign
that looks for loss has a control that must be found guilty.
"""

import itertools
import json
import os
import random
import signal
import subprocess
import threading

import pytest
from checker import acknowledged, check_journal, check_recorder, rows
from lossy_proxy import LossyProxy
from mailbus_testing import BIN, SECRET, Gateway, Subscriber, free_port, metric, wait_for

ROUNDS = int(os.environ.get("MAILBUS_ROUNDS", "5"))
pytestmark = pytest.mark.campaign


class Load:
    """mailbus-load in the background; `finish` waits for it and gives what it printed."""

    def __init__(self, address, record, *arguments):
        self.record = record
        self.process = subprocess.Popen(
            [BIN / "mailbus-load", "--address", address, "--secret", SECRET, "--record", record, *map(str, arguments)],
            stdout=subprocess.PIPE, text=True,
        )

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.finish(check=False)

    def finish(self, deadline=300, check=True):
        out, _ = self.process.communicate(timeout=deadline)
        result = json.loads(out.splitlines()[-1])
        if check:
            assert self.process.returncode == 0, result
        return result


def recorded(path):
    return rows(path, "SELECT count(*) FROM recorded")[0][0] if path.exists() else 0


def wait_recorded(recorder, count):
    database = recorder.folder / "mailbus-recorder.db"
    wait_for(lambda: recorded(database) >= count, lambda: f"{count} events, {recorded(database)} are there:\n{recorder.tail()}", 600)


def fixed_addresses():
    """Addresses that stay the same over restarts."""
    return {
        "listen": f"127.0.0.1:{free_port()}",
        "publish": f"tcp://127.0.0.1:{free_port()}",
        "replay": f"tcp://127.0.0.1:{free_port()}",
    }


def gateway_under_load(folder, **options):
    """No rate limit: the load comes from one address. The sanitizer keeps little of what was freed, so that memory can be measured."""
    env = {"ASAN_OPTIONS": "quarantine_size_mb=4", **(options.pop("env", None) or {})}
    return Gateway(folder, env=env, limits__rate=0, **options)


def kill_loop(folder, rounds, env=None, subscriber=True, seed=7):
    """Kill the gateway `rounds` times under load; the load goes on until everything is acknowledged."""
    generator = random.Random(seed)
    addresses = fixed_addresses()
    gateway = gateway_under_load(folder, env=env, **addresses)
    recorder = Subscriber("mailbus-recorder", folder, gateway.bus(), bus__start="oldest") if subscriber else None
    loads = []
    try:
        for number in range(rounds):
            load = Load(gateway.address, folder / f"told-{number}", "--count", 1000000, "--connections", 16,
                        "--prefix", f"r{number}_", "--duplicates", 5, "--topics", "message.received,message.sent,message.bounced")
            loads.append(load)
            # Somewhere between the first answers and a good second of load.
            wanted = gateway.metric("mailbus_journal_events_total") + generator.randint(1, 3000)
            wait_for(lambda: gateway.metric("mailbus_journal_events_total") >= wanted, "load to arrive")
            gateway.kill()
            load.stop()
            gateway = gateway_under_load(folder, env=env, **addresses)
        told = {}
        for load in loads:
            told.update(acknowledged(load.record))
        head = int(gateway.metric("mailbus_journal_head_sequence"))
        if recorder is not None:
            wait_recorded(recorder, head)
            recorder.stop()
        gateway.stop()
    finally:
        for load in loads:
            if load.process.poll() is None:
                load.process.kill()
        gateway.kill()
        if recorder is not None:
            recorder.kill()
    return told


def test_kill_9_of_the_gateway_loses_nothing_that_got_200(tmp_path):
    told = kill_loop(tmp_path, ROUNDS)
    findings, ids = check_journal(tmp_path / "journal.db", told)
    findings += check_recorder(tmp_path / "mailbus-recorder.db", set(ids), told)
    assert len(told) > 100 * ROUNDS
    assert findings == []


def test_control_acknowledging_before_the_commit_is_found(tmp_path):
    for seed in range(10):  # a kill hits the gap between answer and commit by chance; it takes a few at most
        folder = tmp_path / str(seed)
        folder.mkdir()
        told = kill_loop(folder, 2, env={"MAILBUS_TEST_ACKNOWLEDGE_EARLY": "1"}, subscriber=False, seed=seed)
        findings, _ = check_journal(folder / "journal.db", told)
        if any("not in the journal" in finding for finding in findings):
            return
    raise AssertionError("the checker did not notice a gateway that acknowledges before the commit")


@pytest.mark.parametrize("topics", ["message.received message.sent", "message.*", "message.received domain.verified"],
                         ids=["exact", "prefix", "one of two is quiet"])
def test_a_lossy_network_loses_and_doubles_nothing(tmp_path, topics):
    with gateway_under_load(tmp_path) as gateway:
        assert gateway.post({"event_type": "domain.verified", "event_id": "quiet", "domain": {}})[0] == 200
        proxy = LossyProxy(gateway.publish, gateway.replay)
        with Subscriber("mailbus-recorder", tmp_path, proxy.bus(), bus__start="oldest", record__topics=topics) as recorder:
            names = ["message.received", "message.sent", "message.received.spam"]
            Load(gateway.address, tmp_path / "told", "--count", 6000, "--connections", 8, "--prefix", "lossy",
                 "--topics", ",".join(names)).finish()
            told = acknowledged(tmp_path / "told")
            wanted = {id for id, topic in zip((f"lossy{n}" for n in range(6000)), itertools.cycle(names))
                      if topics == "message.*" or topic in topics.split()}
            if "domain.verified" in topics:
                wanted.add("quiet")
            wait_recorded(recorder, len(wanted))
            recorder.stop()
        proxy.stop()
        gateway.stop()
    assert proxy.dropped > 1000 and proxy.cuts >= 10
    assert check_recorder(tmp_path / "mailbus-recorder.db", wanted, told) == []


def test_a_subscriber_that_was_away_catches_up_while_new_events_arrive(tmp_path):
    with gateway_under_load(tmp_path) as gateway:
        with Subscriber("mailbus-recorder", tmp_path, gateway.bus(), bus__start="oldest") as recorder:
            assert gateway.post({"event_type": "message.sent", "event_id": "first"})[0] == 200
            wait_recorded(recorder, 1)
            recorder.stop()
        Load(gateway.address, tmp_path / "away", "--count", 10000, "--prefix", "away").finish()
        arriving = Load(gateway.address, tmp_path / "new", "--count", 5000, "--connections", 2, "--prefix", "new")
        with Subscriber("mailbus-recorder", tmp_path, gateway.bus()) as recorder:
            arriving.finish()
            wait_recorded(recorder, 15001)
            recorder.stop()
        gateway.stop()
    told = {**acknowledged(tmp_path / "away"), **acknowledged(tmp_path / "new")}
    assert check_recorder(tmp_path / "mailbus-recorder.db", {*told, "first"}, told) == []


def test_a_stopped_subscriber_costs_a_bounded_amount_and_nothing_later(tmp_path):
    """Bodies of 60 kB: a queue without a bound would grow by 150 MB here, one of 100 events holds 6."""
    with gateway_under_load(tmp_path, bus__send_hwm=100) as gateway, \
            Subscriber("mailbus-recorder", tmp_path, gateway.bus(), bus__start="oldest") as recorder:
        Load(gateway.address, tmp_path / "warm", "--count", 2000, "--prefix", "warm").finish()
        wait_recorded(recorder, 2000)
        recorder.signal(signal.SIGSTOP)
        try:
            Load(gateway.address, tmp_path / "a", "--count", 500, "--size", 60000, "--prefix", "a").finish()
            before = gateway.rss()
            Load(gateway.address, tmp_path / "b", "--count", 2500, "--size", 60000, "--prefix", "b").finish()
            grown = gateway.rss() - before
        finally:
            recorder.signal(signal.SIGCONT)
        wait_recorded(recorder, 5000)
        recorder.stop()
        gateway.stop()
    assert grown < 64 * 1024 * 1024, f"{grown} bytes"
    told = {id: digest for part in ("warm", "a", "b") for id, digest in acknowledged(tmp_path / part).items()}
    assert check_recorder(tmp_path / "mailbus-recorder.db", set(told), told) == []


@pytest.mark.threads
def test_shutdown_under_load_is_clean_every_time(tmp_path):
    addresses = fixed_addresses()
    told = {}
    for number in range(2 * ROUNDS):
        gateway = gateway_under_load(tmp_path, **addresses)
        load = Load(gateway.address, tmp_path / f"told-{number}", "--count", 1000000, "--prefix", f"s{number}_",
                    "--connections", 32)
        try:
            start = gateway.metric("mailbus_journal_events_total")
            wait_for(lambda: gateway.metric("mailbus_journal_events_total") > start + 200, "load to arrive")
            gateway.stop(expect=0, deadline=10)
        finally:
            load.stop()
            gateway.kill()
        told.update(acknowledged(load.record))
    findings, _ = check_journal(tmp_path / "journal.db", told)
    assert findings == []
