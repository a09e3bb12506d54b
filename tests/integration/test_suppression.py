"""mailbus-suppression with a real gateway: who is on the list, what a question gets, and that nothing is lost or counted twice."""

import fcntl
import json
import os
import random
import signal
import socket
import sqlite3
import threading

import pytest
from autoreply_testing import answers, open_post
from checker import rows
from mailbus_testing import Gateway, Sim, free_port, wait_for
from suppression_testing import Suppression, bounce, complaint, entries, export, mailbus, reject, report

KILLS = int(os.environ.get("MAILBUS_TEST_KILLS", "5"))


def post(gateway, *events):
    for event in events:
        status, answer = gateway.post(event)
        assert status == 200, answer


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """One gateway whose journal stays empty: for tests that need none."""
    with Gateway(tmp_path_factory.mktemp("gateway")) as program:
        yield program


# --- what suppresses -------------------------------------------------------------------------------


def test_the_whole_way_from_the_service_to_the_answer(tmp_path):
    """A mail to somebody who complains: the stand-in's own webhook, the list, and the next question."""
    with Gateway(tmp_path) as gateway, Sim(webhook_url=f"http://{gateway.address}/webhook") as sim, \
            Suppression(tmp_path, gateway.bus()) as program:
        assert program.says("complaint+jane@simulator.amazonses.com") == "yes"
        key = {"Authorization": "Bearer am_test"}
        sim.call("POST", "/v0/inboxes", {"username": "help", "client_id": "h"}, key)
        status, answer = sim.call("POST", "/v0/inboxes/help%40agentmail.to/messages/send",
                                  {"to": ["complaint+jane@simulator.amazonses.com"], "subject": "s", "text": "t"}, key)
        assert status == 200, answer
        wait_for(lambda: entries(program.path), lambda: f"the entry\n{program.tail()}")
        answer = program.ask("Complaint+JANE@simulator.amazonses.com")
        assert answer["answer"] == "no" and answer["reason"].startswith("complaint of 20"), answer
        assert program.says("complaint@simulator.amazonses.com") == "yes"  # a tag is another mailbox
        wait_for(lambda: program.metric("mailbus_suppression_entries", reason="complaint", ambiguous="no") == 1, "the gauge")
        assert program.metric("mailbus_suppression_addresses_total", result="suppressed") == 1
        program.stop()


def test_what_is_on_the_list_and_what_is_not(gateway, tmp_path):
    events = [
        complaint("abuse@example.com"),
        complaint("untyped@example.com", type="", sub_type=""),
        complaint("relieved@example.com", type="not-spam"),
        complaint("one@example.com", "two@example.com", "ONE@example.com"),
        bounce("gone@example.com", {"address": "blocked@example.com", "status": "smtp; 550 5.7.1 go away"}),
        bounce("full@example.com", type="Transient", sub_type="MailboxFull"),
        bounce("odd@example.com", type="Undetermined"),
        bounce("theirs@example.com", sub_type="OnAccountSuppressionList"),
        reject("Recipient named@example.com is on the suppression list."),
        reject("Bad content", recipients=["innocent@example.com"]),
        complaint("Jo@m\u00fcller.example"),
        complaint('"a b"@example.com', "x@y.z\r\nBcc: evil@example.com"),
    ]
    with Suppression(tmp_path, gateway.bus()) as program:
        post(gateway, *events)
        program.wait_handled(*[event for i, event in enumerate(events) if i not in (5, 6, 9)])
        wait_for(lambda: program.metric("mailbus_subscriber_inbox_events") == 0, "an empty inbox")
        listed = {address: (row[0], row[4]) for address, row in entries(program.path).items()}
        assert listed == {
            "abuse@example.com": ("complaint", 1),
            "untyped@example.com": ("complaint", 1),
            "one@example.com": ("complaint", 0),
            "two@example.com": ("complaint", 0),
            "gone@example.com": ("bounce", 1),
            "theirs@example.com": ("rejected", 1),
            "named@example.com": ("rejected", 1),
            "Jo@m\u00fcller.example": ("complaint", 1),
            '"a b"@example.com': ("complaint", 1),
        }
        assert program.ask("jo@xn--mller-kva.example")["answer"] == "no"
        assert "possible complaint" in program.ask("two@example.com")["reason"]
        for address in ("relieved@example.com", "blocked@example.com", "full@example.com", "innocent@example.com",
                        "evil@example.com"):
            assert program.says(address) == "yes"
        program.stop()


