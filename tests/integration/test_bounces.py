"""mailbus-bounces behind a real gateway: every shape of event, exactly once, in any order, rebuilt, asked and listed."""

import contextlib
import csv
import datetime
import io
import json
import os
import random
import re
import signal
import sqlite3
import subprocess
import threading
import time

import pytest
import zmq
from checker import rows
from mailbus_testing import BIN, ROOT, Gateway, Subscriber, free_port, set_arguments, wait_for

KILLS = int(os.environ.get("MAILBUS_TEST_KILLS", "5"))
EXAMPLES = ROOT / "proto" / "examples"
HELP = "helpdesk@agentmail.to"
DAY = 86400
MONDAY = 1767571200  # 2026-01-05


def rfc3339(seconds):
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def stamp(seconds=0):
    """So many seconds after that Monday."""
    return rfc3339(MONDAY + seconds)


def recent(seconds=0):
    """So many seconds after an hour ago: for what must be within a window."""
    return rfc3339(time.time() - 3600 + seconds)


def event(kind, id, recipients, when=stamp(), inbox=HELP, **members):
    key = {"bounced": "bounce", "delivered": "delivery", "sent": "send", "rejected": "reject"}[kind]
    body = {"inbox_id": inbox, "thread_id": "t", "message_id": f"<{id}@x>", "timestamp": when, **members}
    if recipients is not None:
        body["recipients"] = recipients
    return {"type": "event", "event_type": f"message.{kind}", "event_id": id, key: body}


def bounce(id, address, status="5.1.1", type="Permanent", when=stamp(), sub_type="General", **members):
    return event("bounced", id, [{"address": address, "status": status}], when, type=type, sub_type=sub_type, **members)


def soft(id, address, when=stamp(), status="4.2.2"):
    return bounce(id, address, status, "Transient", when, "MailboxFull")


def mailbus(*arguments, env=None):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MAILBUS_")}
    return subprocess.run([BIN / "mailbus", *map(str, arguments)], capture_output=True, text=True, timeout=60,
                          env={**environment, **(env or {})})


def bounces_cli(state, *arguments):
    done = mailbus("bounces", *arguments, "--state", state)
    assert done.returncode == 0, done.stderr
    return done.stdout


def listed(state, *arguments):
    """{address: row} of `mailbus bounces list --json`."""
    return {row["address"]: row for row in map(json.loads, bounces_cli(state, "list", "--json", *arguments).splitlines())}


def shown(state, address):
    return json.loads(bounces_cli(state, "show", address, "--json"))


def dump(path):
    """All that is known, the same for the same content."""
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        return {table: db.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall()
                for table in ("addresses", "history", "rates")}


def change(path, sql):
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        db.execute(sql)


class Bounces(Subscriber):
    """mailbus-bounces; begins at the oldest event and answers on a port of its own unless told otherwise."""

    def __init__(self, folder, bus, *arguments, env=None, ready=True, **settings):
        folder.mkdir(exist_ok=True)
        settings = {"bus__start": "oldest", "check__listen": "tcp://127.0.0.1:*", **settings}
        super().__init__("mailbus-bounces", folder, bus, *arguments, env=env, ready=ready, **settings)
        self.path = folder / "mailbus-bounces.db"
        if ready:
            found = self.find(stage="check", message="bound")
            self.endpoint = found["endpoint"] if found else None

    def handled(self):
        return self.metric("mailbus_subscriber_handled_total", result="done")

    def wait_idle(self, gateway):
        """Everything that the gateway has was handled."""
        def idle():
            return (self.metric("mailbus_subscriber_cursor") == gateway.metric("mailbus_journal_head_sequence")
                    and self.metric("mailbus_subscriber_inbox_events") == 0)

        wait_for(idle, lambda: f"all events to be handled\n{self.tail()}")


