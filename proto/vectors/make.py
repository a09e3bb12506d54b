#!/usr/bin/env python3
"""Make the test vectors of PROTOCOL.md and CHECK.md: python3 make.py writes *.json beside itself, --check compares.

Nothing here uses the C codec, so that the two check each other. Everything is fixed: the same
program gives the same files.
"""
import base64
import json
import pathlib
import random
import sys

HERE = pathlib.Path(__file__).parent
STREAM = "0b9a1e4c-5f0d-4f6b-8a52-3c1d2e4f5a6b"
OTHER = "f2d7c3b1-1111-4222-9333-abcdefabcdef"
TIME = "2026-10-12T09:31:04.000Z"
MAX64 = 2**64 - 1


def compact(value):
    """The one encoding that the gateway writes."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def frames(*parts):
    return [base64.b64encode(p if isinstance(p, bytes) else p.encode()).decode() for p in parts]


# ---- events ----------------------------------------------------------------------------------

ORDER = ["specversion", "id", "source", "type", "subject", "time", "datacontenttype", "sequence",
         "previous", "stream", "webhookid", "recordedtime"]


def header(**change):
    """A header's attributes in the gateway's order; None leaves one out."""
    attributes = {
        "specversion": "1.0", "id": "evt_123abc",
        "source": "/agentmail/inboxes/agent@agentmail.to", "type": "message.received",
        "time": "2023-10-27T10:00:00Z", "datacontenttype": "application/json", "sequence": "42",
        "previous": "40", "stream": STREAM, "recordedtime": TIME,
    }
    attributes.update(change)
    ordered = {key: attributes.pop(key) for key in ORDER if key in attributes}
    ordered.update(attributes)
    return {key: value for key, value in ordered.items() if value is not None}


BODY = b'{"type":"event","event_type":"message.received","event_id":"evt_123abc"}'


def expected(attributes, body):
    names = {"id": "id", "source": "source", "type": "topic", "subject": "subject", "time": "time",
             "stream": "stream", "webhookid": "webhook_id", "recordedtime": "recorded_time",
             "sequence": "sequence", "previous": "previous"}
    event = {names[key]: value for key, value in attributes.items() if key in names}
    event["body"] = base64.b64encode(body).decode()
    return event


def valid_event(name, body=BODY, raw=None, canonical=True, **change):
    attributes = header(**change)
    text = compact(attributes) if raw is None else raw
    return {"name": name, "canonical": canonical and raw is None, "expect": expected(attributes, body),
            "frames": frames(attributes["type"], text, body)}


def bad_event(name, reason, raw=None, topic="message.received", **change):
    text = compact(header(**change)) if raw is None else raw
    return {"name": name, "reason": reason, "frames": frames(topic, text, BODY)}


def events():
    long_topic = ".".join(["abcdefgh_-01234"] * 8) + "x"
    assert len(long_topic) == 128
    plain = compact(header()).decode()
    valid = [
        valid_event("no optional attribute"),
        valid_event("every attribute", subject="<abc123@agentmail.to>", webhookid="msg_2bXyZ"),
        valid_event("message id with quote, backslash and angle brackets",
                    subject='<"a\\"b c"@[192.0.2.1]>'),
        valid_event("subject beyond ASCII", subject="<grüße-日本-😀@例え.jp>"),
        valid_event("C1 control characters and U+2028 are text", subject="<\u0085\u2028@x>"),
        valid_event("topic of 128 bytes", type=long_topic),
        valid_event("topic of one byte", type="x"),
        valid_event("topic of several parts", type="message.received.spam"),
        valid_event("topic that nearly is reserved", type="bus"),
        valid_event("topic that begins like the reserved ones", type="bus-stop.heads"),
        valid_event("the first event of all", sequence="1", previous="0"),
        valid_event("the first event of its topic", sequence="9", previous="0"),
        valid_event("largest numbers", sequence=str(MAX64), previous=str(MAX64 - 1)),
        valid_event("empty body", body=b""),
        valid_event("body that is not JSON", body=bytes(range(256))),
        valid_event("source without an inbox", source="/agentmail"),
        valid_event("source with escapes", source="/agentmail/inboxes/a%2Fb%20%C3%BC@x.y"),
        valid_event("time with offset and nine decimals", time="2023-10-27T12:00:00.123456789+02:00"),
        valid_event("time at the leap second", time="2016-12-31T23:59:60Z"),
        valid_event("time in small letters", time="2023-10-27t10:00:00z"),
        valid_event("id of 256 bytes", id="e" * 256, webhookid="w" * 256),
        valid_event("id with a blank", id="evt 1 ~"),
        valid_event("subject of 998 bytes", subject="<" + "s" * 996 + ">"),
        valid_event("unknown attributes are ignored", canonical=False, partitionkey="k", depth=1,
                    traceparent={"a": [1, 2.5e-3, True, None, "\\u0041"]}),
        valid_event("null is as good as absent", canonical=False,
                    raw=plain[:-1].encode() + b',"subject":null,"webhookid":null}'),
        valid_event("no datacontenttype", canonical=False, datacontenttype=None),
        valid_event("blanks between tokens", canonical=False,
                    raw=b" \t\r\n" + json.dumps(header(), indent=2).encode() + b"\n"),
        valid_event("attributes in another order", canonical=False,
                    raw=compact(dict(reversed(header().items())))),
        valid_event("escapes mean the characters", canonical=False, subject="<é😀/@x>",
                    raw=compact(header(subject="SUBJECT")).replace(
                        b"SUBJECT", b"\\u003c\\u00e9\\uD83D\\ude00\\/@x>")),
        valid_event("header of exactly 8192 bytes", canonical=False,
                    raw=compact(header(padding="p" * (8192 - len(compact(header())) - 13)))),
    ]
    assert len(base64.b64decode(valid[-1]["frames"][1])) == 8192
    invalid = [
        bad_event("no topic", "empty topic", topic=""),
        bad_event("topic of 129 bytes", "too long", topic=long_topic + "y", type=long_topic + "y"),
        bad_event("topic with a capital", "alphabet", topic="Message.received", type="Message.received"),
        bad_event("topic with an empty part", "two dots", topic="a..b", type="a..b"),
        bad_event("topic that ends with a dot", "dot at the end", topic="message.", type="message."),
        bad_event("topic that begins with a dot", "dot at the start", topic=".a", type=".a"),
        bad_event("topic with NUL", "alphabet", topic=b"message.received\0", type="message.received"),
        bad_event("topic with a blank", "alphabet", topic="a b", type="a b"),
        bad_event("topic that is not UTF-8", "alphabet", topic=b"a\xff"),
        bad_event("reserved topic", "bus. is the bus's own", topic="bus.heads", type="bus.heads"),
        bad_event("type differs from the topic", "two readers would disagree", type="message.sent"),
        bad_event("type is longer than the topic", "ZeroMQ filters by prefix",
                  type="message.received.spam"),
        bad_event("header is empty", "no JSON", raw=b""),
        bad_event("header is an array", "no object", raw=b"[]"),
        bad_event("header is a string", "no object", raw=b'"x"'),
        bad_event("header with something behind it", "trailing bytes", raw=compact(header()) + b"x"),
        bad_event("header with NUL behind it", "trailing bytes", raw=compact(header()) + b"\0"),
        bad_event("two headers", "trailing bytes", raw=compact(header()) * 2),
        bad_event("header of 8193 bytes", "beyond the limit",
                  raw=compact(header(padding="p" * (8193 - len(compact(header())) - 13)))),
        bad_event("header with a byte order mark", "not JSON", raw=b"\xef\xbb\xbf" + compact(header())),
        bad_event("a comma too many", "grammar", raw=compact(header())[:-1] + b",}"),
        bad_event("a comment", "grammar", raw=compact(header())[:-1] + b"/**/}"),
        bad_event("single quotes", "grammar", raw=b"{'specversion':'1.0'}"),
        bad_event("number with a leading zero", "grammar", raw=plain[:-1].encode() + b',"x":01}'),
        bad_event("number that ends with a point", "grammar", raw=plain[:-1].encode() + b',"x":1.}'),
        bad_event("NaN", "grammar", raw=plain[:-1].encode() + b',"x":NaN}'),
        bad_event("brackets of different kinds", "grammar", raw=plain[:-1].encode() + b',"x":[1}]}'),
        bad_event("key twice", "readers would disagree", raw=plain[:-1].encode() + b',"id":"evil"}'),
        bad_event("key twice, once escaped", "readers would disagree",
                  raw=plain[:-1].encode() + b',"i\\u0064":"evil"}'),
        bad_event("key in capitals is another key", '"id" is missing',
                  raw=plain.replace('"id"', '"ID"').encode()),
        bad_event("\\u0000 in a string", "would cut it", raw=plain.replace("abc", "a\\u0000c").encode()),
        bad_event("raw control character in a string", "grammar", raw=plain.replace("abc", "a\nc").encode()),
        bad_event("invalid UTF-8", "overlong slash",
                  raw=plain.encode().replace(b"abc", b"a\xc0\xafc")),
        bad_event("UTF-8 surrogate", "U+D800", raw=plain.encode().replace(b"abc", b"a\xed\xa0\x80")),
        bad_event("lone surrogate escape", "no partner", raw=plain.replace("abc", "\\ud800").encode()),
        bad_event("lone low surrogate escape", "no partner", raw=plain.replace("abc", "\\udc00").encode()),
        bad_event("unknown escape", "grammar", raw=plain.replace("abc", "\\x41").encode()),
        bad_event("nested too deeply", "beyond 64",
                  raw=plain[:-1].encode() + b',"x":' + b"[" * 64 + b"]" * 64 + b"}"),
        bad_event("specversion 0.3", "another specification", specversion="0.3"),
        bad_event("specversion as a number", "wrong type", specversion=1.0),
        bad_event("no specversion", "required", specversion=None),
        bad_event("no id", "required", id=None),
        bad_event("empty id", "empty", id=""),
        bad_event("id of 257 bytes", "too long", id="e" * 257),
        bad_event("id that is a number", "wrong type", id=7),
        bad_event("id that is null", "required", id=None,
                  raw=plain.replace('"evt_123abc"', "null").encode()),
        bad_event("id with an escaped line feed", "not printable", id="a\nb"),
        bad_event("id beyond ASCII", "not printable", id="é"),
        bad_event("no source", "required", source=None),
        bad_event("source with a blank", "no URI reference", source="/a b"),
        bad_event("no type", "required", type=None),
        bad_event("subject of 999 bytes", "too long", subject="s" * 999),
        bad_event("empty subject", "leave it out", subject=""),
        bad_event("subject with carriage return and line feed", "header injection", subject="<a>\r\nX: y"),
        bad_event("subject with DEL", "control character", subject="<a\x7f>"),
        bad_event("subject that is a list", "wrong type", subject=["<a>"]),
        bad_event("no time", "required", time=None),
        bad_event("time without an offset", "ambiguous", time="2023-10-27T10:00:00"),
        bad_event("time that is no date", "February", time="2023-02-29T10:00:00Z"),
        bad_event("time with a blank", "RFC 3339 wants T", time="2023-10-27 10:00:00Z"),
        bad_event("time as a number", "wrong type", time=1698400800),
        bad_event("hour 24", "range", time="2023-10-27T24:00:00Z"),
        bad_event("offset of 24 hours", "range", time="2023-10-27T10:00:00+24:00"),
        bad_event("a point without decimals", "RFC 3339", time="2023-10-27T10:00:00.Z"),
        bad_event("no recordedtime", "required", recordedtime=None),
        bad_event("recordedtime is no time", "RFC 3339", recordedtime="yesterday"),
        bad_event("another content type", "bodies are JSON", datacontenttype="text/xml"),
        bad_event("no sequence", "required", sequence=None),
        bad_event("sequence as a number", "loses digits beyond 2^53", sequence=42),
        bad_event("sequence 0", "begins at 1", sequence="0", previous="0"),
        bad_event("sequence with a leading zero", "one form only", sequence="042"),
        bad_event("negative sequence", "not decimal digits", sequence="-1", previous="0"),
        bad_event("sequence with a blank", "not decimal digits", sequence=" 42"),
        bad_event("sequence with an exponent", "not decimal digits", sequence="1e9"),
        bad_event("sequence beyond 64 bits", "range", sequence=str(MAX64 + 1)),
        bad_event("empty sequence", "not decimal digits", sequence=""),
        bad_event("no previous", "required", previous=None),
        bad_event("previous equal to sequence", "must be below", previous="42"),
        bad_event("previous above sequence", "must be below", previous="43"),
        bad_event("no stream", "required", stream=None),
        bad_event("stream in capitals", "one form only", stream=STREAM.upper()),
        bad_event("stream without hyphens", "no UUID", stream=STREAM.replace("-", "")),
        bad_event("stream too short", "no UUID", stream=STREAM[:-1]),
        bad_event("stream that is too long", "no UUID", stream=STREAM + "0"),
        bad_event("webhookid of 257 bytes", "too long", webhookid="w" * 257),
        bad_event("empty webhookid", "leave it out", webhookid=""),
    ]
    return {"valid": valid, "invalid": invalid}


# ---- heads -----------------------------------------------------------------------------------


def heads_frames(top, topics):
    return frames("bus.heads", top if isinstance(top, bytes) else compact(top),
                  topics if isinstance(topics, bytes) else compact(topics))


def heads():
    def top(sequence, stream=STREAM, **more):
        return {"stream": stream, "sequence": sequence, **more}

    def valid(name, sequence, topics, canonical=True, **more):
        return {"name": name, "canonical": canonical,
                "expect": {"stream": STREAM, "sequence": sequence, "heads": topics},
                "frames": heads_frames(top(sequence, **more), topics)}

    def bad(name, reason, first, second):
        return {"name": name, "reason": reason, "frames": heads_frames(first, second)}

    two = {"message.received": "41", "message.sent": "42"}
    return {
        "valid": [
            valid("an empty journal", "0", {}),
            valid("two topics", "42", two),
            valid("topics whose events are all gone", "42", {}),
            valid("largest numbers", str(MAX64), {"x": str(MAX64)}),
            valid("topic of 128 bytes", "1", {"t" * 128: "1"}),
            valid("forty topics", "40", {f"type{i}": str(i + 1) for i in range(40)}),
            valid("unknown fields are ignored", "42", two, canonical=False, rate="7", x=[{}]),
        ],
        "invalid": [
            bad("no stream", "required", {"sequence": "1"}, {}),
            bad("stream is no UUID", "UUID", top("1", stream="x"), {}),
            bad("stream of hyphens", "UUID", top("1", stream="-" * 36), {}),
            bad("no sequence", "required", {"stream": STREAM}, {}),
            bad("sequence as a number", "wrong type", top(42), {}),
            bad("sequence with a leading zero", "one form only", top("042"), {}),
            bad("header is not JSON", "JSON", b"{", {}),
            bad("header is no object", "object", b"[]", {}),
            bad("header has a key twice", "twice",
                compact(top("1"))[:-1] + b',"sequence":"2"}', {}),
            bad("header of more than 8192 bytes", "limit", top("1", x="y" * 8192), {}),
            bad("body is empty", "JSON", top("1"), b""),
            bad("body is an array", "object", top("1"), b"[]"),
            bad("body is not JSON", "JSON", top("1"), b'{"a":"1"'),
            bad("head as a number", "wrong type", top("1"), {"a": 1}),
            bad("head 0", "such a topic is left out", top("1"), {"a": "0"}),
            bad("head above the journal's", "impossible", top("1"), {"a": "2"}),
            bad("head with a leading zero", "one form only", top("9"), {"a": "01"}),
            bad("reserved topic", "bus. is the bus's own", top("1"), {"bus.heads": "1"}),
            bad("malformed topic", "alphabet", top("1"), {"a b": "1"}),
            bad("empty topic", "alphabet", top("1"), {"": "1"}),
            bad("topic twice", "twice", top("9"), b'{"a":"1","b":"2","a":"3"}'),
            bad("topic twice among many", "twice", top("99"),
                compact({f"t{i}": "1" for i in range(50)})[:-1] + b',"t7":"2"}'),
        ],
    }


# ---- requests --------------------------------------------------------------------------------


def requests():
    def expect(kind, asked):
        wanted = {"kind": kind, "request": asked["request"]}
        if kind == "FETCH":
            wanted.update({"stream": asked.get("stream", ""), "from": str(asked.get("from", 0)),
                           "topics": asked.get("topics", []), "prefixes": asked.get("prefixes", []),
                           "limit": min(asked.get("limit", 1000) or 1000, 1000),
                           "bytes": min(asked.get("bytes", 4194304) or 4194304, 4194304)})
        return wanted

    def valid(name, kind, asked, raw=None, since_ms=None, **override):
        wanted = expect(kind, asked)
        if since_ms is not None:
            wanted["since_ms"] = str(since_ms)
        wanted.update(override)
        return {"name": name, "expect": wanted, "frames": frames(kind, raw or compact(asked))}

    def bad(name, reason, asked, kind="FETCH"):
        return {"name": name, "reason": reason,
                "frames": frames(kind, asked if isinstance(asked, bytes) else compact(asked))}

    def ask(**more):
        return {"request": "r1", **more}

    names = [f"t{i}" for i in range(64)]
    since = 1791797464000  # 2026-10-12T09:31:04Z
    return {
        "valid": [
            valid("heads", "HEADS", ask()),
            valid("heads with unknown fields", "HEADS", ask(topics=7, from_=[])),
            valid("everything", "FETCH", ask()),
            valid("from a sequence", "FETCH", ask(**{"from": "43"})),
            valid("all fields", "FETCH",
                  ask(stream=STREAM, **{"from": "43"}, topics=["message.received"],
                      prefixes=["message."], limit=10, bytes=65536)),
            valid("largest from", "FETCH", ask(**{"from": str(MAX64)})),
            valid("from as a number", "FETCH", ask(**{"from": 43})),
            valid("from as the largest exact number", "FETCH", ask(**{"from": 2**53})),
            valid("from 0 is the oldest", "FETCH", ask(**{"from": "0"})),
            valid("since", "FETCH", ask(since="2026-10-12T09:31:04Z"), since_ms=since),
            valid("since with offset and decimals", "FETCH",
                  ask(since="2026-10-12T11:31:04.5009+02:00"), since_ms=since + 500),
            valid("since before 1970", "FETCH", ask(since="1969-12-31T23:59:59.5Z"), since_ms=-500),
            valid("since on a leap day", "FETCH", ask(since="2024-02-29T00:00:00Z"),
                  since_ms=1709164800000),
            valid("since in the year 0", "FETCH", ask(since="0000-01-01T00:00:00Z"),
                  since_ms=-62167219200000),
            valid("since at the end of time", "FETCH", ask(since="9999-12-31T23:59:59.999Z"),
                  since_ms=253402300799999),
            valid("limit and bytes of 0 are the largest", "FETCH", ask(limit=0, bytes=0)),
            valid("limit and bytes are cut", "FETCH", ask(limit=2**53, bytes=2**40)),
            valid("limit and bytes just above", "FETCH", ask(limit=1001, bytes=4194305)),
            valid("limit and bytes just below", "FETCH", ask(limit=999, bytes=4194303)),
            valid("limit 1, bytes 1", "FETCH", ask(limit=1, bytes=1)),
            valid("limit in another notation", "FETCH", ask(limit=100),
                  raw=b'{"request":"r1","limit":1e2}'),
            valid("empty lists are everything", "FETCH", ask(topics=[], prefixes=[])),
            valid("empty prefix", "FETCH", ask(prefixes=[""])),
            valid("prefix in the middle of a part", "FETCH", ask(prefixes=["mess"])),
            valid("64 topics", "FETCH", ask(topics=names)),
            valid("32 topics and 32 prefixes", "FETCH", ask(topics=names[:32], prefixes=names[32:])),
            valid("request id of 64 bytes", "FETCH", {"request": "~" * 64}),
            valid("request id of odd characters", "FETCH", {"request": "!\"\\/{}"}),
            valid("unknown fields are ignored", "FETCH", ask(order="newest", x={"y": []})),
        ],
        "invalid": [
            bad("unknown verb", "verb", ask(), kind="PURGE"),
            bad("verb in small letters", "verb", ask(), kind="fetch"),
            bad("verb with NUL", "verb", ask(), kind="FETCH\0"),
            bad("empty verb", "verb", ask(), kind=""),
            bad("an answer's verb", "verb", ask(), kind="END"),
            bad("not JSON", "JSON", b"from 42"),
            bad("empty", "JSON", b""),
            bad("no object", "object", b"[]"),
            bad("two documents", "trailing bytes", compact(ask()) * 2),
            bad("key twice", "twice", b'{"request":"r1","from":"1","from":"2"}'),
            bad("more than 16384 bytes", "limit", ask(x="y" * 16384)),
            bad("no request id", "required", {"from": "1"}),
            bad("empty request id", "empty", {"request": ""}),
            bad("request id of 65 bytes", "too long", {"request": "r" * 65}),
            bad("request id with a blank", "not printable", {"request": "r 1"}),
            bad("request id with a control character", "not printable", {"request": "r\n1"}),
            bad("request id beyond ASCII", "not printable", {"request": "ü"}),
            bad("request id as a number", "wrong type", {"request": 1}),
            bad("heads without a request id", "required", {}, kind="HEADS"),
            bad("stream is no UUID", "UUID", ask(stream="latest")),
            bad("empty stream", "UUID", ask(stream="")),
            bad("stream as null", "wrong type", ask(stream=None)),
            bad("from and since", "one of them", ask(**{"from": "1"}, since=TIME)),
            bad("negative from", "range", ask(**{"from": -1})),
            bad("from with a fraction", "whole numbers", ask(**{"from": 1.5})),
            bad("from as a number beyond 2^53", "not exact", ask(**{"from": 2**53 + 2})),
            bad("from with a leading zero", "one form only", ask(**{"from": "01"})),
            bad("from beyond 64 bits", "range", ask(**{"from": str(MAX64 + 1)})),
            bad("from as a word", "not decimal digits", ask(**{"from": "oldest"})),
            bad("from as null", "wrong type", ask(**{"from": None})),
            bad("since is no time", "RFC 3339", ask(since="an hour ago")),
            bad("since as a number", "wrong type", ask(since=since)),
            bad("since on no leap day", "February", ask(since="1900-02-29T00:00:00Z")),
            bad("topics as a string", "wrong type", ask(topics="message.received")),
            bad("topics with a number", "wrong type", ask(topics=[1])),
            bad("malformed topic", "alphabet", ask(topics=["message.*"])),
            bad("empty topic", "empty", ask(topics=[""])),
            bad("reserved topic", "not in the journal", ask(topics=["bus.heads"])),
            bad("topic of 129 bytes", "too long", ask(topics=["t" * 129])),
            bad("65 topics", "limit", ask(topics=names + ["t64"])),
            bad("33 topics and 32 prefixes", "limit", ask(topics=names[:33], prefixes=names[32:])),
            bad("malformed prefix", "alphabet", ask(prefixes=["message.*"])),
            bad("prefix of 129 bytes", "too long", ask(prefixes=["t" * 129])),
            bad("prefixes as an object", "wrong type", ask(prefixes={})),
            bad("negative limit", "range", ask(limit=-1)),
            bad("limit with a fraction", "whole numbers", ask(limit=0.5)),
            bad("limit as a string", "wrong type", ask(limit="10")),
            bad("limit beyond 2^53", "not exact", ask(limit=2**60)),
            bad("bytes as a bool", "wrong type", ask(bytes=True)),
        ],
    }


# ---- answers ---------------------------------------------------------------------------------


def answers():
    def end(**change):
        answer = {"request": "r1", "stream": STREAM, "next": "43", "head": "42",
                  "heads": {"message.received": "41", "message.sent": "42"}, "oldest": "1"}
        answer.update(change)
        return {key: value for key, value in answer.items() if value is not None}

    def valid(name, verb, answer, raw=None, canonical=True, **override):
        return {"name": name, "canonical": canonical and raw is None,
                "expect": {"kind": verb, **answer, **override},
                "frames": frames(verb, raw or compact(answer))}

    def bad(name, reason, verb, answer):
        return {"name": name, "reason": reason,
                "frames": frames(verb, answer if isinstance(answer, bytes) else compact(answer))}

    def fail(**change):
        return {"request": "r1", "code": 400, "message": "no", **change}

    event = valid_event("", subject="<a@b>")
    return {
        "valid": [
            valid("end of a page", "END", end()),
            valid("end, an empty journal", "END", end(next="1", head="0", heads={}, oldest="1")),
            valid("end, nothing kept", "END", end(oldest="43")),
            valid("end, largest numbers", "END",
                  end(next=str(MAX64), head=str(MAX64), oldest=str(MAX64), heads={"x": str(MAX64)})),
            valid("end with unknown fields", "END", end(),
                  raw=compact(end(rate="7", hint={"wait": [1]}))),
            valid("trimmed", "TRIMMED", {"request": "r1", "oldest": "17"}),
            valid("error", "ERROR", fail()),
            valid("error about an unreadable request", "ERROR", fail(request="")),
            valid("error with text beyond ASCII", "ERROR", fail(code=404, message="ein anderes Journal: ä😀")),
            valid("error without words", "ERROR", fail(code=500, message="")),
            valid("error of a later version", "ERROR", fail(code=418)),
            valid("error with control characters", "ERROR", fail(message="red \x1b[31m\nline"),
                  canonical=False, message="red  [31m line"),
            valid("error with more text than is kept", "ERROR", fail(message="é" * 300),
                  canonical=False, message="é" * 127),
            {"name": "event", "canonical": False,
             "expect": {"kind": "EVENT", "request": "r1", **event["expect"]},
             "frames": frames("EVENT", "r1") + event["frames"]},
        ],
        "invalid": [
            bad("unknown verb", "verb", "MAYBE", end()),
            bad("verb in small letters", "verb", "end", end()),
            bad("a request's verb", "verb", "FETCH", end()),
            bad("not JSON", "JSON", "END", b"{}}"),
            bad("no object", "object", "END", b"null"),
            bad("key twice", "twice", "TRIMMED", b'{"request":"r1","oldest":"1","oldest":"2"}'),
            bad("end without a request id", "required", "END", end(request=None)),
            bad("end with an empty request id", "empty", "END", end(request="")),
            bad("end without a stream", "required", "END", end(stream=None)),
            bad("end with a malformed stream", "UUID", "END", end(stream="?")),
            bad("end without next", "required", "END", end(next=None)),
            bad("end with next 0", "range", "END", end(next="0")),
            bad("end with next as a number", "wrong type", "END", end(next=43)),
            bad("end without head", "required", "END", end(head=None)),
            bad("end without heads", "required", "END", end(heads=None)),
            bad("end with heads as a list", "wrong type", "END", end(heads=[])),
            bad("end with a topic above the head", "impossible", "END", end(heads={"a": "43"})),
            bad("end with a topic twice", "twice", "END",
                compact(end()).replace(b'"message.sent"', b'"message.received"')),
            bad("end without oldest", "required", "END", end(oldest=None)),
            bad("end with oldest as a number", "wrong type", "END", end(oldest=1)),
            bad("trimmed without oldest", "required", "TRIMMED", {"request": "r1"}),
            bad("trimmed with oldest 0", "range", "TRIMMED", {"request": "r1", "oldest": "0"}),
            bad("trimmed with an empty request id", "empty", "TRIMMED", {"request": "", "oldest": "1"}),
            bad("error without a code", "required", "ERROR", {"request": "r1", "message": "no"}),
            bad("error with a code as a string", "wrong type", "ERROR", fail(code="400")),
            bad("error with a code below 400", "range", "ERROR", fail(code=200)),
            bad("error with a code above 599", "range", "ERROR", fail(code=600)),
            bad("error with half a code", "whole numbers", "ERROR", fail(code=404.5)),
            bad("error without a message", "required", "ERROR", {"request": "r1", "code": 400}),
            bad("error with a message that is a number", "wrong type", "ERROR", fail(message=1)),
            bad("error without a request id", "required", "ERROR", {"code": 400, "message": "no"}),
        ],
    }


# ---- the gap rule ----------------------------------------------------------------------------


class Rule:
    """PROTOCOL.md's gap rule, word for word."""

    def __init__(self, topics, prefixes, stream, cursor):
        self.topics, self.prefixes = topics, prefixes
        self.reset(stream, cursor)

    def reset(self, stream, base):
        self.stream, self.known, self.synced = stream, {}, base

    def matches(self, topic):
        return topic in self.topics or any(topic.startswith(p) for p in self.prefixes)

    def k(self, topic):
        return max(self.known.get(topic, 0), self.synced)

    def cursor(self):
        if self.prefixes:
            return self.synced
        return min(self.k(topic) for topic in self.topics)

    def highest(self):
        return max([self.synced, *self.known.values()])

    def event(self, topic, sequence, previous, stream):
        if stream != self.stream:
            return "foreign"
        if not self.matches(topic):
            return "drop"
        if previous > self.k(topic):
            return "gap"
        if sequence <= self.k(topic):
            return "drop"
        self.known[topic] = sequence
        return "take"

    def heads(self, sequence, heads, stream):
        if stream != self.stream:
            return "foreign"
        if sequence < self.highest():
            return "behind"
        if any(self.matches(t) and int(s) > self.k(t) for t, s in heads.items()):
            return "gap"
        self.synced = sequence
        return "synced"

    def page(self, next_):
        self.synced = max(self.synced, next_ - 1)
        return "synced"

    def trimmed(self, oldest):
        if oldest - 1 <= self.cursor():
            return "nothing"
        self.synced = oldest - 1
        return "lost"


