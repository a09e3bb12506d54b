"""mailbus-route and the services it writes to: paces, limits, every way of answering, and what is not known for sure."""

import datetime
import json
import socket
import time

import pytest

from mailbus_testing import wait_for
from route_testing import (GITHUB, SECRET, SLACK, SLACK_ERROR, Wire, mailbus, name_of, office, verify, webhook_rules)

__all__ = ["office"]  # a fixture


# --- paces and limits ---------------------------------------------------------------------------------------------------


def test_a_channel_gets_one_message_a_second_and_holds_nobody_up(office):
    """The stand-in refuses a second message within the second: it never has to. Other targets don't wait."""
    office.sim.limits(slack_interval_ms=600)  # the program keeps a second: a busy machine delays one, and not the other
    rules = office.rules(SLACK.replace("targets\n", 'targets\n    lines\n        kind = "file"\n        path = "lines.jsonl"\n').replace(
        "rules\n", 'rules\n    quick\n        subject = "quick"\n        target = "lines"\n'))
    with office.route(route__rules=rules, slack__interval="1s", workers=2) as program:
        slow = [office.mail(f"slow {number}") for number in range(4)]
        quick = [office.mail(f"quick {number}") for number in range(6)]
        office.wait_history(*quick, program=program)
        assert len(office.sim.messages()) < 4
        office.wait_history(*slow, program=program)
        program.stop()
    times = sorted(message["ms"] for message in office.sim.messages())
    assert len(times) == 4 and all(later - earlier >= 500 for earlier, later in zip(times, times[1:]))
    assert office.sim.limited() == 0
    # each waited for a turn of its own: none came back again and again
    tries = [line for line in program.log if line.get("message") == "trying again later"]
    assert len(tries) <= 8, tries


def test_429_is_obeyed_by_all_that_goes_there(office):
    office.sim.fail("post", status=429, headers={"Retry-After": "2"})
    with office.route(route__rules=office.rules(SLACK)) as program:
        first = office.mail("first")
        line = program.wait_log(message="trying again later", id=first)
        asked = datetime.datetime.fromisoformat(line["time"]).timestamp()
        second = office.mail("second")
        office.wait_history(first, second, program=program)
        program.stop()
    assert "HTTP 429, ratelimited: too many messages" in line["reason"] and 1500 <= int(line["pause_ms"]) <= 2100
    assert all(message["ms"] / 1000 >= asked + 1 for message in office.sim.messages())
    assert len(office.sim.messages()) == 2 and not any(row["first_unsure_ms"] == 0 for row in office.effects())


