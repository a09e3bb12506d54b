"""mailbus-autoreply with a real gateway and the AgentMail stand-in: one answer per mail, whatever happens."""

import json
import os
import signal
import sqlite3
import subprocess

import pytest

from autoreply_testing import KEY, SALES, SUPPORT, answers, open_post
from mailbus_testing import BIN, Gateway, Program, Sim, Subscriber, received, wait_for

KILLS = int(os.environ.get("MAILBUS_TEST_KILLS", "5"))


@pytest.fixture
def post(tmp_path):
    with open_post(tmp_path) as setup:
        yield setup


def test_the_whole_way_from_the_service_to_the_answer(tmp_path):
    """The stand-in signs and delivers the webhooks itself; its own events of the answers are not answered."""
    with Gateway(tmp_path) as gateway, Sim(webhook_url=f"http://{gateway.address}/webhook") as sim:
        with Subscriber("mailbus-autoreply", tmp_path, gateway.bus(), env=KEY, api__base_url=sim.base_url) as program:
            for inbox, sender in (("support@agentmail.to", "jane@example.com"), ("sales@agentmail.to", "john@example.com"),
                                  ("other@agentmail.to", "june@example.com")):
                sim.receive(**{"inbox_id": inbox, "from": f"X <{sender}>", "to": [inbox], "subject": "Question", "text": "?"})
            program.wait_log(message="silent: no-rule; from june@example.com to other@agentmail.to")
            wait_for(lambda: len(sim.sent()) == 2, lambda: f"two answers:\n{program.tail()}")
            wait_for(lambda: program.metric("mailbus_autoreply_mails_total", action="answered") == 2, "both noted")
            program.stop()
        assert answers(sim) == {"jane@example.com": [SUPPORT], "john@example.com": [SALES]}
        for mail in sim.sent():
            headers = {name.lower(): value for name, value in mail["headers"].items()}
            assert headers["auto-submitted"] == "auto-replied"
            assert headers["x-auto-response-suppress"] == "All"
            assert headers["precedence"] == "bulk"
            assert mail["subject"] == "Re: Question"
            assert mail["in_reply_to"]
        sim.stop()
        gateway.stop()


def test_who_is_not_answered(post):
    with post.autoreply() as program:
        events = {
            post.mail(): ("answered", "rule support to person1@example.com"),
            post.mail(from_="Sales <sales@agentmail.to>", inbox="support@agentmail.to"): None,
            post.mail(from_="support@agentmail.to"): ("silent", "own-sender: support@agentmail.to"),
            post.mail(from_="MAILER-DAEMON@example.com"): ("silent", "robot-sender: MAILER-DAEMON@example.com"),
            post.mail(from_="MAILER-DAEMON <>", known=False): ("silent", "no-sender"),
            post.mail(headers={"Auto-Submitted": "auto-replied (vacation)"}): ("silent", "auto-submitted: auto-replied (vacation)"),
            post.mail(headers={"List-Id": "<l.example.com>"}): ("silent", "list: List-Id"),
            post.mail(cc=["support@agentmail.to"]): ("answered", "rule support to person8@example.com"),
            post.mail(inbox="agent@agentmail.to", cc=["support@elsewhere.example"]): ("silent", "no-rule"),
            post.mail(from_="Evil\r\nBcc: x <evil@example.com>", known=False): ("silent", "no-sender"),
        }
        unknown = [event for event, expected in events.items() if expected is None]
        # not for this program: the topics are other ones
        spam = [post.mail(topic=f"message.received.{kind}") for kind in ("spam", "blocked", "unauthenticated")]
        last = post.mail(inbox="sales@agentmail.to")
        events[last] = ("answered", "rule sales to person14@example.com")
        history = post.wait_history(*events, program=program)
        program.stop()
    for event, expected in events.items():
        if event not in unknown:
            assert history[event] == expected
    # sales@ is an inbox of ours once mail came through it; before, it is a sender like others
    assert history[unknown[0]] in (("answered", "rule support to sales@agentmail.to"), ("silent", "own-sender"))
    assert not set(spam) & set(history)
    assert not {"person11@example.com", "person12@example.com", "person13@example.com"} & set(answers(post.sim))


