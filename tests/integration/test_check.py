"""The check protocol: both sides in real programs, against each other, Python examples, vectors and worse."""

import base64
import contextlib
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import threading

import pytest
import zmq
import zmq.auth
from checker import rows
from mailbus_testing import BIN, ROOT, Gateway, Program, Subscriber, free_port, received, set_arguments, wait_for

PROTO = ROOT / "proto"
VECTORS = json.loads((PROTO / "vectors" / "check.json").read_text(encoding="utf-8"))


def mailbus(*arguments, timeout=60, env=None):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MAILBUS_")}
    return subprocess.run([BIN / "mailbus", *map(str, arguments)], capture_output=True, text=True, timeout=timeout,
                          env={**environment, **(env or {})})


def check(endpoints, *addresses, timeout="5s", **settings):
    """`mailbus check --json`: (exit status, one answer an address)."""
    done = mailbus("check", *addresses, "--json", "--checks", endpoints, "--timeout", timeout, *set_arguments(settings))
    assert done.returncode in (0, 1, 3), done.stderr
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


class Answerer(Subscriber):
    """mailbus-checklist with a list of its own; `list(…)` writes it."""

    def __init__(self, folder, bus, *lines, listen="tcp://127.0.0.1:*", **settings):
        folder.mkdir(exist_ok=True)
        self.path = folder / "list.txt"
        self.list(*lines)
        super().__init__("mailbus-checklist", folder, {**bus, "check.listen": listen, "list.path": self.path},
                         env={"ASAN_OPTIONS": "quarantine_size_mb=4"}, **settings)  # what is freed is no growth
        self.endpoint = self.find(stage="check", message="bound")["endpoint"]

    def list(self, *lines):
        new = self.path.with_suffix(".new")
        new.write_text("".join(f"{line}\n" for line in lines))
        new.rename(self.path)

    def answers(self, answer):
        return self.metric("mailbus_checklist_checks_total", answer=answer)


class Asker(Subscriber):
    """mailbus-checklist that asks about the sender of every mail."""

    def __init__(self, folder, bus, checks, **settings):
        folder.mkdir(exist_ok=True)
        options = {"send__checks": checks, "retry__first_pause": "100ms", "retry__max_pause": "200ms", **settings}
        super().__init__("mailbus-checklist", folder, bus, **options)

    def verdicts(self):
        path = self.folder / "mailbus-checklist.db"
        return dict(rows(path, "SELECT address, verdict FROM asked")) if path.exists() else {}

    def wait_verdict(self, address, verdict):
        wait_for(lambda: self.verdicts().get(address) == verdict, lambda: f"{address} to be {verdict}\n{self.tail()}")

    def wait_not_now(self, text):
        wait_for(lambda: any("not now: " in line and text in line for line in self.lines),
                 lambda: f"not now, with '{text}'\n{self.tail()}")


@pytest.fixture(scope="module")
def bus(tmp_path_factory):
    """The settings of a subscriber of one gateway, and the gateway itself."""
    with Gateway(tmp_path_factory.mktemp("gateway")) as gateway:
        yield gateway
        gateway.stop()


@pytest.fixture(scope="module")
def context():
    with zmq.Context() as made:
        yield made


@contextlib.contextmanager
def dealer(context, endpoint, kind=zmq.DEALER, **options):
    with context.socket(kind) as made:
        made.linger = 0
        for name, value in options.items():
            setattr(made, name, value)
        made.connect(endpoint)
        yield made


def question(address):
    return json.dumps({"check": "may-send", "address": address}).encode()


def post(gateway, address):
    status, answer = gateway.post(received(1, **{"from": address}))
    assert status == 200, answer


class Router:
    """An answerer in Python that does what `act(frames, send)` says, on a thread of its own."""

    def __init__(self, context, act, endpoint="tcp://127.0.0.1:*"):
        self.socket = context.socket(zmq.ROUTER)
        self.socket.linger = 0
        self.socket.bind(endpoint)
        self.endpoint = self.socket.last_endpoint.decode()
        self.act, self.ended = act, False
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while not self.ended:
            if self.socket.poll(20):
                self.act(self.socket.recv_multipart(), self.socket.send_multipart)
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.ended = True
        self.thread.join(10)


# ---- the answering side ------------------------------------------------------------------------