class Trace:
    """Inputs with what is expected of them, checked against Rule while they are written down."""

    def __init__(self, name, topics=(), prefixes=(), cursor=0):
        self.rule = Rule(list(topics), list(prefixes), STREAM, cursor)
        self.trace = {"name": name, "topics": list(topics), "prefixes": list(prefixes),
                      "stream": STREAM, "cursor": str(cursor), "steps": []}

    def step(self, kind, fields, decision, cursor, wanted):
        found = self.rule.cursor()
        assert wanted in (None, decision), (self.trace["name"], fields, decision, wanted)
        assert cursor in (None, found), (self.trace["name"], fields, found, cursor)
        self.trace["steps"].append({kind: fields, "expect": decision, "cursor": str(found)})
        return decision

    def event(self, topic, sequence, previous, wanted=None, cursor=None, stream=STREAM):
        return self.step("event", {"topic": topic, "sequence": str(sequence),
                                   "previous": str(previous), "stream": stream},
                         self.rule.event(topic, sequence, previous, stream), cursor, wanted)

    def heads(self, sequence, heads, wanted=None, cursor=None, stream=STREAM):
        heads = {topic: str(last) for topic, last in heads.items()}
        return self.step("heads", {"sequence": str(sequence), "heads": heads, "stream": stream},
                         self.rule.heads(sequence, heads, stream), cursor, wanted)

    def page(self, next_, wanted=None, cursor=None):
        return self.step("page", {"next": str(next_)}, self.rule.page(next_), cursor, wanted)

    def trimmed(self, oldest, wanted=None, cursor=None):
        return self.step("trimmed", {"oldest": str(oldest)}, self.rule.trimmed(oldest), cursor, wanted)

    def reset(self, stream, base, cursor=None):
        self.rule.reset(stream, base)
        return self.step("reset", {"stream": stream, "base": str(base)}, "synced", cursor, "synced")


