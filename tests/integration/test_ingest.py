"""The ingest listener as strangers see it: raw sockets against a real gateway.

Every request that must not get in has a row: what is sent, what comes back (a status, or the end of the
connection), and the counter that moves. Thousands of them leave the process alive and no larger.
"""

import json
import os
import socket
import ssl
import subprocess
import time

import pytest

import mailbus_testing
from mailbus_testing import Gateway, SECRET, received, svix_headers, wait_for

OTHER_SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
GUIDE_SECRET = "the-guides-secret"


def connect(address, timeout=30):
    host, port = address.rsplit(":", 1)
    return socket.create_connection((host, int(port)), timeout=timeout)


def read_answers(connection, count=None):
    """Answers as (status, headers, body) until `count` are here or the connection ends."""
    answers, data = [], b""
    while count is None or len(answers) < count:
        head, separator, rest = data.partition(b"\r\n\r\n")
        if separator:
            lines = head.decode("latin-1").split("\r\n")
            headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in lines[1:])}
            status = int(lines[0].split()[1])
            size = int(headers.get("content-length", 0))
            if len(rest) >= size:
                if status != 100:
                    answers.append((status, headers, rest[:size].decode()))
                data = rest[size:]
                continue
        try:
            chunk = connection.recv(65536)
        except ConnectionError:
            break
        if not chunk:
            break
        data += chunk
    return answers


def raw(head, body=b""):
    """A request of lines and a body, just as given."""
    return "\r\n".join(head).encode("latin-1") + b"\r\n\r\n" + body


def request(body, headers=None, *, method="POST", path="/webhook", length=None, extra=()):
    headers = svix_headers(body) if headers is None else headers
    return raw(
        [f"{method} {path} HTTP/1.1", "Host: x", "Content-Type: application/json",
         f"Content-Length: {len(body) if length is None else length}",
         *[f"{k}: {v}" for k, v in headers.items()], *extra],
        body,
    )


def ask(address, data):
    """Send bytes, read until the other side closes: the last answer's (status, headers, body), or None."""
    with connect(address) as connection:
        try:
            connection.sendall(data)
        except ConnectionError:
            pass  # it was refused before the end; the answer may be here all the same
        answers = read_answers(connection)
    return answers[-1] if answers else None


def body_of(**fields):
    return json.dumps({**received(), **fields}).encode()


BODY = json.dumps(received()).encode()


def without(name):
    return {k: v for k, v in svix_headers(BODY).items() if k != name}


def replaced(**values):
    return {**svix_headers(BODY), **{k.replace("_", "-"): v for k, v in values.items()}}


def doubled(name):
    headers = svix_headers(BODY)
    return request(BODY, headers, extra=[f"{name.title()}: {headers[name]}"])


def unsigned(*lines):
    """A request with these lines besides the usual ones; nothing of it is ever verified."""
    return raw(["POST /webhook HTTP/1.1", "Host: x", *lines], b"{}")


