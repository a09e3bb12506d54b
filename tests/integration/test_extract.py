"""mailbus-extract with a real gateway and the AgentMail stand-in: each file is read once, and what is done with it once."""

import base64
import json
import os
import signal
import subprocess

import pytest
import zmq
from checker import rows
from extract_setup import KEY, HostileApi, Receiver, Setup, attached, pdf
from mailbus_testing import BIN, SECRET, Gateway, Sim, Subscriber, wait_for
from test_schemas import validator

KILLS = int(os.environ.get("MAILBUS_TEST_KILLS", "5"))
PIXEL = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")


@pytest.fixture
def setup(tmp_path):
    made = Setup(tmp_path)
    try:
        yield made
        made.close()
    finally:
        made.kill()


# --- the way of a mail ------------------------------------------------------------------------------------------------


def test_the_whole_way_from_the_service_to_text_that_is_found(tmp_path):
    """The stand-in delivers the webhook itself; the bytes come from its API."""
    with Gateway(tmp_path) as gateway, Sim(webhook_url=f"http://{gateway.address}/webhook") as sim:
        with Subscriber("mailbus-extract", tmp_path, gateway.bus(), env=KEY, api__base_url=sim.base_url) as program:
            sim.receive(**{"inbox_id": "support@agentmail.to", "from": "Jane <jane@example.com>", "to": ["support@agentmail.to"],
                           "subject": "Rechnung", "text": "Anbei.", "attachments": [
                               attached("rechnung.pdf", pdf("Die Rechnung für Müller & Söhne über 125 Euro")),
                               attached("logo.png", PIXEL, "image/png", content_disposition="inline", content_id="logo"),
                               attached("notiz.txt", "Bitte bis Freitag überweisen.\n".encode(), "text/plain")]})
            program.wait_log(message="file 1 (rechnung.pdf): ok, application/pdf, by pdftotext")
            program.wait_log(message="file 3 (notiz.txt): ok, text/plain, by mailbus-extract-engine")
            wait_for(lambda: program.metric("mailbus_extract_files_total", status="ok") == 2, "both counted")
            assert program.metric("mailbus_extract_skipped_total", reason="type") == 1
            assert sim.sent() == []
            program.stop()
        assert rows(tmp_path / "mailbus-extract.db",
                    "SELECT attachments, skipped, beyond, sender, subject FROM mails") == [(3, 1, 0, "jane@example.com", "Rechnung")]
        sim.stop()
        gateway.stop()


def test_people_find_texts_while_the_program_runs_and_when_it_is_stopped(setup):
    def look():
        found = [json.loads(line) for line in setup.mailbus("search", "muller", "--json").splitlines()]
        assert [row["filename"] for row in found] == ["a.pdf"]
        assert found[0]["snippet"] == "Die Rechnung für [Müller] über 125 Euro"
        for words in (["MÜLLER"], ["müll*"], ["Müller über"], ["uber", "rechnung"], ['"rechnung']):
            assert "a.pdf" in setup.mailbus("search", *words), words
        for words in (["Rechnung Müller"], ["Müll"], ["Meier"], ["NOT", "rechnung"]):
            assert setup.mailbus("search", *words) == "", words
        listed = setup.mailbus("list").splitlines()
        assert [line.split()[0] for line in listed] == ["FILE", "2", "1"]
        assert "corrupt" in listed[1] and "person2@example.com" in listed[1] and "b.pdf" in listed[1]
        assert "ok" in listed[2]
        assert [line.split()[0] for line in setup.mailbus("list", "--status", "corrupt").splitlines()] == ["FILE", "2"]
        shown = setup.mailbus("show", "1")
        for part in ("a.pdf", "application/pdf", "pdftotext", "support@agentmail.to", "Die Rechnung für Müller über 125 Euro"):
            assert part in shown
        digest = json.loads(setup.mailbus("show", "1", "--json"))["sha256"]
        assert setup.mailbus("text", digest[:10]) == "Die Rechnung für Müller über 125 Euro\n"
        assert setup.mailbus("list", "--csv").startswith("number,time,status,")
        assert "no such file" in setup.mailbus("show", "77", status=1)
        assert "no text" in setup.mailbus("text", "2", status=1)
        assert "number" in setup.mailbus("show", "what", status=1)

    with setup.extract() as program:
        setup.mail(attached("a.pdf", pdf("Die Rechnung für Müller über 125 Euro")))
        setup.wait_files(1, program)
        setup.mail(attached("b.pdf", b"%PDF-1.4\nthis is none"))
        setup.wait_files(2, program)
        look()
        program.stop()
    look()