def fixed_traces():
    traces = []

    def trace(*args, **more):
        traces.append(Trace(*args, **more))
        return traces[-1]

    t = trace("one topic, nothing lost", ["a"])
    t.event("a", 1, 0, "take", 1)
    t.event("a", 2, 1, "take", 2)
    t.heads(2, {"a": 2}, "synced", 2)
    t.event("a", 3, 2, "take", 3)

    t = trace("a duplicate is dropped", ["a"])
    t.event("a", 1, 0, "take", 1)
    t.event("a", 1, 0, "drop", 1)
    t.event("a", 4, 1, "take", 4)
    t.event("a", 1, 0, "drop", 4)
    t.event("a", 4, 1, "drop", 4)

    t = trace("lost in the middle: B5 lost, A6 taken, a fetch from 7 would never bring B5", ["a", "b"])
    t.event("a", 1, 0, "take", 0)
    t.event("b", 2, 0, "take", 1)
    t.event("a", 3, 1, "take", 2)
    t.event("b", 4, 2, "take", 3)
    t.event("a", 6, 3, "take", 4)  # b5 is lost; the cursor stays behind it
    t.event("b", 7, 5, "gap", 4)   # 5 is above k(b) = 4
    t.event("b", 5, 4, "take", 5)  # the fetch from 5
    t.event("a", 6, 3, "drop", 5)
    t.event("b", 7, 5, "take", 6)
    t.page(8, "synced", 7)

    t = trace("lost at the tail: only the heads show it", ["a"])
    t.event("a", 1, 0, "take", 1)
    t.heads(2, {"a": 2}, "gap", 1)
    t.event("a", 2, 1, "take", 2)
    t.page(3, "synced", 2)
    t.heads(2, {"a": 2}, "synced", 2)

    t = trace("two topics, one is quiet: the cursor follows the heads", ["a", "quiet"])
    t.event("a", 1, 0, "take", 0)
    t.event("a", 2, 1, "take", 0)
    t.heads(2, {"a": 2}, "synced", 2)
    t.event("a", 3, 2, "take", 2)
    t.event("a", 4, 3, "take", 2)
    t.heads(4, {"a": 4}, "synced", 4)
    t.event("quiet", 5, 0, "take", 4)
    t.event("a", 6, 4, "take", 5)
    t.heads(6, {"a": 6, "quiet": 5}, "synced", 6)

    t = trace("the quiet topic's only event is lost", ["a", "quiet"])
    t.event("a", 1, 0, "take", 0)
    t.event("a", 3, 1, "take", 0)  # quiet 2 was lost
    t.event("a", 4, 3, "take", 0)
    t.heads(4, {"a": 4, "quiet": 2}, "gap", 0)
    t.event("a", 1, 0, "drop", 0)
    t.event("quiet", 2, 0, "take", 2)
    t.event("a", 3, 1, "drop", 2)
    t.event("a", 4, 3, "drop", 2)
    t.page(5, "synced", 4)

    t = trace("other topics' numbers are no gap", ["a"])
    t.event("a", 1, 0, "take", 1)
    t.event("a", 9, 1, "take", 9)
    t.heads(20, {"a": 9, "b": 20}, "synced", 20)
    t.event("a", 21, 9, "take", 21)

    t = trace("a longer topic comes along with ZeroMQ's filter and is dropped", ["message.received"])
    t.event("message.received", 1, 0, "take", 1)
    t.event("message.received.spam", 2, 0, "drop", 1)
    t.event("message.received", 3, 1, "take", 3)
    t.heads(4, {"message.received": 3, "message.received.spam": 4}, "synced", 4)

    t = trace("a prefix: only heads and pages move the cursor", prefixes=["message."])
    t.event("message.received", 1, 0, "take", 0)
    t.event("message.sent", 2, 0, "take", 0)
    t.heads(2, {"message.received": 1, "message.sent": 2}, "synced", 2)
    t.event("message.received", 4, 1, "take", 2)  # message.new 3 was lost, and nobody knew of it
    t.heads(4, {"message.received": 4, "message.sent": 2, "message.new": 3}, "gap", 2)
    t.event("message.new", 3, 0, "take", 2)
    t.event("message.received", 4, 1, "drop", 2)
    t.page(5, "synced", 4)
    t.event("domain.verified", 5, 0, "drop", 4)
    t.heads(5, {"message.received": 4, "domain.verified": 5}, "synced", 5)

    t = trace("an empty prefix is everything", prefixes=[""])
    t.event("a", 1, 0, "take", 0)
    t.event("b", 3, 0, "take", 0)
    t.heads(3, {"a": 1, "b": 3, "c": 2}, "gap", 0)
    t.event("a", 1, 0, "drop", 0)
    t.event("c", 2, 0, "take", 0)
    t.event("b", 3, 0, "drop", 0)
    t.page(4, "synced", 3)

    t = trace("a topic and a prefix that cover it", ["a.b"], ["a."])
    t.event("a.b", 1, 0, "take", 0)
    t.event("a.c", 2, 0, "take", 0)
    t.event("a", 3, 0, "drop", 0)
    t.heads(3, {"a": 3, "a.b": 1, "a.c": 2}, "synced", 3)

    t = trace("events that came live while the fetch ran are not taken again", ["a", "b"])
    t.event("a", 1, 0, "take", 0)
    t.event("a", 4, 3, "gap", 0)   # a3 lost, b2 lost as well
    t.event("b", 2, 0, "take", 1)  # the fetch begins at 1
    t.event("a", 3, 1, "take", 2)
    t.event("a", 4, 3, "take", 2)
    t.event("b", 6, 2, "take", 4)  # live, ahead of the fetch
    t.event("a", 5, 4, "take", 5)
    t.event("b", 6, 2, "drop", 5)
    t.page(7, "synced", 6)

    t = trace("live events far ahead stay a gap until the pages reach them", ["a"], cursor=10)
    t.event("a", 50, 49, "gap", 10)
    t.event("a", 20, 10, "take", 20)
    t.page(21, "synced", 20)
    t.event("a", 51, 50, "gap", 20)
    t.event("a", 49, 20, "take", 49)
    t.event("a", 50, 49, "take", 50)
    t.page(51, "synced", 50)
    t.event("a", 51, 50, "take", 51)

    t = trace("a page without a single event moves the cursor", ["a"], cursor=5)
    t.page(100, "synced", 99)
    t.event("a", 90, 3, "drop", 99)
    t.event("a", 120, 99, "take", 120)

    t = trace("a page that ends below what came live moves nothing back", ["a"])
    t.event("a", 1, 0, "take", 1)
    t.event("a", 2, 1, "take", 2)
    t.page(2, "synced", 2)
    t.event("a", 2, 1, "drop", 2)

    t = trace("heads that are late say nothing", ["a"])
    t.event("a", 1, 0, "take", 1)
    t.event("a", 5, 1, "take", 5)
    t.heads(4, {"a": 1}, "behind", 5)
    t.heads(5, {"a": 5}, "synced", 5)

    t = trace("the head fell below the cursor: the journal went back in time", ["a"], cursor=100)
    t.heads(40, {"a": 40}, "behind", 100)
    t.reset(STREAM, 40, 40)
    t.event("a", 41, 40, "take", 41)

    t = trace("restart with the stored cursor", ["a", "b"], cursor=4)
    t.event("b", 7, 5, "gap", 4)
    t.event("b", 5, 4, "take", 4)  # known[a] was not stored: a may be behind
    t.event("a", 6, 3, "take", 5)
    t.event("b", 7, 5, "take", 6)
    t.page(8, "synced", 7)

    t = trace("another stream: nothing of it is taken before the policy has spoken", ["a"], cursor=9)
    t.event("a", 3, 2, "foreign", 9, stream=OTHER)
    t.event("a", 10, 9, "take", 10)
    t.heads(3, {"a": 3}, "foreign", 10, stream=OTHER)
    t.reset(OTHER, 0, 0)
    t.event("a", 11, 10, "foreign", 0)
    t.event("a", 1, 0, "take", 1, stream=OTHER)
    t.event("a", 3, 2, "gap", 1, stream=OTHER)

    t = trace("beyond retention: what is gone is told and passed over", ["a", "b"], cursor=3)
    t.event("a", 30, 29, "gap", 3)
    t.trimmed(21, "lost", 20)
    t.event("a", 22, 15, "take", 20)
    t.event("b", 23, 7, "take", 22)
    t.event("a", 30, 29, "gap", 22)
    t.event("a", 29, 22, "take", 23)
    t.event("a", 30, 29, "take", 23)
    t.page(31, "synced", 30)
    t.trimmed(31, "nothing", 30)
    t.trimmed(5, "nothing", 30)

    t = trace("an empty journal", ["a"])
    t.heads(0, {}, "synced", 0)
    t.event("a", 1, 0, "take", 1)

    t = trace("largest numbers", ["a"], cursor=MAX64 - 2)
    t.event("a", MAX64 - 1, MAX64 - 2, "take", MAX64 - 1)
    t.event("a", MAX64, MAX64 - 1, "take", MAX64)
    t.heads(MAX64, {"a": MAX64}, "synced", MAX64)
    return [t.trace for t in traces]