NOW = time.time()
REFUSED = {
    # name: (bytes, status or None for a closed connection, label of mailbus_http_refused_total)
    "no signature": (request(BODY, {}), 401, "signature"),
    "no id": (request(BODY, without("svix-id")), 401, "signature"),
    "no timestamp": (request(BODY, without("svix-timestamp")), 401, "signature"),
    "no signature header": (request(BODY, without("svix-signature")), 401, "signature"),
    "another secret": (request(BODY, svix_headers(BODY, OTHER_SECRET)), 401, "signature"),
    "another body": (request(BODY + b" ", svix_headers(BODY)), 401, "signature"),
    "another id": (request(BODY, replaced(svix_id="msg_other")), 401, "signature"),
    "version v2": (request(BODY, replaced(svix_signature="v2,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")), 401, "signature"),
    "empty signature": (request(BODY, replaced(svix_signature="v1,")), 401, "signature"),
    "nine signatures": (request(BODY, replaced(svix_signature=" ".join(["v1,AA=="] * 8 + [svix_headers(BODY)["svix-signature"]]))), 401, "signature"),
    "timestamp in words": (request(BODY, replaced(svix_timestamp="now")), 401, "signature"),
    "timestamp of 13 digits": (request(BODY, svix_headers(BODY, timestamp=NOW * 1000)), 401, "signature"),
    "long id": (request(BODY, svix_headers(BODY, id="m" * 257)), 401, "signature"),
    "conflicting names": (request(BODY, {**svix_headers(BODY), "webhook-id": "msg_other"}), 401, "signature"),
    "guide's scheme without its secret": (request(BODY, mailbus_testing.guide_headers(BODY, SECRET)), 401, "signature"),
    "unsigned broken JSON": (request(b"{", {}), 401, "signature"),
    "doubled id": (doubled("svix-id"), 400, "doubled_field"),
    "doubled timestamp": (doubled("svix-timestamp"), 400, "doubled_field"),
    "doubled signature": (doubled("svix-signature"), 400, "doubled_field"),
    "two hosts": (unsigned("Host: y", "Content-Length: 2"), 400, "doubled_field"),
    "two lengths": (unsigned("Content-Length: 2", "Content-Length: 3"), 400, "doubled_field"),
    "two equal lengths": (unsigned("Content-Length: 2", "Content-Length: 2"), 400, "doubled_field"),
    "two types": (unsigned("Content-Length: 2", "Content-Type: application/json", "Content-Type: text/plain"), 400, "doubled_field"),
    "folded Transfer-Encoding": (unsigned("Content-Length: 2", "Transfer-Encoding:", " chunked"), 400, None),
    "Transfer-Encoding before a blank": (unsigned("Content-Length: 2", "Transfer-Encoding : chunked"), 400, None),
    "blank in a name": (unsigned("Content-Length: 2", "X Y: z"), 400, None),
    "bracket in a name": (unsigned("Content-Length: 2", "X(Y): z"), 400, "field_name"),
    "lookalike": (unsigned("Content-Length: 2", "Content-Length2: 3"), 400, "lookalike_field"),
    "chunked": (raw(["POST /webhook HTTP/1.1", "Host: x", "Transfer-Encoding: chunked"], b"2\r\n{}\r\n0\r\n\r\n"), 400, "transfer_encoding"),
    "chunked with a length": (unsigned("Content-Length: 2", "Transfer-Encoding: chunked"), 400, "transfer_encoding"),
    "negative length": (unsigned("Content-Length: -1"), 400, None),
    "length in hex": (unsigned("Content-Length: 0x2"), 400, None),
    "huge length": (unsigned("Content-Length: 99999999999999999999999"), (400, 413), None),
    "no host": (raw(["POST /webhook HTTP/1.1", "Content-Length: 2"], b"{}"), 400, None),
    "no length": (raw(["POST /webhook HTTP/1.1", "Host: x"]), 411, "no_length"),
    "3 MiB": (request(b"x" * (3 << 20), {}), 413, "too_large"),
    "3 MiB declared": (request(b"", {}, length=3 << 20), 413, "too_large"),
    "form": (unsigned("Content-Length: 2", "Content-Type: application/x-www-form-urlencoded"), 415, "type"),
    "gzip": (unsigned("Content-Length: 2", "Content-Encoding: gzip"), 415, "type"),
    "unknown path": (request(BODY, path="/"), 404, "path"),
    "path below": (request(BODY, path="/webhook/"), 404, "path"),
    "other case": (request(BODY, path="/Webhook"), 404, "path"),
    "admin's page": (request(b"", {}, method="GET", path="/metrics"), 404, "path"),
    "GET": (raw(["GET /webhook HTTP/1.1", "Host: x"]), 405, "method"),
    "PUT": (request(BODY, method="PUT"), 405, "method"),
    "unknown method": (request(BODY, method="BREW"), 405, "method"),
    "no HTTP": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 200 + b"\r\n\r\n", (400, None), "malformed"),
    "no version": (b"POST /webhook\r\n\r\n", (400, 505, None), None),
    "HTTP/2": (raw(["PRI * HTTP/2.0"], b"SM\r\n\r\n"), (400, 404, 505, None), None),
    "endless header": (b"POST /webhook HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 40000 + b"\r\n\r\n", (400, 413, 431, None), None),
    "101 fields": (unsigned("Content-Length: 2", *[f"X{i}: y" for i in range(101)]), 400, "too_many_fields"),
}
# Signed as they must be, so that what is wrong is the body.
UNREADABLE = {
    "empty": b"",
    "broken": b'{"event_type":"message.received"',
    "garbage behind": b'{"event_type":"message.received"}x',
    "array": b'[{"event_type":"message.received"}]',
    "no event_type": b'{"event_id":"evt_1"}',
    "event_type is a number": b'{"event_type":7,"event_id":"evt_1"}',
    "event_type in capitals": b'{"event_type":"Message.Received"}',
    "reserved event_type": b'{"event_type":"bus.heads","event_id":"evt_1"}',
    "event_id is a number": b'{"event_type":"message.received","event_id":7}',
    "event_id is null": b'{"event_type":"message.received","event_id":null}',
    "event_id is empty": b'{"event_type":"message.received","event_id":""}',
    "event_type twice": b'{"event_type":"message.received","event_type":"message.sent"}',
    "invalid UTF-8": b'{"event_type":"message.received","x":"\xff"}',
    "NUL in a string": b'{"event_type":"message.received","x":"\\u0000"}',
    "deep": b'{"event_type":"message.received","x":' + b"[" * 5000 + b"]" * 5000 + b"}",
}


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """One gateway for the rows: each must leave it as it was."""
    with Gateway(tmp_path_factory.mktemp("gateway"), limits__auth_failures=0, limits__rate=0) as program:
        yield program
        program.stop()


