"""Fifty requests a second through a kernel, and what that does to the hook and the agent.

soak.py KERNEL SECONDS AGENT_PID: prints one JSON object with the samples.
"""
import json
import os
import queue
import sys
import threading
import time

import psutil
from jupyter_client.manager import KernelManager
from jupyter_client.session import Session

kernel, seconds, agent_pid = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
LIMIT = 60
PAUSE = 0.02

km = KernelManager(kernel_name=kernel)
km.start_kernel(stdout=sys.stderr)
kc = km.client()
kc.start_channels()
kc.wait_for_ready(timeout=LIMIT)
processes = {"hook": psutil.Process(km.provisioner.process.pid), "agent": psutil.Process(agent_pid)}


def execute(code):
    kc.execute(code, allow_stdin=False)


execute("import os, nbhush; from IPython.display import display, HTML; from comm import create_comm; v = os.environ['CANARY']; c = create_comm(target_name='x')")
REQUESTS = [
    lambda: kc.kernel_info(),
    lambda: execute("print('a line', v)"),
    lambda: execute("display(HTML('<b>' + v + '</b>' + 'x' * 10000))"),
    lambda: kc.complete("os.pa", 5),
    lambda: execute("c.send({'a': v}, buffers=[b'x' * 2000])"),
    lambda: execute("raise ValueError(v)"),
    lambda: execute("nbhush.get('CANARY')"),
    lambda: kc.inspect("os", 2),
    lambda: execute("for i in range(20): print(i, flush=True)"),
    lambda: execute("print('\\x1b[31m' + v[:9] + '\\x1b[0m' + v[9:])"),
]
counts = {"sent": 0, "replies": 0, "iopub": 0, "placeholders": 0, "clients": 0}
done = threading.Event()


def drain(get, what):
    while not done.is_set():
        try:
            m = get(timeout=0.5)
        except queue.Empty:
            continue
        counts[what] += 1
        if m["msg_type"] == "stream":
            counts["placeholders"] += "[nbhush:CANARY]" in m["content"]["text"]


threads = [threading.Thread(target=drain, args=a) for a in ((kc.get_shell_msg, "replies"), (kc.get_iopub_msg, "iopub"))]
[t.start() for t in threads]


def visitor():
    """A client that comes, asks, and goes."""
    other = km.client()
    other.session = Session(key=km.session.key)
    other.start_channels()
    other.kernel_info(reply=True, timeout=LIMIT)
    other.stop_channels()
    counts["clients"] += 1


samples = []
began = time.monotonic()
sample_every = max(1.0, seconds / 60)
next_sample, next_visit, tick = began, began + 2, began
while time.monotonic() - began < seconds:
    REQUESTS[counts["sent"] % len(REQUESTS)]()
    counts["sent"] += 1
    now = time.monotonic()
    if now >= next_visit:
        visitor()
        next_visit = now + 5
    if now >= next_sample:
        samples.append({"at": round(now - began, 1), **{
            name: {"rss": p.memory_info().rss, "fds": p.num_fds(), "threads": p.num_threads(), "cpu": sum(p.cpu_times()[:2])}
            for name, p in processes.items()}})
        next_sample += sample_every
    tick += PAUSE
    time.sleep(max(0, tick - time.monotonic()))
end = time.monotonic() + LIMIT
while counts["replies"] < counts["sent"] and time.monotonic() < end:
    time.sleep(0.1)
done.set()
[t.join() for t in threads]
kc.stop_channels()
km.shutdown_kernel()
print(json.dumps({"samples": samples, "counts": counts}))