def test_no_delivery_takes_an_address_off(gateway, tmp_path):
    with Suppression(tmp_path, gateway.bus()) as program:
        first, last = complaint("jane@example.com"), complaint("joe@example.com")
        delivered = report("message.delivered", "delivery", recipients=["jane@example.com"], time="2026-10-13T11:00:00.000Z")
        post(gateway, first, delivered, last)
        program.wait_handled(first, last)
        assert program.says("jane@example.com") == "no"
        program.stop()


def test_a_complaint_about_five_hundred(gateway, tmp_path):
    people = [f"p{i}@example.com" for i in range(500)]
    with Suppression(tmp_path, gateway.bus()) as program:
        event, after = complaint(*people), complaint("joe@example.com")
        post(gateway, event, after)
        program.wait_handled(event, after)
        listed = entries(program.path)
        assert len(listed) == 501 and all(listed[person][0] == "complaint" and listed[person][4] == 0 for person in people)
        assert mailbus("list", "--ambiguous", "--csv", folder=tmp_path).stdout.count("\n") == 501
        program.stop()


def test_an_event_that_can_not_be_read_is_set_aside(gateway, tmp_path):
    with Suppression(tmp_path, gateway.bus()) as program:
        broken = complaint("jane@example.com")
        broken["bounce"] = broken.pop("complaint")
        good = complaint("joe@example.com")
        post(gateway, broken, good)
        program.wait_handled(good)
        wait_for(lambda: program.metric("mailbus_subscriber_dead_letters") == 1, "the dead letter")
        assert set(entries(program.path)) == {"joe@example.com"}
        program.stop()


def test_settings_take_effect_after_sighup_and_a_wrong_file_changes_nothing(gateway, tmp_path):
    config = tmp_path / "suppression.cfg"
    config.write_text('suppress\n    bounces = "yes"\n')
    with Suppression(tmp_path, gateway.bus(), "--config", config) as program:
        config.write_text('suppress\n    bounces = "no"\n    candidates = "none"\n')
        program.signal(signal.SIGHUP)
        program.wait_log(stage="main", message="settings reloaded")
        events = [bounce("gone@example.com"), complaint("a@example.com", "b@example.com"), complaint("c@example.com")]
        post(gateway, *events)
        program.wait_handled(*events)
        assert set(entries(program.path)) == {"c@example.com"}
        config.write_text('suppress\n    candidates = "perhaps"\n')
        program.signal(signal.SIGHUP)
        program.wait_log(level="error", message="settings not reloaded: nothing has changed")
        program.stop()


# --- a question never gets a wrong yes -------------------------------------------------------------


def test_no_answer_before_what_was_missed_is_known(tmp_path):
    """The program was away while somebody complained: until it has that from the gateway, it says yes to nobody."""
    publish, replay = (f"tcp://127.0.0.1:{free_port()}" for _ in range(2))
    with Gateway(tmp_path, publish=publish, replay=replay) as gateway:
        bus = gateway.bus()
        with Suppression(tmp_path, bus) as program:
            early = complaint("early@example.com")
            post(gateway, early)
            program.wait_handled(early)
            program.stop()
        post(gateway, complaint("late@example.com"))
        gateway.stop()
    with Suppression(tmp_path, bus) as program:
        assert program.ask("early@example.com")["answer"] == "no"  # what is known is known
        assert program.ask("late@example.com", timeout=0.3) is None
        assert program.ask("anybody@example.com", timeout=0.3) is None
        with Gateway(tmp_path, publish=publish, replay=replay) as gateway:
            assert program.says("late@example.com") == "no"
            assert program.says("anybody@example.com") == "yes"
            gateway.stop()
        assert program.says("anybody@example.com") == "yes"  # it was up to date once
        program.stop()