def check_refusal(gateway, data, expected, reason):
    before = gateway.metric("mailbus_http_refused_total", **({"reason": reason} if reason else {}))
    answer = ask(gateway.address, data)
    status = answer[0] if answer else None
    assert status in (expected if isinstance(expected, tuple) else (expected,)), answer
    if answer and reason:
        assert answer[1].get("connection", "").lower() == "close"
        assert "error" in json.loads(answer[2])
    wait_for(
        lambda: gateway.metric("mailbus_http_refused_total", **({"reason": reason} if reason else {})) > before,
        f"the counter of {reason}",
    )
    assert gateway.process.poll() is None


@pytest.mark.parametrize("name", REFUSED)
def test_refused(shared, name):
    data, expected, reason = REFUSED[name]
    check_refusal(shared, data, expected, reason)


@pytest.mark.parametrize("seconds", [-302, 302])
def test_stale_is_refused(shared, seconds):
    check_refusal(shared, request(BODY, svix_headers(BODY, timestamp=time.time() + seconds)), 401, "signature")


@pytest.mark.parametrize("name", UNREADABLE)
def test_unreadable_is_refused_and_kept(shared, name):
    check_refusal(shared, request(UNREADABLE[name]), 400, "unreadable")


def test_refusals_leave_no_trace_in_the_journal(shared):
    status, answer = shared.post(received())
    assert (status, answer["duplicate"]) == (200, False)
    first = int(answer["sequence"])
    for data, _, _ in REFUSED.values():
        ask(shared.address, data)
    status, answer = shared.post(received())
    assert (status, int(answer["sequence"])) == (200, first + 1)


def test_why_a_signature_failed_is_never_told(shared):
    rows = [data for data, status, _ in REFUSED.values() if status == 401]
    answers = {ask(shared.address, data)[2] for data in rows}
    assert len(rows) > 10 and len(answers) == 1


def test_405_names_the_method(shared):
    assert ask(shared.address, REFUSED["PUT"][0])[1]["allow"] == "POST"


