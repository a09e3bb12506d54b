"""The README's first command, as a new user runs it."""

import os
import pathlib
import re
import socket
import subprocess

import pytest

# Each builds, in the same folder: one after the other.
pytestmark = pytest.mark.xdist_group("demo")

ROOT = pathlib.Path(__file__).resolve().parents[3]


def free_port_block(count=6):
    """The first of `count` ports in a row that nobody listens on."""
    for base in range(20000 + os.getpid() % 5000, 60000, count):
        sockets = []
        try:
            for port in range(base, base + count):
                sockets.append(socket.create_server(("127.0.0.1", port)))
            return base
        except OSError:
            continue
        finally:
            for listener in sockets:
                listener.close()
    raise AssertionError("no free ports")


def run_demo(folder, *arguments):
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("MAILBUS_", "AGENTMAIL_"))}
    return subprocess.run(
        [ROOT / "scripts" / "run", "--once", "--data", folder, "--ports", str(free_port_block()), *arguments],
        env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=600,
    )


def test_scripts_run_shows_events_and_replies_and_ends_cleanly(tmp_path):
    done = run_demo(tmp_path / "data")
    assert done.returncode == 0, done.stdout
    # Five mails and their events, live; a reply for support and one for sales; three that stay unanswered.
    assert done.stdout.count("message.received") >= 5, done.stdout
    assert len(re.findall(r"^.*message\.sent\b", done.stdout, re.M)) >= 2, done.stdout
    assert "Thanks for contacting support!" in done.stdout
    assert "A sales rep will contact you soon" in done.stdout
    for program in ("mailbus-gateway", "agentmail-sim", "mailbus-autoreply"):
        assert re.search(rf"{program} +ended with 0$", done.stdout, re.M), done.stdout


def test_scripts_run_goes_on_with_the_same_journal(tmp_path):
    for _ in range(2):
        done = run_demo(tmp_path / "data")
        assert done.returncode == 0, done.stdout
        assert done.stdout.count("Thanks for contacting support!") == 1, done.stdout