def test_every_shape_is_answered_in_kind(bus, tmp_path, context):
    with Answerer(tmp_path, bus.bus()) as answerer:
        for shape in VECTORS["shapes"]:
            frames = [base64.b64decode(frame) for frame in shape["frames"]]
            with dealer(context, answerer.endpoint) as asker:
                asker.send_multipart(frames)
                if shape["answer"] == "nothing":
                    # What comes behind it is answered, and nothing before.
                    asker.send_multipart([b"behind", b"", question("jane@example.com")])
                    assert asker.poll(10_000), shape["name"]
                    assert asker.recv_multipart()[0] == b"behind", shape["name"]
                    continue
                assert asker.poll(10_000), shape["name"]
                *envelope, body = asker.recv_multipart()
                assert envelope == frames[:shape["kept"]], shape["name"]
                answer = json.loads(body)
                assert answer.get("answer", "error") == shape["answer"], shape["name"]
                if shape["answer"] == "error":
                    assert answer["error"] and "jane" not in answer["error"]
        for answer in ("yes", "error"):
            assert answerer.answers(answer) >= sum(shape["answer"] == answer for shape in VECTORS["shapes"])
        assert answerer.answers("dropped") == sum(shape["answer"] == "nothing" for shape in VECTORS["shapes"])
        answerer.stop()


def test_every_request_of_the_vectors_gets_what_the_vectors_say(bus, tmp_path, context):
    with Answerer(tmp_path, bus.bus()) as answerer:
        for kind in ("valid", "invalid"):
            for vector in VECTORS["requests"][kind]:
                frame = base64.b64decode(vector["frames"][0])
                with dealer(context, answerer.endpoint) as asker:
                    asker.send_multipart([b"", frame])
                    assert asker.poll(10_000), vector["name"]
                    answer = json.loads(asker.recv_multipart()[1])
                # What is no mail address is refused by the list, not by the codec.
                address = vector.get("expect", {}).get("address", "")
                good = kind == "valid" and vector["expect"]["known"] and "@" in address and len(address) < 255
                assert answer == {"answer": "yes"} if good else "error" in answer, (vector["name"], answer)
        answerer.stop()


def test_a_no_carries_reason_and_end_and_addresses_are_compared_without_case(bus, tmp_path):
    with Answerer(tmp_path, bus.bus(), "gone@example.com mailbox does not exist",
                  "full@example.com until=2030-01-01T12:00:00+02:00 3 soft bounces") as answerer:
        status, (gone, full, other) = check(answerer.endpoint, "GONE@Example.com", "full@example.com", "a@example.com")
        assert status == 1
        assert gone["answers"] == [{"from": answerer.endpoint, "answer": "no", "reason": "mailbox does not exist"}]
        assert full["answers"] == [{"from": answerer.endpoint, "answer": "no", "reason": "3 soft bounces",
                                    "until": "2030-01-01T10:00:00.000Z"}]
        assert other == {"address": "a@example.com", "answer": "yes",
                         "answers": [{"from": answerer.endpoint, "answer": "yes"}]}
        answerer.list()
        assert check(answerer.endpoint, "gone@example.com")[0] == 0
        answerer.stop()


def raw(endpoint, data):
    """Bytes on a TCP connection, by somebody who speaks something else; until the server cuts it or sends."""
    host, port = endpoint.removeprefix("tcp://").rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        with contextlib.suppress(OSError):  # it was cut
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass


# The greeting of ZMTP 3.1 with NULL, READY of a DEALER, and a frame that announces 2^62 bytes.
GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x01" + b"NULL".ljust(20, b"\0") + bytes(32)
READY = b"\x04\x1c\x05READY\x0bSocket-Type\x00\x00\x00\x06DEALER"
HUGE = b"\x02" + struct.pack(">Q", 2**62)


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\n\r\n", b"\0" * 4096, os.urandom(65536), GREETING,
                                  GREETING + READY + HUGE, GREETING + READY + HUGE + b"x" * 1_000_000],
                         ids=["http", "zeros", "noise", "greeting", "huge", "huge and on"])
def test_strangers_bytes_harm_nobody(bus, tmp_path, data):
    with Answerer(tmp_path, bus.bus()) as answerer:
        before = answerer.rss()
        for _ in range(5):
            raw(answerer.endpoint, data)
        assert check(answerer.endpoint, "a@example.com")[0] == 0
        assert answerer.rss() - before < 64 * 1024 * 1024
        answerer.stop()