def test_what_is_taken(shared):
    body = body_of()
    webhook = {k.replace("svix", "webhook"): v for k, v in svix_headers(body).items()}
    rotated = svix_headers(body)
    rotated["svix-signature"] = svix_headers(body, OTHER_SECRET, id=rotated["svix-id"])["svix-signature"] + " " + rotated["svix-signature"]
    for headers in (svix_headers(body), webhook, {**svix_headers(body)}, rotated):
        with connect(shared.address) as connection:
            connection.sendall(request(body, headers))
            assert read_answers(connection, 1)[0][0] == 200
    for extra in (["Content-Type: application/json; charset=utf-8"], ["Content-Type: application/cloudevents+json"], []):
        body = body_of()
        lines = ["POST /webhook HTTP/1.1", "Host: x", f"Content-Length: {len(body)}", *extra,
                 *[f"{k}: {v}" for k, v in svix_headers(body).items()]]
        with connect(shared.address) as connection:
            connection.sendall(raw(lines, body))
            assert read_answers(connection, 1)[0][0] == 200


def test_timestamps_at_the_edge_are_taken(shared):
    for seconds in (-298, 298):  # two seconds for the way to the gateway
        body = body_of()
        assert shared.post(body, svix_headers(body, timestamp=time.time() + seconds))[0] == 200


def test_body_of_2_mib_is_taken(shared):
    body = json.dumps(received(text="x" * 2_000_000)).encode()
    assert shared.post(body)[0] == 200


def test_byte_by_byte_is_taken(shared):
    body = b'{"event_type":"message.sent","event_id":"evt_slow"}'
    data = request(body)
    with connect(shared.address) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(len(data)):
            connection.send(data[at : at + 1])
        assert read_answers(connection, 1)[0][0] == 200


@pytest.mark.threads
def test_pipelined_requests_are_answered_in_order(shared):
    bodies = [json.dumps(received(i)).encode() for i in range(20)]
    with connect(shared.address) as connection:
        connection.sendall(b"".join(request(body) for body in bodies))
        answers = read_answers(connection, len(bodies))
    assert [status for status, _, _ in answers] == [200] * len(bodies)
    sequences = [int(json.loads(text)["sequence"]) for _, _, text in answers]
    assert sequences == sorted(sequences) and len(set(sequences)) == len(bodies)


def test_nothing_behind_a_refusal_is_read(shared):
    good = json.dumps(received()).encode()
    smuggled = unsigned("Content-Length: 2", "Transfer-Encoding: chunked") + request(good)
    with connect(shared.address) as connection:
        connection.sendall(smuggled)
        assert [status for status, _, _ in read_answers(connection)] == [400]


def test_expect_continue(shared):
    body = body_of()
    head, _, _ = request(body, extra=["Expect: 100-continue"]).partition(b"\r\n\r\n")
    with connect(shared.address) as connection:
        connection.sendall(head + b"\r\n\r\n")
        assert connection.recv(1024).startswith(b"HTTP/1.1 100")
        connection.sendall(body)
        assert read_answers(connection, 1)[0][0] == 200
    head, _, _ = request(b"", {}, length=3 << 20, extra=["Expect: 100-continue"]).partition(b"\r\n\r\n")
    assert ask(shared.address, head + b"\r\n\r\n")[0] == 413


def test_duplicates(shared):
    event = received()
    headers = {"svix-id": "msg_duplicates"}
    body = json.dumps(event).encode()
    first = shared.post(body, svix_headers(body, id=headers["svix-id"]))
    again = shared.post(body, svix_headers(body, id=headers["svix-id"]))
    assert first[0] == again[0] == 200
    assert (first[1]["duplicate"], again[1]["duplicate"]) == (False, True)
    assert first[1]["sequence"] == again[1]["sequence"]
    before = shared.metric("mailbus_http_duplicates_differing_total")
    other = {**event, "more": "x"}
    assert shared.post(other)[1] == {"sequence": first[1]["sequence"], "duplicate": True}
    assert shared.metric("mailbus_http_duplicates_differing_total") == before + 1
    shared.wait_log(level="warn", id=event["event_id"], sequence=first[1]["sequence"])


def test_id_falls_back_to_the_delivery(shared):
    body = json.dumps({"type": "event", "event_type": "message.bounced", "bounce": {"type": "Permanent"}}).encode()
    id = f"msg_{time.time_ns()}"
    first = shared.post(body, svix_headers(body, id=id))
    again = shared.post(body, svix_headers(body, id=id))
    assert (first[1]["duplicate"], again[1]["duplicate"]) == (False, True)
    assert shared.post(body, svix_headers(body, id=id + "x"))[1]["duplicate"] is False


