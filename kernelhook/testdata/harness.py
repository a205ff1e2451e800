"""Starts kernels behind the hook for the tests; prints one JSON object a line."""

import json
import os
import queue
import random
import sys
import time

from jupyter_client.kernelspec import KernelSpec
from jupyter_client.localinterfaces import local_ips
from jupyter_client.manager import KernelManager
from traitlets import default

HOOK = json.loads(os.environ["NBHUSH_TEST_HOOK"])  # argv before -f
LIMIT = float(os.environ.get("NBHUSH_TEST_LIMIT", "120"))
# An address of this script's own: nobody else's kernel takes a port there between jupyter_client's choice and the hook.
ADDRESS = "127.%d.%d.%d" % (random.randrange(1, 255), random.randrange(256), random.randrange(1, 255))
local_ips().append(ADDRESS)


class Manager(KernelManager):
    """A manager whose kernels run behind the hook, or bare."""

    hooked = True
    command = None

    @default("ip")
    def _ip(self):
        return ADDRESS if self.transport == "tcp" else self._ip_default()

    @property
    def kernel_spec(self):
        argv = self.command or [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        if self.hooked:
            argv = HOOK + ["-f", "{connection_file}", "--"] + argv
        return KernelSpec(argv=argv, display_name="test", language="python", interrupt_mode="signal",
                          metadata={"supported_encryption": ["curve"]})


def start(hooked=True, command=None, **kw):
    km = Manager(**kw)
    km.hooked, km.command = hooked, command
    km.start_kernel(stdout=sys.stderr)  # the log of a server
    return km


def client(km, **kw):
    kc = km.client(**kw)
    kc.start_channels()
    kc.wait_for_ready(timeout=LIMIT)
    return kc


def ready(kc):
    """Wait, after a restart, until the kernel answers and is heard on iopub.

    wait_for_ready takes what the kernel before left on iopub for a sign of this one.
    """
    end = time.monotonic() + LIMIT
    while time.monotonic() < end:
        msg_id = kc.kernel_info()
        try:
            for get in (kc.get_shell_msg, kc.get_iopub_msg):
                while get(timeout=1)["parent_header"].get("msg_id") != msg_id:
                    pass
            return
        except queue.Empty:
            pass
    raise TimeoutError("the kernel is not ready")


class Outcome:
    def __init__(self):
        self.messages = []
        self.reply = None

    def text(self, kind="stream"):
        return "".join(m["content"].get("text", "") for m in self.messages if m["msg_type"] == kind)

    def of(self, kind):
        return [m["content"] for m in self.messages if m["msg_type"] == kind]

    def types(self):
        return [m["msg_type"] for m in self.messages]


def run(kc, code, stdin=None, timeout=LIMIT, **kw):
    """Execute code and collect everything until idle and the reply."""
    out = Outcome()
    end = time.monotonic() + timeout
    msg_id = kc.execute(code, allow_stdin=stdin is not None, **kw)
    idle = False
    while not idle:
        if stdin is not None:
            try:
                m = kc.get_stdin_msg(timeout=0)
                out.messages.append(m)
                kc.input(stdin)
            except queue.Empty:
                pass
        try:
            m = kc.get_iopub_msg(timeout=0.05 if stdin is not None else max(0.01, end - time.monotonic()))
        except queue.Empty:
            if time.monotonic() > end:
                raise TimeoutError(code)
            continue
        if m["parent_header"].get("msg_id") != msg_id:
            continue
        out.messages.append(m)
        idle = m["msg_type"] == "status" and m["content"]["execution_state"] == "idle"
    while True:
        m = kc.get_shell_msg(timeout=max(0.01, end - time.monotonic()))
        if m["parent_header"].get("msg_id") == msg_id:
            out.reply = m
            return out


def tell(**kw):
    print(json.dumps(kw, default=str), flush=True)
