"""The subscriber runtime against a gateway's bus side that misbehaves: nothing missing, nothing twice."""

import collections
import hashlib
import json
import pathlib
import random
import sqlite3
import time

import pytest

import mailbus_testing
from mailbus_testing import Subscriber, wait_for
from runtime_gateway import FakeGateway, Journal

ALL = ["message.received", "message.received.spam", "message.bounced", "domain.verified"]


def recorder(folder, gateway, **settings):
    return Subscriber("mailbus-recorder", folder, gateway.bus(), **settings)


def rows(folder, query="SELECT id FROM recorded ORDER BY number"):
    """Read the recorder's file while it runs, as a reader that never checkpoints."""
    path = pathlib.Path(folder) / "mailbus-recorder.db"
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)
    try:
        connection.execute("PRAGMA query_only=ON")
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def recorded(folder):
    return [row[0] for row in rows(folder)]


def wait_recorded(folder, program, ids):
    """Until every id was recorded; then exactly once each, and nothing else."""
    wanted = collections.Counter(ids)

    def there():
        assert program.process.poll() is None, program.tail()
        return len(recorded(folder)) >= len(wanted)

    wait_for(there, lambda: f"{len(wanted)} events, {len(recorded(folder))} are there:\n{program.tail()}")
    assert collections.Counter(recorded(folder)) == wanted


@pytest.mark.threads
def test_a_fresh_subscriber_takes_what_comes_from_its_first_contact_on(tmp_path):
    with FakeGateway() as gateway:
        for _ in range(5):
            gateway.record("message.received")
        with recorder(tmp_path, gateway) as program:
            new = [gateway.record(topic, b'{"n":1}') for topic in ALL]
            wait_recorded(tmp_path, program, new)
            digests = {row[0] for row in rows(tmp_path, "SELECT sha256 FROM recorded")}
            assert digests == {hashlib.sha256(b'{"n":1}').hexdigest()}
            program.stop()


def test_a_fresh_subscriber_can_begin_at_the_oldest_event(tmp_path):
    with FakeGateway() as gateway:
        old = [gateway.record("message.received") for _ in range(50)]
        gateway.trim(11)
        with recorder(tmp_path, gateway, bus__start="oldest") as program:
            wait_recorded(tmp_path, program, old[10:])
            assert program.metric("mailbus_subscriber_sequences_trimmed_total") == 0
            program.stop()