@pytest.mark.threads
def test_memory_is_flat_after_thousands_of_refusals(tmp_path):
    # AddressSanitizer keeps freed memory for a while; this asks for little of that.
    options = os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=1:thread_local_quarantine_size_kb=64"
    with Gateway(tmp_path, limits__auth_failures=0, limits__rate=0, env={"ASAN_OPTIONS": options.lstrip(":")}) as gateway:
        check_memory(gateway)
        gateway.stop()


def check_memory(gateway):
    rows = [data for data, _, _ in REFUSED.values()] + [request(body) for body in UNREADABLE.values()]
    rows = [data for data in rows if len(data) < 100_000]

    def round_of(count):
        for number in range(count):
            ask(gateway.address, rows[number % len(rows)])
        with connect(gateway.address) as half:
            half.sendall(b"POST /webhook HTTP/1.1\r\nContent-Length: 100000\r\nHost: x\r\n\r\n" + b"x" * 5000)

    round_of(1000)
    before = gateway.rss()
    round_of(4000)
    # What the quarantine keeps is bounded by its own limit, and is on disk.
    assert gateway.rss() - before < 8 << 20
    wait_for(lambda: gateway.metric("mailbus_http_body_bytes_in_flight") == 0, "no body in flight")
    assert gateway.post(received())[0] == 200


# ---- settings of their own -------------------------------------------------------------------------


@pytest.mark.threads
def test_slow_senders_are_ended(tmp_path):
    with Gateway(tmp_path, http__request_timeout="1s", http__idle_timeout="1s") as gateway:
        starts = [b"P", b"POST /webhook HTTP/1.1\r\nHost: x\r\n", request(BODY, length=len(BODY) + 1)]
        connections = [connect(gateway.address) for _ in starts]
        silent, kept = connect(gateway.address), connect(gateway.address)
        kept.sendall(request(BODY))
        assert read_answers(kept, 1)[0][0] == 200
        for connection, start in zip(connections, starts):
            connection.sendall(start)
        for connection in connections:
            assert [status for status, _, _ in read_answers(connection)] == [408]
        assert read_answers(silent) == [] and read_answers(kept) == []
        assert gateway.metric("mailbus_http_refused_total", reason="timeout") == len(starts)
        assert gateway.metric("mailbus_http_requests_total", code="408") == len(starts)
        gateway.stop()


def test_one_byte_at_a_time_does_not_hold_a_connection(tmp_path):
    """Activity moves no deadline."""
    with Gateway(tmp_path, http__request_timeout="1s") as gateway:
        with connect(gateway.address) as connection:
            connection.sendall(b"POST /webhook HTTP/1.1\r\nHost: x\r\nX: ")

            def drip():
                try:
                    connection.send(b"y")
                except ConnectionError:
                    return True
                connection.setblocking(False)
                try:
                    return connection.recv(4096).startswith(b"HTTP/1.1 408")
                except BlockingIOError:
                    return False
                finally:
                    connection.setblocking(True)

            wait_for(drip, "the end of a dripping connection", 15)
        gateway.stop()


def test_failed_signatures_are_limited_and_good_ones_pass(tmp_path):
    with Gateway(tmp_path, limits__auth_failures=5) as gateway:
        answers = [ask(gateway.address, request(BODY, {})) for _ in range(8)]
        assert [answer[0] for answer in answers][:5] == [401] * 5
        assert [answer[0] for answer in answers][6:] == [429] * 2
        assert int(answers[-1][1]["retry-after"]) > 0
        assert gateway.post(received())[0] == 200  # nobody is locked out by a neighbour's mistakes
        assert gateway.metric("mailbus_http_refused_total", reason="signature_rate") >= 2
        assert gateway.metric("mailbus_verify_failures_total", reason="missing") == 8
        gateway.stop()


