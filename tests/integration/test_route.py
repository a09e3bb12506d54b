"""mailbus-route with a real gateway: which mail goes where, what strangers write, settings, the command line."""

import json
import os
import signal
import subprocess
import textwrap

import pytest

from mailbus_testing import BIN, ROOT, Program, Sim, received, wait_for
from route_testing import ENV, FILE, GITHUB, SLACK, SLACK_ERROR, everything, mailbus, name_of, office

__all__ = ["office"]  # a fixture

ZERO_WIDTH_SPACE = "\u200b"


# --- the routes ---------------------------------------------------------------------------------------------------------


def test_the_guides_routes(office):
    """Without a rules file: billing and payment to Slack, bug and error to GitHub, feature to a file, the rest nowhere."""
    (office.folder / "mailbus-data").mkdir()
    with office.route() as program:
        events = [office.mail(subject) for subject in ("Your BILLING statement", "A payment bug", "Error 17", "there is a bug",
                                                       "Feature idea", "Hello", None)]
        history = office.wait_history(*events, program=program)
        program.stop()
    assert [history[event][0][:2] for event in events] == [
        ("billing", "sent"), ("billing", "sent"), ("bug", "sent"), ("bug", "sent"), ("feature", "sent"),
        (None, "silent"), (None, "silent")]
    assert history[events[-1]][0][2] == "no-rule"
    messages = office.sim.messages()
    assert sorted(message["blocks"][0]["text"]["text"] for message in messages) == ["A payment bug", "Your BILLING statement"]
    assert {(message["channel_name"], message["via"]) for message in messages} == {("billing-team", "api")}
    assert sorted((issue["repo"], issue["title"]) for issue in office.sim.issues()) == [
        ("acme/app", "Error 17"), ("acme/app", "there is a bug")]
    assert "I need help with my account." in office.sim.issues()[0]["body"]
    (line,) = office.read_lines(office.folder / "mailbus-data" / "feature-requests.jsonl")
    assert (line["event_id"], line["subject"], line["rule"]) == (events[4], "Feature idea", "feature")
    assert line["from"] == "Jane Doe <jane@example.com>" and line["text"] == "I need help with my account."
    assert program.find(stage="route", message="routing with 3 rules and 3 targets")


def test_all_rules_that_match_where_the_settings_say_so(office):
    """Each target has the mail once; the other way is the first rule alone."""
    rules = everything(office)
    with office.route(route__rules=rules, route__match="all") as program:
        event = office.mail("To everybody")
        history = office.wait_history(event, program=program, count=4)
        program.stop()
    assert [(rule, action) for rule, action, _, _ in history[event]] == [
        ("to-slack", "sent"), ("to-github", "sent"), ("to-file", "sent"), ("to-hook", "sent")]
    assert [len(found) for found in (office.sim.messages(), office.sim.issues(), office.read_lines(), office.sim.hooks())] == [1, 1, 1, 1]
    references = {rule: reference for rule, _, _, reference in history[event]}
    assert references["to-slack"] == office.sim.messages()[0]["ts"]
    assert references["to-github"] == office.sim.issues()[0]["html_url"]
    with office.route(route__rules=rules) as program:
        event = office.mail("To the first")
        history = office.wait_history(event, program=program)
        program.stop()
    assert [rule for rule, *_ in history[event]] == ["to-slack"]


def test_other_kinds_of_mail_are_taken_where_asked_for(office):
    with office.route(route__rules=office.rules(FILE)) as program:
        spam = office.mail("spam", topic="message.received.spam")
        mail = office.mail("mail")
        office.wait_history(mail, program=program)
        program.stop()
    assert [line["event_id"] for line in office.read_lines()] == [mail]
    with office.route(route__rules=office.rules(FILE), route__topics="message.received.spam", state__path="other.db") as program:
        office.wait_history(spam, program=program, state="other.db")
        program.stop()
    assert [line["event_id"] for line in office.read_lines()] == [mail, spam]


def test_one_mail_under_two_events_is_routed_once(office):
    with office.route(route__rules=office.rules(FILE)) as program:
        first = office.mail(message_id="<same@example.com>")
        office.wait_history(first, program=program)
        second = office.mail(message_id="<same@example.com>")
        history = office.wait_history(second, program=program)
        program.stop()
    assert history[second][0][:3] == ("all", "silent", "another event brought the same mail")
    assert len(office.read_lines()) == 1


