#!/usr/bin/env python3
"""Level 2 of PROTOCOL.md: live events as they come, FETCH only where the gap rule finds one missing.
Events and position are stored in one transaction, so that each event is taken in exactly once."""
import argparse, itertools, json, os, sqlite3, sys, time, zmq

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--publish", required=True)
parser.add_argument("--replay", required=True)
parser.add_argument("--state", default=":memory:", help="an SQLite file that keeps the position")
parser.add_argument("topic", nargs="+", help="a topic; with * at its end, what topics begin with")
args = parser.parse_args()
topics = [name for name in args.topic if not name.endswith("*")]
prefixes = [name[:-1] for name in args.topic if name.endswith("*")]

db = sqlite3.connect(args.state)
db.execute("CREATE TABLE IF NOT EXISTS inbox (sequence TEXT, topic TEXT, id TEXT, body BLOB)")
db.execute("CREATE TABLE IF NOT EXISTS state (one INTEGER PRIMARY KEY, json TEXT)")
row = db.execute("SELECT json FROM state").fetchone()
state = json.loads(row[0]) if row else {"stream": None, "synced": 0, "known": {}}
sub, dealer = zmq.Context.instance().socket(zmq.SUB), zmq.Context.instance().socket(zmq.DEALER)
for name in [*topics, *prefixes, "bus.heads"]:
    sub.subscribe(name)
sub.connect(args.publish)
dealer.connect(args.replay)
numbers = itertools.count()

def matches(topic):
    return topic in topics or any(topic.startswith(prefix) for prefix in prefixes)

def k(topic):  # everything on this topic up to this sequence is here
    return max(state["known"].get(topic, 0), state["synced"])

def cursor():  # everything that matches is here up to this sequence
    return state["synced"] if prefixes else min(map(k, topics))

def highest():
    return max([state["synced"], *state["known"].values()])

def sync(sequence):
    state["synced"] = max(state["synced"], sequence)
    state["known"] = {t: last for t, last in state["known"].items() if last > state["synced"]}

def event(topic, header, body):  # False where something before it is missing
    topic, header = topic.decode(), json.loads(header)
    sequence, previous = int(header["sequence"]), int(header["previous"])
    state["stream"] = state["stream"] or header["stream"]
    if header["stream"] != state["stream"] or matches(topic) and previous > k(topic):
        return False
    if matches(topic) and sequence > k(topic):
        db.execute("INSERT INTO inbox VALUES (?, ?, ?, ?)", (str(sequence), topic, header["id"], body))
        state["known"][topic] = sequence
    return True

def heads(header, last):  # False where something is missing, or may be
    header, last = json.loads(header), json.loads(last)
    if header["stream"] != state["stream"] or int(header["sequence"]) < highest():
        return False  # another journal, or heads that are late: the answer tells which
    if any(matches(topic) and int(last[topic]) > k(topic) for topic in last):
        return False
    sync(int(header["sequence"]))
    return True

def commit():  # events and position in one transaction; then the work, here a line for each event
    db.execute("INSERT OR REPLACE INTO state VALUES (1, ?)", (json.dumps(state),))
    db.commit()
    for row, *fields in db.execute("SELECT rowid, sequence, topic, id FROM inbox ORDER BY rowid").fetchall():
        print(json.dumps(dict(zip(("sequence", "topic", "id"), fields))), flush=True)
        db.execute("DELETE FROM inbox WHERE rowid = ?", (row,))
        db.commit()  # a crash before this does the work again: give its effects the id as a key

def page():  # ask for one page from the cursor; True where it was the last
    request, before = f"{os.getpid()}-{next(numbers)}", highest()
    wanted = {"request": request, "from": str(cursor() + 1), "topics": topics, "prefixes": prefixes,
              **({"stream": state["stream"]} if state["stream"] else {})}
    dealer.send_multipart([b"FETCH", json.dumps(wanted).encode()])
    while dealer.poll(5_000):  # else no answer: ask again
        verb, *frames = dealer.recv_multipart()
        answer = {"request": frames[0].decode()} if verb == b"EVENT" else json.loads(frames[0])
        if answer["request"] != request:
            continue  # late: of a request that was given up
        if verb == b"EVENT" and not event(*frames[1:]):
            return False  # something was lost on the way to us: ask again
        if verb == b"TRIMMED" and int(answer["oldest"]) > cursor() + 1:
            print(f"gone for good: up to {int(answer['oldest']) - 1}", file=sys.stderr)
            sync(int(answer["oldest"]) - 1)
        elif verb == b"ERROR" and answer["code"] in (429, 500):
            time.sleep(1)
            return False
        elif verb == b"ERROR" or verb == b"END" and int(answer["head"]) < before:
            sys.exit(f"not the journal of before: {answer}")  # the policy is a person's
        elif verb == b"END":
            state["stream"] = answer["stream"]
            sync(int(answer["next"]) - 1)
            commit()
            return int(answer["next"]) > int(answer["head"])
    return False

complete = False
while True:
    while not complete:
        complete = page()
    complete = bool(sub.poll(5_000))  # not even heads: ask
    while complete and sub.poll(0):
        topic, *rest = sub.recv_multipart()
        complete = heads(*rest) if topic == b"bus.heads" else event(topic, *rest)
    commit()
