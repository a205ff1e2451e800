"""Measures a bare kernel and a wrapped one in turn and prints figures as JSON.

usage: bench_kernel.py BARE HOOKED ROUNDS > figures.json

For each kernel: start to first reply and seconds for 200 MB and for 100,000
lines, from the request until the client has everything; for the wrapped one
also the memory of the hook, in MB, idle and 5 s after a burst, and what a
nbhush.get from a running cell takes, in µs, in each round: a virtual machine
has better and worse seconds.
"""

import json
import re
import sys
import time

import zmq
from jupyter_client import KernelManager

BIG = "import sys\nblock = ('x' * 99 + '\\n') * 10_000\nfor _ in range(200): sys.stdout.write(block)"
LINES = "for i in range(100_000): print(i, 'a line that is no secret')"
SMALL = 100_000 * len("a line that is no secret")
GET = """
import nbhush, time
def once():
    t = time.perf_counter_ns(); nbhush.get('BENCH_KEY'); return (time.perf_counter_ns() - t) / 1000
for _ in range(500): once()
took = sorted(once() for _ in range(4000))
print('figures', took[2000], took[3960])
"""


class Kernel:
    def __init__(self, name):
        began = time.perf_counter()
        self.manager = KernelManager(kernel_name=name)
        self.manager.start_kernel()
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)
        self.started = time.perf_counter() - began
        self.client.stop_channels()
        info = self.manager.get_connection_info()
        context = zmq.Context.instance()
        self.sub = context.socket(zmq.SUB)
        self.sub.rcvhwm = 0
        self.sub.connect(f"tcp://{info['ip']}:{info['iopub_port']}")
        self.sub.subscribe(b"")
        self.shell = context.socket(zmq.DEALER)
        self.shell.connect(f"tcp://{info['ip']}:{info['shell_port']}")
        time.sleep(0.3)  # for the subscription

    def run(self, code):
        """Returns seconds, and the bytes and messages that arrived."""
        session = self.client.session
        message = session.msg("execute_request", {"code": code, "silent": False, "store_history": False,
                                                  "user_expressions": {}, "allow_stdin": False, "stop_on_error": True})
        wanted = message["header"]["msg_id"].encode()
        began = time.perf_counter()
        session.send(self.shell, message)
        size = count = 0
        text = []
        while True:
            frames = self.sub.recv_multipart(copy=False)
            parts = [f.buffer for f in frames]
            at = next(i for i, p in enumerate(parts) if bytes(p) == b"<IDS|MSG>") if len(parts) < 20 else 1
            if wanted not in bytes(parts[at + 3]):
                continue
            size += len(parts[at + 5])
            count += 1
            if len(parts[at + 5]) < 10_000:
                text.append(bytes(parts[at + 5]))
            if b'"idle"' in bytes(parts[at + 5][:200]):
                return time.perf_counter() - began, size, count, b"".join(text).decode()

    def memory(self):
        with open(f"/proc/{self.manager.provisioner.pid}/status") as status:
            return int(re.search(r"VmRSS:\s+(\d+)", status.read())[1]) / 1024

    def stop(self):
        self.sub.close(0)
        self.shell.close(0)
        self.manager.shutdown_kernel(now=True)


bare, hooked, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3])
figures = {"start": [], "big": [], "lines": []}
hook = Kernel(hooked)
time.sleep(2)
figures["idle"] = hook.memory()
figures["get"] = []
base = Kernel(bare)
figures["start"] = [[base.started, hook.started]]
for round in range(rounds):
    figures["get"].append([float(f) for f in re.search(r"figures ([\d.]+) ([\d.]+)", hook.run(GET)[3]).groups()])
    for name, code, least in (("big", BIG, 200_000_000), ("lines", LINES, SMALL)):
        pair = []
        for kernel in (base, hook):
            seconds, size, count, _ = kernel.run(code)
            if size < least:
                sys.exit(f"{name}: {size} bytes arrived of {least}")
            pair.append(seconds)
        figures[name].append(pair)
figures["burst"] = hook.memory()
time.sleep(5)
figures["after"] = hook.memory()
hook.stop()
base.stop()
json.dump(figures, sys.stdout)