@pytest.mark.parametrize(
    "topics", ["message.received", "message.*", "message.bounced domain.verified", "*", "message.received domain.*"]
)
def test_a_lossy_bus_with_cut_and_broken_pages_loses_and_repeats_nothing(tmp_path, topics):
    names = topics.split()

    def matches(topic):
        return any(topic == n or (n.endswith("*") and topic.startswith(n[:-1])) for n in names)

    with FakeGateway(seed=hash(topics) % 1000) as gateway:
        gateway.loss, gateway.late, gateway.page = 0.3, 0.1, 37
        gateway.cuts, gateway.holes = 1, 5
        with recorder(tmp_path, gateway, record__topics=topics) as program:
            wanted = []
            for number in range(3000):
                topic = ALL[0] if number % 7 else ALL[1 + number // 7 % 3]
                event = gateway.record(topic, json.dumps({"n": number}).encode())
                if matches(topic):
                    wanted.append(event)
                if number % 500 == 499:
                    at = len(wanted)
                    wait_for(lambda: len(recorded(tmp_path)) >= at - 200, "the subscriber to keep up")
            wait_recorded(tmp_path, program, wanted)
            assert gateway.counts["lost"] > 100
            program.stop()


def test_kill_minus_nine_at_any_point_loses_and_repeats_nothing(tmp_path):
    with FakeGateway(seed=5) as gateway:
        gateway.loss, gateway.page = 0.2, 20
        wanted = []
        points = ["inbox_before_commit:3", "task_in_hand:2", "task_handled:4", "task_before_commit:5",
                  "task_after_commit:3", "inbox_before_commit:1", "group_before_commit:2"]
        with recorder(tmp_path, gateway):
            pass  # the position is known, and stored
        for point in points:
            wanted += [gateway.record("message.received") for _ in range(60)]
            program = Subscriber("mailbus-recorder", tmp_path, gateway.bus(), ready=False,
                                 env={"MAILBUS_TEST_KILL": point})
            assert program.process.wait(60) == -9, program.tail()
        with recorder(tmp_path, gateway) as program:
            wait_recorded(tmp_path, program, wanted)
            program.stop()


@pytest.mark.threads
def test_kill_minus_nine_among_handlers_that_share_a_commit_keeps_each_effect_once(tmp_path):
    settings = {"workers": 16, "record__retry": 3, "retry__first_pause": "20ms"}
    chance = random.Random(11)
    with FakeGateway(seed=11) as gateway:
        with recorder(tmp_path, gateway):
            pass  # the position is known, and stored
        wanted = []
        for number in range(12):
            wanted += [gateway.record("message.received") for _ in range(300)]
            env = {"MAILBUS_TEST_KILL": f"group_before_commit:{number + 1}"} if number % 2 else None
            seen = len(recorded(tmp_path)) + chance.randint(1, 100)
            # Ready first: a reader that opens the file at the same moment may find it being recovered, and lock it.
            program = Subscriber("mailbus-recorder", tmp_path, gateway.bus(), ready=env is None, env=env, **settings)
            if env is None:
                wait_for(lambda: len(recorded(tmp_path)) >= seen, lambda: f"{seen} events:\n{program.tail()}")
                program.kill()
            assert program.process.wait(60) == -9, program.tail()
        with recorder(tmp_path, gateway, **settings) as program:
            wait_recorded(tmp_path, program, wanted)
            program.stop()


@pytest.mark.threads
def test_a_long_absence_is_caught_up_while_new_events_arrive(tmp_path):
    with FakeGateway() as gateway:
        with recorder(tmp_path, gateway) as program:
            program.stop()
        wanted = [gateway.record("message.received") for _ in range(5000)]
        with recorder(tmp_path, gateway) as program:
            for number in range(1000):
                wanted.append(gateway.record("message.received"))
            wait_recorded(tmp_path, program, wanted)
            wait_for(lambda: program.metric("mailbus_subscriber_lag") == 0, "no lag")
            program.stop()


def test_what_the_gateway_no_longer_keeps_is_told(tmp_path):
    with FakeGateway() as gateway:
        with recorder(tmp_path, gateway) as program:
            first = [gateway.record("message.received") for _ in range(10)]
            wait_recorded(tmp_path, program, first)
            wait_for(lambda: program.metric("mailbus_subscriber_cursor") == 10, "the cursor")
            program.stop()
        later = [gateway.record("message.received") for _ in range(20)]
        gateway.trim(21)
        with recorder(tmp_path, gateway) as program:
            wait_recorded(tmp_path, program, first + later[10:])
            told = program.wait_log(stage="replay", level="error")
            assert (told["from"], told["to"]) == ("11", "20")
            program.stop()


def test_a_replaced_journal_goes_on_with_what_it_recorded_since(tmp_path):
    """Neither the mail of a month ago, nor a gap of what came in while nobody listened."""
    with FakeGateway() as gateway:
        with recorder(tmp_path, gateway) as program:
            before = [gateway.record("message.received") for _ in range(5)]
            wait_recorded(tmp_path, program, before)
            other = Journal()
            for _ in range(20):
                other.append("message.received", b"{}", recorded=time.time() - 86400)
            fresh = [other.append("message.received", b"{}", recorded=time.time() + 1) for _ in range(7)]
            gateway.replace(other)
            wait_recorded(tmp_path, program, before + fresh)
            assert program.find(stage="bus", message="the gateway has another journal")
            assert program.metric("mailbus_subscriber_new_streams_total") == 1
            more = [gateway.record("message.received") for _ in range(5)]
            wait_recorded(tmp_path, program, before + fresh + more)
            program.stop()


def test_a_journal_replaced_during_an_absence_is_noticed_too(tmp_path):
    with FakeGateway() as gateway:
        with recorder(tmp_path, gateway) as program:
            before = [gateway.record("message.received") for _ in range(5)]
            wait_recorded(tmp_path, program, before)
            program.stop()
        gateway.replace()
        fresh = [gateway.record("message.received") for _ in range(3)]
        with recorder(tmp_path, gateway, bus__new_stream="oldest") as program:
            wait_recorded(tmp_path, program, before + fresh)
            program.stop()


def test_a_restored_backup_repeats_nothing(tmp_path):
    with FakeGateway() as gateway:
        with recorder(tmp_path, gateway, bus__new_stream="oldest") as program:
            before = [gateway.record("message.received", recorded=time.time() - 900) for _ in range(10)]
            wait_recorded(tmp_path, program, before)
            gateway.restore_backup(6)
            program.wait_log(stage="bus", message="the gateway's journal went back in time, as after a restored backup")
            fresh = [gateway.record("message.received") for _ in range(3)]
            wait_recorded(tmp_path, program, before + fresh)
            program.stop()


def test_policy_stop_ends_the_program_and_says_why(tmp_path):
    with FakeGateway() as gateway:
        with recorder(tmp_path, gateway, bus__new_stream="stop") as program:
            gateway.replace()
            assert program.process.wait(60) == 1
            assert "bus.new_stream=stop" in program.wait_log(stage="main", message="can't go on")["reason"]


def test_errors_of_replay_are_asked_again(tmp_path):
    with FakeGateway() as gateway:
        gateway.loss = 1.0
        gateway.errors = [429, 500, 429]
        with recorder(tmp_path, gateway) as program:
            wanted = [gateway.record("message.received") for _ in range(10)]
            wait_for(gateway.all_is_out, "ten lost events")
            gateway.errors = [500, 429]
            gateway.loss = 0.0
            wait_recorded(tmp_path, program, wanted)
            assert program.metric("mailbus_subscriber_requests_failed_total") >= 4
            program.stop()


@pytest.mark.threads
def test_a_full_inbox_pauses_intake_and_catches_up_later(tmp_path):
    with FakeGateway() as gateway:
        with recorder(tmp_path, gateway, inbox__max_events=100, record__slow="2ms", workers=2) as program:
            wanted = [gateway.record("message.received", b"{}" * 50) for _ in range(3000)]
            program.wait_log(stage="bus", message="the inbox is full: intake pauses")
            # A page may come on top of what was there.
            assert program.metric("mailbus_subscriber_inbox_events") <= 100 + 2 * 1024
            wait_recorded(tmp_path, program, wanted)
            program.stop()


@pytest.mark.threads
def test_retries_survive_a_restart_and_end(tmp_path):
    settings = {"record__retry": 2, "record__retries": 3, "retry__first_pause": "200ms"}
    with FakeGateway() as gateway:
        with recorder(tmp_path, gateway, **settings) as program:
            wanted = [gateway.record("message.received") for _ in range(40)]
            wait_for(lambda: program.metric("mailbus_subscriber_handled_total", result="retry") > 5, "retries")
            program.stop()
        with recorder(tmp_path, gateway, **settings) as program:
            wait_recorded(tmp_path, program, wanted)
            assert {row[0] for row in rows(tmp_path, "SELECT DISTINCT attempts FROM recorded")} == {0, 3}
            program.stop()


def test_a_failing_event_does_not_hold_up_the_others(tmp_path):
    with FakeGateway() as gateway:
        with recorder(tmp_path, gateway, record__retry=3, record__retries=1000, workers=1,
                      retry__first_pause="1h") as program:
            ids = [gateway.record("message.received") for _ in range(60)]
            good = [i for i in ids if int(hashlib.sha256(i.encode()).hexdigest()[:6], 16) % 3]
            wait_recorded(tmp_path, program, good)
            assert program.metric("mailbus_subscriber_inbox_events") == len(ids) - len(good)
            program.stop()


@pytest.mark.threads
def test_dead_letters_are_listed_shown_retried_and_dropped(tmp_path):
    with FakeGateway() as gateway:
        with recorder(tmp_path, gateway, record__reject=1) as program:
            ids = [gateway.record("message.received", b'{"subject":"\xc3\xa9"}') for _ in range(3)]
            wait_for(lambda: program.metric("mailbus_subscriber_dead_letters") == 3, "three dead letters")
            status, answer = mailbus_testing.call(program.admin, "GET", "/dead?limit=2")
            assert status == 200 and len(answer["dead"]) == 2 and answer["next"] == "2"
            status, rest = mailbus_testing.call(program.admin, "GET", f"/dead?after={answer['next']}")
            letters = answer["dead"] + rest["dead"]
            assert rest["next"] is None and sorted(letter["event"] for letter in letters) == sorted(ids)
            assert letters[0]["reason"] == "rejected on request" and letters[0]["attempts"] == 1
            status, one = mailbus_testing.call(program.admin, "GET", f"/dead/{letters[0]['id']}")
            assert status == 200 and one["body"] == '{"subject":"é"}'
            assert one["header"]["id"] == letters[0]["event"]
            status, answer = mailbus_testing.call(program.admin, "POST", f"/dead/{letters[0]['id']}/drop")
            assert (status, answer) == (200, {"id": letters[0]["id"], "done": "drop"})
            for path, method, wanted in [("/dead/1/drop", "POST", 404), ("/dead/99", "GET", 404), ("/dead/x", "GET", 404),
                                         ("/dead/2/burn", "POST", 404), ("/dead/2/retry", "GET", 405),
                                         ("/dead?limit=0", "GET", 400), ("/dead", "DELETE", 405)]:
                assert mailbus_testing.call(program.admin, method, path)[0] == wanted, path
            # A web page in somebody's browser is nobody who may.
            for headers in ({"Origin": "http://evil.example"}, {"Host": "evil.example"}):
                assert mailbus_testing.call(program.admin, "POST", "/dead/2/drop", headers=headers)[0] == 403
            program.stop()
        with recorder(tmp_path, gateway) as program:
            status, answer = mailbus_testing.call(program.admin, "POST", "/dead/2/retry")
            assert status == 200, answer
            wait_recorded(tmp_path, program, [letters[1]["event"]])
            wait_for(lambda: program.metric("mailbus_subscriber_dead_letters") == 1, "one dead letter")
            program.stop()


@pytest.mark.threads
def test_commands_run_beside_the_workers_and_outlive_a_kill(tmp_path):
    def command(program, name, request):
        return mailbus_testing.call(program.admin, "POST", f"/command/{name}?subscriber=recorder", request)

    with FakeGateway() as gateway:
        with recorder(tmp_path, gateway) as program:
            assert command(program, "count", {}) == (200, {"recorded": 0})
            ids = [gateway.record("message.received") for _ in range(60)]
            for number, event in enumerate(ids[:30]):
                # Removed once, however the workers' writes fall in between.
                wait_for(lambda: command(program, "forget", {"id": event})[0] == 200, "the event")
                assert command(program, "forget", {"id": event})[0] == 404
            wait_for(lambda: command(program, "count", {})[1] == {"recorded": 30}, "the other half")
            assert command(program, "forget", {}) == (400, {"error": '"id" is missing: an event\'s id', "code": "invalid"})
            assert command(program, "forget", {"id": ids[59]})[0] == 200
            program.kill()
        assert sorted(recorded(tmp_path)) == sorted(ids[30:59])
        with recorder(tmp_path, gateway) as program:
            assert command(program, "count", {}) == (200, {"recorded": 29})
            program.stop()


def test_too_many_tries_end_in_the_dead_letters(tmp_path):
    with FakeGateway() as gateway:
        with recorder(tmp_path, gateway, record__retry=1, record__retries=99, retry__first_pause="10ms",
                      retry__max_attempts=3) as program:
            gateway.record("message.received")
            wait_for(lambda: program.metric("mailbus_subscriber_dead_letters") == 1, "a dead letter")
            letter = mailbus_testing.call(program.admin, "GET", "/dead")[1]["dead"][0]
            assert letter["attempts"] == 3
            assert letter["reason"] == "no success in 3 tries; the last: try 3 fails on request"
            program.stop()


def test_an_event_that_kills_the_program_again_and_again_is_set_aside(tmp_path):
    with FakeGateway() as gateway:
        with recorder(tmp_path, gateway) as program:
            program.stop()
        ids = [gateway.record("message.received") for _ in range(30)]
        poison = [i for i in ids if int(hashlib.sha256(i.encode()).hexdigest()[:6], 16) % 29 == 0]
        while not poison:
            ids.append(gateway.record("message.received"))
            poison = [i for i in ids if int(hashlib.sha256(i.encode()).hexdigest()[:6], 16) % 29 == 0]
        dead = "SELECT id FROM mailbus_dead"
        for _ in range(60):
            program = Subscriber("mailbus-recorder", tmp_path, gateway.bus(), ready=False,
                                 **{"record__abort": 29, "retry__max_crashes": 3})
            wait_for(lambda: program.process.poll() is not None or len(rows(tmp_path, dead)) == len(poison),
                     "a crash or the end")
            if program.process.poll() is None:
                break
        with program:
            wait_recorded(tmp_path, program, [i for i in ids if i not in poison])
            assert sorted(row[0] for row in rows(tmp_path, dead)) == sorted(poison)
            assert rows(tmp_path, "SELECT DISTINCT reason FROM mailbus_dead") == [
                ("the program died 3 times while it handled this event",)]
            program.stop()


def test_shards_share_the_threads_among_instances(tmp_path):
    with FakeGateway() as gateway:
        folders = [tmp_path / str(n) for n in range(3)]
        programs = []
        for number, folder in enumerate(folders, 1):
            folder.mkdir()
            programs.append(Subscriber("mailbus-recorder", folder, gateway.bus(), "--shard", f"{number}/3"))
        threads = {}
        for number in range(300):
            body = json.dumps({"message": {"thread_id": f"thd_{number % 40}"}}).encode()
            threads[gateway.record("message.received", body)] = number % 40
        wait_for(lambda: sum(len(recorded(f)) for f in folders) == 300, "all to be shared out")
        owners = collections.defaultdict(set)
        for number, folder in enumerate(folders):
            for event in recorded(folder):
                owners[threads[event]].add(number)
        assert all(len(owner) == 1 for owner in owners.values())
        assert {next(iter(owner)) for owner in owners.values()} == {0, 1, 2}
        for program in programs:
            program.stop()
        with Subscriber("mailbus-recorder", folders[0], gateway.bus(), "--shard", "1/4") as program:
            assert program.find(stage="main", before="1/3", shard="1/4")
            program.stop()


def test_nothing_listening_is_said_once_and_readiness_is_false(tmp_path):
    ports = mailbus_testing.free_port(), mailbus_testing.free_port()
    bus = {"bus.publish": f"tcp://127.0.0.1:{ports[0]}", "bus.replay": f"tcp://127.0.0.1:{ports[1]}"}
    with Subscriber("mailbus-recorder", tmp_path, bus, ready=False) as program:
        program.wait_log(stage="bus", level="warn")
        admin = program.find(stage="admin", message="listening")["address"]
        status, text = mailbus_testing.call(admin, "GET", "/readyz")
        assert status == 503 and "no heads from the gateway" in text
        assert len([entry for entry in program.log if entry.get("level") == "warn"]) == 1
        assert program.find(message="ready") is None
        program.stop()


def test_a_second_process_on_the_same_file_is_refused(tmp_path):
    with FakeGateway() as gateway:
        with recorder(tmp_path, gateway) as program:
            second = Subscriber("mailbus-recorder", tmp_path, gateway.bus(), ready=False)
            assert second.process.wait(30) == 1
            assert "in use by another process" in second.wait_log(message="can't start")["reason"]
            program.stop()


@pytest.mark.threads
def test_stop_is_bounded_and_a_busy_event_comes_again(tmp_path):
    with FakeGateway() as gateway:
        with recorder(tmp_path, gateway, record__slow="60s", record__store="no", stop__timeout="200ms") as program:
            event = gateway.record("message.received")
            wait_for(lambda: program.metric("mailbus_subscriber_workers_busy") == 1, "a busy worker")
            begun = time.monotonic()
            program.stop(deadline=20)
            assert time.monotonic() - begun < 15
            assert "still busy" in program.tail()
        with recorder(tmp_path, gateway) as program:
            wait_recorded(tmp_path, program, [event])
            program.stop()


@pytest.mark.threads
def test_stopping_under_load_loses_and_repeats_nothing(tmp_path):
    with FakeGateway(seed=3) as gateway:
        gateway.loss = 0.1
        wanted = []
        with recorder(tmp_path, gateway) as program:
            program.stop()
        for number in range(8):
            with recorder(tmp_path, gateway) as program:
                wanted += [gateway.record("message.received") for _ in range(200)]
                goal = number * 150
                wait_for(lambda: len(recorded(tmp_path)) >= goal, "some progress")
                program.stop()
        with recorder(tmp_path, gateway) as program:
            wait_recorded(tmp_path, program, wanted)
            program.stop()


@pytest.mark.threads
def test_settings_are_reloaded(tmp_path):
    config = tmp_path / "recorder.conf"
    config.write_text("log\n    level = info\nretry\n    first_pause = 1s\nworkers = 2\n")
    with FakeGateway() as gateway:
        with Subscriber("mailbus-recorder", tmp_path, gateway.bus(), "--config", config) as program:
            config.write_text("log\n    level = info\nrecord\n    reject = 1\nworkers = 3\n")
            program.signal(1)
            program.wait_log(stage="main", message="settings reloaded")
            assert "workers" in program.find(message="these settings change with a restart only")["keys"]
            gateway.record("message.received")
            wait_for(lambda: program.metric("mailbus_subscriber_dead_letters") == 1, "the new rule")
            program.stop()


def test_wrong_settings_end_with_two_and_a_reason(tmp_path):
    for wrong, word in [({"shard": "5/4"}, "INDEX/COUNT"), ({"record.topics": "Message"}, "is no topic"),
                        ({"workers": "0"}, "workers"), ({"nonsense": "1"}, "nonsense")]:
        program = Subscriber("mailbus-recorder", tmp_path, wrong, ready=False)
        assert program.process.wait(30) in (1, 2)
        program._reader.join(5)
        assert word in program.tail(), program.tail()
