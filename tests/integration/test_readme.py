"""The README's examples, taken out of the README and run."""

import re
import subprocess
import sys

from mailbus_testing import BIN, ROOT, received, wait_for

README = (ROOT / "README.md").read_text()


def block(language, holding):
    """The one fenced block of this language that holds this text."""
    found = [text for text in re.findall(rf"```{language}\n(.*?)```", README, re.S) if holding in text]
    assert len(found) == 1, f"{len(found)} blocks"
    return found[0]


def test_the_python_subscriber_prints_a_mail(gateway, tmp_path):
    program = tmp_path / "subscriber.py"
    program.write_text(block("python", "bus.recv_multipart").replace("tcp://127.0.0.1:5556", gateway.publish))
    with subprocess.Popen([sys.executable, "-u", program], stdout=subprocess.PIPE, text=True) as process:
        try:
            wait_for(lambda: gateway.metric("mailbus_bus_subscriptions") >= 1, "the subscription to arrive")
            assert gateway.post(received(1, topic="message.received.spam", subject="not this one"))[0] == 200
            assert gateway.post(received(2, subject="Grüße"))[0] == 200
            assert process.stdout.readline() == "Jane Doe <jane@example.com> Grüße\n"
        finally:
            process.kill()


def test_the_c_subscriber_compiles_without_warnings(tmp_path):
    source = tmp_path / "printer.c"
    source.write_text(block("c", "mailbus_subscriber_main"))
    includes = [f"-I{ROOT / folder}" for folder in ("subscribers/runtime/include", "proto/include")]
    done = subprocess.run(["cc", "-std=c11", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", *includes, source],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_command_that_the_readme_names_is_one(tmp_path):
    commands = set(re.findall(r"^(?:build/release/bin/)?mailbus ([a-z]+)", "\n".join(re.findall(r"```sh\n(.*?)```", README, re.S)), re.M))
    assert {"tail", "status", "keys", "dead", "webhook"} <= commands
    for command in commands:
        done = subprocess.run([BIN / "mailbus", command, "--help"], capture_output=True, text=True)
        assert done.returncode == 0 and command in done.stdout, command


def test_every_file_that_the_readme_links_to_is_there():
    for link in re.findall(r"\]\(([^)]+)\)", README):
        assert link.startswith("https://") or (ROOT / link).exists(), link


def test_every_test_that_a_subscribers_readme_names_is_one():
    tests = "\n".join(path.read_text() for path in ROOT.joinpath("tests").rglob("test_*.*") if path.suffix in (".c", ".py"))
    names = {path: set(re.findall(r"`(test_[a-z0-9_]+)`", path.read_text())) for path in ROOT.glob("subscribers/*/README.md")}
    assert sum(map(len, names.values())) > 40
    for path, found in names.items():
        assert {name for name in found if not re.search(rf"(void|def) {name}\b", tests)} == set(), path