def rebuild(folder, bus, env=None, expect=0, **settings):
    options = {"state.path": folder / "mailbus-bounces.db", "admin.listen": "127.0.0.1:0", "state.rebuild": "yes", **bus,
               **{key.replace("__", "."): value for key, value in settings.items()}}
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MAILBUS_")}
    done = subprocess.run([BIN / "mailbus-bounces", *set_arguments(options)], capture_output=True, text=True, timeout=120,
                          env={**environment, **(env or {})}, cwd=folder)
    assert done.returncode == expect, (done.returncode, done.stderr)
    return done.stderr


class Asker:
    """Asks as the check protocol says, over and over on one socket."""

    def __init__(self, endpoint):
        self.socket = zmq.Context.instance().socket(zmq.DEALER)
        self.socket.connect(endpoint)

    def ask(self, address, timeout=5000):
        """The answer, or None where there is none."""
        while self.socket.poll(0):
            self.socket.recv_multipart()
        self.socket.send_multipart([b"", json.dumps({"check": "may-send", "address": address}).encode()])
        return json.loads(self.socket.recv_multipart()[1]) if self.socket.poll(timeout) else None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close(0)


def post_all(gateway, events):
    for one in events:
        status, answer = gateway.post(one)
        assert status == 200, answer


# --- events -----------------------------------------------------------------------------------------------------------


def test_every_example_event_and_the_guides_own_are_taken(gateway, tmp_path):
    for folder in ("events", "guide"):
        for name in ("sent", "delivered", "bounced", "bounced.transient", "rejected"):
            path = EXAMPLES / folder / f"message.{name}.json"
            if path.exists():
                assert gateway.post(path.read_bytes())[0] == 200
    with Bounces(tmp_path / "b", gateway.bus()) as program:
        program.wait_idle(gateway)
        state = listed(program.path, "--only", "all")
        assert state["gone@example.com"]["state"] == "dead"
        assert state["gone@example.com"]["reason"] == "bounced Permanent/General"
        assert (state["full@example.com"]["state"], state["full@example.com"]["soft"]) == ("ok", 1)
        assert (state["priya@example.com"]["sent"], state["priya@example.com"]["delivered"]) == (1, 1)
        # the guide's bounce has neither an event id nor any other, and no time
        assert state["invalid@example.com"]["state"] == "dead"
        assert state["jane@example.com"]["sent"] == 1
        assert program.metric("mailbus_subscriber_dead_letters") == 0
        assert program.metric("mailbus_bounces_recipients_total", kind="hard") == 2
        program.stop()


def test_hostile_events_get_a_verdict_and_harm_nobody(gateway, tmp_path):
    evil = "5.1.1\r\nBcc: x@y\x1b[2J‮" + "z" * 3000
    post_all(gateway, [
        event("bounced", "many", [{"address": f"u{i}@x.example", "status": "5.1.1"} for i in range(10000)], type="Permanent"),
        event("bounced", "too many", [f"u{i}@x.example" for i in range(10001)], type="Permanent"),
        event("bounced", "none", [], type="Permanent"),
        event("bounced", "absent", None, type="Permanent"),
        event("bounced", "no addresses", ["", "no", "a\r\nb@x", 7, None, {"status": "5.1.1"}], type="Permanent"),
        bounce("evil", "evil@x.example", evil, "Permanent", sub_type="\x07\x1b]0;x\x07" * 500, message_id="<a\nb>"),
        bounce("words", "=cmd|'/C'!A0@x.example", "5.1.1"),
        bounce("quoted", '"a b"@x.example', "5.1.1"),
        {**event("bounced", "complaint", []), "bounce": None, "complaint": {"type": "abuse", "recipients": ["a@x.example"]}},
        {"type": "event", "event_type": "message.bounced", "event_id": "empty"},
        bounce("last", "Last@x.example"),
    ])
    with Bounces(tmp_path / "b", gateway.bus()) as program:
        program.wait_idle(gateway)
        state = listed(program.path, "--only", "dead")
        assert len(state) == 10000 + 4
        assert state["Last@x.example"]["state"] == "dead"
        assert program.metric("mailbus_bounces_without_recipients_total") == 3
        assert program.metric("mailbus_subscriber_dead_letters") == 3
        dead = mailbus("dead", "list", "--state", program.path).stdout
        assert "10001 recipients" in dead and "a complaint" in dead and "without the fate" in dead
        for output in (bounces_cli(program.path, "list", "--domain", "x.example"),
                       bounces_cli(program.path, "show", "evil@x.example"),
                       bounces_cli(program.path, "list", "--csv"), bounces_cli(program.path, "list", "--json")):
            assert not any(c in output.replace("\r\n", "\n") for c in "\x1b\x07\r‮"), ascii(output)
        history = shown(program.path, "evil@x.example")["history"]
        assert history[0]["status"].startswith("5.1.1 Bcc: x@y") and len(history[0]["status"]) <= 200
        lines = [row[0] for row in csv.reader(io.StringIO(bounces_cli(program.path, "list", "--csv")))]
        assert not any(line.startswith(("=", "+", "-", "@")) for line in lines)
        assert not any("\x1b" in line or "Bcc" in line for line in program.lines)
        program.stop()


