"""mailbus-route, killed at every moment: each effect happens once."""

import json
import os
import random
import signal
import threading

import pytest

from mailbus_testing import wait_for
from route_testing import FILE, KILLS, everything, office, verify, webhook_rules

__all__ = ["office"]  # a fixture


# --- files --------------------------------------------------------------------------------------------------------------


def test_half_a_line_of_ours_is_cut_away_and_that_of_others_is_ended(office):
    office.lines.write_text('{"id":"route-evt_old~all:x","time":"2026"}\n{"id":"route-evt_torn~all:y","ti')
    with office.route(route__rules=office.rules(FILE)) as program:
        first = office.mail("first")
        office.wait_history(first, program=program)
        with office.lines.open("a") as file:
            file.write("a person's note")
        second = office.mail("second")
        office.wait_history(second, program=program)
        program.stop()
    lines = office.lines.read_text().splitlines()
    assert len(lines) == 4 and lines[2] == "a person's note"
    assert [json.loads(lines[at]).get("event_id") for at in (0, 1, 3)] == [None, first, second]
    assert program.find(level="warn", stage="route") and office.lines.stat().st_mode & 0o777 == 0o644


def test_a_file_that_cannot_be_written_is_told_and_waited_for(office):
    office.lines.mkdir()
    with office.route(route__rules=office.rules(FILE)) as program:
        event = office.mail()
        line = wait_for(lambda: next((entry for entry in program.log if "until this is mended" in entry.get("message", "")), None), "a loud word")
        assert "lines.jsonl" in line["message"]
        office.lines.rmdir()
        office.wait_history(event, program=program)
        program.stop()
    assert len(office.read_lines()) == 1 and office.lines.stat().st_mode & 0o777 == 0o600


def test_a_line_that_may_be_in_a_file_that_is_gone_is_given_up(office):
    event = office.mail()
    with office.route(env={"MAILBUS_TEST_KILL": "route-sent"}, ready=False, route__rules=office.rules(FILE)) as program:
        assert program.process.wait(60) == -signal.SIGKILL, program.tail()
    office.lines.rename(office.folder / "rotated.jsonl")
    office.lines.touch()
    with office.route(route__rules=office.rules(FILE)) as program:
        history = office.wait_history(event, program=program)
        program.stop()
    assert history[event][0][1] == "rejected" and "was" in history[event][0][2] and "before" in history[event][0][2]
    assert office.read_lines() == [] and len(office.read_lines(office.folder / "rotated.jsonl")) == 1


def test_many_workers_write_whole_lines(office):
    with office.route(route__rules=office.rules(FILE), workers=8) as program:
        events = [office.mail(f"mail {number}", text="x" * 20000) for number in range(40)]
        office.wait_history(*events, program=program)
        program.stop()
    assert sorted(line["event_id"] for line in office.read_lines()) == sorted(events)


# --- crashes ------------------------------------------------------------------------------------------------------------


def check_once(office, events):
    """Every event has each of its effects exactly once."""
    marks = [message["metadata"]["event_payload"]["mark"] for message in office.sim.messages() if message["via"] == "api"]
    assert sorted(mark.split(":")[0] for mark in marks) == sorted(f"route-{event}~to-slack" for event in events)
    issues = [issue["body"].split("\n", 1)[0] for issue in office.sim.issues()]
    assert sorted(issues) == sorted(set(issues)) and len(issues) == len(events)
    assert sorted(line["event_id"] for line in office.read_lines()) == sorted(events)
    hooks = office.sim.hooks()
    assert all(verify(hook) for hook in hooks)
    assert {hook["webhook-id"] for hook in hooks} == {f"route-{event}~to-hook" for event in events}  # the receiver's own dedup
    bodies = {}
    for hook in hooks:
        assert bodies.setdefault(hook["webhook-id"], hook["body"]) == hook["body"]


@pytest.mark.campaign
@pytest.mark.parametrize("point", ["route-sent", "route-noted"])
def test_killed_around_every_effect_each_happens_once(office, point):
    """Each run dies at a point that lies between an effect and its note (or before it): at another effect every time."""
    rules = everything(office)
    events = []
    for number in range(KILLS):
        events.append(office.mail(f"mail {number}"))
        env = {"MAILBUS_TEST_KILL": f"{point}:{1 + number % 4}"}
        with office.route(env=env, ready=False, route__rules=rules, route__match="all", workers=2, retry__max_crashes=0) as program:
            status = program.process.wait(60)
            assert status == -signal.SIGKILL, f"{status} in run {number}:\n{program.tail()}"
    with office.route(route__rules=rules, route__match="all", retry__max_crashes=0) as program:
        history = office.wait_history(*events, program=program, count=4)
        program.stop()
    assert {line[1] for lines in history.values() for line in lines} == {"sent"}
    assert office.dead() == {}
    check_once(office, events)


@pytest.mark.campaign
def test_kill_9_under_load_at_any_moment(office):
    """Mails keep coming, the program is killed at random moments, services fail now and then: everything once."""
    rules = everything(office)
    chance = random.Random(int(os.environ.get("MAILBUS_TEST_SEED", "1")))
    events = []
    for number in range(KILLS):
        with office.route(ready=False, route__rules=rules, route__match="all", retry__max_crashes=0) as program:
            events += [office.mail(f"mail {number}.{part}") for part in range(4)]
            office.sim.fail(chance.choice(["post", "issue", "hook"]), count=1, mode="after", status=chance.choice([0, 502]))
            before = len(office.history())
            more = chance.randrange(1, 12)
            wait_for(lambda: len(office.history()) >= before + more or len(office.history()) >= 4 * len(events),
                     lambda: f"{more} effects:\n{program.tail()}")
            threading.Event().wait(chance.random() * 0.02)  # not to be in step with the program
            program.kill()
    with office.route(route__rules=rules, route__match="all", retry__max_crashes=0) as program:
        office.wait_history(*events, program=program, count=4)
        wait_for(lambda: all(row["state"] == "done" for row in office.effects()), "the end")
        program.stop()
    assert office.dead() == {}
    check_once(office, events)


@pytest.mark.campaign
def test_killed_at_a_webhook_it_is_posted_at_most_once_and_told(office):
    rules = webhook_rules(office)
    events = []
    for number in range(KILLS):
        events.append(office.mail(f"mail {number}"))
        point = ("route-sent", "route-noted")[number % 2]
        with office.route(env={"MAILBUS_TEST_KILL": point}, ready=False, route__rules=rules) as program:
            assert program.process.wait(60) == -signal.SIGKILL, program.tail()
    with office.route(route__rules=rules) as program:
        history = office.wait_history(*events, program=program)
        program.stop()
    posted = [message["blocks"][1]["text"]["text"] for message in office.sim.messages()]
    assert sorted(posted) == sorted(f"mail {number}" for number in range(0, KILLS, 2))  # those that died after posting
    assert {lines[0][1] for lines in history.values()} == {"rejected"} and set(office.dead()) == set(events)


def test_one_targets_trouble_holds_up_no_other_and_repeats_nothing(office):
    rules = everything(office)
    office.sim.fail("issue", count=3, status=500)
    with office.route(route__rules=rules, route__match="all") as program:
        event = office.mail()
        office.wait_history(event, program=program, count=3)
        history = office.wait_history(event, program=program, count=4)
        program.stop()
    assert [rule for rule, *_ in history[event]] == ["to-slack", "to-file", "to-hook", "to-github"]
    check_once(office, [event])