def test_a_frame_beyond_the_limit_closes_that_connection_only(bus, tmp_path, context):
    with Answerer(tmp_path, bus.bus()) as answerer, dealer(context, answerer.endpoint) as good, \
            dealer(context, answerer.endpoint) as bad:
        good.send_multipart([b"", question("a@example.com")])
        assert good.poll(10_000) and good.recv_multipart()
        with bad.get_monitor_socket(zmq.EVENT_DISCONNECTED) as monitor:
            bad.send_multipart([b"", b" " * 5000])
            assert monitor.poll(10_000), "the connection to be cut"
            bad.disable_monitor()
        good.send_multipart([b"", question("a@example.com")])
        assert good.poll(10_000) and good.recv_multipart()[1] == b'{"answer":"yes"}'
        answerer.stop()


def test_who_reads_no_answers_grows_nothing_and_holds_up_nobody(bus, tmp_path, context):
    reason = "r" * 400
    with Answerer(tmp_path, bus.bus(), f"jane@example.com {reason}") as answerer, \
            dealer(context, answerer.endpoint, rcvhwm=1, sndhwm=1000, rcvbuf=4096) as deaf:
        before = answerer.rss()
        count = 20_000
        for _ in range(count):
            deaf.send_multipart([b"", question("jane@example.com")])
        wait_for(lambda: answerer.answers("unsent") > 1000, "answers that nobody takes")
        assert check(answerer.endpoint, "jane@example.com", "a@example.com")[0] == 1
        wait_for(lambda: answerer.answers("no") + answerer.answers("unsent") == count + 1, "all to be answered")
        assert answerer.rss() - before < 64 * 1024 * 1024
        answerer.stop()


def test_many_who_come_and_go_at_once(bus, tmp_path, context):
    with Answerer(tmp_path, bus.bus(), "b@example.com") as answerer:
        for _ in range(5):
            with contextlib.ExitStack() as stack:
                askers = [stack.enter_context(dealer(context, answerer.endpoint)) for _ in range(100)]
                for number, asker in enumerate(askers):
                    asker.send_multipart([b"%d" % number, b"", question("ab"[number % 2] + "@example.com")])
                for number, asker in enumerate(askers[:50]):  # the others leave without a word
                    assert asker.poll(10_000)
                    frames = asker.recv_multipart()
                    assert frames[0] == b"%d" % number
                    assert json.loads(frames[2])["answer"] == ("yes", "no")[number % 2]
        answerer.stop()


def test_it_listens_beyond_loopback_only_with_keys_or_on_demand(bus, tmp_path):
    options = {**bus.bus(), "state.path": tmp_path / "x.db", "admin.listen": "", "check.listen": "tcp://0.0.0.0:*"}
    with Program("mailbus-checklist", *set_arguments(options), cwd=tmp_path) as program:
        program.wait_log(stage="main", message="can't start")
        program.stop(expect=1)
        assert "check.open=yes" in program.tail()
    with Program("mailbus-checklist", *set_arguments({**options, "check.open": "yes"}), cwd=tmp_path) as program:
        program.wait_log(stage="main", message="ready")
        assert "check.open=yes" in program.find(stage="check", level="warn")["message"]
        program.stop()


def test_an_endpoint_that_is_taken_is_said_at_start(bus, tmp_path):
    with Answerer(tmp_path / "one", bus.bus()) as answerer:
        options = {**bus.bus(), "state.path": tmp_path / "x.db", "check.listen": answerer.endpoint}
        with Program("mailbus-checklist", *set_arguments(options), cwd=tmp_path) as other:
            assert answerer.endpoint in other.wait_log(stage="main", message="can't start")["reason"]
            other.stop(expect=1)
        with Program("mailbus-checklist", *set_arguments({**options, "check.listen": "localhost:1"}), cwd=tmp_path) as other:
            assert "check.listen: can't bind localhost:1" in other.wait_log(stage="main", message="can't start")["reason"]
            other.stop(expect=1)
        answerer.stop()


# ---- the asking side ---------------------------------------------------------------------------


