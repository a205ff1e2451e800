"""Drives real Jupyter software for the tests; prints what it saw as one JSON object."""

import json
import logging
import os
import queue
import random
import subprocess
import sys
import time
import urllib.error
import urllib.request

DEADLINE = 180


def wait(what, condition):
    """Poll until condition() is true, or end with what was waited for."""
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise TimeoutError(what)


def run(client, code):
    """Execute code and return what it prints, returns or raises, as text."""
    seen = []

    def hook(msg):
        content = msg["content"]
        if msg["msg_type"] == "stream":
            seen.append(content["text"])
        elif msg["msg_type"] == "execute_result":
            seen.append(content["data"]["text/plain"])
        elif msg["msg_type"] == "error":
            seen.append(content["ename"])

    client.execute_interactive(code, timeout=DEADLINE, output_hook=hook, allow_stdin=False)
    return "".join(seen).strip()


def ready(client):
    """Wait until the kernel answers on shell and is heard on iopub, which connects in its own time.

    Unlike wait_for_ready, this asks no heartbeat: on a busy machine one may be late. What an
    earlier kernel said on iopub does not count.
    """

    def answers():
        msg_id = client.kernel_info()
        try:
            while client.get_shell_msg(timeout=1)["parent_header"].get("msg_id") != msg_id:
                pass
            while client.get_iopub_msg(timeout=1)["parent_header"].get("msg_id") != msg_id:
                pass
            return True
        except queue.Empty:
            return None

    wait("the kernel's answer", answers)


def interrupted(client, interrupt):
    """Interrupt a cell that sleeps, once it says that it runs; return how it ended.

    The cell says so again and again: an interrupt that finds the kernel in code of its own
    may end the cell without a word, so the second word is waited for, which a sleep is behind.
    """
    words = 0
    ename = None
    msg_id = client.execute("import time\nfor _ in range(60): print('runs', flush=True); time.sleep(1)")
    while True:
        msg = client.get_iopub_msg(timeout=DEADLINE)
        if msg["parent_header"].get("msg_id") != msg_id:
            continue
        if msg["msg_type"] == "stream" and "runs" in msg["content"]["text"]:
            words += 1
            if words == 2:
                interrupt()
        if msg["msg_type"] == "error":
            ename = msg["content"]["ename"]
        if msg["msg_type"] == "status" and msg["content"]["execution_state"] == "idle":
            return ename


def server(log, name="python3", encryption="disabled"):
    """A kernel of a real jupyter_server, through its REST interface."""
    from jupyter_client import BlockingKernelClient
    from jupyter_core.paths import jupyter_runtime_dir

    with open(log, "ab") as out:
        child = subprocess.Popen(
            [sys.executable, "-m", "jupyter_server", "--no-browser", "--port=0", "--allow-root", "--ServerApp.ip=127.0.0.1",
             "--MappingKernelManager.transport_encryption=" + encryption],
            stdout=out, stderr=out, stdin=subprocess.DEVNULL,
        )
    result = {}
    try:
        info_file = os.path.join(jupyter_runtime_dir(), "jpserver-%d.json" % child.pid)

        def info():
            if child.poll() is not None:
                raise RuntimeError("the server ended")
            try:
                with open(info_file) as f:
                    return json.load(f)
            except (OSError, ValueError):
                return None

        at = wait("the server", info)

        def ask(method, path, body=None):
            req = urllib.request.Request(
                at["url"] + "api/kernels" + path, method=method,
                data=None if body is None else json.dumps(body).encode(),
                headers={"Authorization": "token " + at["token"]},
            )
            with urllib.request.urlopen(req, timeout=DEADLINE) as r:
                text = r.read()
                return json.loads(text) if text else None

        def answers():
            try:
                return ask("GET", "") is not None
            except urllib.error.URLError:
                return False

        wait("the server's answer", answers)  # its file is there before it listens
        kernel = ask("POST", "", {"name": name})["id"]
        client = BlockingKernelClient(connection_file=os.path.join(jupyter_runtime_dir(), "kernel-%s.json" % kernel))
        client.load_connection_file()
        result["curve"] = client.curve_publickey is not None
        client.start_channels(hb=False)
        ready(client)
        result["result"] = run(client, "x = 1; print(6 * 7)")
        pid = int(run(client, "import os; print(os.getpid())"))
        result["interrupt"] = interrupted(client, lambda: ask("POST", "/%s/interrupt" % kernel, {}))
        ask("POST", "/%s/restart" % kernel, {})
        ready(client)
        result["restart"] = run(client, "'x' in globals()")
        result["ended"] = wait("the old kernel to end", lambda: not os.path.exists("/proc/%d/stat" % pid)) if os.path.isdir("/proc/self") else True
        pid = int(run(client, "import os; print(os.getpid())"))
        client.stop_channels()
        ask("DELETE", "/%s" % kernel)
        if os.path.isdir("/proc/self"):
            wait("the kernel to end", lambda: not os.path.exists("/proc/%d/stat" % pid))
        result["left"] = len(ask("GET", ""))
    finally:
        child.terminate()
        child.wait(DEADLINE)
    return result


