"""What goes wrong between a client and its kernel: the same behind the hook as bare."""
import signal
import socket
import subprocess
import uuid

from harness import *

import zmq
from jupyter_client.session import Session

mode = sys.argv[1] == "hooked"
km = start(mode)
kc = client(km)
info = km.get_connection_info()
ports = {c: info[c + "_port"] for c in ("shell", "control", "stdin", "iopub", "hb")}
ctx = zmq.Context()


def dealer(channel="shell"):
    d = ctx.socket(zmq.DEALER)
    d.linger, d.identity = 0, uuid.uuid4().bytes
    d.connect("tcp://%s:%d" % (ADDRESS, ports[channel]))
    return d


def count():
    return int(run(kc, "n").of("execute_result")[0]["data"]["text/plain"])


def add(session):
    """The frames of a request that adds one to n."""
    msg = session.msg("execute_request", {"code": "n += 1", "silent": False, "store_history": False, "user_expressions": {}, "allow_stdin": False, "stop_on_error": True})
    return session.serialize(msg)


run(kc, "n = 0")
# A message that was recorded and is sent again, by its client and by another one.
session = Session(key=info["key"])
frames = add(session)
d = dealer()
d.send_multipart(frames)
d.poll(LIMIT * 1000)
first = d.recv_multipart()[-5][:1] != b""
d.send_multipart(frames)
other = dealer()
other.send_multipart(frames)
tell(what="replayed", got=[first, count(), d.poll(500), other.poll(0)])

# Signatures that are not the client's.
other = dealer()
forged = Session(key=b"another")
other.send_multipart(add(forged))
good = add(session)
bad = list(good)
bad[-1] = bad[-1].replace(b"n += 1", b"n += 5")
other.send_multipart(bad)
bad = list(good)
bad[1] = b""
other.send_multipart(bad)
bad[1] = bad[1][:-1] + b"\xff"
other.send_multipart(bad)
tell(what="forged", got=[count(), other.poll(500)])

# Messages that lack frames, or have others.
other = dealer()
good = add(session)
for n in range(len(good)):
    other.send_multipart(good[:n] or [b""])
other.send_multipart(good[1:])
other.send_multipart([b"<IDS|MSG>"] * 7)
other.send_multipart([b"x"] * 300)
other.send_multipart(good[:2] + [b"{", b"[", b"nul", b'"'])
for header in (b"", b"{}", b"[]", b"null", b'"' + b"x" * 70000, b'{"msg_type": 1, "msg_id": 2}', b'{"msg_type": "execute_request"}', b"\xff\xfe", b'{"msg_id": "a", "msg_type": "no_such_request"}'):
    parts = [header, b"{}", b"{}", b"{}"]
    other.send_multipart([b"<IDS|MSG>", session.sign(parts), *parts])
tell(what="truncated", got=[count(), other.poll(500)])
d.send_multipart(add(session))
tell(what="the next one", got=[d.poll(LIMIT * 1000), count()])

# A client that is killed while its cell prints, while it waits for input, and in the middle of a frame.
gone = """
import sys, json, os, time
from jupyter_client import BlockingKernelClient
kc = BlockingKernelClient(); kc.load_connection_file(sys.argv[1]); kc.start_channels(hb=False); kc.wait_for_ready(timeout=120)
kc.execute(sys.argv[2], allow_stdin=True)
while True:
    m = kc.get_stdin_msg(timeout=120) if 'input' in sys.argv[2] else kc.get_iopub_msg(timeout=120)
    if m['msg_type'] in ('stream', 'input_request'): break
os.kill(os.getpid(), 9)
"""


def vanish(code):
    return subprocess.run([sys.executable, "-c", gone, km.connection_file, code], timeout=LIMIT).returncode


code = vanish("import time\nfor i in range(40): print('x' * 100000, i, flush=True); time.sleep(0.01)\nn = 100")
tell(what="vanished while it printed", got=[code, count()])
code = vanish("n = 'asked'; n = input('? ')")
other = km.client()
other.session = Session(key=info["key"])
other.start_channels()
km.interrupt_kernel()
o = run(kc, "n")
while o.reply["content"]["status"] == "aborted":  # what waited behind the interrupted cell
    o = run(kc, "n")
tell(what="vanished while it was asked", got=[code, o.of("execute_result")[0]["data"]["text/plain"]])
other.stop_channels()
s = socket.create_connection((ADDRESS, ports["shell"]))
s.sendall(b"\xff" + bytes(8) + b"\x7f\x03\x01" + b"NULL" + bytes(16) + b"\x00" + bytes(31) + b"\x04\x19\x05READY\x0bSocket-Type\x00\x00\x00\x06DEALER"[:20])
s.close()
run(kc, "n = 7")
tell(what="vanished in a frame", got=count())

# The kernel is killed while clients wait.
kernel = int(run(kc, "import os; os.getpid()").of("execute_result")[0]["data"]["text/plain"])
kc.execute("import time; time.sleep(60)")
os.kill(kernel, signal.SIGKILL)
tell(what="kernel killed", got=km.provisioner.process.wait(timeout=LIMIT))
km.restart_kernel(now=True)
ready(kc)
tell(what="restarted", got=run(kc, "print('again')").text())
ctx.destroy(linger=0)
kc.stop_channels()
km.shutdown_kernel()
