"""A cell asks for a secret in a loop while the agent is killed again and again.

agent_killed.py KERNEL NBHUSH NAME: prints one JSON object.
"""
import json
import os
import subprocess
import sys
import time

from jupyter_client.manager import KernelManager

kernel, nbhush, name = sys.argv[1:]
km = KernelManager(kernel_name=kernel)
km.start_kernel(stdout=sys.stderr)
kc = km.client()
kc.start_channels()
kc.wait_for_ready(timeout=120)
CELL = """
import json, nbhush, os, time
told = {"ok": 0, "away": 0, "wrong": 0, "slowest": 0}
first = str.__str__(nbhush.get(%r))
end = time.monotonic() + 6
while time.monotonic() < end or not last:
    began = time.monotonic()
    try:
        last = str.__str__(nbhush.get(%r)) == first
        told["ok" if last else "wrong"] += 1
    except nbhush.Error as e:
        last = False
        told["away"] += 1
        told["error"] = str(e)
    told["slowest"] = max(told["slowest"], time.monotonic() - began)
    if time.monotonic() > end + 60: break
told["last"] = last
print(json.dumps(told))
print(first)
""" % (name, name)
began = time.monotonic()
msg_id = kc.execute(CELL)
kills = 0
while time.monotonic() - began < 5:
    out = subprocess.run([nbhush, "agent", "start", "--json"], capture_output=True, text=True)
    try:
        os.kill(json.loads(out.stdout)["pid"], 9)
        kills += 1
    except (ValueError, KeyError, ProcessLookupError):
        pass
    time.sleep(0.15 * (kills % 5))
text = ""
while True:
    m = kc.get_iopub_msg(timeout=120)
    if m["parent_header"].get("msg_id") != msg_id:
        continue
    if m["msg_type"] == "stream":
        text += m["content"]["text"]
    if m["msg_type"] == "error":
        text += json.dumps({"failed": m["content"]["evalue"]}) + "\n"
    if m["msg_type"] == "status" and m["content"]["execution_state"] == "idle":
        break
told, shown = text.split("\n", 1)
kc.stop_channels()
km.shutdown_kernel()
print(json.dumps({**json.loads(told), "shown": shown, "kills": kills}))