def test_githubs_limits_are_obeyed(office):
    """docs.github.com, "Exceeding the rate limit": retry-after, else x-ratelimit-reset, else a minute."""
    secondary = {"message": "You have exceeded a secondary rate limit"}
    rows = [
        ({"status": 403, "headers": {"Retry-After": "1"}, "body": secondary}, 500, 1100),
        ({"status": 429, "headers": {"Retry-After": "1"}}, 500, 1100),
        ({"status": 403, "headers": {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": lambda: str(int(time.time()) + 1)},
          "body": {"message": "API rate limit exceeded"}}, 500, 2100),
        ({"status": 403, "body": secondary}, 58000, 60100),
    ]
    with office.route(route__rules=office.rules(GITHUB)) as program:
        for rule, at_least, at_most in rows:
            headers = {name: value() if callable(value) else value for name, value in rule.get("headers", {}).items()}
            office.sim.fail("issue", **{**rule, "headers": headers})
            event = office.mail("bug")
            line = program.wait_log(message="trying again later", id=event)
            assert at_least <= int(line["pause_ms"]) <= at_most, line
            assert "too many requests" in line["reason"]
            if at_most < 10000:
                office.wait_history(event, program=program)
        program.stop()
    assert len(office.sim.issues()) == len(rows) - 1
    assert program.find(level="error") is None


def test_the_secondary_limit_of_the_stand_in_is_waited_out(office):
    office.sim.limits(github_per_minute=2, github_retry_after=1)
    with office.route(route__rules=office.rules(GITHUB)) as program:
        events = [office.mail(f"bug {number}") for number in range(4)]
        wait_for(lambda: office.sim.limited() >= 1, "the limit to be met")
        office.sim.limits(github_per_minute=100)
        office.wait_history(*events, program=program)
        program.stop()
    assert len(office.sim.issues()) == 4


# --- answers ------------------------------------------------------------------------------------------------------------


SLACK_ANSWERS = [
    ({"status": 200, "body": SLACK_ERROR % "invalid_auth"}, "loud", "the token is not valid"),
    ({"status": 200, "body": SLACK_ERROR % "missing_scope"}, "loud", "lacks a scope"),
    ({"status": 200, "body": SLACK_ERROR % "channel_not_found"}, "dead", "channel_not_found"),
    ({"status": 200, "body": SLACK_ERROR % "is_archived"}, "dead", "is_archived"),
    ({"status": 200, "body": SLACK_ERROR % "a_new_error"}, "dead", "a_new_error"),
    ({"status": 200, "body": SLACK_ERROR % "internal_error"}, "later", "the service failed"),
    ({"status": 503, "body": "<html>"}, "later", "the service failed"),
    ({"status": 200, "body": "<html>a proxy's page"}, "later", "not the service's"),
    ({"status": 302, "headers": {"Location": "https://evil.example/"}}, "loud", "not followed"),
]
GITHUB_ANSWERS = [
    ({"status": 401, "body": {"message": "Bad credentials"}}, "loud", "the token is not valid"),
    ({"status": 403, "body": {"message": "Resource not accessible"}}, "loud", "may not write issues"),
    ({"status": 301, "headers": {"Location": "https://evil.example/"}}, "loud", "has moved"),
    ({"status": 404, "body": {"message": "Not Found"}}, "dead", "no such repository"),
    ({"status": 410, "body": {"message": "Issues has been disabled"}}, "dead", "takes no issues"),
    ({"status": 422, "body": {"message": "Validation Failed", "errors": [{"field": "title", "message": "is\nbad"}]}},
     "dead", "Validation Failed, title, is bad"),
    ({"status": 500}, "later", "the service failed"),
    ({"status": 201, "body": "[]"}, "later", "not the service's"),
    ({"status": 201, "body": "<html>a proxy's page"}, "later", "not the service's"),
]


@pytest.mark.parametrize("rules,target,answers", [(SLACK, "post", SLACK_ANSWERS), (GITHUB, "issue", GITHUB_ANSWERS)], ids=name_of)
def test_every_answer_has_its_end(office, rules, target, answers):
    """loud: the mails wait, and the log says what to mend. dead: into the dead letters. later: again, and once."""
    sent = 0
    with office.route(route__rules=office.rules(rules)) as program:
        for rule, verdict, says in answers:
            loud = len(loud_lines(program))
            office.sim.fail(target, count=1, **rule)
            event = office.mail("bug")
            (end,) = office.wait_history(event, program=program)[event]
            sent += verdict != "dead"
            if verdict == "dead":
                assert end[1] == "rejected" and says in end[2]
                assert says in wait_for(lambda: office.dead().get(event), "the dead letter")
            else:
                assert end[1] == "sent" and says in program.wait_log(message="trying again later", id=event)["reason"]
            assert len(loud_lines(program)) - loud == (verdict == "loud"), program.tail()
        program.stop()
    assert len(office.sim.messages() if rules is SLACK else office.sim.issues()) == sent
    assert not any("xoxb" in line or "ghp_" in line for line in program.lines)


def loud_lines(program):
    return [line for line in program.log if line.get("level") == "error" and "until this is mended" in line.get("message", "")]


@pytest.mark.parametrize("rules,target", [(SLACK, "post"), (GITHUB, "issue")], ids=name_of)
def test_done_without_an_answer_to_us_is_looked_up_and_done_once(office, rules, target):
    """Neither service has an idempotency key: the mark is looked for before a second try."""
    ways = [{"mode": "after", "status": 0}, {"mode": "after", "status": 502}, {"mode": "reset"},
            {"mode": "after", "status": 200, "body": "<html>"}]
    with office.route(route__rules=office.rules(rules), workers=1) as program:
        for number, rule in enumerate(ways):
            first = office.mail("first")  # a connection that could be reused
            office.wait_history(first, program=program)
            office.sim.fail(target, count=1, **rule)
            second = office.mail("second")
            (end,) = office.wait_history(second, program=program)[second]
            sent = office.sim.messages() if rules is SLACK else office.sim.issues()
            assert len(sent) == 2 * number + 2, (rule, sent)
            assert end[1] == "sent" and end[3] == (sent[-1]["ts"] if rules is SLACK else sent[-1]["html_url"])
        program.stop()


@pytest.mark.parametrize("rules,target", [(SLACK, "post"), (GITHUB, "issue")], ids=name_of)
def test_lists_that_are_behind_and_long_are_waited_for_and_read_to_their_end(office, rules, target):
    office.sim.limits(lag_ms=800, page_max=2)
    with office.route(route__rules=office.rules(rules), route__settle="1200ms") as program:
        office.sim.fail(target, count=1, mode="after", status=0)
        event = office.mail("the one")
        line = program.wait_log(message="trying again later", id=event)
        others = [office.mail(f"other {number}") for number in range(7)]
        history = office.wait_history(event, *others, program=program)
        program.stop()
    assert line["reason"]
    sent = office.sim.messages() if rules is SLACK else office.sim.issues()
    assert len(sent) == 8
    assert history[event][0][3] == (sent[0]["ts"] if rules is SLACK else sent[0]["html_url"])


def test_slack_without_the_scope_to_look_gives_up_and_says_so(office):
    office.sim.fail("post", count=1, mode="after", status=0)
    with office.route(env={"SLACK_BOT_TOKEN": "xoxb-nohistory"}, route__rules=office.rules(SLACK)) as program:
        event = office.mail()
        history = office.wait_history(event, program=program)
        program.stop()
    assert history[event][0][1] == "rejected" and "it may have been posted" in history[event][0][2] and "missing_scope" in history[event][0][2]
    assert len(office.sim.messages()) == 1


@pytest.mark.parametrize("broken", ["reset in mid-answer", "an answer that never ends", "a header that never ends"])
def test_answers_that_break_are_looked_up(office, broken):
    """The issue is made, its answer is lost on the way: the list shows it, and there is no second POST."""
    made = []

    def answer(connection, request):
        if request.startswith(b"GET"):
            body = json.dumps(made).encode()
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(body), body))
            return
        issue = json.loads(request.split(b"\r\n\r\n", 1)[1])
        made.append({"body": issue["body"], "html_url": "https://github.com/acme/app/issues/1", "created_at": "2099-01-01T00:00:00Z"})
        if broken == "reset in mid-answer":
            connection.sendall(b"HTTP/1.1 201 Created\r\nContent-Length: 1000\r\n\r\n{")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        elif broken == "an answer that never ends":
            connection.sendall(b"HTTP/1.1 201 Created\r\n\r\n")
            while True:
                connection.sendall(b" " * 65536)
        else:
            connection.sendall(b"HTTP/1.1 201 Created\r\n")
            while True:
                connection.sendall(b"X: " + b"y" * 1000 + b"\r\n")

    wire = Wire(answer)
    try:
        with office.route(route__rules=office.rules(GITHUB), github__base_url=wire.url) as program:
            event = office.mail("bug")
            history = office.wait_history(event, program=program)
            program.stop()
    finally:
        wire.close()
    assert history[event][0][1:] == ("sent", "to github", "https://github.com/acme/app/issues/1")
    assert [request.split(b" ")[0] for request in wire.requests] == [b"POST", b"GET"]