def test_rate_is_limited_by_address(tmp_path):
    with Gateway(tmp_path, limits__rate=1, limits__burst=3) as gateway:
        statuses = [gateway.post(received()) for _ in range(6)]
        assert [status for status, _ in statuses].count(200) in (3, 4)
        assert statuses[-1][0] == 429
        assert gateway.metric("mailbus_http_refused_total", reason="rate") >= 2
        gateway.stop()


def test_forwarded_addresses_have_limits_of_their_own(tmp_path):
    with Gateway(tmp_path, limits__rate=1, limits__burst=1, http__trusted_proxies="127.0.0.0/8") as gateway:
        for number in range(20):
            body = body_of()
            headers = {**svix_headers(body), "X-Forwarded-For": f"6.6.6.6, 198.51.100.{number}"}
            assert gateway.post(body, headers)[0] == 200
        body = body_of()
        statuses = [gateway.post(body, {**svix_headers(body), "X-Forwarded-For": "198.51.100.200"})[0] for _ in range(3)]
        assert 429 in statuses
        gateway.stop()


@pytest.mark.threads
def test_address_limit_and_connection_limit(tmp_path):
    with Gateway(tmp_path, http__connections=4, http__threads=2) as gateway:
        held = [connect(gateway.address) for _ in range(4)]
        wait_for(lambda: gateway.metric("mailbus_http_connections") == 4, "four connections")
        late = connect(gateway.address)
        late.sendall(request(BODY))
        for connection in held:
            connection.close()
        assert read_answers(late, 1)[0][0] == 200  # it waited in the kernel's queue
        late.close()
        gateway.stop()


def test_two_kinds_of_secrets(tmp_path):
    with Gateway(tmp_path, secret=f"{SECRET} {OTHER_SECRET} {GUIDE_SECRET}") as gateway:
        for headers in (svix_headers, lambda body: svix_headers(body, OTHER_SECRET),
                        lambda body: mailbus_testing.guide_headers(body, GUIDE_SECRET)):
            body = body_of()
            assert gateway.post(body, headers(body))[0] == 200
        body = body_of()
        both = {**mailbus_testing.guide_headers(body, GUIDE_SECRET), **svix_headers(body, "whsec_" + "A" * 32)}
        assert gateway.post(body, both)[0] == 401
        gateway.stop()


def start_failure(folder, env, *arguments):
    process = subprocess.run(
        [mailbus_testing.BIN / "mailbus-gateway", "--set", "admin.listen=127.0.0.1:0",
         "--set", f"journal.path={folder}/journal.db", *arguments],
        env={**{k: v for k, v in os.environ.items() if not k.startswith("MAILBUS_")}, **env},
        cwd=folder, capture_output=True, text=True, timeout=60, check=False,
    )
    return process.returncode, process.stderr


@pytest.mark.parametrize(
    "env, arguments, says",
    [
        ({}, [], "secret"),
        ({"MAILBUS_VERIFY_SECRET": "whsec_c2hvcnQ="}, [], "verify.secret"),
        ({"MAILBUS_VERIFY_INSECURE_ACCEPT_ALL": "yes"}, ["--set", "http.listen=0.0.0.0:0"], "loopback"),
        ({"MAILBUS_VERIFY_INSECURE_ACCEPT_ALL": "yes", "MAILBUS_VERIFY_SECRET": SECRET}, [], "contradict"),
        ({"MAILBUS_VERIFY_SECRET": SECRET}, ["--set", "http.tls_cert=/nowhere.pem", "--set", "http.tls_key=/nowhere.pem"], "/nowhere.pem"),
        ({"MAILBUS_VERIFY_SECRET": SECRET}, ["--set", "http.trusted_proxies=10.0.0.0/99"], "10.0.0.0/99"),
        ({"MAILBUS_VERIFY_SECRET": SECRET}, ["--set", "http.path=webhook"], "http.path"),
    ],
)
def test_it_does_not_start_with(tmp_path, env, arguments, says):
    status, text = start_failure(tmp_path, env, *arguments)
    assert status != 0 and says in text, text
    assert "c2hvcnQ" not in text and SECRET[6:] not in text


