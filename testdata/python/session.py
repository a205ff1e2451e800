"""Runs a session: cells and commands beside kernels that nbhush did not start.

usage: session.py FILE

    start NAME [DIR]     start a bare kernel called NAME; of the spec python3, or SPEC=name before
    $ COMMAND            run it; {NAME} is the id of a kernel, {NAME.file} its connection file
    NAME> CODE           execute one line in a kernel
    restart NAME, kill NAME
    heard WORD           wait until a command in the background (with & at its end) says it
    none                 wait until no endpoint of a kernel is left
    until NAME> CODE     the same, again and again until it prints "yes"
Everything is printed as it is said.
"""

import glob
import os
import re
import shlex
import subprocess
import sys
import time

from jupyter_client.manager import KernelManager
from jupyter_core.paths import jupyter_runtime_dir

LIMIT = 60
kernels = {}
background = []


def client(km):
    kc = km.client()
    kc.start_channels()
    kc.wait_for_ready(timeout=LIMIT)
    return kc


def start(name, folder=".", spec="python3"):
    os.makedirs(jupyter_runtime_dir(), mode=0o700, exist_ok=True)
    km = KernelManager(kernel_name=spec, connection_file=os.path.join(jupyter_runtime_dir(), "kernel-%s-%d.json" % (name, os.getpid())))
    km.start_kernel(cwd=os.path.abspath(folder))
    kernels[name] = km, client(km)


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
        line = line.rstrip("\n")
        if not line or line.startswith("#"):
            continue
        print(line, flush=True)
        words = line.split()
        at = re.match(r"(until )?(\w+)> (.*)", line)
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
    for process in background:
        process.terminate()
        print("said:", process.communicate(timeout=LIMIT)[1], end="")
