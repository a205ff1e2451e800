"""Writes what libzmq sends to a raw TCP server, as hex text for testdata/wire:
python3 capture.py DIRECTORY. Run by hand when libzmq changes."""
import pathlib
import socket
import sys
import textwrap
import threading
import time

import zmq

NULL = b"\xff" + bytes(8) + b"\x7f\x03%c" + b"NULL".ljust(20, b"\0") + bytes(32)


def ready(socket_type):
    body = b"\x05READY\x0bSocket-Type" + len(socket_type).to_bytes(4, "big") + socket_type
    return bytes([4, len(body)]) + body


def capture(type, answer, minor, act, **options):
    server = socket.create_server(("127.0.0.1", 0))
    got = bytearray()

    def serve():
        conn, _ = server.accept()
        conn.sendall(NULL % minor + ready(answer))
        conn.settimeout(1)
        end = time.monotonic() + 1
        try:
            while time.monotonic() < end and (data := conn.recv(65536)):
                got.extend(data)
        except TimeoutError:
            pass
        conn.close()

    thread = threading.Thread(target=serve)
    thread.start()
    context = zmq.Context()
    s = context.socket(getattr(zmq, type))
    s.linger = 0
    for key, value in options.items():
        setattr(s, key, value)
    s.connect("tcp://127.0.0.1:%d" % server.getsockname()[1])
    act(s)
    thread.join()
    s.close()
    context.term()
    return bytes(got)


def write(name, socket_type, note, messages, data):
    head = "# libzmq %s: %s\nsocket: %s\nexpect: end\nmessages: %d\n\n" % (zmq.zmq_version(), note, socket_type, messages)
    (pathlib.Path(sys.argv[1]) / name).write_text(head + "\n".join(textwrap.wrap(data.hex(), 96)) + "\n")


write("libzmq-dealer.hex", "ROUTER", "DEALER with an identity, three messages", 3, capture(
    "DEALER", b"ROUTER", 1,
    lambda s: [s.send_multipart(m) for m in ([b"a"], [b"", b"b" * 300], [b"c", b"", b"d"])], identity=b"client-1"))
write("libzmq-req.hex", "ROUTER", "REQ, one request", 1, capture("REQ", b"ROUTER", 1, lambda s: s.send(b"ping")))
write("libzmq-sub-3.1.hex", "XPUB", "SUB to a 3.1 publisher, SUBSCRIBE and CANCEL", 0, capture(
    "SUB", b"XPUB", 1, lambda s: (s.subscribe("a"), s.subscribe(""), s.unsubscribe("a"))))
write("libzmq-sub-3.0.hex", "XPUB", "SUB to a 3.0 publisher, the same", 3, capture(
    "SUB", b"XPUB", 0, lambda s: (s.subscribe("a"), s.subscribe(""), s.unsubscribe("a"))))
write("libzmq-ping.hex", "ROUTER", "DEALER with heartbeats, PING", 0, capture(
    "DEALER", b"ROUTER", 1, lambda s: None, heartbeat_ivl=200, heartbeat_ttl=30000, heartbeat_timeout=30000))