def test_own_inboxes_from_the_settings(post):
    with post.autoreply(send__own_inboxes="ops@corp.example *@ours.example") as program:
        first = post.mail(from_="Ops <OPS@corp.example>")
        second = post.mail(from_="anyone@ours.example")
        third = post.mail(reply_to=["ops@corp.example"])
        history = post.wait_history(first, second, third, program=program)
        program.stop()
    assert [history[event][1] for event in (first, second, third)] == [
        "own-sender: OPS@corp.example", "own-sender: anyone@ours.example", "own-sender: ops@corp.example"]
    assert post.sim.sent() == []


def test_a_mail_without_header_in_its_event_is_judged_by_the_raw_message(post):
    with post.autoreply() as program:
        plain = post.mail(headers={})
        post.number += 1
        bulk_id = f"<mail{post.number}@example.com>"
        post.sim.receive(**{"inbox_id": "support@agentmail.to", "from": "news@example.com", "to": ["support@agentmail.to"],
                            "subject": "News", "text": "n", "message_id": bulk_id, "headers": {"Precedence": "bulk"}})
        event = received(0, inbox_id="support@agentmail.to", message_id=bulk_id)
        event["message"]["from"] = "news@example.com"
        del event["message"]["headers"]
        assert post.gateway.post(event)[0] == 200
        history = post.wait_history(plain, event["event_id"], program=program)
        program.stop()
    assert history[plain][0] == "answered"
    assert history[event["event_id"]] == ("silent", "precedence: bulk")
    assert len(post.sim.sent()) == 1


def test_a_mail_whose_header_cannot_be_had_stays_unanswered(post):
    with post.autoreply(send__header_tries=3) as program:
        event = post.mail(headers={}, known=False)
        history = post.wait_history(event, program=program)
        tries = [line for line in program.log if line.get("id") == event and line.get("message") == "trying again later"]
        program.stop()
    assert history[event][0] == "silent" and history[event][1].startswith("header-unknown: get raw message: HTTP 404")
    assert len(tries) == 2
    assert post.sim.sent() == []


def test_one_answer_per_sender_also_after_a_restart_and_for_many_workers(post):
    with post.autoreply(workers=8) as program:
        first = [post.mail(from_="Jane <jane@example.com>", reply_to=["jane@home.example"] if i % 2 else []) for i in range(12)]
        history = post.wait_history(*first, program=program)
        program.stop()
    assert sorted(history[event][0] for event in first) == ["answered"] + ["silent"] * 11
    with post.autoreply() as program:
        again = post.mail(from_="JANE@Example.com")
        other_rule = post.mail(from_="jane@example.com", inbox="sales@agentmail.to")
        history = post.wait_history(again, other_rule, program=program)
        program.stop()
    assert history[again] == ("silent", "answered-before: support")
    assert history[other_rule][0] == "answered"
    assert len(post.sim.sent()) == 2


def test_limits_and_the_note_are_one_step_among_many_workers(post):
    """All mails wait before the program starts, so that sixteen workers decide about the same sender at the same time.
    Whoever lets the store go between reading the limits and writing the answer down answers some of them twice."""
    senders = [f"sender{number}@example.com" for number in range(10)]
    events = [post.mail(from_=sender) for sender in senders for _ in range(8)]
    with post.autoreply(workers=16) as program:
        history = post.wait_history(*events, program=program)
        program.stop()
    assert sorted(history[event][0] for event in events) == ["answered"] * 10 + ["silent"] * 70
    assert {who: len(texts) for who, texts in answers(post.sim).items()} == {sender: 1 for sender in senders}


def test_the_ceiling_per_minute_waits_and_loses_nothing(post):
    with post.autoreply(send__per_minute=3, workers=1) as program:
        events = [post.mail() for _ in range(4)]
        post.wait_history(*events[:3], program=program)
        line = program.wait_log(message="trying again later", id=events[3])
        program.stop()
    assert "too-fast" in line["reason"] and int(line["pause_ms"]) > 30000
    assert len(post.sim.sent()) == 3
    with sqlite3.connect(post.folder / "mailbus-autoreply.db") as db:
        assert db.execute("SELECT count(*) FROM mailbus_inbox").fetchone() == (1,)


