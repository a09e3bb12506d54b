#!/usr/bin/env python3
"""CHECK.md, the answering side: no to every address that is a line of a text file.
check_serve.py never-write-to.txt tcp://127.0.0.1:5570"""
import json, sys, zmq

socket = zmq.Context().socket(zmq.REP)
socket.maxmsgsize = 4096
socket.bind(sys.argv[2])
while True:
    try:
        question = json.loads(socket.recv())
        assert question["check"] == "may-send"
        with open(sys.argv[1], encoding="utf-8") as file:
            listed = question["address"].lower() in file.read().lower().splitlines()
        answer = {"answer": "no", "reason": "stands in the list"} if listed else {"answer": "yes"}
    except Exception as problem:  # a list that can't be read is no yes either
        answer = {"error": type(problem).__name__}
    socket.send_string(json.dumps(answer))