@pytest.mark.threads
def test_the_same_bytes_are_read_once(setup):
    same = pdf("Twice the same")
    with setup.extract(workers=8) as program:
        events = [setup.mail(attached(f"{number}.pdf", same), attached("again.pdf", same)) for number in range(6)]
        files = setup.wait_files(12, program)
        assert set(files.values()) == {"ok"} and {event for event, _ in files} == set(events)
        assert program.metric("mailbus_extract_file_seconds_count") == 1
        program.stop()
    assert setup.rows("SELECT count(*) FROM documents") == [(1,)]
    with setup.extract() as program:  # known from the file as well
        setup.mail(attached("later.pdf", same))
        setup.wait_files(13, program)
        assert program.metric("mailbus_extract_file_seconds_count") == 0
        program.stop()


def test_no_more_files_of_a_mail_than_said_are_looked_at(setup):
    with setup.extract(extract__max_attachments=2) as program:
        event = setup.mail(*[attached(f"{number}.txt", f"number {number}".encode(), "text/plain") for number in range(5)])
        program.wait_log(level="warn", message="3 files of this mail are not looked at: more than 2 (extract.max_attachments)")
        setup.wait_idle(program)
        program.stop()
    assert set(setup.files()) == {(event, 1), (event, 2)}
    assert setup.rows("SELECT attachments, skipped, beyond FROM mails") == [(5, 0, 3)]


def test_which_files_are_looked_at_changes_with_sighup_and_a_mistake_changes_nothing(setup):
    config = setup.folder / "extract.zpl"
    config.write_text('extract\n    types = "pdf"\n')
    text = attached("a.txt", b"some text", "text/plain")
    with setup.extract("--config", config) as program:
        setup.mail(text)
        wait_for(lambda: program.metric("mailbus_extract_skipped_total", reason="type") == 1, "it to be skipped")
        config.write_text('extract\n    types = "pdf plain"\n')
        program.signal(signal.SIGHUP)
        program.wait_log(message="the subscriber keeps its old rules")
        setup.mail(text)
        wait_for(lambda: program.metric("mailbus_extract_skipped_total", reason="type") == 2, "it to be skipped")
        config.write_text('extract\n    types = "pdf text"\n')
        program.signal(signal.SIGHUP)
        program.wait_log(message="settings reloaded")
        setup.mail(text)
        setup.wait_files(1, program)
        program.stop()


# --- bad bytes --------------------------------------------------------------------------------------------------------