class Lines(logging.Handler):
    """Keeps what is logged."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.lines = []

    def emit(self, record):
        self.lines.append(record.getMessage())


def manager(name, encryption="disabled", interrupt_mode="signal"):
    """A kernel of jupyter_client's own manager, which reads no configuration."""
    import asyncio

    from jupyter_client.localinterfaces import local_ips
    from jupyter_client.manager import KernelManager

    # Jupyter finds a kernel's ports and lets them go before the kernel binds them: nobody
    # else takes one on an address of this kernel's own.
    address = "127.%d.%d.%d" % (random.randrange(1, 255), random.randrange(256), random.randrange(1, 255))
    local_ips().append(address)
    kept = Lines()
    log = logging.getLogger("test")
    log.addHandler(kept)
    km = KernelManager(kernel_name=name, log=log, ip=address)
    result = {"log": kept.lines}
    try:
        km.start_kernel(**({} if encryption == "disabled" else {"transport_encryption": encryption}))
    except Exception as e:
        result["error"] = "%s: %s" % (type(e).__name__, e)
        return result
    p = km.provisioner
    try:
        km.kernel_spec.interrupt_mode = interrupt_mode
        result["provisioner"] = type(p).__name__
        client = km.client()
        client.start_channels()
        client.wait_for_ready(timeout=DEADLINE)
        result["result"] = run(client, "print(6 * 7)")
        result["curve"] = bool(km.get_connection_info().get("curve_publickey"))
        info = asyncio.run(p.get_provisioner_info())
        result["info"] = info["pid"] == p.pid and info["pgid"] == p.pgid and info["kernel_id"] == km.kernel_id
        result["alive"] = p.has_process and km.is_alive() and asyncio.run(p.poll()) is None
        result["wait"] = p.get_shutdown_wait_time(3.5)
        result["interrupt"] = interrupted(client, km.interrupt_kernel)
        km.restart_kernel(now=False)
        ready(client)
        result["restart"] = run(client, "print(6 * 8)")
        client.stop_channels()
        km.shutdown_wait_time = DEADLINE
        km.shutdown_kernel()
        result["stopped"] = not p.has_process and not km.is_alive()
        result["asked"] = km._shutdown_status.value == "ShutdownRequest"  # not SIGTERM, not SIGKILL
    finally:
        if km.has_kernel:
            km.shutdown_kernel(now=True)
    return result


def outlives(folder, name):
    """A kernel of a process that read its configuration before the folder was removed."""
    import shutil

    from jupyter_core.application import JupyterApp

    JupyterApp().load_config_file()
    shutil.rmtree(folder)
    return manager(name)


def notebook(name):
    """A notebook through nbclient."""
    import nbformat
    from nbclient import NotebookClient

    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("print(6 * 7)\n6 * 8")])
    NotebookClient(nb, kernel_name=name, timeout=DEADLINE).execute()
    return {"outputs": [o.get("text") or o["data"]["text/plain"] for o in nb.cells[0].outputs]}


def paths():
    """Where Jupyter's files are, by Jupyter's own word."""
    from jupyter_core import paths

    return {"config": paths.jupyter_config_dir(), "data": paths.jupyter_data_dir()}


def configured():
    """What an application's kernels start with after all configuration files were read."""
    from jupyter_client.provisioning import KernelProvisionerFactory
    from jupyter_core.application import JupyterApp

    kept = Lines()
    app = JupyterApp()
    app.log.addHandler(kept)
    for _ in range(2):  # a server with extensions reads its files several times
        app.load_config_file()
    folders = [p for p in sys.path if os.path.basename(p) == "jupyter"]
    factory = KernelProvisionerFactory.instance(parent=app)
    return {"name": factory.default_provisioner_name, "log": kept.lines, "folders": len(folders)}


def execute(path):
    """A notebook through jupyter nbconvert, whose factory gets no configuration."""
    out = subprocess.run(
        [sys.executable, "-m", "jupyter", "nbconvert", "--execute", "--to", "markdown", "--stdout", path],
        stdout=subprocess.PIPE, check=True, timeout=DEADLINE,
    )
    return {"result": " ".join(out.stdout.decode().split()[-2:])}


if __name__ == "__main__":
    print(json.dumps(globals()[sys.argv[1]](*sys.argv[2:])))
