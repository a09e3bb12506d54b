"""The JSON schemas: well formed, every example and vector fits, wrong documents are refused."""

import base64
import copy
import json

import jsonschema
import pytest
from mailbus_testing import ROOT

PROTO = ROOT / "proto"
SCHEMAS = {path.name: json.loads(path.read_text(encoding="utf-8")) for path in (PROTO / "schemas").glob("*.json")}
STORE = {schema["$id"]: schema for schema in SCHEMAS.values()}
EVENTS = sorted(name.removesuffix(".json") for name, schema in SCHEMAS.items()
                if "event_type" in schema.get("properties", {}))
EXAMPLES = sorted(path for folder in ("events", "guide", "mailbus") for path in (PROTO / "examples" / folder).glob("*.json"))
OWN = ["attachment.extracted"]  # made by a subscriber, not by AgentMail


def validator(name):
    schema = SCHEMAS[f"{name}.json"]
    resolver = jsonschema.RefResolver(schema["$id"], schema, store=STORE, handlers={"https": no_network})
    return jsonschema.Draft202012Validator(schema, resolver=resolver)


def no_network(uri):
    raise AssertionError(f"{uri} is not one of our schemas")


def fits(name, document):
    return validator(name).is_valid(document)


def vectors(name):
    """The vectors of a file, or of one of its sections: "check.answers"."""
    file, _, section = name.partition(".")
    document = json.loads((PROTO / "vectors" / f"{file}.json").read_text(encoding="utf-8"))
    return document[section] if section else document


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_schema_is_a_schema(name):
    schema = SCHEMAS[name]
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"].rsplit("/", 1)[1] == name
    jsonschema.Draft202012Validator.check_schema(schema)


def test_there_is_a_schema_for_every_event_type():
    assert EVENTS == sorted([
        *OWN,
        "message.received", "message.received.spam", "message.received.blocked",
        "message.received.unauthenticated", "message.sent", "message.delivered", "message.bounced",
        "message.complained", "message.rejected", "message.opened", "domain.verified",
        *(f"calendar.event.{what}" for what in ("created", "updated", "deleted", "responded", "starting", "ending"))])


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_example_fits_its_schema_and_no_other_event(path):
    document = read(path)
    validator(document["event_type"]).validate(document)
    assert [name for name in EVENTS if fits(name, document)] == [document["event_type"]]


def test_there_are_examples_of_every_mail_and_domain_event():
    types = {read(path)["event_type"] for path in EXAMPLES if path.parent.name == "events"}
    assert types == {name for name in EVENTS if not name.startswith("calendar.") and name not in OWN}
    assert [path.stem for path in EXAMPLES if path.parent.name == "mailbus"] == OWN
    assert {path.stem for path in EXAMPLES if path.parent.name == "guide"} == {
        "message.received", "message.sent", "message.delivered", "message.bounced", "message.complained"}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_unknown_keys_are_allowed_everywhere(path):
    document = read(path)

    def add(value):
        if isinstance(value, dict):
            for inner in list(value.values()):
                add(inner)
            value["sort_key"] = "new"
        elif isinstance(value, list):
            for inner in value:
                add(inner)

    add(document)
    validator(document["event_type"]).validate(document)


RECEIVED = read(PROTO / "examples" / "events" / "message.received.json")
BOUNCED = read(PROTO / "examples" / "events" / "message.bounced.json")
DELIVERED = read(PROTO / "examples" / "events" / "message.delivered.json")


def changed(document, path, *value):
    """A copy with the value at `path` replaced, or without it."""
    document = copy.deepcopy(document)
    *way, last = path.split(".")
    inner = document
    for key in way:
        inner = inner[int(key) if key.isdigit() else key]
    if value:
        inner[last] = value[0]
    else:
        del inner[last]
    return document


@pytest.mark.parametrize("address", [
    "a@b.c", "Jane <a@b.c>", ["a@b.c", "Jane <a@b.c>"], [{"name": "Jane", "email": "a@b.c"}], [{"email": "a@b.c"}],
    {"name": "Jane", "email": "a@b.c"}, {"name": None, "email": "a@b.c"}, []])
@pytest.mark.parametrize("field", ["from", "from_", "to", "cc", "bcc", "reply_to"])
def test_addresses_come_in_every_form(field, address):
    validator("message.received").validate(changed(RECEIVED, f"message.{field}", address))


@pytest.mark.parametrize("name, document", [
    ("message.received", changed(RECEIVED, "event_id")),
    ("message.received", changed(RECEIVED, "thread")),
    ("message.received", changed(changed(RECEIVED, "message.from"), "message.from_", "a@b.c")),
    ("message.received", changed(RECEIVED, "message.attachments", [{"filename": "a.pdf", "content": "JVBERg=="}])),
    ("message.received", changed(RECEIVED, "message.headers", {"Received": ["one", "two"]})),
    ("message.delivered", {**changed(DELIVERED, "delivery"), "delivered": DELIVERED["delivery"]}),
    ("message.bounced", changed(BOUNCED, "bounce.recipients.0.status")),
    ("message.bounced", changed(BOUNCED, "bounce.type", "Undetermined")),
    ("calendar.event.updated", {"type": "event", "event_type": "calendar.event.updated", "event_id": "evt_1",
                                "inbox_id": "a@b.c", "calendar_event": {"title": "x"}, "previous": {"title": "y"}}),
    ("calendar.event.starting", {"type": "event", "event_type": "calendar.event.starting", "event_id": "evt_2",
                                 "inbox_id": "a@b.c", "calendar_event": {}, "scheduled_at": "2026-10-12T09:31:04Z"}),
])
def test_variants_that_occur_are_taken(name, document):
    validator(name).validate(document)


