"""Drives libzmq sockets for the tests: one JSON command a line on standard
input, one JSON answer a line on standard output. Frames are latin-1 strings."""
import json
import sys
import time

import zmq

context = zmq.Context()
sockets = {}


def open_(name, type, endpoint, bind=False, subscribe=None, **options):
    s = context.socket(getattr(zmq, type))
    s.linger = 0
    for key, value in options.items():
        setattr(s, key, value.encode("latin-1") if isinstance(value, str) else value)
    for topic in subscribe or []:
        s.subscribe(topic)
    s.bind(endpoint) if bind else s.connect(endpoint)
    sockets[name] = s
    return s.getsockopt(zmq.LAST_ENDPOINT).rstrip(b"\0").decode()


def send(name, frames, timeout=20000):
    """Reports whether the message was taken: a socket takes none once libzmq has
    given its only connection up, and blocks for ever."""
    s = sockets[name]
    s.sndtimeo = timeout
    try:
        s.send_multipart([f.encode("latin-1") for f in frames])
    except zmq.Again:
        return False
    return True


def send_many(name, count, size):
    """Sends count messages of a number and size bytes."""
    for i in range(count):
        sockets[name].send_multipart([b"", b"%d" % i, b"x" * size])


def recv(name, timeout=20000):
    s = sockets[name]
    if not s.poll(timeout):
        return None
    return [f.decode("latin-1") for f in s.recv_multipart()]


def count(name, last, timeout=20000):
    """Receives up to and with the message whose second frame is last; returns
    how many came and whether their numbers grew."""
    s, n, previous, ordered, size = sockets[name], 0, -1, True, 0
    while s.poll(timeout):
        frames = s.recv_multipart()
        n += 1
        size += sum(len(f) for f in frames)
        number = int(frames[1])
        ordered = ordered and number > previous
        previous = number
        if number == last:
            break
    return {"n": n, "ordered": ordered, "last": previous, "bytes": size}


def subscribe(name, topic):
    sockets[name].subscribe(topic)


def unsubscribe(name, topic):
    sockets[name].unsubscribe(topic)


def close(name):
    sockets.pop(name).close()


def sleep(seconds):
    time.sleep(seconds)


commands = {"open": open_, "send": send, "send_many": send_many, "recv": recv, "count": count, "subscribe": subscribe,
            "unsubscribe": unsubscribe, "close": close, "sleep": sleep}

print(json.dumps(zmq.zmq_version()), flush=True)
for line in sys.stdin:
    command = json.loads(line)
    print(json.dumps(commands[command.pop("do")](**command)), flush=True)