def test_failures_of_the_service_are_waited_out(post):
    with post.autoreply() as program:
        for status in (500, 503, 429):
            assert post.sim.call("POST", "/sim/fail", {"target": "api", "count": 1, "status": status, "retry_after": 1})[0] < 300
            event = post.mail()
            post.wait_history(event, program=program)
        program.stop()
    assert sorted(len(texts) for texts in answers(post.sim).values()) == [1, 1, 1]


def test_an_answer_carried_out_without_an_answer_to_us_is_sent_once(post):
    """The service did it and the connection broke: the same again under the same key."""
    with post.autoreply() as program:
        for mode in ({"mode": "after", "status": 502}, {"mode": "after", "status": 0}, {"mode": "reset"}):
            assert post.sim.call("POST", "/sim/fail", {"target": "api", "count": 2, **mode})[0] < 300
            event = post.mail()
            post.wait_history(event, program=program)
        program.stop()
    assert sorted(len(texts) for texts in answers(post.sim).values()) == [1, 1, 1]


def test_a_service_that_is_down_is_waited_for(post):
    address = post.sim.address
    post.sim.stop()
    with post.autoreply() as program:
        event = post.mail(known=False)
        program.wait_log(message="trying again later", id=event)
        with sqlite3.connect(f"file:{post.folder / 'mailbus-autoreply.db'}?mode=ro", uri=True) as db:
            # certainly not sent: a try tomorrow is as good as one now
            wait_for(lambda: db.execute("SELECT unsure_ms FROM outgoing_mails").fetchone() == (0,), "the note that nothing was sent")
        program.signal(signal.SIGSTOP)  # it must not ask before the new stand-in knows the mail
        post.sim = Sim(listen=address)
        post.sim.receive(**{"inbox_id": "support@agentmail.to", "from": "person1@example.com", "to": ["support@agentmail.to"],
                            "subject": "Hello", "text": "Hi.", "message_id": "<mail1@example.com>"})
        program.signal(signal.SIGCONT)
        post.wait_history(event, program=program)
        program.stop()
    assert answers(post.sim) == {"person1@example.com": [SUPPORT]}


def test_a_wrong_key_is_told_and_loses_no_mail(post):
    with post.autoreply() as program:
        assert post.sim.call("POST", "/sim/fail", {"target": "api", "count": 2, "status": 401})[0] < 300
        event = post.mail()
        line = wait_for(lambda: next((entry for entry in program.log if "until this is mended" in entry.get("message", "")), None),
                        lambda: f"a loud word:\n{program.tail()}")
        assert line["level"] == "error" and "api.key" in line["message"]
        post.wait_history(event, program=program)
        program.stop()
    assert len(post.sim.sent()) == 1


def test_what_the_service_refuses_goes_to_the_dead_letters(post):
    with post.autoreply() as program:
        event = post.mail(known=False)
        history = post.wait_history(event, program=program)
        program.stop()
    assert history[event][0] == "rejected" and "HTTP 404" in history[event][1]
    with sqlite3.connect(post.folder / "mailbus-autoreply.db") as db:
        assert db.execute("SELECT count(*) FROM mailbus_dead").fetchone() == (1,)
        assert db.execute("SELECT count(*) FROM mailbus_inbox").fetchone() == (0,)
        assert db.execute("SELECT state FROM outgoing_mails").fetchone() == ("refused",)