def test_a_list_that_can_not_be_read_is_never_yes(gateway, tmp_path):
    """The file is removed, replaced, locked and damaged under the running program."""
    with Suppression(tmp_path, gateway.bus()) as program:
        event = complaint("jane@example.com")
        post(gateway, event)
        program.wait_handled(event)
        assert program.says("joe@example.com") == "yes"
        aside = tmp_path / "aside.db"

        program.path.rename(aside)
        assert program.ask("joe@example.com", timeout=0.3) is None
        program.wait_log(level="error", message=f"the list can't be read, and nobody is answered: {program.path}: No such file or directory")
        with sqlite3.connect(program.path) as other:  # an empty list, as good as any other
            other.execute("CREATE TABLE entries (key TEXT PRIMARY KEY, address, reason, certain, first_ms, last_ms, count,"
                          " event_id, message_id, note)")
        assert program.ask("joe@example.com", timeout=0.3) is None
        program.path.unlink()
        aside.rename(program.path)
        assert program.says("joe@example.com") == "yes"

        # another process holds what SQLite's readers lock in the shared memory of the log
        with open(f"{program.path}-shm", "r+b") as shm:
            fcntl.lockf(shm, fcntl.LOCK_EX, 8, 120)
            assert program.ask("joe@example.com", timeout=0.3) is None
            fcntl.lockf(shm, fcntl.LOCK_UN, 8, 120)
        assert program.says("joe@example.com") == "yes"
        program.stop()

    with Suppression(tmp_path, gateway.bus()) as program:  # everything is in the file itself now
        assert program.says("joe@example.com") == "yes"
        assert program.says("jane@example.com") == "no"
        good = program.path.read_bytes()
        with open(program.path, "r+b") as file:
            file.write(random.Random(1).randbytes(len(good)))
        for address in ("joe@example.com", "jane@example.com"):
            assert program.ask(address, timeout=0.3) is None
        assert program.metric("mailbus_suppression_checks_total", answer="silent") >= 2
        program.kill()
    program.path.write_bytes(good)


def test_the_next_automatic_reply_is_not_sent(tmp_path):
    """Complaint → list → no reply; with the list's program stopped none either, and it goes out once that is back and says yes."""
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    with open_post(tmp_path) as office:
        bus = office.gateway.bus()
        with Suppression(tmp_path, bus, check__listen=endpoint) as program, \
                office.autoreply(send__checks=endpoint, send__check_timeout="500ms", retry__max_pause="300ms") as autoreply:
            event = complaint("jane@example.com")
            post(office.gateway, event)
            program.wait_handled(event)
            silent = office.mail(from_="Jane <JANE@example.com>")
            answered = office.mail(from_="Joe <joe@example.com>")
            history = office.wait_history(silent, answered, program=autoreply)
            assert history[silent][0] == "silent" and "complaint of 2026-10-12T11:00:00.000Z" in history[silent][1]
            assert history[answered][0] == "answered"
            program.stop()

            waiting = [office.mail(from_="jim@example.com"), office.mail(from_="jane@example.com")]
            for mail in waiting:
                line = autoreply.wait_log(message="trying again later", id=mail)
                assert line["reason"].startswith("check: ")
            post(office.gateway, complaint("late@example.com"))  # while the list's program is away
            late = office.mail(from_="late@example.com")
            autoreply.wait_log(message="trying again later", id=late)
            assert set(answers(office.sim)) == {"joe@example.com"}
            with Suppression(tmp_path, bus, check__listen=endpoint) as program:
                history = office.wait_history(*waiting, late, program=autoreply)
                program.stop()
            autoreply.stop()
        assert [history[mail][0] for mail in (*waiting, late)] == ["answered", "silent", "silent"]
        assert set(answers(office.sim)) == {"joe@example.com", "jim@example.com"}


