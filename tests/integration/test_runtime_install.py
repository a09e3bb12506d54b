"""What `cmake --install` gives to somebody who writes a subscriber: it compiles, links and runs outside."""

import os
import pathlib
import re
import subprocess

import pytest

import mailbus_testing
from mailbus_testing import Program, set_arguments, wait_for
from runtime_gateway import FakeGateway

# One process builds and installs, once.
pytestmark = pytest.mark.xdist_group("install")

BUILD = mailbus_testing.BIN.parent
HEADER = mailbus_testing.ROOT / "subscribers" / "runtime" / "include" / "mailbus" / "subscriber.h"


def run(*arguments, **more):
    done = subprocess.run([str(a) for a in arguments], capture_output=True, text=True, timeout=300, **more)
    assert done.returncode == 0, f"{arguments}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The runtime's part of the installation, in a folder of its own."""
    folder = tmp_path_factory.mktemp("installed")
    run("cmake", "--build", BUILD, "--target", "mailbus_shared", "mailbus_static")
    run("cmake", "-DCMAKE_INSTALL_PREFIX=" + str(folder), "-P", BUILD / "subscribers" / "runtime" / "cmake_install.cmake")
    return folder


@pytest.fixture(scope="module")
def pkg_config(installed):
    path = next(installed.rglob("mailbus.pc")).parent
    environment = dict(os.environ, PKG_CONFIG_PATH=str(path))
    return lambda *options: run("pkg-config", *options, "mailbus", env=environment).split()


@pytest.fixture(scope="module")
def sanitizers():
    """A library that was built with sanitizers wants programs that are."""
    cache = (BUILD / "CMakeCache.txt").read_text()
    value = re.search(r"^MAILBUS_SANITIZE:\w+=(.*)$", cache, re.M).group(1)
    return [f"-fsanitize={value}"] if value else []


def header_example():
    """The program in the comment at the top of subscriber.h, as a newcomer copies it."""
    comment = HEADER.read_text().split("*/")[0]
    lines = [line[2:] for line in comment.splitlines() if line.startswith(" *     ") or line == " *"]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("form", ["shared", "static"])
def test_the_headers_example_compiles_and_prints_events(tmp_path, installed, pkg_config, sanitizers, form):
    source, program = tmp_path / "printer.c", tmp_path / "printer"
    source.write_text(header_example())
    flags = ["-std=c11", "-Wall", "-Wextra", "-Werror", *sanitizers, *pkg_config("--cflags")]
    if form == "shared":
        libraries = pkg_config("--libs")
    else:
        libraries = [next(installed.rglob("libmailbus.a")) if l == "-lmailbus" else l for l in pkg_config("--static", "--libs")]
    run(os.environ.get("CC", "cc"), *flags, source, "-o", program, *libraries)
    environment = {"LD_LIBRARY_PATH": str(next(installed.rglob("libmailbus.so.0")).parent)}
    if form == "static":
        environment = {}
        assert "libmailbus.so" not in run("ldd", program)
    output = tmp_path / "output"
    with FakeGateway() as gateway, output.open("wb") as stdout:
        settings = {"state.path": tmp_path / "printer.db", **gateway.bus()}
        with Program(program, *set_arguments(settings), env=environment, cwd=tmp_path, stdout=stdout) as printer:
            printer.wait_log(stage="main", message="ready")
            event = gateway.record("message.received")
            wait_for(lambda: mailbus_testing.metric(printer.find(stage="admin")["address"],
                                                    "mailbus_subscriber_handled_total", result="done") == 1, "the event")
            printer.stop()
        assert output.read_text() == f"message.received {event}\n"


def test_exactly_the_functions_of_the_public_headers_are_exported(installed):
    declared = set()
    for header in (installed / "include" / "mailbus").glob("*.h"):
        text = re.sub(r"/\*.*?\*/", "", header.read_text(), flags=re.S)
        declared |= set(re.findall(r"\b(mailbus_\w+)\s*\(", text))
    library = next(path for path in installed.rglob("libmailbus.so.0"))
    symbols = run("nm", "-D", "--defined-only", library).splitlines()
    exported = {line.split()[2].split("@")[0] for line in symbols if " A " not in line}
    assert exported == declared - {name for name in declared if name.endswith("_t")}
    soname = run("readelf", "-d", library)
    assert "[libmailbus.so.0]" in soname


def test_the_archive_brings_no_names_but_ours(installed):
    archive = next(installed.rglob("libmailbus.a"))
    names = {line.split()[-1] for line in run("nm", "--defined-only", "--extern-only", archive).splitlines()
             if len(line.split()) == 3}
    assert names and all(name.startswith("mailbus_") for name in names), sorted(names)[:20]


def test_headers_stand_alone(tmp_path, installed, pkg_config):
    for header in sorted((installed / "include" / "mailbus").glob("*.h")):
        source = tmp_path / "alone.c"
        source.write_text(f"#include <mailbus/{header.name}>\n")
        run("cc", "-std=c11", "-Wall", "-Wextra", "-Werror", *pkg_config("--cflags"), "-fsyntax-only", source)
