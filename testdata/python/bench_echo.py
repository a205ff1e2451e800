"""Measures round trips to an echo kernel, in turn: bare, behind nbhush, and behind
a program that does nothing but copy bytes from a port to a socket and back.

usage: bench_echo.py NBHUSH RELAY ROUNDS > figures.json
       bench_echo.py kernel CONNECTION_FILE

Prints {name: [[bare], [hooked], [relayed]]} with the times in µs. The name is the
size of what is echoed in bytes, and "searched" if that is in an execute_reply, whose
text the hook searches; a kernel_info_reply it only carries.
"""

import hashlib
import hmac
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time

import zmq

PORTS = ("shell_port", "control_port", "stdin_port", "iopub_port", "hb_port")
DELIMITER = b"<IDS|MSG>"
REPLY = json.dumps({"msg_type": "execute_reply", "msg_id": "r", "session": "k", "version": "5.4"}).encode()
INFO = json.dumps({"msg_type": "kernel_info_reply", "msg_id": "r", "session": "k", "version": "5.4"}).encode()


def sign(key, parts):
    h = hmac.new(key, digestmod=hashlib.sha256)
    for part in parts:
        h.update(part)
    return h.hexdigest().encode()


def kernel(path):
    with open(path) as f:
        info = json.load(f)
    key = info["key"].encode()
    context = zmq.Context()

    def bind(kind, port):
        s = context.socket(kind)
        ipc = info["transport"] == "ipc"
        s.bind("%s://%s%s%s" % (info["transport"], info["ip"], "-" if ipc else ":", info[port]))
        return s

    shell = bind(zmq.ROUTER, "shell_port")
    others = [bind(zmq.ROUTER, "control_port"), bind(zmq.ROUTER, "stdin_port"), bind(zmq.PUB, "iopub_port"), bind(zmq.REP, "hb_port")]
    while others:
        frames = shell.recv_multipart()
        at = frames.index(DELIMITER)
        signature, signed = frames[at + 1], frames[at + 2 : at + 6]
        if not hmac.compare_digest(signature, sign(key, signed)):
            continue
        header, content = signed[0], signed[3]
        searched = json.loads(header)["msg_type"] == "execute_request"
        parts = [REPLY if searched else INFO, header, b"{}", content]
        shell.send_multipart(frames[: at + 1] + [sign(key, parts)] + parts)


class Client:
    """A client of an echo kernel that is started with prefix, in which FILE is its
    connection file, or of a bare one behind relay."""

    def __init__(self, directory, prefix=(), relay=None):
        context = zmq.Context.instance()
        info = {"transport": "tcp", "ip": "127.0.0.1", "key": secrets.token_hex(16), "signature_scheme": "hmac-sha256"}
        held = []
        for name in PORTS:
            s = context.socket(zmq.ROUTER)
            info[name] = s.bind_to_random_port("tcp://127.0.0.1")
            held.append(s)
        for s in held:
            s.close(0)
        path = os.path.join(directory, secrets.token_hex(8) + ".json")
        with open(path, "w") as f:
            json.dump(info, f)
        self.key = info["key"].encode()
        if relay:
            inner = dict(info, transport="ipc", ip=path)
            path += ".inner"
            with open(path, "w") as f:
                json.dump(inner, f)
        command = [part.replace("FILE", path) for part in prefix] + [sys.executable, __file__, "kernel", path]
        self.children = [subprocess.Popen(command)]
        if relay:
            socket = "%s-%d" % (inner["ip"], inner["shell_port"])
            self.children.append(subprocess.Popen([relay, "127.0.0.1:%d" % info["shell_port"], socket]))
        self.shell = context.socket(zmq.DEALER)
        self.shell.rcvtimeo = 60_000
        self.shell.connect("tcp://127.0.0.1:%d" % info["shell_port"])

    def trip(self, kind, content):
        # A message that is sent again is dropped.
        header = b'{"msg_type":"%s_request","msg_id":"%s","session":"s","version":"5.4"}' % (kind, secrets.token_hex(8).encode())
        began = time.perf_counter_ns()
        parts = [header, b"{}", b"{}", content]
        self.shell.send_multipart([DELIMITER, sign(self.key, parts)] + parts)
        answer = self.shell.recv_multipart()
        if not hmac.compare_digest(answer[1], sign(self.key, answer[2:])):
            raise SystemExit("the signature is wrong")
        took = (time.perf_counter_ns() - began) / 1000
        if answer[5] != content:
            raise SystemExit("another answer than was asked for")
        return took


def main(nbhush, relay, rounds):
    figures = {}
    with tempfile.TemporaryDirectory() as directory:
        clients = [
            Client(directory),
            Client(directory, [nbhush, "kernel", "-f", "FILE", "--"]),
            Client(directory, relay=relay),
        ]
        try:
            for size, kind in ((100, b"kernel_info"), (100, b"execute"), (100_000, b"execute")):
                content = json.dumps({"status": "ok", "text": "a b c d e " * (size // 10)}).encode()
                for c in clients * 50:
                    c.trip(kind, content)
                took = figures["%d%s" % (size, " searched" if kind == b"execute" else "")] = [[] for _ in clients]
                for _ in range(rounds):
                    for times, c in zip(took, clients):
                        times.append(c.trip(kind, content))
        finally:
            for child in [child for c in clients for child in c.children]:
                child.terminate()
                child.wait()
    json.dump(figures, sys.stdout)


if sys.argv[1] == "kernel":
    kernel(sys.argv[2])
else:
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