# --- order, once, again -----------------------------------------------------------------------------------------------


def story(seed, count=250):
    """Events of a few addresses over some months, in order of time."""
    random_ = random.Random(seed)
    addresses = ["a@x.example", "B@x.example", "c+t@x.example", "d@y.example", "e@z.example"]
    events = []
    for number in range(count):
        address = random_.choice(addresses)
        address = random_.choice([address, address.upper()])
        when = stamp(random_.randrange(0, 150) * DAY // 2)
        id = f"evt_{seed}_{number}"
        events.append(random_.choice([
            soft(id, address, when), soft(id, address, when), soft(id, address, when), soft(id, address, when),
            event("delivered", id, [address], when), event("sent", id, [address, "f@x.example"], when),
            bounce(id, address, "5.7.1", when=when), bounce(id, address, "5.1.1", "Undetermined", when),
            bounce(id, address, "", when=when, sub_type="Suppressed"), event("rejected", id, None, when, reason="Bad content"),
        ]))
    events.append(bounce(f"evt_{seed}_hard", "d@y.example", "5.1.1", when=stamp(40 * DAY)))
    return sorted(events, key=lambda one: next(v for v in one.values() if isinstance(v, dict))["timestamp"])


def test_a_shuffled_replay_and_a_late_start_give_the_state_of_the_live_run(tmp_path):
    events = story(1)
    folders = [tmp_path / name for name in ("live", "late", "shuffled")]
    (tmp_path / "one").mkdir(), (tmp_path / "two").mkdir()
    with Gateway(tmp_path / "one", limits__rate=0) as gateway:
        with Bounces(folders[0], gateway.bus(), workers=1) as program:
            post_all(gateway, events)
            program.wait_idle(gateway)
            program.stop()
        with Bounces(folders[1], gateway.bus()) as program:  # the whole journal into an empty store
            program.wait_idle(gateway)
            program.stop()
    random.Random(2).shuffle(events)
    with Gateway(tmp_path / "two", limits__rate=0) as gateway:
        post_all(gateway, events)
        with Bounces(folders[2], gateway.bus()) as program:
            program.wait_idle(gateway)
            program.stop()
    live, late, shuffled = (dump(folder / "mailbus-bounces.db") for folder in folders)
    assert live == late
    assert live == shuffled
    assert len(live["addresses"]) == 6 and len(live["history"]) > 100
    state = [listed(folder / "mailbus-bounces.db", "--only", "all") for folder in folders]
    assert state[0] == state[1] == state[2]


def test_killed_again_and_again_under_load_each_event_counts_once(tmp_path):
    """kill -9 at any moment, now and then in the very middle of a commit."""
    folder = tmp_path / "b"
    points = ["task_before_commit:20", "task_after_commit:20", "group_before_commit:20", "task_handled:20", None, None]
    posted = {"count": 0}
    stop = threading.Event()
    with Gateway(tmp_path, limits__rate=0) as gateway:
        def load():
            while not stop.is_set():
                number = posted["count"]
                one = (soft(f"s{number}", f"u{number % 7}@x.example", stamp(number)) if number % 3 == 0 else
                       event("sent", f"o{number}", [f"u{number % 7}@x.example", "all@x.example"], stamp(number)) if number % 3 == 1 else
                       bounce(f"h{number}", f"gone{number}@x.example", when=stamp(number)))
                status, answer = gateway.post(one)
                assert status == 200, answer
                posted["count"] += 1

        sender = threading.Thread(target=load)
        sender.start()
        try:
            for number in range(KILLS):
                point = points[number % len(points)]
                env = {"MAILBUS_TEST_KILL": point} if point else None
                with Bounces(folder, gateway.bus(), env=env, ready=False, retry__max_crashes=0) as program:
                    if point:
                        program.process.wait(60)
                        assert program.process.returncode == -signal.SIGKILL, program.tail()
                    else:
                        begin = posted["count"]
                        wait_for(lambda: posted["count"] > begin + 40, "some load")
                        program.kill()
        finally:
            stop.set()
            sender.join()
        with Bounces(folder, gateway.bus(), retry__max_crashes=0) as program:
            program.wait_idle(gateway)
            program.stop()
    count = posted["count"]
    numbers = range(count)
    expected = {f"u{u}@x.example": [sum(n % 3 == 0 and n % 7 == u for n in numbers), sum(n % 3 == 1 and n % 7 == u for n in numbers), 0]
                for u in range(7)}
    expected["all@x.example"] = [0, sum(n % 3 == 1 for n in numbers), 0]
    expected.update({f"gone{n}@x.example": [0, 0, 1] for n in numbers if n % 3 == 2})
    found = {key: [s, o, h] for key, s, o, h in rows(folder / "mailbus-bounces.db", "SELECT key, soft, sent, hard FROM addresses")}
    assert count > 20 * KILLS and found == expected
    print(f"{KILLS} kills, {count} events, each counted once")


# --- asked ------------------------------------------------------------------------------------------------------------


def test_answers_change_with_the_events(gateway, tmp_path):
    with Bounces(tmp_path / "b", gateway.bus()) as program, Asker(program.endpoint) as asker:
        wait_for(lambda: asker.ask("jane@x.example") == {"answer": "yes"}, "a yes")
        post_all(gateway, [bounce("b1", "Jane@x.example", when=stamp())])
        wait_for(lambda: asker.ask("jane@x.example")["answer"] == "no", "a no")
        answer = asker.ask("JANE@X.example")
        assert "5.1.1 Permanent/General" in answer["reason"] and answer.get("until") is None
        post_all(gateway, [soft(f"s{i}", "full@x.example", recent(i)) for i in range(3)])
        wait_for(lambda: asker.ask("full@x.example")["answer"] == "no", "a pause")
        assert asker.ask("full@x.example")["until"] > recent(6 * DAY)
        assert shown(program.path, "full@x.example")["state"] == "paused"
        post_all(gateway, [event("delivered", "d1", ["full@x.example"], recent(60))])
        wait_for(lambda: asker.ask("full@x.example")["answer"] == "yes", "a yes after a delivery")
        assert asker.ask("jane@x.example")["answer"] == "no"
        bounces_cli(program.path, "clear", "jane@x.example", "--reason", "a new mailbox")
        assert asker.ask("jane@x.example")["answer"] == "yes"
        # a list that is gone is no yes
        program.path.rename(program.path.with_suffix(".aside"))
        assert asker.ask("jane@x.example", 700) is None
        program.wait_log(stage="bounces", level="error")
        program.path.with_suffix(".aside").rename(program.path)
        assert asker.ask("jane@x.example")["answer"] == "yes"
        assert program.metric("mailbus_bounces_checks_total", answer="silent") >= 1
        program.stop()


def test_who_was_away_says_no_yes_before_it_knows_what_it_missed(tmp_path):
    with Gateway(tmp_path, publish=f"tcp://127.0.0.1:{free_port()}", replay=f"tcp://127.0.0.1:{free_port()}") as gateway:
        bus = gateway.bus()
        with Bounces(tmp_path / "b", bus) as program:
            post_all(gateway, [bounce("b1", "dead@x.example")])
            program.wait_idle(gateway)
            program.stop()
        gateway.stop()
    with Bounces(tmp_path / "b", bus) as program, Asker(program.endpoint) as asker:
        assert asker.ask("dead@x.example")["answer"] == "no"
        assert asker.ask("jane@x.example", 700) is None
        with Gateway(tmp_path, publish=bus["bus.publish"], replay=bus["bus.replay"]):
            wait_for(lambda: asker.ask("jane@x.example", 500) == {"answer": "yes"}, "a yes once the gateway is back")
            program.stop()


# --- people -----------------------------------------------------------------------------------------------------------


def table(text):
    """The first column of a table."""
    return [line.split()[0] for line in text.splitlines()[1:] if line.strip()]


def check_cli(path):
    """Each form of each command; the same while the program runs and while it is stopped."""
    plain = bounces_cli(path, "list")
    assert plain.splitlines()[0].split()[:3] == ["ADDRESS", "STATE", "UNTIL"]
    assert table(plain) == ["blocked@y.example", "Dead@x.example", "full@x.example"]
    rows_ = list(csv.DictReader(io.StringIO(bounces_cli(path, "list", "--csv"))))
    objects = listed(path)
    assert [row["address"] for row in rows_] == list(objects) == table(plain)
    assert {row["address"]: row["state"] for row in rows_} == {k: v["state"] for k, v in objects.items()} == {
        "blocked@y.example": "ok", "Dead@x.example": "dead", "full@x.example": "paused"}
    assert table(bounces_cli(path, "list", "--only", "paused")) == ["full@x.example"]
    assert table(bounces_cli(path, "list", "--domain", "Y.example")) == ["blocked@y.example"]
    assert table(bounces_cli(path, "list", "--inbox", "other@agentmail.to")) == ["blocked@y.example"]
    nothing = mailbus("bounces", "list", "--domain", "nowhere.example", "--state", path)
    assert (nothing.returncode, nothing.stdout) == (0, "") and "no address like that" in nothing.stderr
    export = list(csv.DictReader(io.StringIO(bounces_cli(path, "export"))))
    assert [row["address"] for row in export] == ["blocked@y.example", "Dead@x.example", "fine@x.example", "full@x.example"]
    assert len(bounces_cli(path, "export", "--json").splitlines()) == 4
    assert "5.1.1 Permanent/General" in bounces_cli(path, "show", "dead@x.example")
    assert [row["what"] for row in csv.DictReader(io.StringIO(bounces_cli(path, "show", "full@x.example", "--csv")))] == ["soft"] * 3
    assert shown(path, "full@x.example")["counting"] == 3
    rates = list(map(json.loads, bounces_cli(path, "rates", "--json").splitlines()))
    assert [(row["inbox"], row["sent"], row["bounced"], row["verdict"]) for row in rates] == [
        (HELP, 100, 4, "over"), ("other@agentmail.to", 0, 1, "few")]
    assert bounces_cli(path, "rates").splitlines()[1].split()[:3] == [HELP, "over", "4"]
    assert bounces_cli(path, "rates", "--csv", "--inbox", HELP).splitlines()[1].startswith(f"{HELP},over,4,100,4,")
    return plain, objects, export, rates


def test_the_command_line_in_its_three_forms_running_and_stopped(gateway, tmp_path):
    post_all(gateway, [
        bounce("b1", "Dead@x.example", when=recent()), bounce("b2", "blocked@y.example", "5.7.1", when=recent(), inbox_id="other@agentmail.to"),
        *[soft(f"s{i}", "full@x.example", recent(i)) for i in range(3)],
        event("sent", "o1", [f"fine+{i}@x.example" for i in range(99)] + ["fine@x.example"], recent()),
    ])
    with Bounces(tmp_path / "b", gateway.bus()) as program:
        program.wait_idle(gateway)
        program.stop()
    path = program.path
    change(path, "DELETE FROM addresses WHERE key LIKE 'fine+%'")  # not to write 99 names down below
    stopped = check_cli(path)
    with Bounces(tmp_path / "b", gateway.bus()) as program:
        assert check_cli(path) == stopped
        for wrong, status, says in (
            (("clear", "dead@x.example"), 2, "--reason"),
            (("clear", "dead@x.example", "--reason", " "), 1, "say why"),
            (("clear", "nobody@x.example", "--reason", "x"), 1, "nothing is known about nobody@x.example"),
            (("show", "nobody@x.example"), 1, "nothing is known"),
            (("show", "no address"), 1, "one mail address"),
            (("show",), 2, "wants more"),
            (("list", "--only", "lost"), 1, "bounced, ok, paused, dead or all"),
            (("list", "--json", "--csv"), 2, "not both"),
            (("lsit",), 2, "did you mean list"),
        ):
            done = mailbus("bounces", *wrong, "--state", path)
            assert done.returncode == status and says in done.stderr, (wrong, done)
        cleared = json.loads(bounces_cli(path, "clear", "DEAD@x.example", "--reason", "wrote to us\r\nX: y", "--json"))
        assert cleared["state"] == "ok" and cleared["history"][0]["reason"] == "wrote to us X: y"
        assert shown(path, "dead@x.example")["hard"] == 1
        program.stop()
    assert shown(path, "dead@x.example")["state"] == "ok"
    bounces_cli(path, "clear", "full@x.example", "--reason", "stopped, and cleared in the file")
    assert shown(path, "full@x.example")["state"] == "ok"


def test_a_long_list_comes_whole(gateway, tmp_path):
    post_all(gateway, [event("bounced", f"b{n}", [{"address": f"u{n}-{i}@x.example", "status": "5.1.1"} for i in range(3000)],
                             type="Permanent") for n in range(3)])
    with Bounces(tmp_path / "b", gateway.bus()) as program:
        program.wait_idle(gateway)
        assert len(listed(program.path, "--only", "all")) == 9000
        assert listed(program.path, "--only", "paused") == {}  # pages without a row, and on
        program.stop()


def test_settings_are_read_again_and_hold_for_the_past(gateway, tmp_path):
    config = tmp_path / "bounces.conf"
    config.write_text("bounces\n    soft_count = 3\n")
    post_all(gateway, [soft("s1", "full@x.example", recent()), soft("s2", "full@x.example", recent(1)),
                       event("sent", "o1", [f"u{i}@x.example" for i in range(20)], recent())])
    with Bounces(tmp_path / "b", gateway.bus(), "--config", config, rates__refresh="50ms") as program, Asker(program.endpoint) as asker:
        program.wait_idle(gateway)
        assert asker.ask("full@x.example")["answer"] == "yes"
        config.write_text("bounces\n    soft_count = 2\nrates\n    least_sent = 10\n")
        program.signal(signal.SIGHUP)
        wait_for(lambda: asker.ask("full@x.example")["answer"] == "no", "the new limit to hold")
        assert shown(program.path, "full@x.example")["state"] == "paused"
        wait_for(lambda: program.metric("mailbus_bounces_window_verdict", inbox=HELP) == 3, "the gauge to follow")
        config.write_text("bounces\n    soft_count = 0\n")
        program.signal(signal.SIGHUP)
        program.wait_log(stage="main", message="the subscriber keeps its old rules")
        assert asker.ask("full@x.example")["answer"] == "no"
        config.write_text("bounces\n    dead_codes = 5.1.1 oops\n")
        program.signal(signal.SIGHUP)
        wait_for(lambda: any('"oops\\" is no code' in line or "oops" in line for line in program.lines), "the word to be named")
        program.stop()
    with Bounces(tmp_path / "b", gateway.bus(), ready=False, bounces__soft_window="0") as program:
        program.process.wait(30)
        assert program.process.returncode == 1 and any("bounces.soft_window" in line for line in program.lines)


def test_rates_are_gauges_of_a_bounded_number_of_inboxes(gateway, tmp_path):
    post_all(gateway, [event("sent", f"o{n}", [f"u{i}@x.example" for i in range(60)], recent(), inbox=f"i{n}@agentmail.to") for n in range(4)])
    post_all(gateway, [bounce("b1", "u1@x.example", when=recent(), inbox_id="i0@agentmail.to"),
                       bounce("b2", "u2@x.example", when=recent(), inbox_id="i0@agentmail.to"),
                       bounce("b3", "u3@x.example", when=recent(), inbox_id="i3@agentmail.to")])
    with Bounces(tmp_path / "b", gateway.bus(), rates__refresh="50ms", rates__inboxes=2) as program:
        wait_for(lambda: program.metric("mailbus_bounces_window_sent") == 240, "all mails to be in the gauges")
        wait_for(lambda: program.metric("mailbus_bounces_window_bounced") == 3, "all bounces to be in the gauges")
        assert program.metric("mailbus_bounces_window_rate_basis_points", inbox="i0@agentmail.to") == 334
        assert program.metric("mailbus_bounces_window_verdict", inbox="i0@agentmail.to") == 2
        assert program.metric("mailbus_bounces_window_verdict", inbox="i1@agentmail.to") == 1
        assert program.metric("mailbus_bounces_window_sent", inbox="(others)") == 120
        assert program.metric("mailbus_bounces_window_sent", inbox="i3@agentmail.to") == 0
        wait_for(lambda: any("bounce rate of i0@agentmail.to" in line and "high" in line for line in program.lines), "it to be told")
        program.stop()


# --- rebuilt ----------------------------------------------------------------------------------------------------------


def test_a_rebuild_counts_again_from_the_journal_and_keeps_what_people_did(tmp_path):
    folder = tmp_path / "b"
    with Gateway(tmp_path, limits__rate=0) as gateway:
        with Bounces(folder, gateway.bus()) as program:
            post_all(gateway, story(3))
            post_all(gateway, [bounce("h1", "moved@x.example", "5.1.6", when=stamp(1)), bounce("h2", "back@x.example", when=stamp(2))])
            program.wait_idle(gateway)
            bounces_cli(program.path, "clear", "back@x.example", "--reason", "is back")
            program.stop()
        path = folder / "mailbus-bounces.db"
        before = dump(path)
        rebuild(folder, gateway.bus())
        assert dump(path) == before
        assert shown(path, "moved@x.example")["state"] == "dead"
        # under other settings: the journal's events are sorted anew, the clearing stands
        rebuild(folder, gateway.bus(), bounces__soft_codes="4.* 5.2.2 5.1.6", bounces__soft_count=1, bounces__later_pause="100000d",
                bounces__first_pause="100000d")
        moved = shown(path, "moved@x.example")
        assert (moved["state"], moved["soft"], moved["hard"]) == ("paused", 1, 0)
        back = shown(path, "back@x.example")
        assert (back["state"], back["history"][0]["reason"]) == ("ok", "is back")
        assert not list(folder.glob("*.rebuild*"))
        # the new file goes on where the journal was
        with Bounces(folder, gateway.bus(), bus__start="now") as program:
            post_all(gateway, [bounce("h3", "new@x.example", when=stamp(3))])
            program.wait_idle(gateway)
            assert shown(path, "new@x.example")["hard"] == 1
            assert shown(path, "moved@x.example")["soft"] == 1
            assert "in use" in rebuild(folder, gateway.bus(), expect=1)
            program.stop()


def test_a_rebuild_forgets_nothing_that_the_journal_no_longer_has(tmp_path):
    folder = tmp_path / "b"
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    with Gateway(tmp_path / "one") as gateway, Bounces(folder, gateway.bus()) as program:
        post_all(gateway, [bounce("h1", "Dead@x.example"), event("sent", "o1", ["fine@x.example"]), soft("s1", "full@x.example"),
                           {"type": "event", "event_type": "message.bounced", "event_id": "unread"}])
        program.wait_idle(gateway)
        before = dump(program.path)
        program.stop()
    with Gateway(tmp_path / "two") as gateway:  # another journal, and an empty one
        rebuild(folder, gateway.bus())
        assert dump(program.path) == before
        post_all(gateway, [soft("s2", "full@x.example", stamp(1))])
        rebuild(folder, gateway.bus())
    assert shown(program.path, "dead@x.example")["state"] == "dead"
    assert shown(program.path, "full@x.example")["soft"] == 2
    assert shown(program.path, "fine@x.example")["sent"] == 1
    assert "unread" in mailbus("dead", "list", "--state", program.path).stdout


@pytest.mark.parametrize("point", ["task_before_commit:40", "rebuild_before_commit", "rebuild_before_swap", "rebuild_after_swap"])
def test_a_crash_in_a_rebuild_leaves_the_old_state_or_the_new_one(tmp_path, point):
    folder = tmp_path / "b"
    with Gateway(tmp_path, limits__rate=0) as gateway:
        with Bounces(folder, gateway.bus()) as program:
            post_all(gateway, story(4, 80))
            program.wait_idle(gateway)
            bounces_cli(program.path, "clear", "d@y.example", "--reason", "kept")
            program.stop()
        path = folder / "mailbus-bounces.db"
        before = dump(path)
        rebuild(folder, gateway.bus(), {"MAILBUS_TEST_KILL": point}, expect=-signal.SIGKILL, bounces__dead_codes="5.2.1 5.7.*",
                bounces__sender_codes="5.9.9")
        after = dump(path)
        if point == "rebuild_after_swap":
            assert after != before and {row[1] for row in after["history"] if row[2] == "cleared"}
        else:
            assert after == before
        with Bounces(folder, gateway.bus()) as program:  # goes on as if nothing had been
            post_all(gateway, [bounce("h9", "new@x.example", when=stamp(3))])
            program.wait_idle(gateway)
            program.stop()
        rebuild(folder, gateway.bus())  # over what the crash left behind
        assert shown(path, "new@x.example")["hard"] == 1
        assert [row for row in dump(path)["history"] if row[0] != "new@x.example"] == before["history"]
        assert not list(folder.glob("*.rebuild*"))


def test_a_rebuild_that_cannot_finish_changes_nothing(tmp_path):
    folder = tmp_path / "b"
    with Gateway(tmp_path) as gateway:
        bus = gateway.bus()
        with Bounces(folder, bus) as program:
            post_all(gateway, [bounce("h1", "dead@x.example")])
            program.wait_idle(gateway)
            program.stop()
    before = dump(program.path)
    with Bounces(folder, bus, "--rebuild", ready=False) as program:  # nobody to fetch from
        program.wait_log(stage="admin", message="listening")
        program.stop(expect=1)
    assert any("ended before everything was handled" in line for line in program.lines)
    assert dump(program.path) == before and not list(folder.glob("*.rebuild*"))
    change(program.path, "INSERT INTO mailbus_inbox(number, sequence, id, topic, header, body, first)"
                         " VALUES(1, 1, 'x', 'y', x'', x'', 1)")  # an event that was never handled
    assert "1 events wait" in rebuild(folder, bus, expect=1)


# --- shape ------------------------------------------------------------------------------------------------------------


def test_help_names_every_setting_and_the_readme_every_rule(tmp_path):
    text = subprocess.run([BIN / "mailbus-bounces", "--help"], capture_output=True, text=True, timeout=30).stdout
    readme = (ROOT / "subscribers" / "bounces" / "README.md").read_text(encoding="utf-8")
    settings = [word for word in text.split() if word.startswith(("bounces.", "rates.", "check.")) and not word.endswith(",")]
    assert "--rebuild" in text and len(settings) >= 17
    for setting in settings:
        assert f"`{setting}`" in readme, setting
    tests = "".join(path.read_text(encoding="utf-8") for path in ROOT.glob("tests/**/test_*") if path.suffix in (".c", ".py"))
    for name in set(re.findall(r"\btest_\w+(?:\.c|\.py)?", readme)):
        assert name in tests or list(ROOT.glob(f"tests/*/{name}")) or list(ROOT.glob(f"tests/*/*/{name}")), name