class World:
    """A journal, a wire that loses, doubles and delays, and a client, to make traces nobody thought of.
    The client must end with each matching event taken once, in order of its topic."""

    def __init__(self, seed, topics, prefixes):
        self.random = random.Random(seed)
        self.journal, self.last, self.taken = [], {}, []
        self.trace = Trace(f"random {seed}", topics, prefixes)
        self.rule = self.trace.rule

    def deliver(self, event):
        decision = self.trace.event(*event)
        if decision == "take":
            self.taken.append(event)
        return decision

    def fetch(self):
        """Page by page from the cursor, with events coming in between."""
        while self.rule.cursor() < len(self.journal):
            start = self.rule.cursor() + 1
            limit, next_ = self.random.randint(1, 4), start
            for event in self.journal[start - 1:]:
                next_ = event[1] + 1
                if self.rule.matches(event[0]):
                    assert self.deliver(event) in ("take", "drop")
                    limit -= 1
                if limit == 0:
                    break
            self.trace.page(next_)
            if self.random.random() < 0.3:
                self.publish()

    def publish(self):
        topic = self.random.choice(["a", "a", "a", "b", "b.c", "quiet"])
        event = (topic, len(self.journal) + 1, self.last.get(topic, 0))
        self.journal.append(event)
        self.last[topic] = event[1]
        if self.random.random() < 0.3:
            return  # lost
        if self.deliver(event) == "gap":
            self.fetch()
        elif self.random.random() < 0.1:
            assert self.deliver(event) == "drop"

    def run(self):
        for _ in range(30):
            self.publish()
            if self.random.random() < 0.2:
                if self.trace.heads(len(self.journal), dict(self.last)) == "gap":
                    self.fetch()
        if self.trace.heads(len(self.journal), dict(self.last)) == "gap":
            self.fetch()
        matching = [event for event in self.journal if self.rule.matches(event[0])]
        assert sorted(self.taken, key=lambda e: e[1]) == matching
        for topic in self.last:
            numbers = [e[1] for e in self.taken if e[0] == topic]
            assert numbers == sorted(numbers)
        assert self.rule.cursor() == len(self.journal)
        return self.trace.trace


