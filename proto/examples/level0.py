#!/usr/bin/env python3
"""Level 0 of PROTOCOL.md: plain SUB. Shows what is published while it listens; may miss events.

level0.py --publish tcp://127.0.0.1:5556 message.received 'calendar.*'
"""
import argparse
import json

import zmq

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--publish", required=True)
parser.add_argument("--replay", help="taken, as the other levels take it, and not used")
parser.add_argument("--state", help="taken and not used")
parser.add_argument("topic", nargs="+", help="a topic; with * at its end, what topics begin with")
args = parser.parse_args()

socket = zmq.Context().socket(zmq.SUB)
for name in args.topic:
    socket.subscribe(name.removesuffix("*"))
socket.connect(args.publish)

while True:
    topic, header, body = socket.recv_multipart()
    # ZeroMQ compares prefixes: message.received brings message.received.spam along.
    topic = topic.decode()
    if not any(topic == name or name.endswith("*") and topic.startswith(name[:-1])
               for name in args.topic):
        continue
    event = json.loads(header)
    print(json.dumps({"sequence": event["sequence"], "topic": topic, "id": event["id"]}), flush=True)