def test_the_token_goes_nowhere_else(office):
    """A Link field that leads to another host is not followed."""
    stranger = Wire(lambda connection, request: None)

    def answer(connection, request):
        body = b"[]" if request.startswith(b"GET") else b"{}"
        connection.sendall(b'HTTP/1.1 200 OK\r\nLink: <%s/x>; rel="next"\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s'
                           % (stranger.url.encode(), len(body), body))

    wire = Wire(answer)
    try:
        with office.route(route__rules=office.rules(GITHUB), github__base_url=wire.url) as program:
            office.mail("bug")
            wait_for(lambda: any(request.startswith(b"GET") for request in wire.requests), "a look")
            wait_for(lambda: len(wire.requests) >= 3, "the next try")
            program.stop()
    finally:
        wire.close()
        stranger.close()
    assert stranger.requests == []
    assert b"Authorization: Bearer ghp_demo" in wire.requests[0]


# --- signed posts -------------------------------------------------------------------------------------------------------


def hook_rules(office, url=None):
    office.secret("hook.secret", SECRET)
    return office.rules(f'targets\n    hook\n        kind = "url"\n        url = "{url or office.sim.url + "/hook/x"}"\n'
                        '        secret_file = "hook.secret"\nrules\n    all\n        sender = "@"\n        target = "hook"\n')


def test_a_url_gets_the_event_signed_under_one_id_at_each_try(office):
    with office.route(route__rules=hook_rules(office)) as program:
        office.sim.fail("hook", count=2, mode="after", status=503, headers={"Retry-After": "1"})
        event = office.mail("Grüße\r\n@channel")
        history = office.wait_history(event, program=program)
        program.stop()
    hooks = office.sim.hooks()
    assert len(hooks) == 3 and all(verify(hook) for hook in hooks)
    assert {hook["webhook-id"] for hook in hooks} == {f"route-{event}~all"}
    assert len({hook["body"] for hook in hooks}) == 1
    assert int(hooks[-1]["webhook-timestamp"]) - int(hooks[0]["webhook-timestamp"]) >= 1  # of this try
    payload = json.loads(hooks[0]["body"])
    assert payload["type"] == "mail.routed" and payload["data"]["rule"] == "all"
    assert payload["data"]["event"]["event_id"] == event
    assert payload["data"]["event"]["message"]["subject"] == "Grüße\r\n@channel"
    assert hooks[0]["content-type"] == "application/json"
    assert history[event][0][1:] == ("sent", "to url", f"route-{event}~all")


