"""A gateway's bus side in Python, written from the protocol: it loses, cuts, delays, trims, restarts and
forgets on request, which the real one does not."""

import datetime
import json
import random
import threading
import time
import uuid

import zmq


def rfc3339(seconds):
    moment = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


class Journal:
    """Events with sequence and previous, as the gateway gives them out."""

    def __init__(self):
        self.stream = str(uuid.uuid4())
        self.events = []  # (topic, header, body, recorded time)
        self.heads = {}
        self.oldest = 1

    @property
    def head(self):
        return len(self.events)

    def append(self, topic, body, *, event_id=None, recorded=None):
        sequence = self.head + 1
        recorded = time.time() if recorded is None else recorded
        header = {
            "specversion": "1.0",
            "id": event_id or f"evt_{uuid.uuid4().hex}",
            "source": "/agentmail",
            "type": topic,
            "time": rfc3339(recorded),
            "datacontenttype": "application/json",
            "sequence": str(sequence),
            "previous": str(self.heads.get(topic, 0)),
            "stream": self.stream,
            "recordedtime": rfc3339(recorded),
        }
        self.heads[topic] = sequence
        self.events.append((topic, json.dumps(header).encode(), body, recorded))
        return header["id"]

    def truncate(self, head):
        """A backup is restored: the end is gone."""
        del self.events[head:]
        self.heads = {}
        for number, (topic, _, _, _) in enumerate(self.events, 1):
            self.heads[topic] = number

    def heads_text(self):
        return {topic: str(number) for topic, number in self.heads.items()}

    def ids(self, *topics, prefix=None):
        """The ids of the events that match, in order."""
        return [
            json.loads(header)["id"]
            for topic, header, _, _ in self.events
            if topic in topics or (prefix is not None and topic.startswith(prefix))
        ]