def test_what_is_no_answer_is_never_yes(context):
    """Every invalid answer of the vectors, and every wrong shape, for an address of its own."""
    good = b'{"answer":"yes"}'
    shapes = [[], [b"", b""], [good], [b"", good, b""], [b"", good, good], [b"x", good], [b"x", b"", good],
              [b""] * 20, [b"", b" " * 4090 + good]]
    bodies = [[b"", base64.b64decode(vector["frames"][0])] for vector in VECTORS["answers"]["invalid"]]
    answers = [*bodies, *shapes[1:]]

    def act(frames, send):
        number = int(json.loads(frames[2])["address"].split("@")[0])
        send([frames[0], *answers[number]])

    with Router(context, act) as router:
        status, told = check(router.endpoint, *(f"{number}@example.com" for number in range(len(answers))))
        assert status == 3
        assert [answer["answer"] for answer in told] == ["none"] * len(answers)
        for answer in told:
            assert "unusable" in answer["answers"][0]["reason"] or "not one frame" in answer["answers"][0]["reason"]
        assert "the list can't be read" in "".join(answer["answers"][0]["reason"] for answer in told)


def test_valid_answers_are_taken_in_every_form(context):
    vectors = VECTORS["answers"]["valid"]

    def act(frames, send):
        number = int(json.loads(frames[2])["address"].split("@")[0])
        send([*frames[:2], base64.b64decode(vectors[number]["frames"][0])])

    with Router(context, act) as router:
        _, told = check(router.endpoint, *(f"{number}@example.com" for number in range(len(vectors))))
        for vector, answer in zip(vectors, told, strict=True):
            assert answer["answer"] == vector["expect"]["answer"], vector["name"]
            assert answer["answers"][0].get("reason", "") == vector["expect"]["reason"].strip(), vector["name"]
            assert ("until" in answer["answers"][0]) == (vector["expect"]["until_ms"] != "0")


def test_a_frame_beyond_the_limit_is_no_answer(context):
    with Router(context, lambda frames, send: send([*frames[:2], b" " * 70_000 + b'{"answer":"yes"}'])) as router:
        assert check(router.endpoint, "a@example.com", timeout="300ms")[0] == 3


def test_a_mail_waits_while_there_is_no_answer_and_goes_out_after_it(bus, tmp_path):
    with Answerer(tmp_path / "one", bus.bus(), "no@example.com listed") as answerer:
        answerer.path.unlink()  # the list can't be read: silence
        with Asker(tmp_path / "two", bus.bus(), answerer.endpoint, send__check_timeout="200ms") as asker:
            post(bus, "no@example.com")
            post(bus, "yes@example.com")
            wait_for(lambda: asker.metric("mailbus_checklist_asked_total", answer="none") >= 4, lambda: asker.tail())
            asker.wait_not_now("nothing came within 200 ms")
            assert asker.verdicts() == {}
            assert answerer.answers("silent") >= 4
            silences = [entry for entry in answerer.log if "gives no answer" in entry.get("message", "")]
            assert [entry["reason"] for entry in silences] == ["there is no list"]  # one line, not one a question
            answerer.list("no@example.com listed")
            asker.wait_verdict("no@example.com", "refused")
            asker.wait_verdict("yes@example.com", "allowed")
            answerer.wait_log(stage="check", message="the list answers again")
            reason = rows(tmp_path / "two" / "mailbus-checklist.db", "SELECT reason FROM asked WHERE verdict='refused'")
            assert reason == [(f"{answerer.endpoint} says no: listed",)]
            asker.stop()
        answerer.stop()


def test_a_slow_answer_is_none_and_holds_a_worker_no_longer_than_the_timeout(bus, tmp_path):
    with Answerer(tmp_path, bus.bus(), list__slow="700ms") as answerer:
        status, (answer,) = check(answerer.endpoint, "a@example.com", timeout="200ms")
        assert (status, answer["answer"]) == (3, "none")
        assert check(answerer.endpoint, "a@example.com", timeout="10s")[0] == 0
        answerer.stop()


def test_a_late_answer_is_never_taken_for_another_question(bus, tmp_path, context):
    """The answer about Jane (yes) is held back until the question about John is there, and sent first."""
    seen = {}

    def act(frames, send):
        address = json.loads(frames[2])["address"]
        first = address not in seen
        seen.setdefault(address, []).append(frames[:2])
        if address == "john@example.com":
            for late in seen["jane@example.com"]:
                send([*late, b'{"answer":"yes"}'])
            if not first:
                send([*frames[:2], b'{"answer":"no","reason":"about John"}'])

    with Router(context, act) as router:
        with Asker(tmp_path, bus.bus(), router.endpoint, send__check_timeout="300ms", workers=1,
                   retry__first_pause="1h", retry__max_pause="1h") as asker:
            post(bus, "jane@example.com")
            wait_for(lambda: asker.metric("mailbus_checklist_asked_total", answer="none") == 1, lambda: asker.tail())
            post(bus, "john@example.com")
            wait_for(lambda: asker.metric("mailbus_checklist_asked_total", answer="none") == 2, lambda: asker.tail())
            post(bus, "john@example.com")
            asker.wait_verdict("john@example.com", "refused")
            assert asker.metric("mailbus_checklist_asked_total", answer="yes") == 0
            assert asker.verdicts() == {"john@example.com": "refused"}
            asker.stop()