# --- exactly once, in whatever order ----------------------------------------------------------------


def load(seed, count, people):
    """Complaints, bounces and rejects about a few people, with what was said: {address: {reason: how often}}."""
    draw = random.Random(seed)
    events, told = [], {}
    for i in range(count):
        person = f"p{draw.randrange(people)}@example.com"
        time = f"2026-10-{draw.randrange(1, 29):02}T{draw.randrange(24):02}:00:00.000Z"
        make, reason = draw.choice([(complaint, "complaint"), (bounce, "bounce"), (reject, "rejected")])
        what = f"{person} is suppressed" if make is reject else person
        events.append(make(what, event_id=f"evt_load_{seed}_{i}", time=time))
        told.setdefault(person, {}).setdefault(reason, 0)
        told[person][reason] += 1
    return events, told


def strongest(told):
    """{address: (reason, count)} as the list shows it."""
    return {person: next((reason, reasons[reason]) for reason in ("complaint", "bounce", "rejected") if reason in reasons)
            for person, reasons in told.items()}


def test_killed_again_and_again_under_load_every_event_counts_once(gateway, tmp_path):
    """kill -9 at random moments while events come: the counts are those of the events, and the block list is the list."""
    batches = [load(seed, 120, 12) for seed in range(KILLS)]
    expected = {}
    for _, told in batches:
        for person, reasons in told.items():
            for reason, count in reasons.items():
                counts = expected.setdefault(person, {})
                counts[reason] = counts.get(reason, 0) + count
    draw = random.Random(11)
    facts = tmp_path / "mailbus-suppression.db"
    with Sim() as sim:
        for events, _ in batches:
            with writer(tmp_path, gateway.bus(), sim) as program:
                sender = threading.Thread(target=post, args=(gateway, *events))
                wanted = len(rows(facts, "SELECT 1 FROM facts")) + draw.randrange(1, len(events))
                sender.start()
                wait_for(lambda: len(rows(facts, "SELECT 1 FROM facts")) >= wanted or not sender.is_alive(),
                         lambda: f"{wanted} facts\n{program.tail()}")
                program.kill()
                sender.join()
        total = sum(len(events) for events, _ in batches)
        with writer(tmp_path, gateway.bus(), sim) as program:
            wait_for(lambda: len(rows(facts, "SELECT 1 FROM facts")) == total,
                     lambda: f"{total} facts, not {len(rows(facts, 'SELECT 1 FROM facts'))}\n{program.tail()}")
            wait_blocked(sim, program, *expected)
            program.stop()
        sim.stop()
    got = {}
    for address, reason, count in rows(facts, "SELECT address, reason, events FROM evidence"):
        got.setdefault(address, {})[reason] = count
    assert got == expected
    assert rows(facts, "PRAGMA integrity_check") == [("ok",)]


def test_shuffled_events_and_a_replay_give_the_same_list(tmp_path):
    """Three orders of the same events, and a second program that gets the whole journal: one list."""
    events, told = load(5, 150, 9)
    lists = []
    for order in range(3):
        folder = tmp_path / f"order{order}"
        folder.mkdir()
        random.Random(order).shuffle(events)
        with Gateway(folder) as gateway:
            with Suppression(folder, gateway.bus()) as program:
                post(gateway, *events)
                program.wait_handled(*events)
                program.stop()
            lists.append(export(folder))
            again = folder / "again"
            again.mkdir()
            with Suppression(again, gateway.bus()) as program:
                program.wait_handled(*events)
                program.stop()
            lists.append(export(again))
            gateway.stop()
    assert all(one == lists[0] for one in lists)
    assert {address: (row[0], row[3]) for address, row in entries(tmp_path / "order0" / "mailbus-suppression.db").items()} == strongest(told)