def test_answers_of_a_url(office):
    rows = [(410, True, "wants no more"), (413, True, "too large"), (404, False, "does not take it now"),
            (401, False, "check its secret and ours"), (302, False, "not followed")]
    with office.route(route__rules=hook_rules(office)) as program:
        for status, dead, says in rows:
            office.sim.fail("hook", count=1, status=status)
            event = office.mail()
            (end,) = office.wait_history(event, program=program)[event]
            assert (end[1] == "rejected") is dead
            assert says in (end[2] if dead else program.wait_log(message="trying again later", id=event)["reason"])
        program.stop()
    assert len(office.sim.hooks()) == sum(not dead for _, dead, _ in rows)


# --- incoming webhooks --------------------------------------------------------------------------------------------------


def test_an_incoming_webhook(office):
    with office.route(route__rules=webhook_rules(office)) as program:
        event = office.mail("Hello <b>")
        office.wait_history(event, program=program)
        office.sim.fail("webhook", count=1, status=429, headers={"Retry-After": "1"})
        second = office.mail("again")
        office.wait_history(second, program=program)
        office.sim.fail("webhook", count=1, status=404, body="no_service")
        third = office.mail("third")
        office.wait_history(third, program=program)
        office.sim.fail("webhook", count=1, status=410, body="channel_is_archived")
        fourth = office.mail("fourth")
        history = office.wait_history(fourth, program=program)
        program.stop()
    messages = office.sim.messages()
    assert [message["via"] for message in messages] == ["webhook"] * 3 and messages[0]["channel_name"] == "ops"
    assert messages[0]["blocks"][0]["text"] == {"type": "mrkdwn", "verbatim": True, "text": "<!here> *mail*"}  # the operator's own
    assert history[fourth][0][1] == "rejected" and "channel_is_archived" in history[fourth][0][2]
    assert any("switched off or removed" in line.get("message", "") for line in program.log if line.get("level") == "error")
    assert not any("/services/" in line for line in program.lines)  # who knows the address can post there


def test_an_unsure_webhook_is_given_up_and_a_person_decides(office):
    """A webhook can't be asked: at most once, and the dead letter says so. `again` and a retry send it once more."""
    rules = webhook_rules(office)
    state = ("--state", office.folder / "mailbus-route.db")
    with office.route(route__rules=rules) as program:
        office.sim.fail("webhook", count=1, mode="after", status=0)
        event = office.mail()
        history = office.wait_history(event, program=program)
        assert history[event][0][1] == "rejected" and "it may have been posted" in history[event][0][2]
        assert len(office.sim.messages()) == 1
        wait_for(lambda: event in office.dead(), "the dead letter")
        number = json.loads(mailbus(office, "dead", "list", *state, "--json").stdout)["number"]
        # a retry alone does not send what may be there already
        assert mailbus(office, "dead", "retry", number, *state).returncode == 0
        office.wait_history(event, program=program, count=1)
        wait_for(lambda: event in office.dead() and json.loads(mailbus(office, "dead", "list", *state, "--json").stdout)["number"] != number,
                 "the dead letter again")
        assert len(office.sim.messages()) == 1
        wrong = mailbus(office, "route", "again", "--event", "nonsense", *state)
        assert wrong.returncode == 1 and "nothing was given up" in wrong.stderr
        assert mailbus(office, "route", "again", *state).returncode == 2
        done = mailbus(office, "route", "again", "--event", event, *state)
        assert done.returncode == 0, done.stderr
        number = json.loads(mailbus(office, "dead", "list", *state, "--json").stdout)["number"]
        assert mailbus(office, "dead", "retry", number, *state).returncode == 0
        wait_for(lambda: len(office.sim.messages()) == 2, lambda: f"the second one:\n{program.tail()}")
        program.stop()


def test_an_unsure_webhook_is_repeated_where_the_target_says_so(office):
    with office.route(route__rules=webhook_rules(office, '        unsure = "repeat"\n')) as program:
        office.sim.fail("webhook", count=1, mode="after", status=0)
        event = office.mail()
        history = office.wait_history(event, program=program)
        program.stop()
    assert history[event][0][1] == "sent" and len(office.sim.messages()) == 2