def test_one_no_is_no_whoever_else_says_yes_or_nothing(bus, tmp_path, context):
    with Answerer(tmp_path / "one", bus.bus(), "a@example.com first list", "b@example.com both") as one, \
            Answerer(tmp_path / "two", bus.bus(), "c@example.com second list", "b@example.com both") as two:
        both = f"{one.endpoint} {two.endpoint}"
        status, told = check(both, *(f"{name}@example.com" for name in "abcd"))
        assert status == 1
        assert [[reply["answer"] for reply in answer["answers"]] for answer in told] == [
            ["no", "yes"], ["no", "no"], ["yes", "no"], ["yes", "yes"]]
        assert [answer["answer"] for answer in told] == ["no", "no", "no", "yes"]
        nobody = f"tcp://127.0.0.1:{free_port()}"
        with Router(context, lambda frames, send: None) as mute, \
                Asker(tmp_path / "asker", bus.bus(), f"{mute.endpoint} {two.endpoint} {nobody}",
                      send__check_timeout="30s") as asker:
            post(bus, "c@example.com")  # a no is not kept waiting by those who say nothing
            asker.wait_verdict("c@example.com", "refused")
            asker.stop()
        status, (answer,) = check(f"{nobody} {two.endpoint}", "d@example.com", timeout="200ms")
        assert (status, answer["answer"]) == (3, "none")
        assert "nobody listened there" in answer["answers"][0]["reason"]
        one.stop()
        two.stop()


def test_one_that_is_stopped_in_mid_question_and_goes_on(bus, tmp_path):
    with Answerer(tmp_path / "one", bus.bus()) as answerer, \
            Asker(tmp_path / "two", bus.bus(), answerer.endpoint, send__check_timeout="200ms") as asker:
        answerer.signal(signal.SIGSTOP)
        post(bus, "a@example.com")
        asker.wait_not_now("within 200 ms")
        assert asker.verdicts() == {}
        answerer.signal(signal.SIGCONT)
        asker.wait_verdict("a@example.com", "allowed")
        answerer.stop()
        asker.stop()


def test_one_that_is_killed_in_mid_question_and_comes_back(bus, tmp_path):
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    with Asker(tmp_path / "two", bus.bus(), endpoint, send__check_timeout="500ms") as asker:
        with Answerer(tmp_path / "one", bus.bus(), listen=endpoint, list__slow="60s") as answerer:
            post(bus, "a@example.com")
            wait_for(lambda: asker.metric("mailbus_checklist_asked_total", answer="none") >= 1, lambda: asker.tail())
            answerer.kill()
        with Answerer(tmp_path / "one", bus.bus(), "b@example.com back", listen=endpoint) as answerer:
            post(bus, "b@example.com")
            asker.wait_verdict("a@example.com", "allowed")
            asker.wait_verdict("b@example.com", "refused")
            answerer.stop()
        asker.stop()


@pytest.mark.parametrize("transport", ["tcp", "ipc"])
def test_a_restart_in_mid_question_is_ridden_out(bus, tmp_path, transport):
    endpoint = f"tcp://127.0.0.1:{free_port()}" if transport == "tcp" else f"ipc://{tmp_path}/check.ipc"
    with subprocess.Popen([BIN / "mailbus", "check", "a@example.com", "--checks", endpoint, "--timeout", "60s"],
                          stdout=subprocess.PIPE) as asking:
        with Answerer(tmp_path, bus.bus(), listen=endpoint) as answerer:
            out, _ = asking.communicate(timeout=30)
            assert (asking.returncode, out) == (0, f"a@example.com  yes\n  {endpoint}  yes\n".encode())
            answerer.stop()