def test_rebuild_keeps_what_people_did_and_what_the_journal_no_longer_has(tmp_path):
    events, _ = load(9, 60, 6)
    with Gateway(tmp_path) as gateway:
        with Suppression(tmp_path, gateway.bus()) as program:
            post(gateway, *events)
            program.wait_handled(*events)
            mailbus("add", "*@rival.example", "jane@example.com", "--reason", "no business", folder=tmp_path)
            mailbus("remove", "p0@example.com", "--reason", "he asked", folder=tmp_path)
            later = complaint("p1@example.com", time="2099-01-01T00:00:00Z")
            gone = bounce("gone@example.com")
            post(gateway, later, gone)
            program.wait_handled(later, gone)
            program.stop()
        mailbus("import", "-", "--as", "unsubscribe", folder=tmp_path, stdin="left@example.com\n")
        before = export(tmp_path)
        assert "p0@" not in before and "p1@example.com,complaint" in before and "left@example.com" in before
        with Suppression(tmp_path, gateway.bus(), "--rebuild", ready=False) as program:
            assert program.process.wait(60) == 0, program.tail()
        assert export(tmp_path) == before
        gateway.stop()
    (tmp_path / "elsewhere").mkdir()
    with Gateway(tmp_path / "elsewhere") as gateway:  # another journal, which has none of these events
        with Suppression(tmp_path, gateway.bus(), "--rebuild", ready=False) as program:
            assert program.process.wait(60) == 0, program.tail()
        assert export(tmp_path) == before
        with Suppression(tmp_path, gateway.bus(), "--rebuild", ready=False, suppress__bounces="no") as program:
            assert program.process.wait(60) == 0, program.tail()
        assert ",bounce," in before and ",bounce," not in export(tmp_path)  # new settings, applied to the past
        gateway.stop()


# --- the command line --------------------------------------------------------------------------------


def use_the_list(folder, says):
    """Every form of the command; `says` looks at what a question gets (None: nobody to ask)."""
    assert mailbus("list", folder=folder).stderr == "nobody is suppressed\n"
    done = mailbus("add", "Jane@example.com", "*@rival.example", "--reason", "by phone", folder=folder)
    assert done.stdout == "Jane@example.com is suppressed\n*@rival.example is suppressed\n"
    says("jane@example.com", "no")
    says("anyone@rival.example", "no")
    says("a@sub.rival.example", "yes")
    done = mailbus("add", "jane@example.com", "--reason", "and by letter", folder=folder)
    assert "as before" in done.stdout
    table = mailbus("list", folder=folder).stdout.splitlines()
    assert table[0].split()[:2] == ["ADDRESS", "REASON"] and len(table) == 3
    found = [json.loads(line) for line in mailbus("list", "--json", folder=folder).stdout.splitlines()]
    assert [(row["address"], row["reason"], row["count"], row["note"]) for row in found] == [
        ("Jane@example.com", "manual", 2, "by phone"), ("*@rival.example", "manual", 1, "by phone")]
    shown = json.loads(mailbus("show", "JANE@example.com", "--json", folder=folder).stdout)
    assert shown["suppressed"] is True and shown["facts"] == 2 and shown["block_list"] == "waiting"
    shown = mailbus("show", "anyone@rival.example", folder=folder).stdout
    assert "*@rival.example" in shown
    done = mailbus("remove", "jane@example.com", "--reason", "she asked", folder=folder)
    assert done.stdout == "jane@example.com is taken off the list\n"
    says("jane@example.com", "yes")
    history = [json.loads(line) for line in mailbus("history", "jane@example.com", "--json", folder=folder).stdout.splitlines()]
    assert [(row["said"], row["note"]) for row in history] == [
        ("add", "by phone"), ("add", "and by letter"), ("remove", "she asked")]
    assert "she asked" in mailbus("history", "jane@example.com", folder=folder).stdout
    assert "not suppressed" in mailbus("remove", "jane@example.com", "--reason", "r", folder=folder, status=1).stderr
    assert "nothing was ever said" in mailbus("show", "new@example.com", folder=folder, status=1).stderr
    assert "--reason" in mailbus("add", "joe@example.com", folder=folder, status=2).stderr
    assert "no address" in mailbus("add", "nobody", "--reason", "r", folder=folder, status=1).stderr
    assert "dot behind" in mailbus("add", "*@*.com", "--reason", "r", folder=folder, status=1).stderr
    assert "no reason" in mailbus("list", "--only", "spite", folder=folder, status=1).stderr
    assert mailbus("list", "--only", "bounce", folder=folder).stderr == "nobody is suppressed\n"
    assert json.loads(mailbus("add", "joe@example.com", "--reason", "r", "--json", folder=folder).stdout)["suppressed"] is True
    assert "say what to do" in mailbus(folder=folder, status=2).stderr


