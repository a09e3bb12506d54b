"""Encryption from end to end: keys made by the command line, a gateway, a subscriber, a stranger, a revoked key."""

import os
import signal
import subprocess

import zmq
from checker import rows
from mailbus_testing import BIN, Gateway, Subscriber, received, wait_for


def keys(folder, *arguments, expect=0):
    done = subprocess.run([BIN / "mailbus", "keys", *arguments, "--set", f"bus.curve_dir={folder}"],
                          capture_output=True, text=True, timeout=30)
    assert done.returncode == expect, done.stderr
    return done.stdout


def recorded(folder):
    path = folder / "mailbus-recorder.db"
    return [row[0] for row in rows(path, "SELECT id FROM recorded ORDER BY number")] if path.exists() else []


def test_a_subscriber_with_a_key_gets_everything_and_a_stranger_nothing(tmp_path):
    folder = tmp_path / "keys"
    keys(folder, "new", "recorder")
    with Gateway(tmp_path, bus__curve_dir=folder) as gateway:
        bus = {**gateway.bus(), "bus.curve_dir": folder, "bus.start": "oldest"}
        with Subscriber("mailbus-recorder", tmp_path, bus) as recorder:
            assert gateway.post(received(1, event_id="evt_one"))[0] == 200
            wait_for(lambda: recorded(tmp_path) == ["evt_one"], lambda: recorder.tail())

            context = zmq.Context()
            public, secret = zmq.curve_keypair()
            server = (folder / "server.key").read_text().split('public-key = "')[1].split('"')[0].encode()
            strangers = []
            for kind, endpoint, key in [(zmq.SUB, gateway.publish, True), (zmq.DEALER, gateway.replay, True),
                                        (zmq.SUB, gateway.publish, False), (zmq.DEALER, gateway.replay, False)]:
                stranger = context.socket(kind)
                stranger.linger = 0
                if key:  # the right server, but a key that nobody allowed
                    stranger.curve_serverkey, stranger.curve_publickey, stranger.curve_secretkey = server, public, secret
                if kind == zmq.SUB:
                    stranger.subscribe(b"")
                stranger.connect(endpoint)
                if kind == zmq.DEALER:
                    stranger.send_multipart([b"FETCH", b'{"request":"1","from":0}'])
                strangers.append(stranger)
            wait_for(lambda: gateway.metric("mailbus_zap_refused_total") >= 2, "both keys to be refused")
            assert gateway.post(received(2, event_id="evt_two"))[0] == 200
            wait_for(lambda: recorded(tmp_path) == ["evt_one", "evt_two"], lambda: recorder.tail())
            for stranger in strangers:
                assert stranger.poll(0) == 0
                stranger.close()
            context.term()
            recorder.stop()
        gateway.stop()


def test_a_revoked_key_gets_nothing_after_the_reload(tmp_path):
    folder = tmp_path / "keys"
    keys(folder, "new", "recorder")
    keys(folder, "new", "other")
    with Gateway(tmp_path, bus__curve_dir=folder) as gateway:
        bus = {**gateway.bus(), "bus.curve_dir": folder, "bus.start": "oldest"}
        (tmp_path / "other").mkdir()
        with Subscriber("mailbus-recorder", tmp_path, bus) as revoked, \
                Subscriber("mailbus-recorder", tmp_path / "other", bus, bus__curve_name="other") as other:
            assert gateway.post(received(1, event_id="evt_one"))[0] == 200
            for folder_of in (tmp_path, tmp_path / "other"):
                wait_for(lambda: recorded(folder_of) == ["evt_one"], "the first event")
            os.unlink(folder / "clients" / "recorder.key")
            gateway.signal(signal.SIGHUP)
            wait_for(lambda: gateway.metric("mailbus_zap_refused_total") >= 1, lambda: gateway.tail())
            assert gateway.post(received(2, event_id="evt_two"))[0] == 200
            # The other one was cut off too, came back, and missed nothing.
            wait_for(lambda: recorded(tmp_path / "other") == ["evt_one", "evt_two"], lambda: other.tail())
            assert recorded(tmp_path) == ["evt_one"]
            other.stop()
            revoked.stop()
        gateway.stop()
