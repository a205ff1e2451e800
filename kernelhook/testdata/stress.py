"""Clients that misbehave; a good one, on libzmq, must not notice."""
import socket
import struct

from harness import *

import zmq
from jupyter_client.session import Session

km = start()
kc = client(km)
info = km.get_connection_info()
ports = {c: info[c + "_port"] for c in ("shell", "control", "stdin", "iopub", "hb")}
GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x01" + b"NULL" + bytes(16) + b"\x00" + bytes(31)
held = []


def raw(port):
    s = socket.create_connection((ADDRESS, port))
    s.settimeout(LIMIT)
    held.append(s)
    return s


def command(body):
    return b"\x04" + bytes([len(body)]) + body


def ready(kind, identity=b""):
    def prop(name, value):
        return bytes([len(name)]) + name + struct.pack(">I", len(value)) + value

    return command(b"\x05READY" + prop(b"Socket-Type", kind) + prop(b"Identity", identity))


def handshaken(port, kind, identity=b""):
    s = raw(port)
    s.sendall(GREETING + ready(kind, identity))
    s.recv(64)
    return s


def served():
    """A kernel_info round trip and a cell."""
    kc.kernel_info(reply=True, timeout=LIMIT)
    return run(kc, "print(1)").text() == "1\n"


def late():
    """A client that comes now is served."""
    other = km.client()
    other.session = Session(key=km.session.key)
    other.start_channels()
    other.wait_for_ready(timeout=LIMIT)
    ok = run(other, "print(2)").text() == "2\n"
    other.stop_channels()
    return ok


# A subscriber that never reads.
s = handshaken(ports["iopub"], b"SUB")
s.sendall(b"\x00\x01\x01")
o = run(kc, "from IPython.display import publish_display_data as p\nfor i in range(300): p({'text/plain': str(i) + 'x' * 1000000})")
tell(what="dead subscriber", got=[len(o.of("display_data")), late()])

# A DEALER that asks and never reads what it is sent.
ctx = zmq.Context()
stuck = ctx.socket(zmq.DEALER)
stuck.rcvhwm, stuck.linger = 1, 0
stuck.setsockopt(zmq.RCVBUF, 4096)
stuck.connect("tcp://%s:%d" % (ADDRESS, ports["shell"]))
for _ in range(50):
    kc.session.send(stuck, kc.session.msg("execute_request", {"code": "", "silent": True, "user_expressions": {"x": "'y' * 500000"}}))
tell(what="stuck DEALER", got=served())

for port in ports.values():
    raw(port)
tell(what="silent connections", got=[served(), late()])
for port in ports.values():
    raw(port).sendall(GREETING)
tell(what="silent handshakes", got=[served(), late()])
for port in ports.values():
    for _ in range(200):
        socket.create_connection((ADDRESS, port)).close()
tell(what="200 connects", got=[served(), late()])
for port in ports.values():
    raw(port).sendall(os.urandom(4096))
    raw(port).sendall(GREETING + os.urandom(4096))
    raw(port).sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
tell(what="garbage", got=[served(), late()])
for port, kind in ((ports["shell"], b"DEALER"), (ports["control"], b"DEALER"), (ports["stdin"], b"DEALER"), (ports["iopub"], b"SUB"), (ports["hb"], b"REQ")):
    handshaken(port, kind).sendall(b"\x02" + struct.pack(">Q", 1 << 62))
    handshaken(port, kind).sendall(b"\x02" + struct.pack(">Q", 1900 << 20) + b"abc")
    handshaken(port, b"PUB")
    handshaken(port, b"NO-SUCH-TYPE")
    handshaken(port, kind).sendall(command(b"\x04PING\x00\x00ctx") + command(b"\x09SUBSCRIBE") + command(b"\x07UNKNOWN"))
    handshaken(port, kind).sendall(b"\x00\x03abc" * 10)
tell(what="frames", got=[served(), late()])

# Somebody without the key who claims to be the client.
forged = Session(key=b"another key")
for channel in ("shell", "control", "stdin"):
    d = ctx.socket(zmq.DEALER)
    d.linger = 0
    d.connect("tcp://%s:%d" % (ADDRESS, ports[channel]))
    forged.send(d, forged.msg("shutdown_request", {"restart": False}))
    d.send_multipart([b"<IDS|MSG>", b""])
    d.send_multipart([b"x" * 100000] * 100)
tell(what="forged", got=[served(), late(), km.is_alive()])

# A second connection with the identity of a living client: the newest is answered.
for name in ("a", "b"):
    twin = ctx.socket(zmq.DEALER)
    twin.linger, twin.identity = 0, b"twin"
    twin.connect("tcp://%s:%d" % (ADDRESS, ports["shell"]))
    kc.session.send(twin, kc.session.msg("kernel_info_request", {}))
    answered = twin.poll(LIMIT * 1000) != 0
tell(what="duplicate identity", got=[answered, served()])
ctx.destroy(linger=0)
kc.stop_channels()
km.shutdown_kernel()