def test_a_mail_is_forwarded_once(office):
    """Through AgentMail, under its idempotency key: killed between sending and noting it is still one."""
    rules = office.rules('targets\n    boss\n        kind = "forward"\n        to = "boss@corp.example"\n'
                         'rules\n    all\n        sender = "@"\n        target = "boss"\n        note = "Please look at this."\n')
    with Sim() as sim:
        sim.receive(**{"inbox_id": "support@agentmail.to", "from": "Jane <jane@example.com>", "to": ["support@agentmail.to"],
                       "subject": "Hello", "text": "Hi.", "message_id": "<mail1@example.com>"})
        settings = {"route__rules": rules, "api__base_url": sim.base_url}
        event = office.mail("Hello", headers={"Subject": "Hello"})
        env = {"AGENTMAIL_API_KEY": "am_test"}
        with office.route(env={**env, "MAILBUS_TEST_KILL": "outgoing-sent"}, ready=False, **settings) as program:
            assert program.process.wait(60) == -signal.SIGKILL, program.tail()
        with office.route(env=env, **settings) as program:
            robot = office.mail("Away", headers={"Subject": "Away"}, **{"from": "Boss <boss@corp.example>"})
            history = office.wait_history(event, robot, program=program)
            program.stop()
        (mail,) = sim.sent()
        sim.stop()
    assert history[event][0] == ("all", "sent", "to forward", "boss@corp.example")
    assert history[robot][0][:3] == ("all", "silent", "from-recipient: boss@corp.example")  # a guard of outgoing mail
    assert mail["to"] == ["boss@corp.example"] and mail["text"].startswith("Please look at this.")


# --- what strangers write -----------------------------------------------------------------------------------------------


HOSTILE = [
    "@channel @here <!everyone> <!channel> <@U123> <#C123|x> please",
    "<https://evil.example|your bank> & http://evil.example",
    "![x](https://evil.example/track.png) <img src=x onerror=alert(1)> [click](javascript:alert(1))",
    "@octocat @acme/security fixes #1, acme/app#2 and GH-3",
    "Invoice\r\nBcc: victim@example.com\r\n\r\nX",
    "\x1b[31mred\x1b[0m \u202egnp.exe\u2066 \u0000nul".replace("\u0000", ""),
    "*bold* _it_ ~no~ `code` :tada: ```block```",
]


def texts_of(message):
    """Every text object of a Slack message."""
    found = []
    for block in message["blocks"]:
        found += [block["text"]] if "text" in block else block["elements"]
    return found


def outside_fence(body):
    """The lines of an issue that GitHub would read as Markdown: the fence is closed by nothing shorter than itself."""
    lines, fence, outside = body.split("\n"), None, []
    for line in lines:
        ticks = len(line) - len(line.lstrip("`"))
        if fence is None and ticks >= 3:
            fence = ticks
        elif fence is not None and ticks >= fence and line.strip("` ") == "":
            fence = None
        elif fence is None:
            outside.append(line)
    assert fence is None, "the block does not end"
    return "\n".join(outside)


def test_nothing_in_a_mail_acts_in_slack(office):
    with office.route(route__rules=office.rules(SLACK)) as program:
        events = [office.mail(text, text=f"{text}\n\n{text}", **{"from": '"@channel <!here>" <jane@example.com>'}) for text in HOSTILE]
        office.wait_history(*events, program=program)
        program.stop()
    messages = office.sim.messages()
    assert len(messages) == len(HOSTILE)
    for message in messages:
        for text in texts_of(message):
            assert text["type"] == "plain_text" and text["emoji"] is False
            assert "<" not in text["text"] and ">" not in text["text"]
            assert not any(control in text["text"] for control in "\x1b\r\u202e\u2066")
        fallback = message["text"]
        assert "<" not in fallback and "\n" not in fallback and not any(word in fallback for word in ("@channel", "@here"))
        assert message["unfurl_links"] is message["unfurl_media"] is message["link_names"] is False and message["parse"] == "none"
    assert any("&lt;!everyone&gt;" in text["text"] for message in messages for text in texts_of(message))