def gaps():
    shapes = [(["a"], []), (["a", "quiet"], []), ([], ["b"]), (["quiet"], ["b."]), ([], [""])]
    # All of these are run; a few are kept, the others only have to end well.
    runs = [World(seed, *shapes[seed % len(shapes)]).run() for seed in range(1000)]
    return {"traces": fixed_traces() + runs[:10]}


# ---- the check protocol ----------------------------------------------------------------------


def check_requests():
    def ask(address="jane@example.com", **more):
        return {"check": "may-send", "address": address, **more}

    def valid(name, asked, raw=None, canonical=True, **override):
        expect = {"check": asked["check"], "known": asked["check"] == "may-send",
                  "address": asked.get("address", ""), **override}
        return {"name": name, "canonical": canonical and raw is None and expect["known"], "expect": expect,
                "frames": frames(raw or compact(asked))}

    def bad(name, reason, asked):
        return {"name": name, "reason": reason,
                "frames": frames(asked if isinstance(asked, bytes) else compact(asked))}

    return {
        "valid": [
            valid("an address", ask()),
            valid("address with a tag, as it was written", ask("Jane.Doe+x@Example.COM")),
            valid("address with quotes and backslashes", ask('"a \\"b\\" c"@example.com')),
            valid("address beyond ASCII", ask("jürgen@例え.jp")),
            valid("address of 320 bytes", ask("l" * 64 + "@" + "d" * 255)),
            valid("something that is no address: that is the list's to say", ask("nobody")),
            valid("a check of a later version", {"check": "may-call"}, address=""),
            valid("a check of a later version about something else",
                  {"check": "may-call", "address": ["+4930"]}, address=""),
            valid("name of 64 bytes", {"check": "c" * 64}),
            valid("unknown fields are ignored", ask(kind="reply", x={"y": [1, None]}), canonical=False),
            valid("fields in another order", ask(), raw=compact(dict(reversed(ask().items())))),
            valid("blanks between tokens", ask(), raw=b" \t\r\n" + json.dumps(ask(), indent=2).encode() + b"\n"),
            valid("escapes mean the characters", ask("é/@x"),
                  raw=b'{"check":"\\u006day-send","address":"\\u00e9\\/@x"}'),
            valid("exactly 4096 bytes", ask(),
                  raw=compact(ask(padding="p" * (4096 - len(compact(ask())) - 13)))),
        ],
        "invalid": [
            bad("empty", "JSON", b""),
            bad("not JSON", "JSON", b"may-send jane@example.com"),
            bad("no object", "object", b'["may-send"]'),
            bad("two documents", "trailing bytes", compact(ask()) * 2),
            bad("NUL behind it", "trailing bytes", compact(ask()) + b"\0"),
            bad("byte order mark", "JSON", b"\xef\xbb\xbf" + compact(ask())),
            bad("key twice", "readers would disagree", compact(ask())[:-1] + b',"address":"evil@example.com"}'),
            bad("key twice, once escaped", "readers would disagree",
                compact(ask())[:-1] + b',"\\u0061ddress":"evil@example.com"}'),
            bad("4097 bytes", "limit", ask(padding="p" * (4097 - len(compact(ask())) - 13))),
            bad("no check", "required", {"address": "jane@example.com"}),
            bad("empty check", "empty", {"check": "", "address": "jane@example.com"}),
            bad("check as a number", "wrong type", {"check": 1, "address": "jane@example.com"}),
            bad("check of 65 bytes", "too long", {"check": "c" * 65}),
            bad("check with a blank", "alphabet", {"check": "may send", "address": "jane@example.com"}),
            bad("check beyond ASCII", "alphabet", {"check": "darf-ich-é"}),
            bad("no address", "required", {"check": "may-send"}),
            bad("key in capitals is another key", "required", {"check": "may-send", "Address": "jane@example.com"}),
            bad("empty address", "empty", ask("")),
            bad("address as null", "wrong type", ask(None)),
            bad("address as a list", "one at a time", ask(["jane@example.com"])),
            bad("address of 321 bytes", "too long", ask("l" * 64 + "@" + "d" * 256)),
            bad("address with a line feed", "header injection", ask("jane@example.com\nBcc: x")),
            bad("address with DEL", "control character", ask("jane\x7f@example.com")),
            bad("\\u0000 in the address", "would cut it", b'{"check":"may-send","address":"a\\u0000b"}'),
            bad("invalid UTF-8", "overlong slash", b'{"check":"may-send","address":"a\xc0\xafb"}'),
            bad("lone surrogate escape", "no partner", b'{"check":"may-send","address":"\\ud800"}'),
        ],
    }