@pytest.mark.parametrize("point,kills", [("outgoing-sent", KILLS), ("outgoing-noted", max(1, KILLS // 5))])
def test_killed_between_sending_and_noting_each_mail_has_one_answer(post, point, kills):
    """Every run passes the point with the mail that the last one left, and dies at it with the next."""
    events = []
    for number in range(kills):
        events.append(post.mail())
        env = {**KEY, "MAILBUS_TEST_KILL": point if number == 0 else f"{point}:2"}
        with post.autoreply(env=env, ready=False) as program:
            status = program.process.wait(60)
            assert status == -signal.SIGKILL, f"{status} in run {number}:\n{program.tail()}"
    with post.autoreply() as program:
        history = post.wait_history(*events, program=program)
        program.stop()
    assert {action for action, _ in history.values()} == {"answered"}
    assert len(history) == kills
    sent = answers(post.sim)
    assert len(sent) == kills
    assert {recipient: texts for recipient, texts in sent.items() if len(texts) != 1} == {}


def test_an_unsure_answer_is_not_sent_again_a_day_later(post):
    """Killed after sending, back when the service has forgotten the key: silence, and a dead letter that says why."""
    event = post.mail()
    with post.autoreply(env={**KEY, "MAILBUS_TEST_KILL": "outgoing-sent"}, ready=False) as program:
        assert program.process.wait(60) == -signal.SIGKILL
    with sqlite3.connect(post.folder / "mailbus-autoreply.db") as db:
        db.execute("UPDATE outgoing_mails SET unsure_ms = unsure_ms - ?", (24 * 3600 * 1000,))
    with post.autoreply() as program:
        history = post.wait_history(event, program=program)
        program.stop()
    assert history[event][0] == "rejected" and "24 hours ago" in history[event][1]
    assert len(post.sim.sent()) == 1


def test_dry_run_sends_nothing_and_says_why(post):
    own_state = post.folder / "mailbus-data" / "autoreply-dry-run.db"
    events = [post.mail(), post.mail(headers={"List-Id": "x"}), post.mail(inbox="other@agentmail.to")]
    options = [part for key, value in {**post.gateway.bus(), "bus.start": "oldest", "api.base_url": post.sim.base_url}.items()
               for part in ("--set", f"{key}={value}")]
    with Program("mailbus-autoreply", "--dry-run", *options, cwd=post.folder) as program:
        program.wait_log(message="would-answer: rule support to person1@example.com; from person1@example.com to support@agentmail.to")
        history = post.wait_history(*events, program=program, state=own_state)
        program.stop()
    assert [history[event][0] for event in events] == ["would-answer", "silent", "silent"]
    assert post.sim.sent() == []
    with post.autoreply() as program:  # and the real one still has them all
        history = post.wait_history(*events, program=program)
        program.stop()
    assert [history[event][0] for event in events] == ["answered", "silent", "silent"]


def test_rules_are_read_again_on_sighup_and_a_mistake_changes_nothing(post):
    rules = post.folder / "rules.zpl"
    rules.write_text('rules\n    hello\n        subject = "hello"\n        text = "Dear {{sender.name}}: {{subject}}"\n')
    with post.autoreply(reply__rules=rules) as program:
        first = post.mail(subject="HELLO\r\nBcc: x@y.z")
        post.wait_history(first, program=program)
        rules.write_text('rules\n    hello\n        subject = "hello"\n        text = "{{oops}}"\n')
        program.signal(signal.SIGHUP)
        line = program.wait_log(message="the subscriber keeps its old rules")
        assert 'rule "hello"' in line["reason"] and "{{oops}}" in line["reason"]
        second = post.mail(subject="hello")
        post.wait_history(second, program=program)
        rules.write_text('rules\n    bye\n        subject = "hello"\n        text = "Bye"\n')
        program.signal(signal.SIGHUP)
        program.wait_log(message="1 rules read again")
        third = post.mail(subject="hello")
        post.wait_history(third, program=program)
        program.stop()
    sent = answers(post.sim)
    assert sent["person1@example.com"] == ["Dear Person 1: HELLO Bcc: x@y.z"]
    assert sent["person2@example.com"] == ["Dear Person 2: hello"]
    assert sent["person3@example.com"] == ["Bye"]


@pytest.mark.parametrize("settings,env,says", [
    ({}, {}, "AGENTMAIL_API_KEY"),
    ({"api.base_url": "http://api.example.com/v0"}, KEY, "https://"),
    ({"reply.rules": "missing.zpl"}, KEY, "missing.zpl"),
    ({"send.own_inboxes": "nonsense"}, KEY, "nonsense"),
    ({"send.again_after": "1h"}, KEY, "send.again_after"),
    ({"send.per_minute": "0"}, KEY, "send.per_minute"),
    ({"send.checks": "nonsense"}, KEY, "nonsense"),
])
def test_wrong_settings_are_told_at_the_start(tmp_path, settings, env, says):
    options = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("MAILBUS_", "AGENTMAIL_"))}
    result = subprocess.run([str(BIN / "mailbus-autoreply"), *options], env={**environment, **env}, cwd=tmp_path,
                            capture_output=True, text=True, timeout=60)
    assert result.returncode == 1
    assert says in result.stderr


def test_help_names_every_setting(tmp_path):
    result = subprocess.run([str(BIN / "mailbus-autoreply"), "--help"], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0
    for key in ("api.base_url", "api.key", "reply.rules", "send.own_inboxes", "send.again_after", "send.per_sender_day",
                "send.per_minute", "send.max_age", "send.header_tries", "send.dry_run", "--dry-run"):
        assert key in result.stdout


def test_rules_with_patterns_body_and_header(post):
    rules = post.folder / "rules.zpl"
    rules.write_text(
        "rules\n"
        "    ticket\n"
        '        header_regex = "X-Ticket: ^\\d+$"\n'
        '        text = "Ticket"\n'
        "    refund\n"
        '        body = "refund"\n'
        '        body = "money back"\n'
        '        text = "Refund"\n'
        "    invoice\n"
        '        subject_regex = "\\b(invoice|rechnung)\\s+#?\\d{3,}"\n'
        '        sender_regex = "@(example|corp)\\.com$"\n'
        '        text = "Invoice"\n'
        "    evil\n"
        '        subject_regex = "^(a+)+$"\n'
        '        text = "Evil"\n')
    with post.autoreply(reply__rules=rules) as program:
        events = [
            post.mail(subject="RECHNUNG  #1234"),
            post.mail(subject="Rechnung"),
            post.mail(text="I want my MONEY BACK."),
            post.mail(headers={"x-ticket": "77"}),
            post.mail(subject="a" * 60 + "!"),
        ]
        # what the event leaves out is fetched: the header (as in the guide's events), the text of an oversize mail
        bare = post.mail(headers={}, known=False)
        post.sim.receive(**{"inbox_id": "support@agentmail.to", "from": "person6@example.com", "to": ["support@agentmail.to"],
                            "subject": "s", "text": "x", "message_id": "<mail6@example.com>", "headers": {"X-Ticket": "1"}})
        oversize = post.mail(known=False, text=None)
        post.sim.receive(**{"inbox_id": "support@agentmail.to", "from": "person7@example.com", "to": ["support@agentmail.to"],
                            "subject": "s", "text": "long " * 10 + "refund", "message_id": "<mail7@example.com>"})
        history = post.wait_history(*events, bare, oversize, program=program)
        assert program.metric("mailbus_autoreply_patterns_exhausted_total") == 1
        program.stop()
    assert [history[event][1] for event in [*events, bare, oversize]] == [
        "rule invoice to person1@example.com", "no-rule", "rule refund to person3@example.com",
        "rule ticket to person4@example.com", "no-rule", "rule ticket to person6@example.com",
        "rule refund to person7@example.com"]


def test_a_mail_in_hand_keeps_the_text_that_was_written_down(post):
    """The service is away, the rules change meanwhile: what is under way goes out as it was decided."""
    rules = post.folder / "rules.zpl"
    rules.write_text('rules\n    hello\n        subject = "hello"\n        text = "Old"\n')
    assert post.sim.call("POST", "/sim/fail", {"target": "api", "count": 1000, "status": 500})[0] < 300
    with post.autoreply(reply__rules=rules, retry__max_pause="100ms") as program:
        first = post.mail(subject="hello")
        program.wait_log(message="trying again later", id=first)
        rules.write_text('rules\n    bye\n        subject = "bye"\n        text = "New"\n')
        program.signal(signal.SIGHUP)
        program.wait_log(message="1 rules read again")
        assert post.sim.call("POST", "/sim/fail", {"target": "api", "count": 0})[0] < 300
        second = post.mail(subject="bye")
        third = post.mail(subject="hello")
        history = post.wait_history(first, second, third, program=program)
        program.stop()
    assert history[first] == ("answered", "rule hello to person1@example.com")
    assert history[third] == ("silent", "no-rule")
    assert answers(post.sim) == {"person1@example.com": ["Old"], "person2@example.com": ["New"]}


def mailbus(*arguments, cwd):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MAILBUS_")}
    return subprocess.run([str(BIN / "mailbus"), *map(str, arguments)], env=environment, cwd=cwd, capture_output=True, text=True,
                          timeout=60)


def test_history_tells_what_was_done_and_why(post):
    """From the running program and from the file of the stopped one."""
    state = post.folder / "mailbus-autoreply.db"

    def history(*arguments, status=0):
        result = mailbus("autoreply", "history", *arguments, "--state", state, cwd=post.folder)
        assert result.returncode == status, result.stderr
        return result

    def rows(*arguments):
        return [json.loads(line) for line in history(*arguments, "--json").stdout.splitlines()]

    with post.autoreply(workers=1) as program:
        events = []
        for mail in ({"from_": "Jane <Jane@example.com>", "subject": "\x1b[31mred\r\nBcc: x"}, {"headers": {"List-Id": "x"}},
                     {"inbox": "other@agentmail.to"}, {"from_": "jane@example.com", "reply_to": ["home@example.com"]}):
            events.append(post.mail(**mail))
            post.wait_history(*events, program=program)
        running = rows()
        assert [row["event_id"] for row in running] == events[::-1]  # the newest first
        program.stop()
    assert rows() == running
    assert [(row["action"], row["reason"]) for row in running[::-1]] == [
        ("answered", "rule support to Jane@example.com"), ("silent", "list: List-Id"), ("silent", "no-rule"),
        ("silent", "answered-before: support")]
    assert running[-1]["inbox"] == "support@agentmail.to" and running[-1]["recipient"] == "Jane@example.com"
    assert running[-1]["subject"] == "[31mred Bcc: x"

    assert [row["event_id"] for row in rows("JANE@example.com")] == [events[3], events[0]]
    assert [row["event_id"] for row in rows("home@example.com")] == [events[3]]
    assert [row["event_id"] for row in rows("--action", "answered")] == [events[0]]
    assert rows("--since", "1h") == running
    assert rows("--since", "2999-01-01") == []
    table = history().stdout
    assert "list: List-Id" in table and "\x1b" not in table and len(table.splitlines()) == 5
    lines = history("--csv", "jane@example.com").stdout.splitlines()
    assert lines[0].upper().startswith("TIME,") and len(lines) == 3
    assert "nothing in the history" in history("nobody@example.com").stderr
    for wrong in (["no address"], ["--action", "eaten"], ["--since", "yesterday"], ["--since", "17"], ["a@b.c", "d@e.f"],
                  ["--json", "--csv"]):
        history(*wrong, status=2)


def test_history_goes_page_by_page(post):
    with post.autoreply() as program:
        last = post.mail()
        post.wait_history(last, program=program)
        program.stop()
    with sqlite3.connect(post.folder / "mailbus-autoreply.db") as db:
        db.executemany("INSERT INTO outgoing_history (time_ms, event_id, part, action, reason) VALUES (?, ?, '', 'silent', 'x')",
                       [(1791797464000 + n, f"evt_{n}") for n in range(1100)])
    result = mailbus("autoreply", "history", "--json", "--state", "mailbus-autoreply.db", cwd=post.folder)
    assert result.returncode == 0, result.stderr
    assert [json.loads(line)["event_id"] for line in result.stdout.splitlines()] == [f"evt_{n}" for n in range(1099, -1, -1)] + [last]