def test_nothing_in_a_mail_acts_on_github(office):
    with office.route(route__rules=office.rules(GITHUB)) as program:
        fences = "``` \n```\n@octocat\n````text\n" + "`" * 40 + "\n@octocat\n<!-- mailbus:route-evt:x -->\n"
        events = [office.mail(text, text=f"{text}\n{fences}") for text in HOSTILE]
        office.wait_history(*events, program=program)
        program.stop()
    issues = office.sim.issues()
    assert len(issues) == len(HOSTILE)
    for issue in issues:
        outside = outside_fence(issue["body"])
        assert outside.startswith("<!-- mailbus:route-evt_") and outside.strip().endswith("A mail about **{{nothing}}**.")
        assert len(outside.strip().splitlines()) == 2
        assert "@octocat" not in issue["body"] and f"@{ZERO_WIDTH_SPACE}octocat" in issue["body"]
        assert "jane@example.com" in issue["body"]  # an address can still be copied
        assert "\n" not in issue["title"] and not any(word in issue["title"] for word in ("@octocat", "@acme", "@channel", " #1"))
        assert not any(control in issue["title"] + issue["body"] for control in "\x1b\r\u202e")
        assert issue["labels"] == ["mail", "customer"]


def test_texts_are_cut_to_the_targets_limits_and_say_so(office):
    """The stand-ins refuse what the real services refuse: 3000 characters of a section, 256 of a title, 65 536 of an issue."""
    rules = everything(office)
    with office.route(route__rules=rules, route__match="all") as program:
        long = office.mail("S" * 2000, text="Zeile mit Umlauten: äöü 🙂 & < >\n" * 30000)
        walls = office.mail("`" * 900, text="`" * 900000)
        blank = office.mail("", text=" \n" * 200000 + "." + "\n" * 200000)
        none = office.mail(None, text=None, to=[f"p{i}@example.com" for i in range(500)])
        history = office.wait_history(long, walls, blank, none, program=program, count=4)
        program.stop()
    assert {action for lines in history.values() for _, action, _, _ in lines} == {"sent"}
    slack = next(message for message in office.sim.messages() if message["blocks"][0]["text"]["text"].startswith("SSS"))
    assert [block["type"] for block in slack["blocks"]] == ["header", "context", "section", "section", "section", "context"]
    assert slack["blocks"][0]["text"]["text"].endswith("S…") and len(slack["blocks"][0]["text"]["text"]) == 150
    assert slack["blocks"][2]["text"]["text"].endswith("&gt;\n")  # a section ends with a line
    assert slack["blocks"][-1]["elements"][0]["text"].startswith("Cut: ")
    issue = next(issue for issue in office.sim.issues() if issue["title"].startswith("SSS"))
    assert len(issue["title"]) == 256 and len(issue["body"].encode()) <= 65536
    assert "*Cut: the text has" in outside_fence(issue["body"])
    for issue in office.sim.issues():
        outside_fence(issue["body"])
    assert sorted(line["subject"] for line in office.read_lines())[0] == "(no subject)"
    assert max(len(line["text"] or "") for line in office.read_lines()) > 800000  # a file has no limit
    crowd = next(issue for issue in office.sim.issues() if "and 495 more" in issue["body"])
    assert "(the event brings no text" in crowd["body"] and crowd["title"] == "(no subject)"


def test_what_cannot_be_read_goes_to_the_dead_letters(office):
    with office.route(route__rules=office.rules(FILE)) as program:
        event = received(1)
        del event["message"]["inbox_id"]
        assert office.gateway.post(event)[0] == 200
        history = office.wait_history(event["event_id"], program=program)
        broken = json.dumps(received(2)).replace("Question 2", "\udcff\udcfe").encode("utf-8", "surrogateescape")
        status, _ = office.gateway.post(broken)
        good = office.mail("good")
        office.wait_history(good, program=program)
        program.stop()
    assert history[event["event_id"]][0][1] == "rejected" and "unreadable" in history[event["event_id"]][0][2]
    assert event["event_id"] in office.dead()
    assert status == 400  # invalid UTF-8 ends at the gateway, in quarantine
    assert [line["event_id"] for line in office.read_lines()] == [good]


# --- settings -----------------------------------------------------------------------------------------------------------


