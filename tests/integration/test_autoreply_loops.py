"""mailbus-autoreply against itself, against floods of mail, and against kill -9: it stops by itself, and answers once.

MAILBUS_TEST_BOMB=10000 and MAILBUS_TEST_KILLS=50 are the long forms.
"""

import concurrent.futures
import os
import random
import signal
import sqlite3
import threading
import time

import pytest

from autoreply_testing import KEY, answers, open_post
from mailbus_testing import Gateway, Sim, Subscriber, wait_for

BOMB = int(os.environ.get("MAILBUS_TEST_BOMB", "400"))
KILLS = int(os.environ.get("MAILBUS_TEST_KILLS", "5"))
EVERYTHING = 'rules\n    everything\n        recipient = "@"\n        text = "We got your mail."\n'


@pytest.fixture
def post(tmp_path):
    with open_post(tmp_path) as setup:
        yield setup


# --- two answerers -----------------------------------------------------------------------------------------------


class House:
    """An inbox with a gateway and a mailbus-autoreply of its own, which know nothing of the other house."""

    def __init__(self, folder, sim, inbox, rules, **settings):
        folder.mkdir()
        self.inbox = inbox
        (folder / "rules.zpl").write_text(rules)
        self.gateway = Gateway(folder)
        status, webhook = sim.call("POST", "/v0/webhooks", {"url": f"http://{self.gateway.address}/webhook",
                                                            "event_types": ["message.received"], "inbox_ids": [inbox]},
                                   {"Authorization": "Bearer am_test"})
        assert status < 300, webhook
        self.gateway.stop()  # the secret is made up by the service: the gateway gets it now
        self.gateway = Gateway(folder, secret=webhook["secret"], listen=self.gateway.address)
        self.program = Subscriber("mailbus-autoreply", folder, self.gateway.bus(), env=KEY, api__base_url=sim.base_url,
                                  reply__rules=folder / "rules.zpl", retry__first_pause="50ms", **settings)

    def kill(self):
        self.program.kill()
        self.gateway.kill()

    def decided(self):
        """How many mails this house is done with."""
        return sum(int(self.program.metric("mailbus_autoreply_mails_total", action=action))
                   for action in ("answered", "silent", "rejected"))


def settle(sim, houses):
    """Wait until every mail that arrived anywhere is decided, and nothing new is under way."""
    def still():
        status, report = sim.call("GET", "/sim/deliveries")
        assert status == 200
        return report["pending"] == 0 and sum(house.decided() for house in houses) == report["succeeded"]

    wait_for(lambda: still() and still(), lambda: f"the mails to come to rest: {sim.deliveries()[-3:]}, "
             f"decided {[house.decided() for house in houses]}")


def meet(tmp_path, rules, *options, mails=1, **settings):
    """Mails from one answering inbox arrive at the other; how many went out in all, and what each side decided."""
    left, right = "left@here.example", "right@there.example"
    with Sim("--inbox", left, "--inbox", right, *options) as sim:
        houses = []
        try:
            houses.append(House(tmp_path / "left", sim, left, rules, **settings))
            houses.append(House(tmp_path / "right", sim, right, rules, **settings))
            for number in range(mails):
                sim.receive(**{"inbox_id": left, "from": right, "to": [left], "subject": f"Hello {number}", "text": "Hi."})
            settle(sim, houses)
            sent = len(sim.sent())
            reasons = []
            for house in houses:
                house.program.stop()
                house.gateway.stop()
                with sqlite3.connect(house.program.folder / "mailbus-autoreply.db") as db:
                    reasons += [row[0] for row in db.execute("SELECT reason FROM outgoing_history WHERE action = 'silent'")]
        finally:
            for house in houses:
                house.kill()
        sim.stop()
    print(f"two answerers, {mails} mails, {options}: {sent} mails went out; silent: {sorted(set(reasons))}")
    return sent, reasons


def test_two_answerers_stop_at_the_first_answer(tmp_path):
    """The one answer carries its marks, and the other side sees them."""
    sent, reasons = meet(tmp_path, EVERYTHING)
    assert sent == 1
    assert len(reasons) == 1 and reasons[0].startswith("auto-submitted: auto-replied")


def test_two_answerers_stop_by_the_limits_alone(tmp_path):
    """Nothing tells that a program wrote the mails: one answer from each side, then the limit."""
    sent, reasons = meet(tmp_path, EVERYTHING, "--strip-marks")
    assert sent == 2
    assert reasons == ["answered-before: everything"]


def test_two_answerers_with_a_rule_for_every_mail_stop_at_the_days_limit(tmp_path):
    """The worst case: every mail meets a rule that has not answered yet. Twenty a day to one sender, on each side."""
    rules = "rules\n" + "".join(f'    rule{n}\n        subject_regex = "Hello {n}$"\n        text = "Answer"\n'
                                for n in range(50))
    sent, reasons = meet(tmp_path, rules, "--strip-marks", mails=50)
    assert sent == 40
    assert sum(reason.startswith("too-many-for-sender") for reason in reasons) == 30


# --- floods ------------------------------------------------------------------------------------------------------


def flood(sim, gateway, count, mail):
    """`count` mails as fast as the stand-in takes them; returns when the gateway has them all."""
    start = time.monotonic()

    def some(first):
        for number in range(first, count, 4):
            sim.receive(**{"inbox_id": "support@agentmail.to", "to": ["support@agentmail.to"], "text": "!", **mail(number)})

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(some, range(4)))
    wait_for(lambda: gateway.metric("mailbus_journal_events_total") >= count, "the gateway to have all mails", deadline=300)
    return time.monotonic() - start