@pytest.mark.parametrize("name, document", [
    ("message.received", []),
    ("message.received", "message.received"),
    ("message.received", changed(RECEIVED, "event_type")),
    ("message.received", changed(RECEIVED, "event_type", "message.sent")),
    ("message.received", changed(RECEIVED, "type", "message")),
    ("message.received", changed(RECEIVED, "event_id", "")),
    ("message.received", changed(RECEIVED, "event_id", 7)),
    ("message.received", changed(RECEIVED, "event_id", "evt\n1")),
    ("message.received", changed(RECEIVED, "message")),
    ("message.received", changed(RECEIVED, "message", None)),
    ("message.received", changed(RECEIVED, "message.from")),
    ("message.received", changed(RECEIVED, "message.inbox_id")),
    ("message.received", changed(RECEIVED, "message.message_id")),
    ("message.received", changed(RECEIVED, "message.message_id", "")),
    ("message.received", changed(RECEIVED, "message.from", 7)),
    ("message.received", changed(RECEIVED, "message.to", [{"name": "no address"}])),
    ("message.received", changed(RECEIVED, "message.labels", "received")),
    ("message.received", changed(RECEIVED, "message.size", "60544")),
    ("message.received", changed(RECEIVED, "message.timestamp", "yesterday")),
    ("message.received", changed(RECEIVED, "message.attachments", [{"filename": "neither id nor content"}])),
    ("message.received", changed(RECEIVED, "message.headers", ["a: b"])),
    ("message.delivered", changed(DELIVERED, "delivery")),
    ("message.delivered", changed(DELIVERED, "delivery.recipients")),
    ("message.bounced", changed(BOUNCED, "bounce.type")),
    ("message.bounced", changed(BOUNCED, "bounce.recipients", ["gone@example.com"])),
    ("message.bounced", changed(BOUNCED, "bounce.recipients", [{"status": "5.1.1"}])),
    ("message.bounced", changed(BOUNCED, "bounce.recipients.0.status", 5.1)),
    ("calendar.event.created", {"type": "event", "event_type": "calendar.event.created", "inbox_id": "a@b.c"}),
    ("domain.verified", {"type": "event", "event_type": "domain.verified", "domain": "mail.example.com"}),
])
def test_wrong_documents_are_refused(name, document):
    assert not fits(name, document)


def wire_documents(vector, kind):
    """(schema, parsed JSON) of the JSON frames of one vector; (schema, None) where one does not parse."""
    frames = [base64.b64decode(frame) for frame in vector["frames"]]
    if kind == "events":
        pairs = [("event-header", frames[1])]
    elif kind.startswith("check."):
        pairs = [({"check.requests": "check-request", "check.answers": "check-answer"}[kind], frames[0])]
    elif kind == "heads":
        pairs = [("heads-header", frames[1]), ("heads-body", frames[2])]
    else:
        names = {b"FETCH": "fetch", b"HEADS": "heads-request", b"END": "end", b"TRIMMED": "trimmed", b"ERROR": "error"}
        pairs = [(names[frames[0]], frames[1])] if frames[0] in names else []
        pairs += [("event-header", frames[3])] if frames[0] == b"EVENT" else []
    for name, text in pairs:
        try:
            yield name, json.loads(text)
        except ValueError:
            yield name, None


KINDS = ["events", "heads", "requests", "answers", "check.requests", "check.answers"]


@pytest.mark.parametrize("kind", KINDS)
def test_valid_vectors_fit(kind):
    count = 0
    for vector in vectors(kind)["valid"]:
        for name, document in wire_documents(vector, kind):
            errors = [error.message for error in validator(name).iter_errors(document)]
            assert not errors, (vector["name"], errors)
            count += 1
    assert count >= len(vectors(kind)["valid"])


# What a schema can't see: text that Python's reader lets pass, sizes in octets, two values or frames against
# each other, and the calendar.
UNSEEN = {
    "events": {
        "no topic", "topic with NUL", "topic that is not UTF-8", "type differs from the topic",
        "type is longer than the topic", "header of 8193 bytes", "header with a byte order mark", "key twice", "key twice, once escaped", "NaN",
        "nested too deeply", "sequence beyond 64 bits", "previous equal to sequence", "previous above sequence",
        "time that is no date"},
    "heads": {
        "header has a key twice", "header of more than 8192 bytes", "head above the journal's", "topic twice",
        "topic twice among many"},
    "requests": {
        "key twice", "more than 16384 bytes", "from beyond 64 bits", "33 topics and 32 prefixes",
        "since on no leap day"},
    "answers": {"a request's verb", "key twice", "end with a topic above the head", "end with a topic twice"},
    "check.requests": {
        "key twice", "key twice, once escaped", "4097 bytes", "byte order mark", "lone surrogate escape"},
    "check.answers": {
        "key twice", "4097 bytes", "until on no leap day", "until at the beginning of 1970", "until before 1970"},
}


@pytest.mark.parametrize("kind", KINDS)
def test_invalid_vectors_do_not_fit_but_for_what_a_schema_cannot_see(kind):
    taken = set()
    for vector in vectors(kind)["invalid"]:
        documents = list(wire_documents(vector, kind))
        if documents and all(fits(name, document) for name, document in documents):
            taken.add(vector["name"])
    assert taken == UNSEEN[kind]


def test_an_error_of_the_check_protocol_is_no_answer():
    assert fits("check-error", {"error": "the list can't be read"})
    assert not fits("check-answer", {"error": "the list can't be read"})
    assert not fits("check-answer", {"answer": "yes", "error": "but not all of it was read"})
    for wrong in ({}, {"error": ""}, {"error": 500}, {"error": "two\nlines"}, {"answer": "no"}):
        assert not fits("check-error", wrong)
