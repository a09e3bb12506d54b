"""How a gateway starts, is told something new, and ends."""

import contextlib
import hashlib
import http.client
import json
import signal
import subprocess
import threading

import pytest
import zmq
from checker import check_journal
from mailbus_testing import BIN, SECRET, Gateway, Program, call, free_port, received, set_arguments, svix_headers, wait_for

OTHER_SECRET = "whsec_" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo="


def run(*arguments, env=None, cwd=None):
    """Run the gateway to its end: (status, stdout, stderr)."""
    done = subprocess.run([BIN / "mailbus-gateway", *map(str, arguments)], env=env or {}, cwd=cwd, capture_output=True,
                          text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


def test_wrong_settings_are_one_line_and_status_2(tmp_path):
    good = {"MAILBUS_VERIFY_SECRET": SECRET}
    cases = [
        (["--set", "http.lisen=:1"], good, "http.listen"),
        (["--set", "http.listen=nowhere"], good, "http.listen"),
        ([], {}, "MAILBUS_VERIFY_SECRET"),
        (["--set", "bus.publish=tcp://0.0.0.0:5556"], good, "bus.curve_dir"),
        (["--set", "bus.curve_dir=" + str(tmp_path / "none")], good, "none"),
        (["--set", "bus.curve_dir=" + str(tmp_path / "none")], good, "mailbus keys new"),
        (["--set", "verify.insecure_accept_all=yes", "--set", "http.listen=0.0.0.0:0"], {}, "insecure_accept_all"),
        (["--config", str(tmp_path / "missing.cfg")], good, "missing.cfg"),
        (["--nonsense"], good, "--nonsense"),
    ]
    for arguments, env, word in cases:
        status, out, err = run(*arguments, env=env, cwd=tmp_path)
        assert (status, out) == (2, ""), arguments
        assert len(err.splitlines()) == 1 and word in err, err


def without_comments(text):
    return [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]


def test_check_and_print_config_and_help(tmp_path):
    env = {"MAILBUS_VERIFY_SECRET": SECRET}
    assert run("--check", env=env, cwd=tmp_path)[0] == 0
    status, out, _ = run("--print-config", "--set", "limits.rate=7", env=env, cwd=tmp_path)
    assert status == 0 and SECRET not in out
    (tmp_path / "again.cfg").write_text(out)
    again = run("--config", "again.cfg", "--print-config", env=env, cwd=tmp_path)[1]
    assert without_comments(again) == without_comments(out)
    status, out, _ = run("--help", cwd=tmp_path)
    assert status == 0
    for key in ("http.listen", "verify.secret", "journal.path", "bus.publish", "bus.open", "admin.listen", "log.format"):
        assert key in out


def start_failing(folder, **settings):
    """A start that must fail: status and the line that says why."""
    options = {"http.listen": "127.0.0.1:0", "admin.listen": "127.0.0.1:0", "journal.path": folder / "journal.db",
               "bus.publish": "tcp://127.0.0.1:*", "bus.replay": "tcp://127.0.0.1:*"}
    options.update({key.replace("__", "."): value for key, value in settings.items()})
    with Program("mailbus-gateway", *set_arguments(options), env={"MAILBUS_VERIFY_SECRET": SECRET}, cwd=folder) as program:
        line = program.wait_log(stage="main", message="can't start")
        return program.process.wait(30), line["error"]


def test_what_is_taken_already_is_status_1_and_says_so(gateway, tmp_path):
    (tmp_path / "second").mkdir()
    cases = [
        ({"http__listen": gateway.address}, gateway.address),
        ({"admin__listen": gateway.admin}, gateway.admin),
        ({"bus__publish": gateway.publish}, gateway.publish),
        ({"bus__replay": gateway.replay}, gateway.replay),
        ({"journal__path": gateway.folder / "journal.db"}, "journal.db"),
    ]
    for settings, word in cases:
        status, error = start_failing(tmp_path / "second", **settings)
        assert status == 1 and word in error, (settings, error)
    assert gateway.post(received(1))[0] == 200


def test_health_and_readiness(gateway):
    assert call(gateway.admin, "GET", "/healthz")[0] == 200
    assert call(gateway.admin, "GET", "/readyz")[0] == 200
    status, text = call(gateway.admin, "GET", "/metrics")
    assert status == 200 and "mailbus_build_info" in text
    with contextlib.closing(http.client.HTTPConnection(gateway.address, timeout=10)) as connection:
        connection.request("GET", "/healthz")  # never on the intake's port
        assert connection.getresponse().status == 404


def test_accepting_everything_warns_at_every_start(tmp_path):
    with Gateway(tmp_path, secret=None, verify__insecure_accept_all="yes") as gateway:
        assert any(entry.get("level") == "warn" and "insecure_accept_all" in entry.get("message", "") for entry in gateway.log)
        assert gateway.post({"event_type": "message.sent", "event_id": "unsigned"}, {})[0] == 200
        gateway.stop()


def post_until_stopped(gateway, name, acknowledged, stop):
    """Post one event after the other; what got a 200 goes to `acknowledged`."""
    number = 0
    while not stop.is_set():
        body = json.dumps(received(number, event_id=f"{name}-{number}")).encode()
        try:
            status, _ = gateway.post(body)
        except (OSError, http.client.HTTPException):
            return  # the gateway is gone, or cut us off: no 200, so nothing was promised
        if status == 200:
            acknowledged[f"{name}-{number}"] = hashlib.sha256(body).hexdigest()
        number += 1


@pytest.mark.threads
def test_sigterm_under_load_is_status_0_and_loses_nothing(tmp_path):
    acknowledged, stop = {}, threading.Event()
    for round in range(3):
        with Gateway(tmp_path, limits__rate=0) as gateway, zmq.Context() as context:
            context.linger = 0
            peer = context.socket(zmq.SUB)
            peer.set_hwm(0)
            peer.subscribe("")
            peer.connect(gateway.publish)
            wait_for(lambda: gateway.metric("mailbus_bus_subscriptions") == 1, "the subscriber")
            threads = [threading.Thread(target=post_until_stopped, args=(gateway, f"{round}-{n}", acknowledged, stop))
                       for n in range(8)]
            for thread in threads:
                thread.start()
            wait_for(lambda: gateway.metric("mailbus_journal_events_total") > 100, "load")
            gateway.stop(expect=0, deadline=10)
            for thread in threads:
                thread.join()
            assert gateway.find(stage="main", message="stopped")
            seen, heads = [], None
            while peer.poll(500 if heads is None else 0):
                topic, header, _ = peer.recv_multipart()
                if topic == b"bus.heads":
                    heads = int(json.loads(header)["sequence"])
                else:
                    seen.append(int(json.loads(header)["sequence"]))
            peer.close(linger=0)
        findings, stored = check_journal(tmp_path / "journal.db", acknowledged)
        assert findings == []
        # Everything that was committed was published before the end, and the last heads say so.
        assert heads == len(stored) and seen[-1] == heads and seen == list(range(seen[0], heads + 1))


def test_sigint_ends_it_as_well(gateway):
    gateway.signal(signal.SIGINT)
    assert gateway.process.wait(20) == 0


def test_sighup_takes_what_can_change_and_says_what_can_not(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text(SECRET + "\n")
    config = tmp_path / "gateway.cfg"
    config.write_text("limits\n    rate = 0\n")
    options = {"http.listen": "127.0.0.1:0", "admin.listen": "127.0.0.1:0", "journal.path": tmp_path / "journal.db",
               "bus.publish": "tcp://127.0.0.1:*", "bus.replay": "tcp://127.0.0.1:*"}
    with Program("mailbus-gateway", "--config", config, *set_arguments(options),
                 env={"MAILBUS_VERIFY_SECRET_FILE": str(secret)}, cwd=tmp_path) as gateway:
        gateway.wait_log(stage="main", message="ready")
        address = gateway.find(stage="http", message="listening")["address"]

        def post(number, key):
            body = json.dumps(received(number, event_id=f"evt_{number}")).encode()
            with contextlib.closing(http.client.HTTPConnection(address, timeout=30)) as connection:
                connection.request("POST", "/webhook", body, {"Content-Type": "application/json", **svix_headers(body, key)})
                return connection.getresponse().status

        assert (post(1, SECRET), post(2, OTHER_SECRET)) == (200, 401)
        secret.write_text(f"{SECRET} {OTHER_SECRET}\n")
        config.write_text("limits\n    rate = 0\nlog\n    level = debug\nbus\n    send_hwm = 77\n")
        gateway.signal(signal.SIGHUP)
        gateway.wait_log(stage="main", message="reloaded")
        assert gateway.find(stage="main", message="changed, but takes a restart")["keys"] == "bus.send_hwm"
        assert (post(2, OTHER_SECRET), post(3, SECRET)) == (200, 200)
        line = gateway.wait_log(stage="publisher", message="published", id="evt_3")  # log.level is debug now
        assert (line["topic"], line["sequence"]) == ("message.received", "3")

        config.write_text("limits\n    rate = many\n")
        gateway.signal(signal.SIGHUP)
        assert "limits.rate" in gateway.wait_log(stage="main", message="not reloaded, the old stays in force")["error"]
        assert post(4, OTHER_SECRET) == 200
        gateway.stop()


def test_the_same_addresses_work_again_at_once(tmp_path):
    addresses = {"listen": f"127.0.0.1:{free_port()}", "publish": f"tcp://127.0.0.1:{free_port()}",
                 "replay": f"tcp://127.0.0.1:{free_port()}"}
    stream = None
    for number in range(1, 4):
        with Gateway(tmp_path, **addresses) as gateway:
            stream = stream or gateway.find(stage="main", message="ready")["stream"]
            assert gateway.find(stage="main", message="ready")["stream"] == stream
            assert gateway.post(received(number))[1]["sequence"] == str(number)
            gateway.stop()


def test_the_bus_by_ipc(tmp_path):
    with Gateway(tmp_path, publish=f"ipc://{tmp_path}/publish", replay=f"ipc://{tmp_path}/replay") as gateway, \
            zmq.Context() as context:
        assert (tmp_path / "publish").stat().st_mode & 0o777 == 0o600
        context.linger = 0
        peer = context.socket(zmq.SUB)
        peer.subscribe("message.")
        peer.connect(gateway.publish)
        wait_for(lambda: gateway.metric("mailbus_bus_subscriptions") == 1, "the subscriber")
        assert gateway.post(received(1))[0] == 200
        assert peer.poll(20000) and peer.recv_multipart()[0] == b"message.received"
        peer.close(linger=0)
        gateway.stop()