def test_accept_all_is_for_experiments_and_warns(tmp_path):
    with Gateway(tmp_path, secret=None, env={"MAILBUS_VERIFY_INSECURE_ACCEPT_ALL": "yes"}) as gateway:
        assert any("insecure_accept_all" in line and "level=warn" in line for line in gateway.lines)
        assert gateway.post(received(), {})[0] == 200
        gateway.stop()


# ---- TLS -------------------------------------------------------------------------------------------


def certificate(folder, name, common_name):
    cert, key = folder / f"{name}.pem", folder / f"{name}.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-subj", f"/CN={common_name}", "-days", "2", "-keyout", key, "-out", cert],
        check=True, capture_output=True,
    )
    return cert, key


def tls_connect(address):
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(connect(address))


def tls_handshake(address, version):
    """Whether a client gets in that is willing to speak this version alone, however weak."""
    result = subprocess.run(
        ["openssl", "s_client", "-connect", address, f"-{version}", "-cipher", "ALL:@SECLEVEL=0"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False,
    )
    return "BEGIN CERTIFICATE" in result.stdout


def served(address):
    """The certificate that a new connection gets, as DER."""
    with tls_connect(address) as connection:
        return connection.getpeercert(True)


def der(cert):
    return ssl.PEM_cert_to_DER_cert(cert.read_text())


@pytest.mark.threads
def test_tls_and_its_reload(tmp_path):
    cert, key = certificate(tmp_path, "now", "first")
    next_cert, next_key = certificate(tmp_path, "next", "second")
    old = der(cert)
    with Gateway(tmp_path, http__tls_cert=cert, http__tls_key=key) as gateway:
        kept = tls_connect(gateway.address)
        kept.sendall(request(BODY))
        assert read_answers(kept, 1)[0][0] == 200
        assert served(gateway.address) == old

        key.write_text("no key")  # a bad pair: the old one stays
        gateway.signal(1)
        gateway.wait_log(stage="main", message="reloaded")
        assert any("tls_key" in line and "not reloaded" in line for line in gateway.lines)
        assert served(gateway.address) == old

        cert.write_text(next_cert.read_text())
        key.write_text(next_key.read_text())
        gateway.signal(1)
        wait_for(lambda: served(gateway.address) == der(next_cert), "the new certificate")
        body = body_of()
        kept.sendall(request(body))  # the connection from before lives on
        assert read_answers(kept, 1)[0][0] == 200
        kept.close()
        for _ in range(20):
            gateway.signal(1)
            assert served(gateway.address) == der(next_cert)
        gateway.stop()


def test_tls_refuses_old_versions_and_plain_text(tmp_path):
    cert, key = certificate(tmp_path, "now", "first")
    with Gateway(tmp_path, http__tls_cert=cert, http__tls_key=key, http__request_timeout="2s") as gateway:
        versions = {version: tls_handshake(gateway.address, version) for version in ("tls1", "tls1_1", "tls1_2", "tls1_3")}
        assert versions == {"tls1": False, "tls1_1": False, "tls1_2": True, "tls1_3": True}
        answer = ask(gateway.address, request(BODY))
        assert answer is None
        with connect(gateway.address) as silent:  # a handshake that never comes has the same deadline
            assert silent.recv(100) == b""
        with tls_connect(gateway.address) as slow:
            slow.sendall(request(BODY, length=len(BODY) + 1))
            assert read_answers(slow) == []
        assert gateway.metric("mailbus_http_refused_total", reason="timeout") >= 1
        gateway.stop()


@pytest.mark.threads
def test_secret_is_reloaded(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text(SECRET + "\n")
    with Gateway(tmp_path, secret=None, env={"MAILBUS_VERIFY_SECRET_FILE": str(secret)}) as gateway:
        assert gateway.post(received(), secret=SECRET)[0] == 200
        secret.write_text(f"{OTHER_SECRET}\n")
        gateway.signal(1)
        gateway.wait_log(stage="main", message="reloaded")
        assert gateway.post(received(), secret=OTHER_SECRET)[0] == 200
        assert gateway.post(received(), secret=SECRET)[0] == 401
        gateway.stop()