@pytest.fixture
def flooded(tmp_path):
    """start(rules) → (stand-in, gateway, autoreply) with the stand-in's webhooks going to the gateway."""
    programs = []

    def start(rules, **settings):
        (tmp_path / "rules.zpl").write_text(rules)
        gateway = Gateway(tmp_path)
        programs.append(gateway)
        sim = Sim(webhook_url=f"http://{gateway.address}/webhook")
        programs.append(sim)
        program = Subscriber("mailbus-autoreply", tmp_path, gateway.bus(), env=KEY, api__base_url=sim.base_url,
                             reply__rules=tmp_path / "rules.zpl", bus__start="oldest", workers=4, log__level="warn",
                             ready=False, **settings)
        programs.append(program)
        return sim, gateway, program

    yield start
    for program in reversed(programs):
        program.kill()


def counted(program, path):
    """{action: mails} as the records have them, without asking the program."""
    with sqlite3.connect(f"file:{path / 'mailbus-autoreply.db'}?mode=ro", uri=True) as db:
        try:
            return dict(db.execute("SELECT action, count(*) FROM outgoing_history GROUP BY action"))
        except sqlite3.OperationalError:
            return {}


def test_a_flood_from_one_sender_gets_one_answer(flooded, tmp_path):
    sim, gateway, program = flooded(EVERYTHING)
    took = flood(sim, gateway, BOMB, lambda n: {"from": "bomber@example.com", "subject": f"Mail {n}"})
    wait_for(lambda: sum(counted(program, tmp_path).values()) >= BOMB, lambda: f"all decided:\n{program.tail()}", deadline=300)
    assert counted(program, tmp_path) == {"answered": 1, "silent": BOMB - 1}
    assert {who: len(texts) for who, texts in answers(sim).items()} == {"bomber@example.com": 1}
    print(f"{BOMB} mails from one sender in {took:.1f} s: 1 answer")


def test_a_flood_from_one_sender_over_many_rules_gets_twenty_a_day(flooded, tmp_path):
    rules = "rules\n" + "".join(f'    rule{n}\n        subject_regex = "Mail \\d*{n:02}$"\n        text = "Answer"\n'
                                for n in range(100))
    sim, gateway, program = flooded(rules)
    flood(sim, gateway, BOMB, lambda n: {"from": "bomber@example.com", "subject": f"Mail {n:05}"})
    wait_for(lambda: sum(counted(program, tmp_path).values()) >= BOMB, lambda: f"all decided:\n{program.tail()}", deadline=300)
    assert counted(program, tmp_path) == {"answered": 20, "silent": BOMB - 20}
    assert len(answers(sim)["bomber@example.com"]) == 20


def test_a_flood_from_different_senders_stays_under_the_ceiling(flooded, tmp_path):
    """Sixty a minute; the others wait in the inbox. The long form waits for the next minute too."""
    sim, gateway, program = flooded(EVERYTHING)
    took = flood(sim, gateway, BOMB, lambda n: {"from": f"sender{n}@example.com", "subject": "Hello"})
    with sqlite3.connect(f"file:{tmp_path / 'mailbus-autoreply.db'}?mode=ro", uri=True) as db:
        def waiting():
            return db.execute("SELECT count(*) FROM mailbus_inbox WHERE attempts > 0 AND reason LIKE 'too-fast%'").fetchone()[0]

        wait_for(lambda: waiting() + sum(counted(program, tmp_path).values()) >= BOMB,
                 lambda: f"all looked at: {waiting()} wait, {counted(program, tmp_path)}\n{program.tail()}", 300)
        minutes = int(os.environ.get("MAILBUS_TEST_MINUTES", "1"))
        if minutes > 1:  # it opens again by itself
            wait_for(lambda: counted(program, tmp_path).get("answered", 0) >= 60 * minutes, "the next minute", 70 * minutes)
        times = sorted(row[0] for row in db.execute("SELECT planned_ms FROM outgoing_mails"))
    assert len(times) >= 60
    for first, last in zip(times, times[60:]):  # the 61st is never within a minute of the first
        assert last - first >= 60000
    sent = answers(sim)
    assert len(sent) == len(times) and {len(texts) for texts in sent.values()} == {1}
    print(f"{BOMB} mails from {BOMB} senders in {took:.1f} s: {len(times)} answers, the others wait")


# --- kill -9 -----------------------------------------------------------------------------------------------------


def test_killed_at_any_moment_under_load_each_mail_has_one_answer(post):
    """kill -9 at random moments, while mails come in and the service fails before and after it did its work."""
    stop = threading.Event()
    events = []
    chance = random.Random(20261012)

    def load():
        while not stop.is_set():
            events.append(post.mail())
            stop.wait(0.01)

    feeder = threading.Thread(target=load)
    feeder.start()
    try:
        for number in range(KILLS):
            mode = chance.choice(["status", "reset", "after"])
            assert post.sim.call("POST", "/sim/fail", {"target": "api", "count": 2, "mode": mode, "status": 503})[0] < 300
            with post.autoreply(send__per_minute=1000000, retry__max_pause="200ms", workers=4) as program:
                before = len(post.history())
                wait_for(lambda: len(post.history()) > before, lambda: f"something to be done:\n{program.tail()}")
                threading.Event().wait(chance.uniform(0, 0.1))
                program.signal(signal.SIGKILL)
                program.process.wait()
    finally:
        stop.set()
        feeder.join()
    with post.autoreply(send__per_minute=1000000, retry__max_pause="200ms") as program:
        history = post.wait_history(*events, program=program)
        program.stop()
    assert {history[event][0] for event in events} == {"answered"}
    sent = answers(post.sim)
    assert len(sent) == len(events)
    assert {recipient: texts for recipient, texts in sent.items() if len(texts) != 1} == {}
    print(f"{KILLS} kills under load: {len(events)} mails, {len(post.sim.sent())} answers")