def check_answers():
    def valid(name, answer, raw=None, canonical=True, until_ms=0, **override):
        expect = {"answer": answer["answer"], "reason": answer.get("reason") or "", "until_ms": str(until_ms)}
        return {"name": name, "canonical": canonical and raw is None, "expect": {**expect, **override},
                "frames": frames(raw or compact(answer))}

    def bad(name, reason, answer):
        return {"name": name, "reason": reason,
                "frames": frames(answer if isinstance(answer, bytes) else compact(answer))}

    def no(**more):
        return {"answer": "no", **more}

    until = 1791797464000  # TIME
    return {
        "valid": [
            valid("yes", {"answer": "yes"}),
            valid("no", no()),
            valid("no with a reason", no(reason="complained on 2026-01-02")),
            valid("no until a time", no(reason="mailbox full", until=TIME), until_ms=until),
            valid("no until a time, without a reason", no(until=TIME), until_ms=until),
            valid("yes with a reason", {"answer": "yes", "reason": "never heard of"}),
            valid("reason beyond ASCII", no(reason="Postfach voll: größer 😀")),
            valid("reason with quote and backslash", no(reason='550 "no\\such user"')),
            valid("reason of 512 bytes", no(reason="r" * 512)),
            valid("empty reason", no(reason=""), canonical=False),
            valid("null is as good as absent", no(reason=None, until=None, error=None), canonical=False),
            valid("time with offset and nine decimals",
                  no(until="2026-10-12T11:31:04.000999999+02:00"), canonical=False, until_ms=until),
            valid("a time in the past is a no all the same", no(until="2001-09-09T01:46:40.000Z"),
                  until_ms=1000000000000),
            valid("the last time there is", no(until="9999-12-31T23:59:59.999Z"), until_ms=253402300799999),
            valid("unknown fields are ignored", no(source="bounces", count=3, x=[{}]), canonical=False),
            valid("blanks between tokens", no(), raw=b' {\n"answer" :\t"no" }\r\n'),
            valid("exactly 4096 bytes", no(),
                  raw=compact(no(padding="p" * (4096 - len(compact(no())) - 13)))),
        ],
        "invalid": [
            bad("empty", "silence is never yes", b""),
            bad("not JSON", "JSON", b"yes"),
            bad("a string", "object", b'"yes"'),
            bad("two documents", "trailing bytes", b'{"answer":"yes"}{"answer":"no"}'),
            bad("key twice", "readers would disagree", b'{"answer":"no","answer":"yes"}'),
            bad("4097 bytes", "limit", no(padding="p" * (4097 - len(compact(no())) - 13))),
            bad("no answer", "required", {"reason": "fine"}),
            bad("answer in capitals", "one form only", {"answer": "YES"}),
            bad("key in capitals is another key", "required", {"Answer": "yes"}),
            bad("answer as a bool", "wrong type", {"answer": True}),
            bad("answer as null", "wrong type", {"answer": None}),
            bad("answer with a blank", "one form only", {"answer": "yes "}),
            bad("another word", "neither yes nor no", {"answer": "maybe"}),
            bad("empty answer", "neither yes nor no", {"answer": ""}),
            bad("reason as a list", "wrong type", no(reason=["full"])),
            bad("reason of 513 bytes", "too long", no(reason="r" * 513)),
            bad("reason with a line feed", "one line", no(reason="full\nyes")),
            bad("reason with an escape sequence", "one line", no(reason="\x1b[31mred")),
            bad("until as a number", "wrong type", no(until=until)),
            bad("until is no time", "RFC 3339", no(until="tomorrow")),
            bad("until without an offset", "ambiguous", no(until="2026-10-12T09:31:04")),
            bad("until on no leap day", "February", no(until="2023-02-29T00:00:00Z")),
            bad("empty until", "RFC 3339", no(until="")),
            bad("until at the beginning of 1970", "a zero that became a time", no(until="1970-01-01T00:00:00Z")),
            bad("until before 1970", "no end that can come", no(until="1969-12-31T23:59:59Z")),
            bad("yes until a time", "contradicts itself", {"answer": "yes", "until": TIME}),
            bad("an error", "no answer", {"error": "the list can't be read"}),
            bad("an error beside a yes", "no answer", {"answer": "yes", "error": "but not all of the list was read"}),
            bad("an error without words", "empty", {"error": ""}),
            bad("an error that is a number", "wrong type", {"error": 500, "answer": "yes"}),
            bad("a question", "required", {"check": "may-send", "address": "jane@example.com"}),
            bad("invalid UTF-8", "overlong slash", b'{"answer":"no","reason":"a\xc0\xafb"}'),
        ],
    }


