"""The sandbox fails closed: with one layer left out nothing is opened, and the attack suite fails.

Layers are left out by MAILBUS_TEST_SANDBOX_WITHOUT, which only test builds know.
"""

import os
import pathlib
import resource
import shutil
import subprocess
import tempfile

import pytest

from mailbus_testing import BIN, ROOT
from test_extract_files import FILES, extract, start

ATTACKS = BIN.parent / "tests" / "extract_attacks"
SHIPPED = BIN.parent / "tests" / "extract_helper_shipped"
TABLE = "test_every_attack_is_stopped_by_the_layers_named"
LAYERS = ["descriptors", "environment", "session", "memory", "cpu", "file-size", "core", "processes", "open-files",
          "parent-death", "landlock", "seccomp"]
LAYERS += ["privileges"] if os.geteuid() == 0 else []
CORE = resource.getrlimit(resource.RLIMIT_CORE)[1]
if CORE == 0:
    LAYERS.remove("core")  # where there are no cores, nobody has to forbid them


@pytest.mark.parametrize("layer", LAYERS)
def test_a_start_without_a_layer_fails_with_its_name(layer):
    def allow_cores():
        resource.setrlimit(resource.RLIMIT_CORE, (CORE, CORE))

    # AddressSanitizer forbids cores by itself.
    done = start(FILES / "two-pages.pdf", before=allow_cores,
                 env={"MAILBUS_TEST_SANDBOX_WITHOUT": layer, "ASAN_OPTIONS": "disable_coredump=0"})
    assert done.returncode == 1 and done.stdout == b"", done
    assert done.stderr.decode().startswith(f"access: the sandbox does not hold: {layer}: "), done.stderr


def test_without_no_new_privs_the_next_layer_refuses():
    done = start(FILES / "two-pages.pdf", env={"MAILBUS_TEST_SANDBOX_WITHOUT": "no-new-privs"})
    assert done.returncode == 1 and done.stdout == b""
    assert b"can't be set up: landlock: Operation not permitted" in done.stderr


@pytest.mark.parametrize("layer", [one for one in LAYERS if one not in ("cpu", "parent-death")] + ["no-new-privs"])
def test_the_attack_suite_fails_without_a_layer(layer):
    done = subprocess.run([ATTACKS, TABLE], capture_output=True, timeout=60,
                          env={**os.environ, "MAILBUS_TEST_SANDBOX_WITHOUT": layer})
    assert b"[  FAILED  ] " + TABLE.encode() in done.stdout + done.stderr, done


@pytest.mark.parametrize("layer, test", [("cpu", "test_processor_time_is_bounded"),
                                         ("parent-death", "test_the_engine_dies_with_its_parent")])
def test_the_attack_suite_fails_without_a_layer_of_time(layer, test):
    done = subprocess.run([ATTACKS, test], capture_output=True, timeout=60,
                          env={**os.environ, "MAILBUS_TEST_SANDBOX_WITHOUT": layer})
    assert b"[  FAILED  ] " + test.encode() in done.stdout + done.stderr, done


def test_the_suites_pass_in_a_container_without_user_namespaces():
    """As somebody else, without capabilities, under Docker's rules (tests/unit/extract/contained.c)."""
    with tempfile.TemporaryDirectory(prefix="mailbus-contained-") as folder:
        os.chmod(folder, 0o755)
        for name in ("bin/mailbus-extract-helper", "bin/mailbus-extract-engine", "tests/extract_attacker",
                     "tests/extract_attacks", "tests/extract_extractor", "tests/extract_contained"):
            shutil.copy(BIN.parent / name, folder)
        for suite in ("extract_attacks", "extract_extractor"):
            done = subprocess.run([f"{folder}/extract_contained", f"{folder}/{suite}"], capture_output=True, timeout=120,
                                  env={**os.environ, "EXTRACT_TEST_BIN": folder}, cwd=folder)
            assert done.returncode == 0 and b"[  PASSED  ]" in done.stdout + done.stderr, done
            assert suite != "extract_attacks" or b"user-namespace: this system forbids it" in done.stdout, done


def test_what_is_shipped_can_leave_nothing_out():
    command = ["--parent", str(os.getpid()), "--memory", "536870912", "--cpu", "10", "--read", "/usr/lib"]
    for extra, status in (([], 0), (["--without", "seccomp"], 64)):
        done = subprocess.run([SHIPPED, *command, *extra, "--", "/bin/true"], capture_output=True, pass_fds=(),
                              preexec_fn=lambda: os.dup2(os.open(os.devnull, os.O_WRONLY), 3), close_fds=False)
        assert done.returncode == status, (extra, done)


def test_the_operators_table_is_an_engine_like_any_other(tmp_path):
    table, note = tmp_path / "types.zpl", tmp_path / "note.txt"
    note.write_text("hello\n")
    version = pathlib.Path("/etc/debian_version").read_text().strip()
    for line, expected in [
        ('text/plain = "/bin/cat"', ("ok", "hello")),
        ('text/plain = "cat -"', ("ok", "hello")),
        ('text/plain = "WORD=x env"', ("ok", "WORD=x")),
        ('text/plain = "cat /etc/debian_version"', ("corrupt", "")),
        ('text/plain\n    command = "cat /etc/debian_version"\n    reads = "/etc/debian_version"', ("ok", version)),
        ('text/plain = ""', ("unsupported", "")),
        ('text/plain = "true"', ("no_text_layer", "")),
        ('text/plain = "false"', ("corrupt", "")),
    ]:
        table.write_text(line + "\n")
        result = extract("--types", table, note)[0]
        assert (result["status"], result["text"]) == expected, (line, result)


@pytest.mark.parametrize("line, message", [
    ('text/plain = "no-such-program"', "there is no program no-such-program"),
    ('text/plain = "./here"', "there is no program ./here"),
    ('plain = "cat"', "a media type"),
    ('text/plain\n    comand = "cat"', "comand"),
    ('text/plain\n    threads = "maybe"', "threads"),
    ('text/plain\n    reads = "/usr"', "no command"),
    ('text/plain\n    command = "cat"\n    reads = "usr"', "does not begin with /"),
    ('text/plain = "' + "a " * 30 + '"', "more than 24 words"),
], ids=["missing", "relative", "no-type", "key", "threads", "no-command", "reads", "long"])
def test_a_table_with_a_mistake_is_refused(tmp_path, line, message):
    table = tmp_path / "types.zpl"
    table.write_text(line + "\n")
    done = start("--types", table)
    assert done.returncode == 1 and done.stderr.decode().startswith("invalid: ") and message in done.stderr.decode(), done.stderr


def test_a_folder_without_the_helper_is_told():
    done = start("--libexec", ROOT / "docs")
    assert done.returncode == 1 and done.stderr.startswith(b"not-found: "), done
