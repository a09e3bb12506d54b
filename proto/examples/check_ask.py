#!/usr/bin/env python3
"""CHECK.md, the asking side. check_ask.py jane@example.com tcp://127.0.0.1:5558 tcp://127.0.0.1:5559
ends with 0 if all say yes, with 1 if one says no, else with 3: that is "not now", never "yes"."""
import json, sys, zmq

def ask(endpoint, address):
    with zmq.Context.instance().socket(zmq.REQ) as socket:  # a new one for each question:
        socket.linger, socket.maxmsgsize = 0, 4096          # no late answer is taken for this one
        socket.connect(endpoint)
        socket.send_string(json.dumps({"check": "may-send", "address": address}, ensure_ascii=False))
        return json.loads(socket.recv()) if socket.poll(2_000) else {"error": "no answer"}

address, *endpoints = sys.argv[1:]
said = [(answer := ask(endpoint, address)).get("answer") or print(answer) for endpoint in endpoints]
print(address, *said)
sys.exit(1 if "no" in said else 0 if set(said) == {"yes"} else 3)