def check_shapes():
    """Messages without their routing id, to a ROUTER whose list says yes to everybody. `kept`: frames of the
    question that the answer begins with; behind them comes one frame with what `answer` says."""
    question = compact({"check": "may-send", "address": "jane@example.com"})

    def shape(name, answer, kept, *parts):
        return {"name": name, "frames": frames(*parts), "answer": answer, "kept": kept}

    return [
        shape("as REQ asks: behind an empty frame", "yes", 1, b"", question),
        shape("as DEALER may ask: nothing before it", "yes", 0, question),
        shape("an id of the asker's comes back", "yes", 2, b"41", b"", question),
        shape("through two proxies", "yes", 3, b"\x00proxy", b"\x00peer", b"", question),
        shape("ids of 255 bytes", "yes", 2, b"i" * 255, b"", question),
        shape("an empty question", "error", 1, b"", b""),
        shape("two questions", "error", 1, b"", question, question),
        shape("no question behind the empty frame", "error", 1, b""),
        shape("no empty frame between id and question", "error", 0, b"41", question),
        shape("malformed", "error", 1, b"", b"{}"),
        shape("another check", "error", 1, b"", compact({"check": "may-call", "number": "+4930"})),
        shape("no address", "error", 1, b"", compact({"check": "may-send", "address": "nobody"})),
        shape("an address with a name", "error", 1, b"",
              compact({"check": "may-send", "address": "Jane <jane@example.com>"})),
        shape("two addresses", "error", 1, b"", compact({"check": "may-send", "address": "a@x.org, b@x.org"})),
        shape("an id of 256 bytes", "nothing", 0, b"i" * 256, b"", question),
        shape("more frames than a chain of proxies makes", "nothing", 0, *[b"x"] * 8, b"", question),
    ]


def check():
    return {"requests": check_requests(), "answers": check_answers(), "shapes": check_shapes()}


def main():
    files = {"events": events, "heads": heads, "requests": requests, "answers": answers, "gaps": gaps,
             "check": check}
    stale = []
    for name, make in files.items():
        text = json.dumps(make(), indent=1, ensure_ascii=False) + "\n"
        path = HERE / f"{name}.json"
        if "--check" in sys.argv[1:]:
            if not path.exists() or path.read_text(encoding="utf-8") != text:
                stale.append(path.name)
        else:
            path.write_text(text, encoding="utf-8")
    if stale:
        sys.exit("not what make.py makes: " + ", ".join(stale))


if __name__ == "__main__":
    main()