def test_the_command_line_while_the_program_runs(gateway, tmp_path):
    with Suppression(tmp_path, gateway.bus()) as program:
        def says(address, expected):
            assert program.says(address) == expected, address

        use_the_list(tmp_path, says)
        wait_for(lambda: program.metric("mailbus_suppression_entries", reason="manual") == 2, "the gauge")
        program.stop()


def test_the_command_line_while_the_program_is_stopped(shared, tmp_path):
    assert "state.path" in mailbus("list", folder=tmp_path, status=1).stderr
    with Suppression(tmp_path, shared.bus()) as program:
        program.stop()
    use_the_list(tmp_path, lambda address, expected: None)
    with Suppression(tmp_path, shared.bus()) as program:
        assert program.ask("joe@example.com")["answer"] == "no"
        assert program.says("jane@example.com") == "yes"
        program.stop()


MAILGUN = """address,code,error,created_at,domain
gone@example.com,550,"No such mailbox, sorry","Mon, 06 May 2024 18:11:58 UTC",x
"nobody",550,,,
"""
SES = """EmailAddress,Reason,LastUpdateTime
angry@example.com,COMPLAINT,2020-04-10T21:03:05.077000+00:00
gone@example.com,BOUNCE,2020-04-10T21:03:05.077000+00:00
"""


def test_import_and_export(shared, tmp_path):
    """Mailgun's and Amazon's files; the same one twice changes nothing; what is exported gives the same list elsewhere."""
    with Suppression(tmp_path, shared.bus()) as program:
        (tmp_path / "mailgun.csv").write_text(MAILGUN)
        done = mailbus("import", "mailgun.csv", folder=tmp_path, status=1)
        assert done.stdout == "1 added, 0 were suppressed already, 0 known already, 0 kept off by a person's removal, 1 bad\n"
        assert 'mailgun.csv: line 3: "nobody" is no address' in done.stderr
        assert 'taken as "bounce" by the columns (--as says otherwise); ignored: domain' in done.stderr
        done = mailbus("import", "-", folder=tmp_path, stdin=SES)
        assert done.stdout.startswith("1 added, 1 were suppressed already")
        assert program.ask("angry@example.com")["reason"] == "complaint of 2020-04-10T21:03:05.077Z"
        assert "550 No such mailbox, sorry" in mailbus("history", "gone@example.com", folder=tmp_path).stdout
        hostile = ["=cmd@example.com", "+tag@example.com", "'=x@example.com", "'x@example.com", "-dash@example.com",
                   '"*"@example.com', '"a,b"@example.com', "J\u00e4ne@m\u00fcller.example", "*@*.below.example"]
        mailbus("add", "--reason", '=SUM(A1), "quoted"', "--", *hostile, folder=tmp_path)
        mailbus("import", "-", folder=tmp_path, stdin="a@example.com,BOUNCE\nb@example.com, COMPLAINT\n")

        first = export(tmp_path)
        assert first.count("\n") == 14 and "\n'=cmd@example.com," in first and "\n''=x@example.com," in first
        done = mailbus("import", "-", folder=tmp_path, stdin=first)  # one's own export
        assert "0 added" in done.stdout and export(tmp_path) == first
        done = mailbus("import", "-", folder=tmp_path, stdin=first)
        assert done.stdout.startswith("0 added, 0 were suppressed already, 13 known already")
        lines = mailbus("export", "--json", folder=tmp_path).stdout
        program.stop()

    for name, text, options in (("csv", first, ()), ("json", lines, ("--json",))):
        other = tmp_path / name
        other.mkdir()
        with Suppression(other, shared.bus()) as program:
            program.stop()
        mailbus("import", "-", *options, folder=other, stdin=text)  # the program is stopped
        assert export(other) == first
        assert sorted(entries(other / "mailbus-suppression.db")) == sorted(entries(tmp_path / "mailbus-suppression.db"))