def test_rules_are_read_again_on_sighup_and_a_mistake_changes_nothing(office):
    rules = office.rules(FILE)
    with office.route(route__rules=rules) as program:
        first = office.mail("first")
        office.wait_history(first, program=program)
        for wrong, says in ((FILE.replace('target = "lines"', 'target = "nowhere"'), "nowhere"),
                            (FILE.replace("path", "pfad"), "pfad"), ("rules\n", "no rules"), (FILE.replace("sender", "sendr"), "sendr")):
            rules.write_text(wrong)
            program.signal(signal.SIGHUP)
            wait_for(lambda: any(line.get("message") == "the subscriber keeps its old rules" and says in line["reason"] for line in program.log),
                     lambda: f"{says}:\n{program.tail()}")
        second = office.mail("second")
        office.wait_history(second, program=program)
        rules.write_text(FILE.replace("lines.jsonl", "others.jsonl"))
        program.signal(signal.SIGHUP)
        program.wait_log(message="1 rules and 1 targets read again")
        third = office.mail("third")
        office.wait_history(third, program=program)
        program.stop()
    assert [line["event_id"] for line in office.read_lines()] == [first, second]
    assert [line["event_id"] for line in office.read_lines(office.folder / "others.jsonl")] == [third]


def test_a_mail_whose_target_is_gone_waits_in_the_dead_letters_for_its_rules(office):
    rules = office.rules(SLACK)
    office.sim.fail("post", count=1000, status=200, body=SLACK_ERROR % "invalid_auth")
    with office.route(route__rules=rules) as program:
        event = office.mail()
        program.wait_log(message="trying again later", id=event)
        rules.write_text(FILE)
        program.signal(signal.SIGHUP)
        program.wait_log(message="1 rules and 1 targets read again")
        history = office.wait_history(event, program=program)
        assert history[event][0][1] == "rejected" and 'no target "team" any more' in history[event][0][2]
        wait_for(lambda: event in office.dead(), "the dead letter")
        state = ("--state", office.folder / "mailbus-route.db")
        number = json.loads(mailbus(office, "dead", "list", *state, "--json").stdout)["number"]
        assert mailbus(office, "dead", "retry", number, *state).returncode == 0
        office.wait_history(event, program=program, count=2)
        program.stop()
    assert [line["event_id"] for line in office.read_lines()] == [event] and office.sim.messages() == []


def test_dry_run_needs_no_token_sends_nothing_and_says_what_it_would(office):
    events = [office.mail("billing"), office.mail("a bug"), office.mail("hello")]
    options = [part for key, value in {**office.gateway.bus(), "bus.start": "oldest"}.items() for part in ("--set", f"{key}={value}")]
    state = os.path.join("mailbus-data", "route-dry-run.db")
    with Program("mailbus-route", "--dry-run", *options, cwd=office.folder) as program:
        program.wait_log(message="dry run: nothing is sent with 3 rules and 3 targets")
        history = office.wait_history(*events, program=program, state=state)
        program.wait_log(message="would-send: rule billing, target billing-team, to slack")
        program.stop()
    assert [history[event][0][:2] for event in events] == [("billing", "would-send"), ("bug", "would-send"), (None, "silent")]
    assert office.sim.messages() == office.sim.issues() == []
    with office.route() as program:  # and the real one still has them all
        history = office.wait_history(*events, program=program)
        program.stop()
    assert [history[event][0][1] for event in events] == ["sent", "sent", "silent"]


def test_the_example_of_the_readme_is_a_whole_rules_file(office):
    readme = (ROOT / "subscribers" / "route" / "README.md").read_text()
    example = textwrap.dedent(readme.split("A complete one:\n\n", 1)[1].split("\n**Rules**", 1)[0])
    options = [part for key, value in {**office.gateway.bus(), "route.rules": office.rules(example)}.items() for part in ("--set", f"{key}={value}")]
    with Program("mailbus-route", "--dry-run", *options, cwd=office.folder) as program:
        program.wait_log(message="dry run: nothing is sent with 5 rules and 6 targets")
        program.stop()


