"""Writes the messages of a real ipykernel and a real client, frame by frame as libzmq
delivers them, for testdata/jupyter: python3 capture.py DIRECTORY. Run by hand when
jupyter_client changes. The key of their signatures is not-a-real-key."""
import pathlib
import sys
import time

import zmq
from jupyter_client.manager import KernelManager
from jupyter_client.session import Session

KEY = b"not-a-real-key"
km = KernelManager()
km.start_kernel()
info = km.get_connection_info()
context = zmq.Context()


def connect(kind, channel):
    s = context.socket(kind)
    s.linger, s.identity = 0, b"client"
    s.connect("tcp://127.0.0.1:%d" % info[channel + "_port"])
    return s


iopub = connect(zmq.SUB, "iopub")
iopub.subscribe(b"")
channels = {c: connect(zmq.DEALER, c) for c in ("shell", "control", "stdin")}
session = Session(key=info["key"], username="user")
signer = Session(key=KEY)
seen = {}


def note(channel, frames):
    i = frames.index(b"<IDS|MSG>")
    kind = session.unpack(frames[i + 2])["msg_type"]
    text = b"".join(frames)
    if b"/home/" in text or b"/root" in text or b"/tmp" in text:
        return
    frames = list(frames)
    frames[i + 1] = signer.sign(frames[i + 2 : i + 6])
    seen.setdefault((channel, kind), frames)


def listen(until):
    poller = zmq.Poller()
    for s in (iopub, *channels.values()):
        poller.register(s, zmq.POLLIN)
    end = time.monotonic() + 5
    done = set()
    while time.monotonic() < end and done < {"idle", "reply"}:
        for s, _ in poller.poll(500):
            frames = s.recv_multipart()
            channel = "iopub" if s is iopub else next(c for c, o in channels.items() if o is s)
            note(channel, frames)
            i = frames.index(b"<IDS|MSG>")
            header, parent, content = (session.unpack(frames[i + n]) for n in (2, 3, 5))
            if header["msg_type"] == "input_request":
                send("stdin", "input_reply", {"value": "typed"}, wait=False)
            if parent.get("msg_id") == until:
                if content.get("execution_state") == "idle":
                    done.add("idle")
                if header["msg_type"].endswith("_reply"):
                    done.add("reply")


def send(channel, kind, content, buffers=None, wait=True):
    msg = session.msg(kind, content)
    frames = session.serialize(msg) + (buffers or [])
    note(channel, frames)
    channels[channel].send_multipart(frames)
    if wait:
        listen(msg["header"]["msg_id"])


def execute(code, stdin=False):
    send("shell", "execute_request", {"code": code, "silent": False, "store_history": True, "user_expressions": {"e": "1+1"}, "allow_stdin": stdin, "stop_on_error": True})


time.sleep(2)
send("shell", "kernel_info_request", {})
execute("print('stream \\u00e9 \\U0001f600', flush=True); 'result'")
execute("1/0")
execute("from IPython.display import display, clear_output; h = display('d', display_id='x'); h.update('u'); clear_output()")
execute("from comm import create_comm; c = create_comm(target_name='t', data={'n': [1.5, None]}, buffers=[b'\\x00\\xff', b'']); c.send({}); c.close()")
execute("input('? ')", stdin=True)
send("shell", "comm_open", {"comm_id": "c", "target_name": "none", "data": {}}, buffers=[b"\x00" * 300, b"<IDS|MSG>"], wait=False)
send("shell", "complete_request", {"code": "pri", "cursor_pos": 3})
send("shell", "inspect_request", {"code": "print", "cursor_pos": 5, "detail_level": 0})
send("shell", "is_complete_request", {"code": "if x:"})
send("shell", "history_request", {"hist_access_type": "tail", "n": 2, "output": False, "raw": True})
send("shell", "comm_info_request", {})
send("control", "debug_request", {"type": "request", "seq": 1, "command": "debugInfo", "arguments": {}})
send("control", "create_subshell_request", {})
send("control", "interrupt_request", {})
send("control", "shutdown_request", {"restart": False})
folder = pathlib.Path(sys.argv[1])
for (channel, kind), frames in seen.items():
    (folder / f"{channel}-{kind}.hex").write_text("".join(f.hex() + "\n" for f in frames))
context.destroy(linger=0)
km.shutdown_kernel(now=True)
