"""Runs a session: cells and commands beside kernels that nbhush did not start.

usage: session.py FILE

    start NAME [DIR]     start a bare kernel called NAME
    argv NAME ARGV…      the same, of another kernel; {} is its connection file
    encrypted NAME       the same, with keys for CURVE
    server NAME NOTEBOOK start the kernel of a notebook on a Jupyter server
    busy NAME CODE       execute it and do not wait for its end
    $ COMMAND            run it; {NAME} is the id of a kernel, {NAME.file} its connection file
    NAME> CODE           execute one line in a kernel, or several with ¶ between them
    restart NAME, kill NAME
    heard WORD           wait until a command in the background (with & at its end) says it
    none                 wait until no endpoint of a kernel is left
    until NAME> CODE     the same, again and again until it prints "yes"
Everything is printed as it is said.
"""

import glob
import json
import os
import re
import shlex
import subprocess
import sys
import time
import urllib.request

from jupyter_client.blocking import BlockingKernelClient
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import KernelManager
from jupyter_core.paths import jupyter_runtime_dir

LIMIT = 60
os.environ["PATH"] += os.pathsep + os.path.dirname(sys.executable)
kernels = {}
background = []


def client(km):
    kc = km.client()
    kc.start_channels()
    kc.wait_for_ready(timeout=LIMIT)
    return kc


class Other(KernelManager):
    """Starts what no kernel spec names."""

    argv = None

    @property
    def kernel_spec(self):
        return KernelSpec(argv=self.argv, display_name="other", language="other")


def start(name, folder=".", manager=KernelManager, **kw):
    os.makedirs(jupyter_runtime_dir(), mode=0o700, exist_ok=True)
    km = manager(connection_file=os.path.join(jupyter_runtime_dir(), "kernel-%s-%d.json" % (name, os.getpid())), **kw)
    km.start_kernel(cwd=os.path.abspath(folder))
    kernels[name] = km, client(km)


class Server:
    """A Jupyter server, and what session.py needs of a kernel manager."""

    process = None

    def __init__(self, notebook):
        if not Server.process:
            log = open("server.log", "w")
            Server.process = subprocess.Popen(
                [sys.executable, "-m", "jupyter_server", "--ip=127.0.0.1", "--port=0", "--no-browser", "--allow-root"], stdout=log, stderr=log)
            Server.info = self.wait()
        body = {"path": notebook, "name": notebook, "type": "notebook", "kernel": {"name": "python3"}}
        self.id = self.ask("api/sessions", body)["kernel"]["id"]
        self.connection_file = os.path.join(jupyter_runtime_dir(), "kernel-%s.json" % self.id)

    def wait(self):
        end = time.monotonic() + LIMIT
        while time.monotonic() < end:
            for file in glob.glob(os.path.join(jupyter_runtime_dir(), "jpserver-*.json")):
                try:
                    with open(file) as f:
                        return json.load(f)
                except ValueError:
                    pass
            time.sleep(0.05)
        sys.exit("no server: " + open("server.log").read())

    def ask(self, path, body, method="POST"):
        r = urllib.request.Request(Server.info["url"] + path, json.dumps(body).encode(), method=method,
                                   headers={"Authorization": "token " + Server.info["token"]})
        with urllib.request.urlopen(r, timeout=LIMIT) as answer:
            return json.loads(answer.read() or b"{}")

    def client(self):
        kc = BlockingKernelClient(connection_file=self.connection_file)
        kc.load_connection_file()
        return kc

    def shutdown_kernel(self, now):
        self.ask("api/kernels/" + self.id, {}, "DELETE")


def execute(name, code):
    texts = []

    def hook(m):
        c = m["content"]
        texts.append(c.get("text") or c.get("data", {}).get("text/plain") or "\n".join(c.get("traceback", [])))

    reply = kernels[name][1].execute_interactive(code, output_hook=hook, timeout=LIMIT, allow_stdin=False)
    return reply["content"].get("execution_count"), re.sub(r"\x1b\[[0-9;]*m", "", "".join(t for t in texts if t))


def command(line):
    def fill(m):
        km = kernels[m.group(1)][0]
        file = km.connection_file
        return file if m.group(2) else os.path.basename(file)[len("kernel-"):-len(".json")]

    argv = shlex.split(re.sub(r"\{(\w+)(\.file)?\}", fill, line))
    if argv[-1] == "&":
        process = subprocess.Popen(argv[:-1], stderr=subprocess.PIPE, text=True)
        background.append(process)
        print(process.stderr.readline(), end="")  # it is ready
        return
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=LIMIT)
    print(done.stdout, end="")
    if done.returncode:
        print("exit", done.returncode)


def none():
    end = time.monotonic() + LIMIT
    while glob.glob(os.path.join(os.environ["NBHUSH_HOME"], "run", "k-*")):
        if time.monotonic() > end:
            sys.exit("endpoints are left")
        time.sleep(0.05)
    print("NONE")


def main(lines):
    for line in lines:
        line = line.rstrip("\n").replace("¶", "\n")
        if not line or line.startswith("#"):
            continue
        print(line, flush=True)
        words = line.split()
        at = re.match(r"(until )?(\w+)> (.*)", line, re.DOTALL)
        if line.startswith("$ "):
            command(line[2:])
        elif at and at.group(1):
            end = time.monotonic() + LIMIT
            while execute(at.group(2), at.group(3))[1].strip() != "yes":
                if time.monotonic() > end:
                    sys.exit("never: " + line)
                time.sleep(0.05)
        elif at:
            print(execute(at.group(2), at.group(3))[1])
        elif words[0] == "start":
            start(*words[1:])
        elif words[0] == "argv":
            Other.argv = [w.replace("{}", "{connection_file}") for w in shlex.split(line)[2:]]
            start(words[1], manager=Other)
        elif words[0] == "encrypted":
            start(words[1], transport_encryption="required")
        elif words[0] == "server":
            km = Server(words[2])
            kernels[words[1]] = km, client(km)
        elif words[0] == "busy":
            kernels[words[1]][1].execute(line.split(None, 2)[2])
        elif words[0] == "restart":
            km, kc = kernels[words[1]]
            km.restart_kernel(now=True)
            kc.stop_channels()
            kernels[words[1]] = km, client(km)
        elif words[0] == "kill":
            km, kc = kernels.pop(words[1])
            kc.stop_channels()
            km.shutdown_kernel(now=True)
        elif words[0] == "heard":
            said = ""
            while words[1] not in said:
                said = background[-1].stderr.readline()
                print(said, end="")
        elif words[0] == "none":
            none()
        else:
            sys.exit("what is " + line)
        sys.stdout.flush()


try:
    with open(sys.argv[1]) as f:
        main(f)
finally:
    for km, kc in kernels.values():
        kc.stop_channels()
        km.shutdown_kernel(now=True)
    if Server.process:
        Server.process.terminate()
        Server.process.wait()
    for process in background:
        process.terminate()
        print("said:", process.communicate(timeout=LIMIT)[1], end="")
