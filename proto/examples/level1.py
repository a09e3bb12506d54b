#!/usr/bin/env python3
"""Level 1 of PROTOCOL.md: SUB only wakes us up, FETCH brings everything. Misses nothing.

After a crash the events of one page at most come again: what you do with an event has to bear
that, or to remember the event's id.
"""
import argparse
import itertools
import json
import os
import sys
import time

import zmq

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--publish", required=True)
parser.add_argument("--replay", required=True)
parser.add_argument("--state", help="a file that keeps the position over restarts")
parser.add_argument("topic", nargs="+", help="a topic; with * at its end, what topics begin with")
args = parser.parse_args()
wanted = {"topics": [name for name in args.topic if not name.endswith("*")],
          "prefixes": [name[:-1] for name in args.topic if name.endswith("*")], "limit": 500}

context = zmq.Context()
sub, dealer = context.socket(zmq.SUB), context.socket(zmq.DEALER)
for name in [*wanted["topics"], *wanted["prefixes"], "bus.heads"]:  # bus.heads: once a second
    sub.subscribe(name)
sub.connect(args.publish)
dealer.connect(args.replay)

position = {"from": "0"}  # the oldest there is
if args.state and os.path.exists(args.state):
    with open(args.state) as file:
        position = json.load(file)
numbers = itertools.count()


def fetch_page():
    """Show one page and move the position behind it. True where there is more."""
    request = f"{os.getpid()}-{next(numbers)}"
    dealer.send_multipart([b"FETCH", json.dumps({"request": request, **position, **wanted}).encode()])
    while dealer.poll(5_000):
        verb, *frames = dealer.recv_multipart()
        if verb == b"EVENT":
            if frames[0].decode() == request:
                event = json.loads(frames[2])
                print(json.dumps({"sequence": event["sequence"], "topic": event["type"],
                                  "id": event["id"]}), flush=True)
                position["from"] = str(int(event["sequence"]) + 1)  # should the rest get lost
            continue
        answer = json.loads(frames[0])
        if answer["request"] != request:
            continue  # late: an answer to a question that we gave up
        if verb == b"TRIMMED":
            print(f"what was before {answer['oldest']} is no longer kept", file=sys.stderr)
        elif verb == b"END":
            position.update({"from": answer["next"], "stream": answer["stream"]})
            if args.state:
                with open(args.state + ".new", "w") as file:
                    json.dump(position, file)
                os.replace(args.state + ".new", args.state)
            return int(answer["next"]) <= int(answer["head"])
        elif answer["code"] in (429, 500):
            time.sleep(1)
            return True
        else:
            sys.exit(f"{answer['code']}: {answer['message']}")
    return True  # no answer: ask again


while True:
    while fetch_page():
        pass
    sub.poll(5_000)
    while sub.poll(0):
        sub.recv_multipart()
