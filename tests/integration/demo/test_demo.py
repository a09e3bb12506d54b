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


def free_port_block(count=13):
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


def section(output, title):
    """What stands under the heading that begins with `title`."""
    found = re.search(rf"^==> {re.escape(title)}.*\n((?:(?!==> ).*\n)*)", output, re.M)
    assert found, f"no {title!r} in:\n{output}"
    return found.group(1)


def test_scripts_run_shows_each_subscriber_at_work_and_ends_cleanly(tmp_path):
    done = run_demo(tmp_path / "data")
    assert done.returncode == 0, done.stdout
    assert len(re.findall(r"^.*message\.received\b", section(done.stdout, "Events on the bus"), re.M)) == 12, done.stdout
    replies = section(done.stdout, "The replies that went out")
    assert replies.count("Auto-Submitted: auto-replied") == 3, done.stdout
    assert replies.count("Thanks for contacting support!") == 2, done.stdout
    assert replies.count("A sales rep will contact you soon") == 1, done.stdout
    decided = section(done.stdout, "What mailbus-autoreply decided")
    assert "list: List-Unsubscribe" in decided and "auto-submitted: auto-replied" in decided, done.stdout
    assert re.search(r"silent +complaint\+.* says no: complaint", decided), done.stdout
    assert re.search(r"bounce\+\S+ +dead ", section(done.stdout, "Addresses that bounced")), done.stdout
    suppressed = section(done.stdout, "Nobody writes to these any more")
    assert re.search(r"complaint\+\S+ +complaint ", suppressed) and re.search(r"bounce\+\S+ +bounce ", suppressed), done.stdout
    extracted = section(done.stdout, "Attachments, and whether there was text in them")
    assert re.search(r" ok .*invoice\.pdf", extracted), done.stdout
    assert re.search(r"(ok|no_text_layer) .*scan\.pdf", extracted), done.stdout  # a scan: with tesseract there is text
    assert "invoice.pdf" in section(done.stdout, "Found in their text"), done.stdout
    sent_on = section(done.stdout, "Where mails were sent on to")
    for rule, target in (("billing", "slack"), ("bug", "github"), ("feature", "file")):
        assert re.search(rf"sent +{rule} .*to {target}$", sent_on, re.M), done.stdout
    assert "dark mode" in (tmp_path / "data" / "feature-requests.jsonl").read_text()
    for program in ("gateway", "autoreply", "bounces", "suppression", "extract", "route"):
        assert re.search(rf"mailbus-{program} +ended with 0$", done.stdout, re.M), done.stdout
    for program in ("agentmail-sim", "route-sim"):
        assert re.search(rf"{program} +ended with 0$", done.stdout, re.M), done.stdout


def test_scripts_run_goes_on_with_the_same_journal_and_fewer_subscribers(tmp_path):
    for _ in range(2):
        done = run_demo(tmp_path / "data", "autoreply", "suppression")
        assert done.returncode == 0, done.stdout
        assert done.stdout.count("Thanks for contacting support!") == 2, done.stdout
        assert "mailbus-route" not in done.stdout and "mailbus-bounces" not in done.stdout, done.stdout