def test_many_workers_at_once_each_get_the_answer_to_their_own_question(bus, tmp_path):
    names = [f"{'bad' if number % 3 == 0 else 'good'}{number}@example.com" for number in range(300)]
    bad = [name for name in names if name.startswith("bad")]
    with Answerer(tmp_path / "one", bus.bus(), *bad[::2]) as one, \
            Answerer(tmp_path / "two", bus.bus(), *bad[1::2]) as two, \
            Asker(tmp_path / "three", bus.bus(), f"{one.endpoint} {two.endpoint}", workers=16,
                  send__check_timeout="20s") as asker:
        for name in names:
            post(bus, name)
        wait_for(lambda: len(asker.verdicts()) == len(names), lambda: asker.tail())
        assert asker.verdicts() == {name: "refused" if name in bad else "allowed" for name in names}
        assert asker.metric("mailbus_checklist_asked_total", answer="none") == 0
        asker.stop()
        one.stop()
        two.stop()


@pytest.mark.parametrize("checks, text", [
    ("http://127.0.0.1:1", "http://127.0.0.1:1"), ("tcp://127.0.0.1:1 x", "x"), ("me@tcp://127.0.0.1:1", "bus.curve_dir"),
    ("tcp://127.0.0.1:1 tcp://127.0.0.1:1", "twice"), ("@tcp://127.0.0.1:1", "name"),
    (" ".join(f"tcp://127.0.0.1:{port}" for port in range(1, 18)), "more than 16")])
def test_a_wrong_entry_is_said_at_start(bus, tmp_path, checks, text):
    options = {**bus.bus(), "state.path": tmp_path / "x.db", "send.checks": checks}
    with Program("mailbus-checklist", *set_arguments(options), cwd=tmp_path) as program:
        reason = program.wait_log(stage="main", message="can't start")["reason"]
        assert "send.checks" in reason and text in reason
        program.stop(expect=1)
    done = mailbus("check", "a@example.com", "--checks", checks)
    assert done.returncode == 2 and text in done.stderr


# ---- keys --------------------------------------------------------------------------------------


def keys(folder, *arguments):
    done = mailbus("keys", *arguments, "--set", f"bus.curve_dir={folder}")
    assert done.returncode == 0, done.stderr


@contextlib.contextmanager
def encrypted(tmp_path):
    """A gateway, an answerer and the key folder; `checklist` is the answerer's key, `alice` and `bob` may ask."""
    folder = tmp_path / "keys"
    for name in ("checklist", "alice", "bob"):
        keys(folder, "new", name)
    with Gateway(tmp_path, bus__curve_dir=folder) as gateway:
        bus = {**gateway.bus(), "bus.curve_dir": folder}
        with Answerer(tmp_path / "one", bus, "no@example.com listed") as answerer:
            yield gateway, bus, answerer, folder
            answerer.stop()
        gateway.stop()


def test_with_keys_both_answers_come_and_a_stranger_gets_nothing(tmp_path, context):
    with encrypted(tmp_path) as (gateway, bus, answerer, folder):
        named = f"checklist@{answerer.endpoint}"
        with Asker(tmp_path / "two", bus, named, bus__curve_name="alice") as asker:
            post(gateway, "no@example.com")
            post(gateway, "yes@example.com")
            asker.wait_verdict("no@example.com", "refused")
            asker.wait_verdict("yes@example.com", "allowed")
            reason = rows(tmp_path / "two" / "mailbus-checklist.db", "SELECT reason FROM asked WHERE verdict='refused'")
            assert reason == [("checklist says no: listed",)]
            asker.stop()
        server = (folder / "clients" / "checklist.key").read_text().split('public-key = "')[1].split('"')[0].encode()
        public, secret = zmq.curve_keypair()
        stranger = {"curve_serverkey": server, "curve_publickey": public, "curve_secretkey": secret}
        with dealer(context, answerer.endpoint, **stranger) as keyed, dealer(context, answerer.endpoint) as plain:
            for asker in (keyed, plain):
                asker.send_multipart([b"", question("yes@example.com")])
            wait_for(lambda: answerer.metric("mailbus_zap_refused_total") >= 1, "the stranger's key to be refused")
            wait_for(lambda: answerer.metric("mailbus_bus_handshake_failures_total", socket="check") >= 2, "both to fail")
            assert check(named, "yes@example.com", **{"bus.curve_dir": folder, "bus.curve_name": "bob"})[0] == 0
            assert keyed.poll(0) == 0 and plain.poll(0) == 0
        assert answerer.answers("yes") == 2
        status, (answer,) = check(answerer.endpoint, "yes@example.com", timeout="500ms")
        assert status == 3 and "wants a key" in answer["answers"][0]["reason"]