class FakeGateway(threading.Thread):
    """One thread owns both sockets; the test changes the attributes, and the journal under `lock`."""

    def __init__(self, seed=1, journal=None):
        super().__init__(daemon=True)
        self.lock = threading.RLock()
        self.journal = journal or Journal()
        self.random = random.Random(seed)
        self.loss = 0.0  # share of published messages that vanish
        self.cuts = 0  # so many pages end in the middle, without an END
        self.holes = 0  # so many lack one event, and say they are complete
        self.late = 0.0  # share of answers that come twice, once after the next one
        self.page = 1000  # most events of a page
        self.errors = []  # codes for the next requests
        self.silent = False  # no heads
        self.heads_interval = 0.2
        self.requests = []
        self.counts = {"published": 0, "lost": 0, "pages": 0, "cut": 0, "holes": 0}
        self._published = self.journal.head
        self._late = []
        self._ending = threading.Event()
        self.context = zmq.Context()
        self.publisher = self.context.socket(zmq.PUB)
        self.publisher.setsockopt(zmq.LINGER, 0)
        self.publisher.setsockopt(zmq.SNDHWM, 100000)
        self.replay = self.context.socket(zmq.ROUTER)
        self.replay.setsockopt(zmq.LINGER, 0)
        self.replay.setsockopt(zmq.ROUTER_MANDATORY, 1)
        self.replay.setsockopt(zmq.SNDHWM, 100000)
        self._bind("tcp://127.0.0.1:*", "tcp://127.0.0.1:*")
        self.start()

    def _bind(self, publish, replay):
        self.publisher.bind(publish)
        self.replay.bind(replay)
        self.publish = self.publisher.getsockopt(zmq.LAST_ENDPOINT).decode().rstrip("\0")
        self.router = self.replay.getsockopt(zmq.LAST_ENDPOINT).decode().rstrip("\0")

    def bus(self):
        return {"bus.publish": self.publish, "bus.replay": self.router}

    def record(self, topic, body=b"{}", **more):
        with self.lock:
            return self.journal.append(topic, body, **more)

    def all_is_out(self):
        """Every recorded event was published, or lost on the way."""
        with self.lock:
            return self._published == self.journal.head

    def replace(self, journal=None):
        """Another journal takes the place of this one."""
        with self.lock:
            self.journal = journal or Journal()
            self._published = self.journal.head

    def restore_backup(self, head):
        with self.lock:
            self.journal.truncate(head)
            self._published = min(self._published, head)

    def trim(self, oldest):
        with self.lock:
            self.journal.oldest = oldest

    def stop(self):
        self._ending.set()
        self.join(30)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def run(self):
        poller = zmq.Poller()
        poller.register(self.replay, zmq.POLLIN)
        heads_at = 0.0
        while not self._ending.is_set():
            if poller.poll(2):
                with self.lock:
                    self._answer(*self.replay.recv_multipart())
            with self.lock:
                self._publish_new()
                if time.monotonic() >= heads_at and not self.silent:
                    heads_at = time.monotonic() + self.heads_interval
                    self._publish_heads()
        self.publisher.close()
        self.replay.close()
        self.context.term()

    def _send(self, frames):
        if self.random.random() < self.loss:
            self.counts["lost"] += 1
            return
        self.counts["published"] += 1
        self.publisher.send_multipart(frames)

    def _publish_new(self):
        while self._published < self.journal.head:
            topic, header, body, _ = self.journal.events[self._published]
            self._published += 1
            self._send([topic.encode(), header, body])

    def _publish_heads(self):
        header = {"stream": self.journal.stream, "sequence": str(self.journal.head)}
        self._send([b"bus.heads", json.dumps(header).encode(), json.dumps(self.journal.heads_text()).encode()])

    def _reply(self, peer, *frames):
        try:
            self.replay.send_multipart([peer, *frames])
        except zmq.ZMQError:
            pass  # gone

    def _json(self, peer, verb, **fields):
        self._reply(peer, verb, json.dumps(fields).encode())

    def _answer(self, peer, verb, text=b"{}"):
        request = json.loads(text)
        self.requests.append((verb.decode(), request))
        if self.errors:
            self._json(peer, b"ERROR", request=request["request"], code=self.errors.pop(0), message="on request")
            return
        if verb == b"FETCH" and request.get("stream") not in (None, self.journal.stream):
            self._json(peer, b"ERROR", request=request["request"], code=404, message="another stream")
            return
        for answer in self._late:
            self._reply(*answer)
        self._late = []
        if verb == b"HEADS":
            self._end(peer, request, self.journal.head + 1)
        else:
            self._fetch(peer, request)

    def _end(self, peer, request, following):
        journal = self.journal
        self._json(peer, b"END", request=request["request"], stream=journal.stream, next=str(following),
                   head=str(journal.head), heads=journal.heads_text(), oldest=str(journal.oldest))

    def _wants(self, request, topic):
        topics, prefixes = request.get("topics", []), request.get("prefixes", [])
        return (not topics and not prefixes) or topic in topics or any(topic.startswith(p) for p in prefixes)

    def _first(self, request):
        if "since" in request:
            since = datetime.datetime.fromisoformat(request["since"].replace("Z", "+00:00")).timestamp()
            for number, event in enumerate(self.journal.events, 1):
                if round(event[3], 3) >= since:
                    return number
            return self.journal.head + 1
        return max(1, int(request["from"]))

    def _fetch(self, peer, request):
        journal, name = self.journal, request["request"].encode()
        number = self._first(request)
        self.counts["pages"] += 1
        if number < journal.oldest and (int(request.get("from", 0)) > 0 or "since" in request):
            self._json(peer, b"TRIMMED", request=request["request"], oldest=str(journal.oldest))
        number = max(number, journal.oldest)
        limit = min(self.page, request.get("limit", 1000))
        page = []
        while number <= journal.head and len(page) < limit:
            event = journal.events[number - 1]
            number += 1
            if self._wants(request, event[0]):
                page.append(event)
        if self.holes > 0 and self.random.random() < 0.3:
            # A hole can be seen where a later event of the topic names the missing one.
            holes = [i for i, event in enumerate(page) if any(e[0] == event[0] for e in page[i + 1 :])]
            if holes:
                self.holes -= 1
                self.counts["holes"] += 1
                del page[self.random.choice(holes)]
        cut = self.random.randrange(len(page) + 1) if self.cuts > 0 and self.random.random() < 0.3 else None
        for topic, header, body, _ in page[:cut]:
            frames = (b"EVENT", name, topic.encode(), header, body)
            self._reply(peer, *frames)
            if self.random.random() < self.late:
                self._late.append((peer, *frames))
        if cut is None:
            self._end(peer, request, number)
        else:
            self.cuts -= 1
            self.counts["cut"] += 1
