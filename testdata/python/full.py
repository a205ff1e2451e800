"""Kernels while the runtime directory is full. full.py KERNEL DIRECTORY"""
import json
import os
import sys

from jupyter_client.manager import KernelManager

kernel, directory = sys.argv[1:]
os.environ["JUPYTER_RUNTIME_DIR"] = os.path.join(os.environ["HOME"], "jupyter")  # Jupyter's own is elsewhere


def start():
    km = KernelManager(kernel_name=kernel)
    km.start_kernel(stdout=sys.stderr)
    kc = km.client()
    kc.start_channels()
    return km, kc


def run(kc, code):
    text = []

    def hook(m):
        if m["msg_type"] == "stream":
            text.append(m["content"]["text"])
        if m["msg_type"] == "error":
            text.append(m["content"]["evalue"])

    kc.execute_interactive(code, timeout=120, output_hook=hook)
    return "".join(text)


told = {}
km, kc = start()
kc.wait_for_ready(timeout=120)
with open(os.path.join(directory, "filler"), "wb", buffering=0) as f:
    size = 65536
    while size:
        try:
            f.write(b"x" * size)
        except OSError:
            size //= 2
told["running"] = run(kc, "import os, nbhush; print(os.environ['CANARY'], nbhush.get('CANARY'))")
other, oc = start()
try:
    oc.wait_for_ready(timeout=120)
    told["fresh"] = run(oc, "import os; print(os.environ['CANARY'])")
except RuntimeError as e:
    told["fresh"] = "died: " + str(e)
oc.stop_channels()
other.shutdown_kernel(now=True)
os.remove(os.path.join(directory, "filler"))
other, oc = start()
oc.wait_for_ready(timeout=120)
told["again"] = run(oc, "import os; print(os.environ['CANARY'])")
for k, c in ((km, kc), (other, oc)):
    c.stop_channels()
    k.shutdown_kernel(now=True)
print(json.dumps(told))