def test_a_revoked_key_gets_nothing_after_the_reload_and_the_others_do(tmp_path, context):
    with encrypted(tmp_path) as (_, _, answerer, folder):
        public, secret = zmq.auth.load_certificate(folder / "clients" / "alice.key_secret")
        server, _ = zmq.auth.load_certificate(folder / "clients" / "checklist.key")
        alice = {"curve_serverkey": server, "curve_publickey": public, "curve_secretkey": secret}
        named, bob = f"checklist@{answerer.endpoint}", {"bus.curve_dir": folder, "bus.curve_name": "bob"}
        with dealer(context, answerer.endpoint, **alice) as kept:
            kept.send_multipart([b"", question("a@example.com")])
            assert kept.poll(10_000) and kept.recv_multipart()[1] == b'{"answer":"yes"}'
            refused = mailbus("check", "a@example.com", "--checks", named, *set_arguments({**bob, "bus.curve_name": "alice"}))
            assert refused.returncode == 0, refused.stdout
            (folder / "clients" / "alice.key").unlink()
            answerer.signal(signal.SIGHUP)
            answerer.wait_log(stage="check", message="bound again")
            kept.send_multipart([b"", question("a@example.com")])  # on what was an open connection
            wait_for(lambda: answerer.metric("mailbus_zap_refused_total") >= 1, lambda: answerer.tail())
            assert check(named, "a@example.com", **bob)[0] == 0
            assert kept.poll(0) == 0
        status, (answer,) = check(named, "a@example.com", **{**bob, "bus.curve_name": "alice"})
        assert status == 3 and "'alice' is not let in" in answer["answers"][0]["reason"]
        assert answerer.answers("yes") == 3


def test_an_impostor_says_yes_to_nobody(tmp_path, context):
    """Whoever sits at the endpoint without the answerer's secret key, with keys or without."""
    folder = tmp_path / "keys"
    for name in ("checklist", "alice"):
        keys(folder, "new", name)
    mine = {"bus.curve_dir": folder, "bus.curve_name": "alice"}
    asked = []

    def act(frames, send):
        asked.append(frames)
        send([*frames[:2], b'{"answer":"yes"}'])

    public, secret = zmq.curve_keypair()
    with Router(context, act) as plain:
        status, (answer,) = check(f"checklist@{plain.endpoint}", "a@example.com", timeout="500ms", **mine)
        assert (status, answer["answer"]) == (3, "none")
        assert check(plain.endpoint, "a@example.com", **mine)[0] == 0  # without a name, on loopback: in the clear
    asked.clear()
    impostor = context.socket(zmq.ROUTER)
    impostor.linger, impostor.curve_server, impostor.curve_secretkey, impostor.curve_publickey = 0, True, secret, public
    port = impostor.bind_to_random_port("tcp://127.0.0.1")
    status, (answer,) = check(f"checklist@tcp://127.0.0.1:{port}", "a@example.com", timeout="500ms", **mine)
    assert (status, answer["answer"]) == (3, "none")
    assert impostor.poll(0) == 0 and asked == []
    impostor.close()
    done = mailbus("check", "a@example.com", "--checks", "tcp://192.0.2.1:5558", *set_arguments(mine))
    assert done.returncode == 2 and "write NAME@" in done.stderr


def test_a_key_that_is_missing_is_said(tmp_path):
    folder = tmp_path / "keys"
    keys(folder, "new", "alice")
    mine = {"bus.curve_dir": folder, "bus.curve_name": "alice"}
    for checks, settings, text in [("nobody@tcp://127.0.0.1:1", mine, "nobody.key"),
                                   ("alice@tcp://127.0.0.1:1", {**mine, "bus.curve_name": "carol"}, "carol.key_secret"),
                                   ("../x@tcp://127.0.0.1:1", mine, "name")]:
        done = mailbus("check", "a@example.com", "--checks", checks, *set_arguments(settings))
        assert done.returncode in (1, 2) and text in done.stderr, done.stderr


# ---- the command line --------------------------------------------------------------------------


