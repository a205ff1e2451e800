"""What a web page and another user of the machine send to the ports of a kernel."""
import select
import socket
import struct
import threading

from harness import *

import psutil
import zmq
from jupyter_client.session import Session

km = start()
kc = client(km)
info = km.get_connection_info()
ports = {c: info[c + "_port"] for c in ("shell", "control", "stdin", "iopub", "hb")}
hook = psutil.Process(km.provisioner.process.pid)
GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x01" + b"NULL" + bytes(16) + b"\x00" + bytes(31)
run(kc, "import os; print(os.environ['TOKEN'])")
time.sleep(4)  # what the start of the hook needed goes back
before = hook.memory_info().rss


def request(method, headers="", body=b""):
    return ("%s /api HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: https://evil.example\r\n%sContent-Length: %d\r\n\r\n" % (method, headers, len(body))).encode() + body


REQUESTS = {
    "get": request("GET"),
    "preflight": request("OPTIONS", "Access-Control-Request-Method: POST\r\nAccess-Control-Request-Private-Network: true\r\n"),
    "post": request("POST", "Content-Type: text/plain\r\n", b"x" * (1 << 20)),
    # A page may put any bytes into the body: those of a client of ZeroMQ among them.
    "post of a handshake": request("POST", "", GREETING + b"\x04\x19\x05READY\x0bSocket-Type\x00\x00\x00\x03SUB" + b"\x00\x01\x01"),
    "websocket": request("GET", "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"),
    "http2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + os.urandom(508),
}


def answer(port, data):
    """All that comes back, and whether the other side closes."""
    s = socket.create_connection((ADDRESS, port))
    s.settimeout(LIMIT)
    got = b""
    try:
        s.sendall(data)
    except OSError:
        pass
    try:
        while True:
            b = s.recv(65536)
            if not b:
                return got, True
            got += b
    except ConnectionError:
        return got, True
    except TimeoutError:
        return got, False
    finally:
        s.close()


for name, data in REQUESTS.items():
    results = [answer(port, data) for port in ports.values()]
    # Whoever connects is greeted; that is ZMTP's, says nothing of the kernel, and is no HTTP.
    tell(what=name, got=[all(GREETING.startswith(got[:12]) and len(got) <= 64 for got, _ in results), all(closed for _, closed in results), sum(len(g) for g, _ in results) <= 5 * 64])


def grown():
    return max(0, hook.memory_info().rss - before) / (1 << 20)


threads = [threading.Thread(target=answer, args=(port, request("POST", "", b"x" * (1 << 20)))) for port in ports.values() for _ in range(40)]
[t.start() for t in threads]
most = 0
while any(t.is_alive() for t in threads):
    most = max(most, grown())
    time.sleep(0.02)
tell(what="memory, requests", got=most)

# Another user, who has no key.
r, w = os.pipe()
child = os.fork()
if child == 0:
    try:
        if os.getuid() == 0:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
        told = {}
        if os.getuid() != os.stat(km.connection_file).st_uid:
            for what, path in (("connection file", km.connection_file), ("directory behind", HOOK[2])):
                try:
                    open(path).close() if os.path.isfile(path) else os.listdir(path)
                    told[what] = "read"
                except PermissionError:
                    told[what] = "refused"
        else:
            told = {"connection file": "refused", "directory behind": "refused"}  # not root: nobody else to be
        ctx = zmq.Context()
        answers = 0
        session = Session(key=b"guessed")
        for channel in ("shell", "control", "stdin"):
            d = ctx.socket(zmq.DEALER)
            d.linger = 0
            d.connect("tcp://%s:%d" % (ADDRESS, ports[channel]))
            for kind in ("kernel_info_request", "execute_request", "shutdown_request", "interrupt_request", "debug_request", "input_reply"):
                session.send(d, session.msg(kind, {"code": "1", "silent": False}))
            answers += d.poll(300)
        told["answers"] = answers
        # Headers that promise much, and much.
        most = []
        for channel, kind in (("shell", b"DEALER"), ("control", b"DEALER"), ("stdin", b"DEALER"), ("iopub", b"SUB"), ("hb", b"REQ")):
            for claim in (1 << 62, 1 << 30, 64 << 20):
                s = socket.create_connection((ADDRESS, ports[channel]))
                s.settimeout(2)
                ready = b"\x05READY\x0bSocket-Type" + struct.pack(">I", len(kind)) + kind
                try:
                    s.sendall(GREETING + b"\x04" + bytes([len(ready)]) + ready + b"\x02" + struct.pack(">Q", claim))
                    for _ in range(64):
                        s.sendall(b"y" * (1 << 20))
                except OSError:
                    pass
                most.append(s)
        time.sleep(0.2)
        told["done"] = True
        os.write(w, json.dumps(told).encode())
        time.sleep(30)
    finally:
        os._exit(0)
most = 0
while not select.select([r], [], [], 0.02)[0]:
    most = max(most, grown())
told = json.loads(os.read(r, 10000))
most = max(most, grown())
os.kill(child, 9)
os.waitpid(child, 0)
tell(what="another user", got=told)
tell(what="memory, another user", got=most)
tell(what="the kernel", got=[run(kc, "1 + 1").reply["content"]["status"], km.is_alive()])
kc.stop_channels()
km.shutdown_kernel()