def test_content_in_the_event_is_read_strictly(setup):
    """The guide's events carry the bytes; nothing is fetched for them."""
    good = base64.b64encode(pdf("In the event")).decode()
    cases = [
        ({"content": good}, "ok"),
        ({"content": good[:len(good) // 8 * 4]}, "corrupt"),          # half a PDF: an engine's word
        ({"content": good + "!"}, "corrupt"),
        ({"content": good[:40] + "\n" + good[40:]}, "corrupt"),     # lines, as mails have them
        ({"content": "data:application/pdf;base64," + good}, "corrupt"),
        ({"content": ""}, "download_failed"),                       # no content, and nowhere to get it
        ({"content": base64.b64encode(b"\0" * 3000).decode()}, "too_large"),
        ({"download_url": "http://127.0.0.1/x"}, "download_failed"),  # never an address out of the event
        ({"content": 17}, "download_failed"),
        ({"size": -1, "content": good}, "ok"),
        ({"size": 1e300, "content": good}, "ok"),                   # a claim, and nothing more
        ({"filename": "../../etc/cron.d/x\r\nBcc: y\x1b[2J", "content": good}, "ok"),
    ]
    with setup.extract(extract__max_file=2048) as program:
        event = setup.event([{"filename": "a.pdf", "content_type": "application/pdf", **case} for case, _ in cases])
        files = setup.wait_files(len(cases), program)
        setup.wait_idle(program)
        program.stop()
    assert [(place, files[(event, place)]) for place in range(1, len(cases) + 1)] == [
        (place, status) for place, (_, status) in enumerate(cases, 1)]
    names = [name for name, in setup.rows("SELECT filename FROM files WHERE place = ?", len(cases))]
    assert names == ["../../etc/cron.d/x Bcc: y [2J"]
    assert not [line for line in program.lines if "\x1b" in line]


def test_broken_content_is_fetched_instead(setup):
    with HostileApi(pdf("From the API")) as api, setup.extract(base_url=api.base_url) as program:
        event = setup.event([{"attachment_id": "fine", "filename": "a.pdf", "content_type": "application/pdf", "content": "%%"}])
        assert setup.wait_files(1, program) == {(event, 1): "ok"}
        program.stop()


DOWNLOADS = {
    # how the API behaves: how the file ends, calls of the API at most (None: does not matter)
    "fine": ("ok", 1), "late": ("ok", 3), "expired": ("ok", 2), "reset": ("ok", 3),
    "missing": ("download_failed", 4), "gone": ("download_failed", 4), "broken": ("download_failed", 4),
    "other-port": ("download_failed", 1), "loopback": ("download_failed", 1), "metadata": ("download_failed", 1),
    "private": ("download_failed", 1), "name": ("download_failed", 1), "plain": ("download_failed", 1),
    "scheme": ("download_failed", 1),
    "announced": ("too_large", 1), "declared": ("too_large", 1), "large": ("too_large", 1), "endless": ("too_large", 1),
}


@pytest.mark.threads
def test_downloads_that_fail_end_as_results_and_hold_up_nobody(setup):
    """One mail with all of them; the good ones are done at once, and once."""
    posts = Receiver()
    with HostileApi(pdf("From the API")) as api, posts, \
            setup.extract(base_url=api.base_url, download__tries=4, post__url=posts.url, retry__first_pause="20ms",
                          env={"MAILBUS_POST_SECRET": SECRET}) as program:
        names = list(DOWNLOADS)
        event = setup.event([{"attachment_id": name, "filename": f"{name}.pdf", "content_type": "application/pdf"} for name in names])
        files = setup.wait_files(len(names), program)
        setup.wait_idle(program)
        program.stop()
        assert {name: files[(event, place)] for place, name in enumerate(names, 1)} == {n: s for n, (s, _) in DOWNLOADS.items()}
        assert {name: api.calls[name] for name in names} == {n: calls for n, (_, calls) in DOWNLOADS.items()}
        assert [name for name in ("announced", "other-port", "metadata") if f"file {name}" in api.calls] == []
        assert sorted(body["attachment"]["number"] for _, body in posts.taken) == list(range(1, len(names) + 1))
        details = dict(setup.rows("SELECT filename, detail FROM files"))
        assert "must not be asked" in details["metadata.pdf"] and "must not be asked" in details["name.pdf"]
        assert "HTTP 410" in details["gone.pdf"]


def test_a_download_that_trickles_is_given_up(setup):
    with HostileApi(pdf("x")) as api, setup.extract(base_url=api.base_url, download__tries=1, download__timeout="1s") as program:
        event = setup.event([{"attachment_id": "trickle", "filename": "a.pdf", "content_type": "application/pdf"}])
        assert setup.wait_files(1, program) == {(event, 1): "download_failed"}
        program.stop()


def test_a_wrong_key_is_told_and_loses_no_file(setup):
    """It is not the file's fault, so that download.tries does not count it."""
    with setup.extract(download__tries=1) as program:
        document = attached("a.pdf", pdf("Kept"))
        event = setup.mail(document)
        setup.wait_files(1, program)
        setup.sim.call("POST", "/sim/fail", {"target": "api", "count": 3, "status": 401})
        setup.event([{"attachment_id": "none", "filename": "a.pdf", "content_type": "application/pdf"}], event_id="evt_key")
        program.wait_log(level="error", stage="extract")
        setup.wait_files(2, program)
        program.stop()
    assert setup.files()[(event, 1)] == "ok"
    assert [line["message"][:52] for line in program.log if line.get("level") == "error"] == [
        "no file can be fetched until this is mended: get att"] * 3


# --- what is done with texts ------------------------------------------------------------------------------------------


def test_one_bad_file_stops_nothing_and_finished_ones_are_not_done_again(setup):
    folder = setup.folder / "texts"
    posts = Receiver(answers=[(503, {"Retry-After": "0"}), (500, {})])
    with HostileApi(pdf("Good text")) as api, posts, \
            setup.extract(base_url=api.base_url, file__folder=folder, post__url=posts.url, download__tries=5,
                          env={"MAILBUS_POST_SECRET": SECRET}) as program:
        event = setup.event([{"attachment_id": name, "filename": f"{name}.pdf", "content_type": "application/pdf"}
                             for name in ("missing", "fine")], event_id="evt_two")
        setup.wait_idle(program)
        program.stop()
        assert setup.files() == {(event, 1): "download_failed", (event, 2): "ok"}
        assert [path.name for path in folder.iterdir()] == [f"evt_two-2-{setup.rows('SELECT sha256 FROM documents')[0][0][:16]}.txt"]
        assert next(folder.iterdir()).read_text().strip() == "Good text"
        ids = [id for id, _ in posts.taken]
        assert ids.count("extract-evt_two~attachment-2") == 3 and ids.count("extract-evt_two~attachment-1") == 1
        assert api.calls["fine"] == 1
        bodies = [body for id, body in posts.taken if id.endswith("attachment-2")]
        assert bodies[0] == bodies[1] == bodies[2]
        told = bodies[0]["attachment"]
        assert (told["status"], told["type"], told["text"].strip(), told["source_event_id"], told["filename"]) == (
            "ok", "application/pdf", "Good text", "evt_two", "fine.pdf")
        for _, body in posts.taken:
            validator("attachment.extracted").validate(body)
        bad = next(body for id, body in posts.taken if id.endswith("attachment-1"))["attachment"]
        assert bad["status"] == "download_failed" and "text" not in bad and "sha256" not in bad
        assert posts.refused == 0


def test_a_receiver_that_wants_no_more_is_told_in_the_dead_letters(setup):
    posts = Receiver(answers=[(410, {})] * 2)
    with posts, setup.extract(post__url=posts.url, env={"MAILBUS_POST_SECRET": SECRET}) as program:
        setup.mail(attached("a.txt", b"text", "text/plain"), event_id="evt_gone")
        wait_for(lambda: setup.rows("SELECT id, reason FROM mailbus_dead") or None, lambda: program.tail())
        assert setup.files() == {("evt_gone", 1): "ok"}
        program.stop()
    (reason,), = setup.rows("SELECT reason FROM mailbus_dead")
    assert reason.startswith("file 1: ") and "410" in reason


def test_a_folder_that_is_away_is_waited_for(setup):
    folder = setup.folder / "texts"
    with setup.extract(file__folder=folder) as program:
        folder.rmdir()
        event = setup.mail(attached("a.txt", b"patience", "text/plain"))
        program.wait_log(message="trying again later", id=event)
        assert "file.folder: can't write in" in program.find(message="trying again later", id=event)["reason"]
        folder.mkdir()
        setup.wait_idle(program)
        program.stop()
    assert [path.read_text().strip() for path in folder.iterdir()] == ["patience"]
    assert setup.rows("SELECT count(*) FROM mailbus_dead") == [(0,)]


def test_a_text_that_is_no_longer_kept_is_read_again_for_what_is_left_to_do(setup):
    posts = Receiver(answers=[(503, {})])
    with posts, setup.extract(post__url=posts.url, store__max_size=1, retry__first_pause="1s", workers=1,
                              env={"MAILBUS_POST_SECRET": SECRET}) as program:
        first = setup.mail(attached("a.pdf", pdf("Thrown away")))
        program.wait_log(message="trying again later", id=first)
        setup.mail(attached("b.pdf", pdf("Makes room")))
        wait_for(lambda: program.metric("mailbus_extract_pruned_total") >= 2, lambda: program.tail())
        setup.wait_idle(program)
        program.stop()
    bodies = [body["attachment"]["text"].strip() for _, body in posts.taken]
    assert bodies == ["Thrown away", "Makes room", "Thrown away"]
    assert setup.rows("SELECT count(*) FROM documents") == [(0,)]


def test_a_reply_is_cut_to_its_size_and_says_so(setup):
    with setup.extract(reply__send="yes", reply__max_text="1KiB", reply__text="Here it is:") as program:
        setup.mail(attached("a.txt", "ä".encode() * 1000, "text/plain"), attached("b.txt", b"no room", "text/plain"))
        setup.wait_idle(program)
        program.stop()
    text, = [mail["text"] for mail in setup.sim.sent()]
    assert text.startswith("Here it is:\n\n--- a.txt ---\n\n" + "ä" * 512 + "\n[The rest was left out")
    assert text.count("left out") == 2 and "no room" not in text


def subscribe(context, endpoint):
    socket = context.socket(zmq.SUB)
    socket.subscribe(b"attachment.extracted")
    socket.connect(endpoint)
    return socket


@pytest.mark.threads
def test_events_of_its_own_are_the_gateways_kind(setup):
    """Raw ZeroMQ sees three frames; a level-2 subscriber that was away fetches them; each is there once."""
    context = zmq.Context()
    with setup.extract(publish__bind="tcp://127.0.0.1:*", publish__replay="tcp://127.0.0.1:*") as program:
        bus = {"bus.publish": program.find(stage="publisher", message="bound")["endpoint"],
               "bus.replay": program.find(stage="replay", message="bound")["endpoint"], "bus.start": "oldest"}
        raw = subscribe(context, bus["bus.publish"])
        wait_for(lambda: program.metric("mailbus_bus_subscriptions") >= 1, "the raw subscriber")
        setup.mail(attached("a.pdf", pdf("For the bus")), attached("b.pdf", b"%PDF-1.7 none"), event_id="evt_bus")
        assert raw.poll(20000)
        topic, header, body = raw.recv_multipart()
        header, body = json.loads(header), json.loads(body)
        assert topic == b"attachment.extracted"
        assert (header["id"], header["source"], header["sequence"], header["previous"]) == (
            "extract-evt_bus~attachment-1", "/agentmail/inboxes/support@agentmail.to", "1", "0")
        assert header["subject"] == "<mail1@example.com>"
        assert body["attachment"]["text"].strip() == "For the bus" and body["attachment"]["status"] == "ok"
        second = json.loads(raw.recv_multipart()[2])
        assert second["attachment"]["status"] == "corrupt"
        for document in (body, second):
            validator("attachment.extracted").validate(document)
        with Subscriber("mailbus-recorder", setup.folder, bus) as recorder:
            state = setup.folder / "mailbus-recorder.db"
            wait_for(lambda: len(rows(state, "SELECT id FROM recorded")) == 2, lambda: recorder.tail())
            setup.mail(attached("c.txt", b"third", "text/plain"), event_id="evt_third")
            wait_for(lambda: len(rows(state, "SELECT id FROM recorded")) == 3, lambda: recorder.tail())
            recorder.stop()
        assert rows(state, "SELECT topic, id FROM recorded ORDER BY sequence") == [
            ("attachment.extracted", "extract-evt_bus~attachment-1"), ("attachment.extracted", "extract-evt_bus~attachment-2"),
            ("attachment.extracted", "extract-evt_third~attachment-1")]
        raw.close(0)
        program.stop()
    context.term()
    assert (setup.folder / "mailbus-extract-events.db").exists()


def test_its_bus_lets_nobody_in_without_a_key(setup):
    folder = setup.folder / "keys"
    subprocess.run([BIN / "mailbus", "keys", "new", "recorder", "--set", f"bus.curve_dir={folder}"], check=True, timeout=30,
                   stdout=subprocess.DEVNULL)
    with setup.extract(publish__bind="tcp://127.0.0.1:*", publish__replay="tcp://127.0.0.1:*", publish__curve_dir=folder) as program:
        assert program.find(message="checked: an unknown key stays out of the bus")
        bus = {"bus.publish": program.find(stage="publisher", message="bound")["endpoint"],
               "bus.replay": program.find(stage="replay", message="bound")["endpoint"], "bus.start": "oldest",
               "bus.curve_dir": folder}
        state = setup.folder / "mailbus-recorder.db"
        with Subscriber("mailbus-recorder", setup.folder, bus) as recorder:
            setup.mail(attached("a.txt", b"secret", "text/plain"))
            wait_for(lambda: state.exists() and len(rows(state, "SELECT id FROM recorded")) == 1, lambda: recorder.tail())
            os.unlink(folder / "clients" / "recorder.key")
            program.signal(signal.SIGHUP)
            wait_for(lambda: program.metric("mailbus_zap_refused_total") >= 1, lambda: program.tail())
            setup.mail(attached("b.txt", b"second", "text/plain"))
            setup.wait_files(2, program)
            setup.wait_idle(program)
            assert len(rows(state, "SELECT id FROM recorded")) == 1
            recorder.stop()
        program.stop()


def test_the_reply_goes_out_once_and_never_to_a_machine(setup):
    with setup.extract(reply__send="yes", workers=4) as program:
        setup.mail(attached("a.pdf", pdf("Read me")), sender="Jane <jane@example.com>")
        setup.mail(attached("b.pdf", pdf("News")), headers={"List-Id": "<l.example.com>"}, sender="news@example.com")
        setup.mail(attached("c.pdf", pdf("Away")), headers={"Auto-Submitted": "auto-replied"}, sender="kim@example.com")
        setup.mail(attached("d.pdf", b"%PDF-1.7 none"), sender="empty@example.com")
        for kind in ("spam", "blocked", "unauthenticated"):
            setup.mail(attached("e.pdf", pdf("Spam")), topic=f"message.received.{kind}", sender="spam@example.com")
        setup.mail(attached("f.pdf", pdf("First of two")), attached("g.pdf", b"%PDF-1.7 broken"),
                   attached("h.txt", b"second of two", "text/plain"), sender="two@example.com")
        setup.wait_files(7, program)
        setup.wait_idle(program)
        program.stop()
    sent = {mail["to"][0]: mail for mail in setup.sim.sent()}
    assert set(sent) == {"jane@example.com", "two@example.com"} and len(setup.sim.sent()) == 2
    jane = sent["jane@example.com"]
    assert jane["text"].startswith("I extracted this text from your PDF:\n\nRead me")
    assert jane["subject"] == "Re: Invoice" and jane["in_reply_to"] and not jane.get("attachments")
    assert {name.lower(): value for name, value in jane["headers"].items()}["auto-submitted"] == "auto-replied"
    two = sent["two@example.com"]["text"]
    assert "--- f.pdf ---\n\nFirst of two" in two and "--- h.txt ---\n\nsecond of two" in two and "- g.pdf: damaged" in two
    history = setup.mailbus("history")
    for line in ("answered", "list: List-Id", "auto-submitted"):
        assert line in history
    assert setup.mailbus("history", "jane@example.com").count("answered") == 1


def test_a_dry_run_reads_and_does_nothing_else(setup):
    posts = Receiver()
    folder = setup.folder / "texts"
    with posts, setup.extract("--dry-run", file__folder=folder, post__url=posts.url, reply__send="yes",
                              publish__bind="tcp://127.0.0.1:*", publish__replay="tcp://127.0.0.1:*") as program:
        setup.mail(attached("a.pdf", pdf("Only looked at")))
        setup.wait_idle(program)
        program.wait_log(message="file 1: dry run, it would be written posted published")
        program.wait_log(message="would-answer: rule extract to person1@example.com; from person1@example.com to support@agentmail.to")
        program.stop()
    assert setup.sim.sent() == [] and posts.taken == [] and posts.refused == 0 and list(folder.iterdir()) == []
    assert not (setup.folder / "mailbus-extract-events.db").exists()
    assert setup.rows("SELECT effect FROM effects") == [("reply",)]


# --- kill -9 ----------------------------------------------------------------------------------------------------------

POINTS = ["extract-read", "extract-stored", "extract-file-written", "extract-file-noted", "extract-file-placed",
          "extract-published", "extract-posted", "outgoing-noted", "outgoing-sent", "extract-done"]


def check_once(setup, posts, events, folder):
    """Everything that was to be done with one file of each mail was done, once."""
    assert len(setup.files()) == len(events) and set(setup.files().values()) == {"ok"}
    assert setup.rows("SELECT count(*) FROM documents") == [(len(events),)]
    names = sorted(path.name for path in folder.iterdir())
    assert len(names) == len(events) and not [name for name in names if name.startswith(".")]
    assert {name.split("-1-")[0] for name in names} == set(events)
    told = {}
    for id, body in posts.taken:
        told.setdefault(id, []).append(body)
    assert set(told) == {f"extract-{event}~attachment-1" for event in events}
    assert [id for id, bodies in told.items() if any(body != bodies[0] for body in bodies)] == []
    journal = rows(setup.folder / "mailbus-extract-events.db", "SELECT event_id FROM events ORDER BY sequence")
    assert sorted(id for id, in journal) == sorted(told)
    mails = [mail["to"][0] for mail in setup.sim.sent()]
    assert sorted(mails) == sorted({f"person{number}@example.com" for number in range(1, len(events) + 1)})


@pytest.mark.parametrize("point", POINTS)
def test_killed_between_an_effect_and_its_note_everything_happens_once(setup, point):
    folder = setup.folder / "texts"
    everything = {"file__folder": folder, "reply__send": "yes", "publish__bind": "tcp://127.0.0.1:*",
                  "publish__replay": "tcp://127.0.0.1:*"}
    events = []
    with Receiver() as posts:
        everything["post__url"] = posts.url
        runs = max(1, KILLS // 5)
        for number in range(runs):
            events.append(setup.mail(attached("a.pdf", pdf(f"Number {number}")), event_id=f"evt_{number}"))
            # The mail that the last run left passes the point again, but where that is behind a note of its own.
            again = number > 0 and point != "extract-stored"
            env = {"MAILBUS_POST_SECRET": SECRET, "MAILBUS_TEST_KILL": f"{point}:2" if again else point}
            with setup.extract(env=env, ready=False, **everything) as program:
                status = program.process.wait(60)
                assert status == -signal.SIGKILL, f"{status} in run {number}:\n{program.tail()}"
        with setup.extract(env={"MAILBUS_POST_SECRET": SECRET}, **everything) as program:
            setup.wait_idle(program)
            program.stop()
        check_once(setup, posts, events, folder)


@pytest.mark.campaign
def test_killed_at_any_moment_under_load_everything_happens_once(setup):
    folder = setup.folder / "texts"
    everything = {"file__folder": folder, "reply__send": "yes", "publish__bind": "tcp://127.0.0.1:*",
                  "publish__replay": "tcp://127.0.0.1:*", "send__per_minute": 100000, "retry__max_crashes": 0}
    secret = {"MAILBUS_POST_SECRET": SECRET}
    events = []
    with Receiver() as posts:
        everything["post__url"] = posts.url
        for number in range(KILLS):
            for _ in range(4):
                count = len(events)
                events.append(setup.mail(attached("a.pdf", pdf(f"Number {count}")), event_id=f"evt_{count}"))
            with setup.extract(env=secret, workers=4, **everything) as program:
                # Not at the same place of the work each time: after more and more of this run's POSTs.
                goal = len(posts.taken) + number % 5
                wait_for(lambda: len(posts.taken) >= goal, lambda: program.tail())
                program.kill()
        with setup.extract(env=secret, workers=4, **everything) as program:
            setup.wait_idle(program)
            program.stop()
        check_once(setup, posts, events, folder)


def test_a_text_that_was_taken_away_is_not_written_again(setup):
    """Whoever empties the folder gets each text once, also over a crash between the name and its note."""
    folder = setup.folder / "texts"
    setup.mail(attached("a.txt", b"take me", "text/plain"))
    with setup.extract(file__folder=folder, ready=False, env={"MAILBUS_TEST_KILL": "extract-file-placed"}) as program:
        assert program.process.wait(60) == -signal.SIGKILL
    taken = [path.unlink() for path in folder.iterdir()]
    assert len(taken) == 1
    with setup.extract(file__folder=folder) as program:
        setup.wait_idle(program)
        program.stop()
    assert list(folder.iterdir()) == []
    assert setup.rows("SELECT state FROM effects WHERE effect = 'file'") == [("done",)]


# --- settings, trying out ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("settings,env,says", [
    ({"extract.types": "pdf exe"}, {}, "is neither pdf, text, html, docx, odt, xlsx or image"),
    ({"extract.max_file": "1GiB", "extract.max_attachments": "0"}, {}, "extract.max_attachments: 1 to 1000"),
    ({"store.keep": "1h"}, {}, "store.keep: at least 7d"),
    ({"file.folder": "/nowhere/at/all"}, {}, "file.folder: can't make"),
    ({"post.url": "http://192.0.2.1/hook"}, {}, "post: "),
    ({"post.url": "https://example.com/hook"}, {"MAILBUS_POST_SECRET": "whsec_short"}, "post: "),
    ({"publish.bind": "tcp://0.0.0.0:5560"}, {}, "publish.bind can be reached from other machines"),
    ({"publish.bind": "tcp://127.0.0.1:5560", "publish.replay": "tcp://127.0.0.1:5560"}, {}, "are the same"),
    ({"output.max_text": "10MiB"}, {}, "output.max_text: at most 900KiB"),
    ({"extract.engines": "/nowhere/table"}, {}, "/nowhere/table"),
    ({}, {"AGENTMAIL_API_KEY": ""}, "api.key is not set"),
])
def test_wrong_settings_are_told_at_the_start(tmp_path, settings, env, says):
    arguments = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("MAILBUS_", "AGENTMAIL_"))}
    done = subprocess.run([BIN / "mailbus-extract", "--set", f"state.path={tmp_path / 'e.db'}", *arguments], cwd=tmp_path,
                          capture_output=True, text=True, timeout=30, env={**clean, **KEY, **env})
    assert done.returncode == 1 and says in done.stderr, done.stderr


