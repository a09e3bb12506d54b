"""The mailbus program against real gateways, subscribers and the stand-in."""

import contextlib
import json
import os
import pathlib
import re
import signal
import socket
import sqlite3
import stat
import subprocess
import threading
import uuid

import mailbus_testing as mt
import pytest
from lossy_proxy import LossyProxy


def mailbus(*arguments, env=None, timeout=60, cwd=None):
    """Run it to its end."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("MAILBUS_", "AGENTMAIL_"))}
    environment.update(env or {})
    return subprocess.run([mt.BIN / "mailbus", *map(str, arguments)], env=environment, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=timeout, cwd=cwd)


class Tail(mt.Program):
    """A running `mailbus tail`; its lines are read by a thread."""

    def __init__(self, bus, *arguments, env=None):
        super().__init__("mailbus", "tail", *arguments, *mt.set_arguments(bus), env=env, stdout=subprocess.PIPE)
        self.out = []
        self._out_reader = threading.Thread(target=self._read_out, daemon=True)
        self._out_reader.start()

    def _read_out(self):
        for raw in self.process.stdout:
            self.out.append(raw.decode())

    def ids(self):
        return [json.loads(line)["header"]["id"] for line in list(self.out)]

    def wait_ids(self, count):
        mt.wait_for(lambda: len(self.out) >= count, lambda: f"{count} events, has {len(self.out)}: {self.tail()}")
        return self.ids()

    def wait_live(self, gateway):
        """Post events of a topic of its own until one is shown: from then on nothing is missed."""
        def shown():
            gateway.post({"event_type": "probe.live", "event_id": f"probe-{uuid.uuid4()}"})
            return any("probe" in line for line in list(self.out))

        mt.wait_for(shown, lambda: f"the tail to be live: {self.tail()}")


def without_probes(ids):
    return [id for id in ids if not id.startswith("probe-")]


def post(gateway, *numbers, topic="message.received", **message):
    ids = []
    for number in numbers:
        id = f"evt_{topic}_{number}"
        status, answer = gateway.post(mt.received(number, event_id=id, topic=topic, **message))
        assert status == 200 and not answer["duplicate"], (status, answer)
        ids.append(id)
    return ids


# --- the command line itself -----------------------------------------------------------------------

def test_help_names_every_command_and_each_has_its_own():
    everything = mailbus("help")
    assert everything.returncode == 0 and everything.stderr == ""
    assert mailbus("--help").stdout == everything.stdout
    for command in ("tail", "fetch", "status", "webhook", "dead", "keys"):
        assert re.search(rf"^  {command} ", everything.stdout, re.M)
        own = mailbus(command, "--help")
        assert own.returncode == 0 and f"mailbus {command}" in own.stdout and "--set" in own.stdout
        assert mailbus("help", command).stdout == own.stdout
        assert f"\nusage: mailbus {command} " in own.stdout
        assert "SIGHUP" not in own.stdout  # it ends them
    assert "\nusage: mailbus tail [TOPIC…] [OPTION…]\n\n  TOPIC is one" in mailbus("tail", "--help").stdout
    assert mailbus("--version").stdout.startswith("mailbus ")


@pytest.mark.parametrize("arguments, part", [
    ([], "usage: mailbus COMMAND"),
    (["tial"], "did you mean tail?"),
    (["\x1b[31mstatsu" * 40], "there is no command"),
    (["help", "stat"], "did you mean status?"),
    (["keys"], "new, list, allow, revoke"),
    (["keys", "revke", "x"], "did you mean revoke?"),
    (["keys", "new"], "wants more behind it"),
    (["keys", "new", "a", "b"], "'b' was not expected"),
    (["fetch", "--nonsense"], "there is no option --nonsense"),
    (["fetch", "--limit", "many"], "many"),
    (["fetch", "--set", "bus.replya=tcp://127.0.0.1:1"], "did you mean bus.replay?"),
    (["fetch", "--from", "1", "--since", "1h"], "not both"),
    (["fetch", "--since", "12"], "--since wants a time"),
    (["fetch", "--from", "yesterday"], "neither a sequence"),
    (["fetch", "Message.*"], "is no topic"),
    (["tail", "bus.heads"], "the bus's own"),
    (["tail", "--stream", "7"], "UUID"),
    (["status", "now"], "'now' was not expected"),
    (["webhook", "create"], "--url"),
    (["webhook", "create", "--url", "ftp://x"], "is no URL"),
    (["webhook", "list"], "AGENTMAIL_API_KEY"),
    (["dead", "list"], "whose?"),
    (["dead", "list", "--name", "../x"], "no subscriber's name"),
    (["dead", "show", "one", "--name", "x"], "is no number"),
])
def test_wrong_command_line_is_told_and_ends_with_2(arguments, part):
    done = mailbus(*arguments)
    assert done.returncode == 2, done
    assert part in done.stderr, done
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1 or arguments == []


def test_secret_is_refused_on_the_command_line():
    done = mailbus("webhook", "list", "--set", "api.key=am_secret")
    assert done.returncode == 2 and "environment" in done.stderr and "am_secret" not in done.stderr


# --- what may be wrong with the bus ----------------------------------------------------------------

@pytest.mark.parametrize("command", ["tail", "fetch", "status"])
def test_nobody_listening_is_told_with_the_endpoint_in_bounded_time(command):
    endpoint = f"tcp://127.0.0.1:{mt.free_port()}"
    done = mailbus(command, "--timeout", "300ms", "--set", f"bus.replay={endpoint}", timeout=20)
    assert done.returncode == 1
    assert f"nobody listens on {endpoint}" in done.stderr and "mailbus-gateway" in done.stderr


def test_something_else_listening_is_told():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        endpoint = f"tcp://127.0.0.1:{listener.getsockname()[1]}"
        done = mailbus("status", "--timeout", "300ms", "--set", f"bus.replay={endpoint}", timeout=20)
    assert done.returncode == 1
    assert f"something listens on {endpoint}" in done.stderr


def test_wrong_publish_endpoint_is_no_quiet_day(gateway):
    bus = gateway.bus() | {"bus.publish": f"tcp://127.0.0.1:{mt.free_port()}"}
    done = mailbus("tail", "--timeout", "300ms", *mt.set_arguments(bus), timeout=20)
    assert done.returncode == 1 and f"nobody listens on {bus['bus.publish']}" in done.stderr


def test_another_stream_is_told(gateway):
    post(gateway, 1)
    other = str(uuid.uuid4())
    for command in ("tail", "fetch"):
        done = mailbus(command, "--from", 1, "--stream", other, *mt.set_arguments(gateway.bus()))
        assert done.returncode == 1 and done.stdout == ""
        assert "journal" in done.stderr


def test_keys_decide_who_gets_in(tmp_path):
    keys = tmp_path / "keys"
    assert mailbus("keys", "new", "cli", "--dir", keys).returncode == 0
    with mt.Gateway(tmp_path, bus__curve_dir=keys) as gateway:
        bus = mt.set_arguments(gateway.bus())
        post(gateway, 1)

        def fetch(*arguments, timeout="2s"):
            return mailbus("fetch", "--timeout", timeout, *bus, *arguments, timeout=30)

        allowed = fetch("--set", f"bus.curve_dir={keys}")
        assert allowed.returncode == 0 and "message.received" in allowed.stdout, allowed
        # Without a key.
        plain = fetch()
        assert plain.returncode == 1 and plain.stdout == ""
        assert "wants a key" in plain.stderr and "bus.curve_dir" in plain.stderr, plain
        # With a key that is not let in.
        strange = tmp_path / "strange"
        assert mailbus("keys", "new", "cli", "--dir", strange).returncode == 0
        (strange / "server.key").write_bytes((keys / "server.key").read_bytes())
        refused = fetch("--set", f"bus.curve_dir={strange}", timeout="5m")  # a refusal is not waited out
        assert refused.returncode == 1 and refused.stdout == ""
        assert "does not let the key 'cli' in" in refused.stderr, refused
        assert gateway.metric("mailbus_zap_refused_total") >= 1
        # A key of a name that is not there.
        missing = fetch("--set", f"bus.curve_dir={keys}", "--set", "bus.curve_name=bob")
        assert missing.returncode == 1 and "mailbus keys new bob" in missing.stderr
        # A revoked one, after the gateway's reload.
        assert mailbus("keys", "revoke", "cli", "--dir", keys).returncode == 0
        own = tmp_path / "own"
        assert mailbus("keys", "new", "second", "--dir", keys).returncode == 0
        (own / "clients").mkdir(parents=True)
        gateway.signal(signal.SIGHUP)
        mt.wait_for(lambda: fetch("--set", f"bus.curve_dir={keys}", "--set", "bus.curve_name=second").returncode == 0,
                    "the gateway to take in the second key")
        assert fetch("--set", f"bus.curve_dir={strange}").returncode == 1
        gateway.stop()


# --- keys ------------------------------------------------------------------------------------------

def test_keys_are_made_listed_allowed_and_revoked(tmp_path):
    keys = tmp_path / "keys"
    made = mailbus("keys", "new", "alice", "--set", f"bus.curve_dir={keys}")
    assert made.returncode == 0, made
    for name, mode in (("server.key", 0o644), ("server.key_secret", 0o600), ("clients/alice.key", 0o644),
                       ("clients/alice.key_secret", 0o600)):
        assert stat.S_IMODE((keys / name).stat().st_mode) == mode, name
    secret = re.search(r'secret-key = "(.{40})"', (keys / "clients/alice.key_secret").read_text())[1]
    assert secret not in made.stdout + made.stderr
    again = mailbus("keys", "new", "alice", "--dir", keys)
    assert again.returncode == 1 and "already" in again.stderr
    public = re.search(r'public-key = "(.{40})"', (keys / "clients/alice.key").read_text())[1]
    assert mailbus("keys", "list", "--dir", keys).stdout.split() == ["alice", public]
    assert mailbus("keys", "allow", "alias", public, "--dir", keys).returncode == 1
    elsewhere = tmp_path / "elsewhere"
    assert mailbus("keys", "new", "bob", "--dir", elsewhere).returncode == 0
    bob = mailbus("keys", "list", "--dir", elsewhere).stdout.split()[1]
    assert mailbus("keys", "allow", "bob", bob, "--dir", keys).returncode == 0
    assert mailbus("keys", "list", "--dir", keys).stdout.split() == ["alice", public, "bob", bob]
    assert mailbus("keys", "revoke", "alice", "--dir", keys).returncode == 0
    gone = mailbus("keys", "revoke", "alice", "--dir", keys)
    assert gone.returncode == 1 and "no key named alice" in gone.stderr
    assert not list(keys.glob("clients/alice*"))
    for name in ("../x", ".hidden", "a/b", ""):
        assert mailbus("keys", "new", name, "--dir", keys).returncode == 1
    unsaid = mailbus("keys", "list")
    assert unsaid.returncode == 2 and "--dir FOLDER" in unsaid.stderr
    nowhere = mailbus("keys", "list", "--dir", tmp_path / "nowhere")
    assert nowhere.returncode == 1 and "nowhere" in nowhere.stderr


# --- fetch and status ------------------------------------------------------------------------------

def test_fetch_pages_through_everything_in_order(gateway):
    ids = post(gateway, *range(2300))  # three pages
    everything = mailbus("fetch", "--json", *mt.set_arguments(gateway.bus()))
    events = [json.loads(line) for line in everything.stdout.splitlines()]
    assert [event["header"]["id"] for event in events] == ids
    assert [event["header"]["sequence"] for event in events] == [str(n) for n in range(1, 2301)]
    assert events[7]["body"]["message"]["subject"] == "Question 7"
    some = mailbus("fetch", "--json", "--from", 1100, "--limit", 1050, *mt.set_arguments(gateway.bus()))
    assert [json.loads(line)["header"]["sequence"] for line in some.stdout.splitlines()] == [str(n) for n in range(1100, 2150)]


def test_fetch_takes_topics_prefixes_and_times(gateway):
    a = post(gateway, 1, 2)
    spam = post(gateway, 1, topic="message.received.spam")
    sent = post(gateway, 1, topic="message.sent")
    bus = mt.set_arguments(gateway.bus())

    def ids(*arguments):
        done = mailbus("fetch", "--json", *arguments, *bus)
        assert done.returncode == 0, done
        return [json.loads(line)["header"]["id"] for line in done.stdout.splitlines()]

    assert ids("message.received") == a
    assert ids("message.received.*") == spam
    assert ids("message.received*") == a + spam
    assert ids("message.sent", "message.received") == a + sent
    assert ids("--since", "1h") == a + spam + sent
    assert ids("--from", "2000-01-01T00:00:00Z", "message.sent") == sent
    assert ids("--from", "3") == spam + sent
    nothing = mailbus("fetch", "--from", "99", *bus)
    assert nothing.returncode == 0 and nothing.stdout == "" and "ends at 4" in nothing.stderr


def test_fetch_for_people_shows_bodies_and_lets_nothing_at_the_terminal(gateway):
    hostile = "a\x1b[2Jb\x07\x9bc\u202ed\u2028e\x7f"
    post(gateway, 1, subject=hostile, text=hostile, **{"from": f"{hostile} <x@example.com>"})
    body = json.dumps(mt.received(2, event_id="evt_raw", subject=hostile.replace("\x1b", "").replace("\x07", "")),
                      ensure_ascii=False).encode()
    assert gateway.post(body)[0] == 200
    for form in ([], ["--bodies"], ["--json"]):
        done = mailbus("fetch", *form, *mt.set_arguments(gateway.bus()))
        assert done.returncode == 0
        for character in "\x1b\x07\x9b\u202e\u2028\x7f\r":
            assert character not in done.stdout, (form, character)
    subjects = [json.loads(line)["body"]["message"]["subject"] for line in done.stdout.splitlines()]
    assert subjects[0] == hostile  # and yet a program reads the same
    shown = mailbus("fetch", "--bodies", "--limit", 1, *mt.set_arguments(gateway.bus())).stdout
    assert '        "inbox_id": "support@agentmail.to",' in shown


def test_reader_that_goes_away_is_no_failure(gateway):
    post(gateway, *range(50))
    command = " ".join(map(str, [mt.BIN / "mailbus", "fetch", "--json", *mt.set_arguments(gateway.bus())]))
    done = subprocess.run(["bash", "-c", f"{command} | head -n 1; exit ${{PIPESTATUS[0]}}"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and done.stdout.count("\n") == 1 and done.stderr == ""


def test_full_disk_is_a_failure(gateway):
    post(gateway, 1)
    with open("/dev/full", "w") as full:
        done = subprocess.run([mt.BIN / "mailbus", "fetch", *mt.set_arguments(gateway.bus())], stdout=full,
                              stderr=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == 1 and "standard output" in done.stderr


def test_status_shows_where_the_journal_stands(gateway):
    empty = mailbus("status", "--interval", "500ms", *mt.set_arguments(gateway.bus()))
    assert empty.returncode == 0 and "no event is kept" in empty.stdout
    post(gateway, 1, 2)
    post(gateway, 1, topic="message.sent")
    stop = threading.Event()

    def keep_posting():
        number = 10
        while not stop.is_set():
            post(gateway, number)
            number += 1

    poster = threading.Thread(target=keep_posting)
    poster.start()
    try:
        done = mailbus("status", "--json", "--interval", "1s", *mt.set_arguments(gateway.bus()))
    finally:
        stop.set()
        poster.join()
    status = json.loads(done.stdout)
    assert status["rate"] > 0 and status["topics"]["message.received"]["rate"] > 0
    assert status["topics"]["message.sent"] == {"last": "3", "rate": 0.0}
    assert int(status["head"]) > 3 and status["oldest"] == "1"
    assert uuid.UUID(status["stream"])
    text = mailbus("status", "--interval", "500ms", *mt.set_arguments(gateway.bus())).stdout
    assert status["stream"] in text and re.search(r"^message\.received +\d+ +\d", text, re.M)
    assert "\x1b" not in text


# --- tail ------------------------------------------------------------------------------------------

def test_tail_shows_what_comes_one_line_each_and_no_colours_in_a_pipe(gateway):
    post(gateway, 1)  # before: not shown
    with Tail(gateway.bus(), env={"TERM": "xterm-256color"}) as tail:
        tail.wait_live(gateway)
        post(gateway, 2, subject="Over here")
        line = mt.wait_for(lambda: next((l for l in list(tail.out) if "Over here" in l), None), "the line")
        assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ #\d+ message\.received +support@agentmail\.to ← "
                            r"Jane Doe <jane@example\.com>: Over here\n", line)
        assert not any("evt_message.received_1" in l or "Question 1" in l or "\x1b" in l for l in tail.out)
        tail.stop()


def test_tail_from_goes_from_replay_to_live_without_gap_or_double(gateway):
    before = post(gateway, *range(1500))
    with Tail(gateway.bus(), "--json", "--from", 501) as tail:
        live = post(gateway, *range(1500, 2200))  # while it catches up
        ids = tail.wait_ids(1700)
        assert ids == before[500:] + live
        tail.stop()


def test_tail_from_a_time_and_from_the_oldest(gateway):
    ids = post(gateway, *range(5))
    for start in ("1h", "2000-01-01", "0", "1"):
        with Tail(gateway.bus(), "--json", "--from", start, "message.received") as tail:
            assert tail.wait_ids(5) == ids
            tail.stop()


def test_tail_keeps_to_its_topics(gateway):
    with Tail(gateway.bus(), "--json", "--from", "0", "message.received", "domain.*") as tail:
        a = post(gateway, 1)
        post(gateway, 1, topic="message.received.spam")
        post(gateway, 1, topic="message.sent")
        b = post(gateway, 1, topic="domain.verified")
        c = post(gateway, 2)
        assert tail.wait_ids(3) == a + b + c
        tail.stop()


def test_tail_misses_nothing_on_a_bad_network(gateway):
    proxy = LossyProxy(gateway.publish, gateway.replay, drop=0.4, cut_every=10**9)
    try:
        with Tail(proxy.bus(), "--json", "--from", "0") as tail:
            ids = []
            for start in range(0, 400, 40):
                ids += post(gateway, *range(start, start + 40))
            shown = tail.wait_ids(400)
            assert proxy.dropped > 0
            assert sorted(shown) == sorted(ids) and len(shown) == len(set(shown))
            tail.stop()
    finally:
        proxy.stop()


def test_tail_outlives_the_gateway_and_misses_nothing(tmp_path):
    publish, replay = (f"tcp://127.0.0.1:{mt.free_port()}" for _ in range(2))
    with mt.Gateway(tmp_path, publish=publish, replay=replay) as gateway:
        with Tail(gateway.bus(), "--json", "--from", "0") as tail:
            ids = post(gateway, *range(10))
            tail.wait_ids(10)
            gateway.kill()
            with mt.Gateway(tmp_path, publish=publish, replay=replay) as again:
                ids += post(again, *range(10, 30))
                assert tail.wait_ids(30) == ids
                tail.stop()
                again.stop()


def test_tail_says_that_the_journal_is_another_one(tmp_path):
    publish, replay = (f"tcp://127.0.0.1:{mt.free_port()}" for _ in range(2))
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    with mt.Gateway(tmp_path / "one", publish=publish, replay=replay) as first:
        with Tail(first.bus(), "--json") as tail:
            tail.wait_live(first)
            first.stop()
            with mt.Gateway(tmp_path / "two", publish=publish, replay=replay) as second:
                mt.wait_for(lambda: any("another journal" in line for line in tail.lines), tail.tail)
                ids = post(second, *range(5))
                mt.wait_for(lambda: without_probes(tail.ids()) == ids, lambda: f"{tail.ids()} {tail.tail()}")
                tail.stop()
                second.stop()


def test_stopped_tail_costs_nothing_and_goes_on(gateway):
    with Tail(gateway.bus(), "--json", "--from", "0") as tail:
        ids = post(gateway, *range(10))
        tail.wait_ids(10)
        tail.signal(signal.SIGSTOP)
        ids += post(gateway, *range(10, 3000))
        # Longer than it waits for a gateway (cli.timeout, 3 s): the time in which it was stopped does not count.
        heads = gateway.metric("mailbus_bus_heads_total")
        mt.wait_for(lambda: gateway.metric("mailbus_bus_heads_total") >= heads + 4, "four seconds of heads")
        tail.signal(signal.SIGCONT)
        assert tail.wait_ids(3000) == ids
        tail.stop()


def test_ctrl_c_ends_tail_at_once_with_0(gateway):
    with Tail(gateway.bus()) as tail:
        tail.wait_live(gateway)
        tail.signal(signal.SIGINT)
        assert tail.process.wait(10) == 0


# --- webhook ---------------------------------------------------------------------------------------

def test_webhook_is_registered_listed_and_deleted():
    with mt.Sim() as sim:
        env = {"AGENTMAIL_API_KEY": "am_test"}
        base = ["--set", f"api.base_url={sim.base_url}"]
        made = mailbus("webhook", "create", "--url", "https://example.com/webhook", *base, env=env)
        assert made.returncode == 0, made
        # The secret alone is on standard output, so that a script can take it.
        assert re.fullmatch(r"whsec_[A-Za-z0-9+/=]+\n", made.stdout), made
        assert "MAILBUS_VERIFY_SECRET" in made.stderr and made.stdout.strip() not in made.stderr
        listed = mailbus("webhook", "list", *base, env=env)
        assert listed.returncode == 0 and "https://example.com/webhook" in listed.stdout
        assert "message.received" in listed.stdout and made.stdout.strip() not in listed.stdout
        id = listed.stdout.split()[0]
        gone = mailbus("webhook", "delete", id, *base, env=env)
        assert gone.returncode == 0, gone
        assert id not in mailbus("webhook", "list", *base, env=env).stdout
        twice = mailbus("webhook", "delete", id, *base, env=env)
        assert twice.returncode == 1 and twice.stderr.count("\n") == 1
        sim.stop()
    down = mailbus("webhook", "list", *base, env=env)
    assert down.returncode == 1 and sim.address.rsplit(":")[1] in down.stderr, down


def test_key_does_not_go_in_the_clear_to_another_machine():
    done = mailbus("webhook", "list", "--set", "api.base_url=http://192.0.2.1/v0", env={"AGENTMAIL_API_KEY": "am_x"})
    assert done.returncode == 1 and "am_x" not in done.stderr


# --- dead letters ----------------------------------------------------------------------------------

def dead_numbers(*where):
    done = mailbus("dead", "list", "--json", *where)
    assert done.returncode == 0, done
    return [json.loads(line)["number"] for line in done.stdout.splitlines()]


@pytest.fixture
def dead_letters(gateway, tmp_path):
    """A recorder that has rejected three events; yields its class arguments and ids."""
    with mt.Subscriber("mailbus-recorder", tmp_path, gateway.bus(), workers=1, record__reject=1,
                       bus__start="oldest") as recorder:
        ids = post(gateway, 1, 2, 3, subject="a\x1b[2Jb")
        mt.wait_for(lambda: len(dead_numbers("--admin", recorder.admin)) == 3, recorder.tail)
        yield gateway, recorder, ids


def test_dead_letters_of_a_running_program_go_through_it(dead_letters, tmp_path):
    gateway, recorder, ids = dead_letters
    where = ["--admin", recorder.admin]
    listed = mailbus("dead", "list", *where)
    assert all(id in listed.stdout for id in ids) and "\x1b" not in listed.stdout
    first, second, third = dead_numbers(*where)
    shown = mailbus("dead", "show", first, *where)
    assert shown.returncode == 0 and "support@agentmail.to" in shown.stdout and "\x1b" not in shown.stdout
    letter = json.loads(mailbus("dead", "show", first, "--json", *where).stdout)
    assert letter["event"] == ids[0] and letter["header"]["id"] == ids[0]
    assert letter["body"]["message"]["subject"] == "a\x1b[2Jb"
    assert mailbus("dead", "drop", third, *where).returncode == 0
    assert dead_numbers(*where) == [first, second]
    # Tried again it is rejected again, under a new number: the numbers never come back.
    assert mailbus("dead", "retry", first, *where).returncode == 0
    mt.wait_for(lambda: len(dead_numbers(*where)) == 2 and first not in dead_numbers(*where), "the second try")
    missing = mailbus("dead", "show", 999, *where)
    assert missing.returncode == 1 and missing.stderr.count("\n") == 1
    # Its file is its own while it runs, and names its listener.
    assert dead_numbers("--state", tmp_path / "mailbus-recorder.db") == dead_numbers(*where)
    (tmp_path / "mailbus-data").mkdir()
    for name in ("mailbus-recorder.db", "mailbus-recorder.db.lock", "mailbus-recorder.db-wal", "mailbus-recorder.db-shm"):
        (tmp_path / "mailbus-data" / name.replace("mailbus-recorder", "recorder")).symlink_to(tmp_path / name)
    named = mailbus("dead", "list", "--name", "recorder", cwd=tmp_path)
    assert named.returncode == 0 and named.stdout == mailbus("dead", "list", *where).stdout


def test_dead_letters_of_a_program_without_a_listener_want_it_stopped(gateway, tmp_path):
    options = {"state.path": tmp_path / "quiet.db", "admin.listen": "", **gateway.bus()}
    with mt.Program("mailbus-recorder", *mt.set_arguments(options), cwd=tmp_path) as recorder:
        recorder.wait_log(stage="main", message="ready")
        held = mailbus("dead", "list", "--timeout", "300ms", "--state", tmp_path / "quiet.db")
        assert held.returncode == 1 and "in use by a program" in held.stderr
        recorder.stop()
    assert mailbus("dead", "list", "--state", tmp_path / "quiet.db").returncode == 0


def test_dead_letters_of_a_stopped_program_are_in_its_file(dead_letters, tmp_path):
    gateway, recorder, ids = dead_letters
    recorder.stop()
    state = tmp_path / "mailbus-recorder.db"
    where = ["--state", state]
    first, second, third = dead_numbers(*where)
    letter = json.loads(mailbus("dead", "show", second, "--json", *where).stdout)
    assert letter["event"] == ids[1] and letter["body"]["event_id"] == ids[1]
    assert mailbus("dead", "drop", third, *where).returncode == 0
    assert mailbus("dead", "retry", first, second, *where).returncode == 0
    assert dead_numbers(*where) == []
    gone = mailbus("dead", "retry", first, *where)
    assert gone.returncode == 1
    with mt.Subscriber("mailbus-recorder", tmp_path, gateway.bus()) as again:
        import sqlite3

        def recorded():
            with sqlite3.connect(f"file:{state}?mode=ro", uri=True) as db:
                return sorted(id for (id,) in db.execute("SELECT id FROM recorded"))

        mt.wait_for(lambda: recorded() == sorted(ids[:2]), again.tail)
        again.stop()


def test_dead_of_nobody_makes_no_file(tmp_path):
    done = mailbus("dead", "list", "--state", tmp_path / "typo.db")
    assert done.returncode == 1 and "typo.db" in done.stderr
    assert mailbus("dead", "list", "--name", "typo", cwd=tmp_path).returncode == 1
    assert "mailbus-data/typo.db" in mailbus("dead", "list", "--name", "typo", cwd=tmp_path).stderr
    assert list(pathlib.Path(tmp_path).iterdir()) == []
    down = mailbus("dead", "list", "--admin", f"127.0.0.1:{mt.free_port()}")
    assert down.returncode == 1 and "nobody listens" in down.stderr


def test_dead_leaves_a_database_of_another_kind_as_it_is(tmp_path):
    path = tmp_path / "somebodys.db"
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE things (name TEXT)")
        db.commit()
    done = mailbus("dead", "list", "--state", path)
    assert done.returncode == 1 and "another kind" in done.stderr and "state.path" in done.stderr
    with contextlib.closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT name FROM sqlite_master").fetchall() == [("things",)]