def test_a_big_import_while_events_come(gateway, tmp_path):
    with Suppression(tmp_path, gateway.bus()) as program:
        text = "address,reason\n" + "".join(f"i{i}@example.com,bounce\n" for i in range(3000))
        events = [complaint(f"i{i}@example.com") for i in range(100)]
        sender = threading.Thread(target=post, args=(gateway, *events))
        sender.start()
        done = mailbus("import", "-", folder=tmp_path, stdin=text)
        sender.join()
        program.wait_handled(*events)
        added, suppressed = (int(part.split()[0]) for part in done.stdout.split(",")[:2])
        assert added + suppressed == 3000
        listed = entries(program.path)
        assert len(listed) == 3000 and sum(row[0] == "complaint" for row in listed.values()) == 100
        program.stop()


# --- AgentMail's block list ---------------------------------------------------------------------------


KEY = {"AGENTMAIL_API_KEY": "am_test"}


def blocked(sim):
    status, answer = sim.call("GET", "/v0/lists/send/block", headers={"Authorization": "Bearer am_test"})
    assert status == 200, answer
    return {entry["entry"]: entry.get("reason", "") for entry in answer["entries"]}


def writer(folder, bus, sim, env=None, **settings):
    settings.setdefault("retry__max_pause", "300ms")
    return Suppression(folder, bus, env={**KEY, **(env or {})}, block_list__write="yes", api__base_url=sim.base_url, **settings)


def wait_blocked(sim, program, *expected):
    wait_for(lambda: set(blocked(sim)) == set(expected), lambda: f"{expected} on the block list, not {blocked(sim)}\n{program.tail()}")
    wait_for(lambda: program.metric("mailbus_suppression_block_list_waiting") == 0, "an empty outbox")


def test_entries_reach_the_block_list_and_leave_it(gateway, tmp_path):
    """Of events, of people while it runs and while it is stopped, and of the time before it was switched on."""
    with Sim() as sim:
        with Suppression(tmp_path, gateway.bus()) as program:  # not switched on
            event = complaint("before@example.com")
            post(gateway, event)
            program.wait_handled(event)
            mailbus("add", "fleeting@example.com", "--reason", "r", folder=tmp_path)
            mailbus("remove", "fleeting@example.com", "--reason", "r", folder=tmp_path)
            program.stop()
        sim.call("POST", "/v0/lists/send/block", {"entry": "fleeting@example.com"}, {"Authorization": "Bearer am_test"})
        with writer(tmp_path, gateway.bus(), sim) as program:
            post(gateway, complaint("during@example.com"))
            mailbus("add", "*@rival.example", "*@*.below.example", "--reason", "r", folder=tmp_path)
            # what was never written by us stays: somebody else put it there
            wait_blocked(sim, program, "before@example.com", "during@example.com", "rival.example", "fleeting@example.com")
            assert blocked(sim)["during@example.com"].startswith("mailbus-suppression: complaint, 2026-10-12")
            assert "no such entries" in mailbus("show", "*@*.below.example", folder=tmp_path).stdout
            mailbus("remove", "before@example.com", "--reason", "r", folder=tmp_path)
            wait_blocked(sim, program, "during@example.com", "rival.example", "fleeting@example.com")
            program.stop()
        mailbus("add", "stopped@example.com", "--reason", "r", folder=tmp_path)
        mailbus("remove", "*@rival.example", "--reason", "r", folder=tmp_path)
        with writer(tmp_path, gateway.bus(), sim) as program:
            wait_blocked(sim, program, "during@example.com", "stopped@example.com", "fleeting@example.com")
            program.stop()
        sim.stop()