def test_help_names_every_setting(tmp_path):
    done = subprocess.run([BIN / "mailbus-extract", "--help"], capture_output=True, text=True, timeout=30, cwd=tmp_path)
    for key in ("extract.types", "extract.engines", "download.rate", "store.max_size", "file.folder", "post.secret", "reply.send",
                "publish.bind", "send.again_after", "api.key", "--file PATH"):
        assert key in done.stdout, key


def test_a_file_can_be_tried_without_a_bus(tmp_path):
    (tmp_path / "a.pdf").write_bytes(pdf("Tried out", pages=3))
    (tmp_path / "b.pdf").write_bytes(b"%PDF-1.4 none")
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("MAILBUS_", "AGENTMAIL_"))}

    def run(*arguments):
        return subprocess.run([BIN / "mailbus-extract", *arguments], cwd=tmp_path, env=clean, capture_output=True, text=True, timeout=30)

    good = run("--file", "a.pdf", "--set", "extract.ocr=no")
    assert good.returncode == 0, good.stderr
    for line in ("status  ok", "type    application/pdf", "engine  pdftotext", "pages   3", "Tried out"):
        assert line in good.stdout
    both = run("--file", "a.pdf", "--file", "b.pdf", "--set", "extract.max_pages=2")
    assert both.returncode == 1 and "status  truncated" in both.stdout and "status  corrupt" in both.stdout
    assert run("--file").returncode == 2
    assert "nothing.pdf" in run("--file", "nothing.pdf").stderr
    assert list(tmp_path.glob("*.db")) == []


def test_programs_of_the_operator_read_further_kinds(setup):
    table = setup.folder / "engines.zpl"
    table.write_text('application/rtf = "/usr/bin/cat"\n')
    letter = setup.folder / "letter.rtf"
    letter.write_bytes(b"{\\rtf1 a letter}")
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("MAILBUS_", "AGENTMAIL_"))}
    tried = subprocess.run([BIN / "mailbus-extract", "--file", letter, "--set", f"extract.engines={table}"], env=clean,
                           capture_output=True, text=True, timeout=30, cwd=setup.folder)
    assert tried.returncode == 0 and "engine  cat\n" in tried.stdout and "a letter" in tried.stdout, tried
    mail = attached("letter.rtf", letter.read_bytes(), "application/rtf")
    with setup.extract(extract__types="pdf application/rtf") as program:
        first = setup.mail(mail)
        assert setup.wait_files(1, program) == {(first, 1): "unsupported"}
        program.stop()
    with setup.extract(extract__types="pdf application/rtf", extract__engines=table) as program:  # the same bytes, other engines
        second = setup.mail(mail)
        assert setup.wait_files(2, program)[(second, 1)] == "ok"
        program.stop()