def test_the_command_prints_every_answer_and_ends_with_the_verdict(bus, tmp_path):
    with Answerer(tmp_path / "one", bus.bus(), "gone@example.com until=2030-01-01T00:00:00Z full") as one, \
            Answerer(tmp_path / "two", bus.bus()) as two:
        both = {"MAILBUS_SEND_CHECKS": f"{one.endpoint} {two.endpoint}"}
        done = mailbus("check", "Gone Person <gone@example.com>", env=both)
        assert done.returncode == 1
        assert done.stdout.splitlines() == [
            "gone@example.com  no", f"  {one.endpoint}  no: full, until 2030-01-01T00:00:00.000Z", f"  {two.endpoint}  yes"]
        done = mailbus("check", "a@example.com", "b@example.com", "--set", f"send.checks={two.endpoint}", env=both)
        assert (done.returncode, done.stdout.count("  yes\n")) == (0, 4)
        two.kill()
        done = mailbus("check", "a@example.com", "--timeout", "200ms", env=both)
        assert done.returncode == 3 and f"  {two.endpoint}  no answer: nobody listened there for 200 ms" in done.stdout
        done = mailbus("check", "a@example.com", "gone@example.com", "--timeout", "200ms", env=both)
        assert done.returncode == 1  # a no weighs more
        one.stop()


@pytest.mark.parametrize("arguments, text", [
    ([], "which address"), (["a@example.com"], "send.checks is empty"), (["no address", "--checks", "tcp://127.0.0.1:1"], "operand 1"),
    (["a@example.com", "", "--checks", "tcp://127.0.0.1:1"], "operand 2"),
    (["a\nb@example.com", "--checks", "tcp://127.0.0.1:1"], "operand 1"),
    (["a@example.com", "--timeout", "0", "--checks", "tcp://127.0.0.1:1"], "send.check_timeout")])
def test_a_wrong_command_line_is_said_and_ends_with_2(arguments, text):
    done = mailbus("check", *arguments)
    assert done.returncode == 2 and text in done.stderr and done.stdout == ""


def test_what_answerers_say_is_one_line_on_a_terminal(context):
    hostile = json.dumps({"answer": "no", "reason": "red \u009b31m\u202egnp.exe\u2028next  line"}, ensure_ascii=False)
    with Router(context, lambda frames, send: send([*frames[:2], hostile.encode()])) as router:
        done = mailbus("check", "a@example.com", "--checks", router.endpoint)
        assert done.stdout.splitlines()[1] == f"  {router.endpoint}  no: red 31m gnp.exe next line"


# ---- Python, both sides ------------------------------------------------------------------------


def example(name, *arguments):
    return [sys.executable, PROTO / "examples" / f"{name}.py", *arguments]


def test_the_asking_example_against_our_answerer(bus, tmp_path):
    with Answerer(tmp_path, bus.bus(), "no@example.com listed") as answerer:
        def ask(address, *more):
            done = subprocess.run(example("check_ask", address, answerer.endpoint, *more), capture_output=True, timeout=30)
            assert done.stderr == b"", done.stderr
            return done.returncode

        assert ask("yes@example.com") == 0
        assert ask("no@example.com") == 1
        assert ask("yes@example.com", answerer.endpoint) == 0
        assert ask("no address") == 3
        answerer.path.unlink()
        assert ask("yes@example.com") == 3
        answerer.stop()


def test_the_answering_example_against_our_asker(bus, tmp_path, context):
    listed = tmp_path / "list.txt"
    listed.write_text("no@example.com\nNever@Example.com\n")
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    process = subprocess.Popen(example("check_serve", listed, endpoint), stderr=subprocess.PIPE)
    try:
        _, told = check(endpoint, "no@example.com", "NEVER@example.com", "yes@example.com", timeout="30s")
        assert [answer["answer"] for answer in told] == ["no", "no", "yes"]
        with Asker(tmp_path / "asker", bus.bus(), endpoint) as asker:
            post(bus, "no@example.com")
            post(bus, "yes@example.com")
            asker.wait_verdict("no@example.com", "refused")
            asker.wait_verdict("yes@example.com", "allowed")
            asker.stop()
        for vector in VECTORS["requests"]["invalid"]:
            frame = base64.b64decode(vector["frames"][0])
            if len(frame) <= 4096:
                with dealer(context, endpoint, zmq.REQ) as asker:
                    asker.send(frame)
                    assert asker.poll(10_000) and asker.recv()
        listed.unlink()
        status, (answer,) = check(endpoint, "yes@example.com")
        assert status == 3 and "FileNotFoundError" in answer["answers"][0]["reason"]
    finally:
        process.kill()
        process.communicate()


def test_the_document_prints_the_examples_as_they_are():
    blocks = re.findall(r"```python\n(.*?)```", (PROTO / "CHECK.md").read_text(encoding="utf-8"), re.DOTALL)
    assert blocks == [(PROTO / "examples" / f"check_{name}.py").read_text(encoding="utf-8") for name in ("ask", "serve")]
