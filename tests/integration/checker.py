"""The checker: knows only what the sender was told, and looks whether it is true.

(a) every id with a 200 is in the journal, its body with the same SHA-256; (b) no id twice; (c) sequences are
dense and `previous` is the one before on the same topic; (d) a subscriber took each of them exactly once.
Returns findings as text; an empty list is a pass. A campaign is worth something only with a control that
makes this list non-empty.
"""

import collections
import contextlib
import hashlib
import pathlib
import sqlite3


def acknowledged(record):
    """{id: sha256} from mailbus-load's --record file."""
    result = {}
    for line in pathlib.Path(record).read_text().splitlines():
        id, digest, _sequence = line.split()
        result[id] = digest
    return result


def rows(path, query):
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        return db.execute(query).fetchall()


def check_journal(path, told):
    findings = []
    journal = rows(path, """SELECT e.sequence, t.name, e.previous, e.event_id, e.sha256, b.body
        FROM events e JOIN topics t ON t.id = e.topic LEFT JOIN bodies b ON b.sequence = e.sequence ORDER BY e.sequence""")
    ids = {}
    heads = collections.defaultdict(int)
    expected = journal[0][0] if journal else 1
    for sequence, topic, previous, id, digest, body in journal:
        if sequence != expected:
            findings.append(f"sequence {expected} is missing before {sequence}")
        expected = sequence + 1
        if previous != heads[topic] and heads[topic]:
            findings.append(f"{sequence}: previous is {previous}, the one before on {topic} is {heads[topic]}")
        heads[topic] = sequence
        if id in ids:
            findings.append(f"{id} is in the journal twice: {ids[id]} and {sequence}")
        ids[id] = sequence
        if body is not None and hashlib.sha256(body).digest() != digest:
            findings.append(f"{id}: the stored body has another SHA-256")
        if id in told and digest.hex() != told[id]:
            findings.append(f"{id}: journalled with another body than the one that got 200")
    lost = [id for id in told if id not in ids]
    if lost:
        findings.append(f"{len(lost)} acknowledged events are not in the journal, the first is {lost[0]}")
    check = rows(path, "PRAGMA integrity_check")
    if check != [("ok",)]:
        findings.append(f"integrity_check: {check[:3]}")
    return findings, ids


def check_recorder(path, expected_ids, digests=None):
    """expected_ids: what must be there exactly once. The recorder's table has no unique constraint on purpose."""
    findings = []
    taken = collections.Counter()
    for id, digest in rows(path, "SELECT id, sha256 FROM recorded"):
        taken[id] += 1
        digest = digest.hex() if isinstance(digest, bytes) else digest
        if digests and id in digests and digest != digests[id]:
            findings.append(f"{id}: the subscriber got another body")
    missing = [id for id in expected_ids if taken[id] == 0]
    twice = [id for id, count in taken.items() if count > 1]
    strangers = [id for id in taken if id not in expected_ids]
    if missing:
        findings.append(f"{len(missing)} of {len(expected_ids)} never reached the subscriber, the first is {missing[0]}")
    if twice:
        findings.append(f"{len(twice)} were handled more than once, the first is {twice[0]}")
    if strangers:
        findings.append(f"{len(strangers)} were never asked for, the first is {strangers[0]}")
    return findings
