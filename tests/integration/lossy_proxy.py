"""A bad network between gateway and subscriber: drops PUB messages, cuts connections.

Runs in a thread of its own with its own context. Drops are decided by a seeded generator, whole messages
only; `bus.heads` is dropped like everything else.
"""

import random
import threading

import zmq


class LossyProxy:
    def __init__(self, publish, replay, *, drop=0.3, cut_every=400, seed=1):
        self.upstream_publish, self.upstream_replay = publish, replay
        self.drop, self.cut_every, self.seed = drop, cut_every, seed
        self.dropped = self.passed = self.cuts = 0
        self._stop = threading.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._ready.wait(10)

    def bus(self):
        return {"bus.publish": self.publish, "bus.replay": self.replay}

    def _run(self):
        generator = random.Random(self.seed)
        context = zmq.Context()
        source = context.socket(zmq.SUB)
        source.setsockopt(zmq.SUBSCRIBE, b"")
        source.setsockopt(zmq.RCVHWM, 0)
        source.connect(self.upstream_publish)
        publish, front, back = self._open(context)
        self._ready.set()
        poller = zmq.Poller()
        for socket in (source, front, back):
            poller.register(socket, zmq.POLLIN)
        since_cut = 0
        peer = None  # the one subscriber's routing id
        while not self._stop.is_set():
            events = dict(poller.poll(20))
            if source in events:
                frames = source.recv_multipart()
                if generator.random() < self.drop:
                    self.dropped += 1
                else:
                    self.passed += 1
                    publish.send_multipart(frames)
                since_cut += 1
            if front in events:
                peer, *request = front.recv_multipart()
                back.send_multipart(request)
            if back in events:
                answer = back.recv_multipart()
                if peer is not None:
                    front.send_multipart([peer, *answer])
            if since_cut >= self.cut_every:
                since_cut = 0
                peer = None
                self.cuts += 1
                for socket in (front, back):
                    poller.unregister(socket)
                    socket.close(0)
                publish.close(0)
                publish, front, back = self._open(context)
                for socket in (front, back):
                    poller.register(socket, zmq.POLLIN)
        for socket in (source, publish, front, back):
            socket.close(0)
        context.term()

    def _open(self, context):
        """The sockets on the subscriber's side; the second time on the same ports, so that it can reconnect."""
        publish, front = context.socket(zmq.PUB), context.socket(zmq.ROUTER)
        if not hasattr(self, "publish"):
            self.publish = f"tcp://127.0.0.1:{publish.bind_to_random_port('tcp://127.0.0.1')}"
            self.replay = f"tcp://127.0.0.1:{front.bind_to_random_port('tcp://127.0.0.1')}"
        else:
            for socket, endpoint in ((publish, self.publish), (front, self.replay)):
                for _ in range(2000):
                    try:
                        socket.bind(endpoint)
                        break
                    except zmq.ZMQError:
                        self._stop.wait(0.005)
        # Answers to a request from before a cut are lost, as on a real network.
        back = context.socket(zmq.DEALER)
        back.connect(self.upstream_replay)
        return publish, front, back

    def stop(self):
        self._stop.set()
        self._thread.join(10)