def test_the_block_list_in_trouble(gateway, tmp_path):
    """429 with Retry-After, 500, a reset, a result that is lost, a wrong key: later, and done once."""
    with Sim() as sim, writer(tmp_path, gateway.bus(), sim) as program:
        for number, trouble in enumerate(({"mode": "status", "status": 429, "retry_after": 1}, {"mode": "status", "status": 500},
                                          {"mode": "reset", "count": 2}, {"mode": "after", "status": 500},
                                          {"mode": "after", "status": 0, "count": 2},  # curl tries a connection once more
                                          {"mode": "status", "status": 401})):
            later = program.metric("mailbus_suppression_block_list_calls_total", result="later")
            status, answer = sim.call("POST", "/sim/fail", {"target": "api", "count": 1, **trouble})
            assert status == 200, answer
            post(gateway, complaint(f"p{number}@example.com"))
            wait_for(lambda: program.metric("mailbus_suppression_block_list_calls_total", result="later") == later + 1,
                     lambda: f"{trouble}\n{program.tail()}")
            assert program.says("joe@example.com") == "yes"
            wait_blocked(sim, program, *[f"p{i}@example.com" for i in range(number + 1)])
        assert program.find(level="error", message="p5@example.com is not yet put on AgentMail's block list: "
                            "block an address: HTTP 401") or any("401" in line for line in program.lines)
        sim.call("POST", "/sim/fail", {"target": "api", "count": 1, "mode": "status", "status": 422})
        post(gateway, complaint("refused@example.com"))
        wait_for(lambda: program.metric("mailbus_suppression_block_list_calls_total", result="refused") == 1, "the refusal")
        wait_for(lambda: "refused: " in mailbus("show", "refused@example.com", folder=tmp_path).stdout, "its note")
        assert program.metric("mailbus_suppression_block_list_calls_total", result="done") == 6
        program.stop()


def test_killed_around_a_call_the_block_list_is_right_in_the_end(gateway, tmp_path):
    with Sim() as sim:
        for number, point in enumerate(("block_list_before_call", "block_list_after_call")):
            address = f"p{number}@example.com"
            with writer(tmp_path, gateway.bus(), sim, env={"MAILBUS_TEST_KILL": point}) as program:
                post(gateway, complaint(address))
                wait_for(lambda: program.process.poll() is not None, lambda: f"the kill at {point}\n{program.tail()}")
            assert (address in blocked(sim)) == (point == "block_list_after_call")
            if number == 1:  # it is there by our doing, and nobody noted it: it must come off again
                mailbus("remove", address, "--reason", "r", folder=tmp_path)
            with writer(tmp_path, gateway.bus(), sim) as program:
                wait_blocked(sim, program, "p0@example.com")
                program.stop()
        sim.stop()


def test_a_service_that_never_answers_holds_up_nobody(gateway, tmp_path):
    """The call hangs: events are handled and questions answered, and the program stops in time."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(8)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/v0"
        with Suppression(tmp_path, gateway.bus(), env=KEY, block_list__write="yes", api__base_url=url) as program:
            first = complaint("first@example.com")
            post(gateway, first)
            connection, _ = listener.accept()  # and never a word
            events = [complaint(f"p{i}@example.com") for i in range(20)]
            post(gateway, *events)
            program.wait_handled(first, *events)
            assert program.says("p7@example.com") == "no"
            assert program.says("joe@example.com") == "yes"
            assert program.metric("mailbus_suppression_block_list_calls_total") == 0
            connection.close()
            program.stop()


def test_writing_through_wants_a_key(shared, tmp_path):
    with Suppression(tmp_path, shared.bus(), ready=False, block_list__write="yes") as program:
        assert program.process.wait(30) == 1
        line = program.wait_log(message="can't start")
        assert "api.key is not set" in line["reason"] and "AGENTMAIL_API_KEY" in line["reason"]