@pytest.mark.parametrize("rules,settings,env,says", [
    (None, {}, {"SLACK_BOT_TOKEN": ""}, "SLACK_BOT_TOKEN is not set"),
    (None, {}, {"GITHUB_REPOSITORY": "noslash"}, "OWNER/NAME"),
    ("", {"route.rules": "missing.zpl"}, {}, "missing.zpl"),
    (SLACK.replace("token_env", "token"), {}, {}, "must not stand in this file"),
    (SLACK.replace('token_env = "SLACK_BOT_TOKEN"', 'token_file = "missing.token"'), {}, {}, "missing.token"),
    (SLACK.replace('kind = "slack"', 'kind = "irc"'), {}, {}, "kind must be slack"),
    (SLACK.replace('        kind = "slack"\n', ""), {}, {}, "needs a kind"),
    (SLACK.replace('        channel = "#team"\n', ""), {}, {}, "channel and token"),
    (SLACK.replace('target = "team"', 'target = "tame"'), {}, {}, "there is no target"),
    (SLACK.replace('        target = "team"\n', ""), {}, {}, "target"),
    (SLACK + '        labels = "x"\n', {}, {}, "labels are for github"),
    (SLACK + f'        note = "{"x" * 501}"\n', {}, {}, "at most 500 bytes"),
    ('targets\n    hook\n        kind = "url"\n        url = "http://example.com/"\nrules\n    a\n        sender = "@"\n        target = "hook"\n',
     {}, {}, "https://"),
    ('targets\n    hook\n        kind = "slack"\n        url = "https://hooks.slack.com/services/T/B/X"\n'
     'rules\n    a\n        sender = "@"\n        target = "hook"\n', {}, {}, "must not stand in this file"),
    ('targets\n    boss\n        kind = "forward"\n        to = "boss@corp.example"\nrules\n    a\n        sender = "@"\n        target = "boss"\n',
     {}, {}, "AGENTMAIL_API_KEY"),
    (SLACK, {"slack.base_url": "http://slack.example/api"}, {}, "https://"),
    (SLACK, {"github.interval": "2h"}, {}, "github.interval"),
], ids=name_of)
def test_wrong_settings_are_told_at_the_start(tmp_path, rules, settings, env, says):
    if rules:
        (tmp_path / "rules.zpl").write_text(rules)
        settings = {"route.rules": "rules.zpl", **settings}
    options = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("MAILBUS_", "AGENTMAIL_"))}
    result = subprocess.run([str(BIN / "mailbus-route"), *options], env={**environment, **ENV, **env}, cwd=tmp_path,
                            capture_output=True, text=True, timeout=60)
    assert result.returncode == 1
    assert says in result.stderr
    assert "xoxb-demo" not in result.stderr and "hooks.slack.com" not in result.stderr


def test_help_names_every_setting():
    result = subprocess.run([str(BIN / "mailbus-route"), "--help"], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0
    for key in ("route.rules", "route.match", "route.topics", "route.settle", "slack.base_url", "slack.interval", "github.base_url",
                "github.interval", "send.checks", "send.dry_run", "--dry-run"):
        assert key in result.stdout


# --- the command line ---------------------------------------------------------------------------------------------------


def test_the_history_says_what_was_done_with_each_mail(office):
    with office.route(route__rules=office.rules(FILE + '    never\n        subject = "never"\n        target = "lines"\n')) as program:
        events = [office.mail("\x1b[31mone\nline")]
        office.wait_history(*events, program=program)  # several workers: only then is the order known
        events.append(office.mail("two", **{"from": "=cmd|x@example.com"}))
        office.wait_history(*events, program=program)
        running = mailbus(office, "route", "history", "--state", office.folder / "mailbus-route.db")
        program.stop()
    state = ("--state", office.folder / "mailbus-route.db")
    stopped = mailbus(office, "route", "history", *state)
    assert running.returncode == stopped.returncode == 0, running.stderr + stopped.stderr
    assert running.stdout == stopped.stdout
    lines = stopped.stdout.splitlines()
    assert len(lines) == 3 and "two" in lines[1] and "one line" in lines[2] and "\x1b" not in stopped.stdout
    assert "sent" in lines[1] and "all" in lines[1] and "lines.jsonl" in lines[1]
    (row,) = [json.loads(line) for line in mailbus(office, "route", "history", *state, "--json", "--event", events[0]).stdout.splitlines()]
    assert (row["rule"], row["target"], row["action"], row["event_id"]) == ("all", "lines", "sent", events[0])
    assert mailbus(office, "route", "history", *state, "--rule", "never").stdout == ""
    assert mailbus(office, "route", "history", *state, "--action", "silent").stdout == ""
    assert mailbus(office, "route", "history", *state, "--action", "sent", "--json").stdout.count("\n") == 2
    assert mailbus(office, "route", "history", *state, "--csv", "--rule", "all").stdout.count("\n") == 3
