"""Runs a session: cells and commands beside kernels that nbhush did not start.

usage: session.py FILE

    start NAME [DIR]     start a bare kernel called NAME
    argv NAME ARGV…      the same, of another kernel; {} is its connection file, {prefix} Python's
    encrypted NAME       the same, with keys for CURVE
    server NAME SPEC NOTEBOOK, gateway NAME SPEC -, hub NAME SPEC NOTEBOOK
                         start a kernel on a Jupyter server, a kernel gateway, a server of JupyterHub
    busy NAME CODE       execute it and do not wait for its end
    $ COMMAND            run it; {NAME} is the id of a kernel, {NAME.file} its connection file
    NAME> CODE           execute one line in a kernel, or several with ¶ between them
    restart NAME, kill NAME
    heard WORD           wait until a command in the background (with & at its end) says it
    counts NAME…         the numbers of their last cells
    none                 wait until no endpoint of a kernel is left
    until NAME> CODE     the same, again and again until it prints "yes"
Everything is printed as it is said.
"""

import contextlib
import faulthandler
import glob
import http.server
import json
import os
import queue
import random
import re
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
import urllib.request

from jupyter_client.blocking import BlockingKernelClient
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.localinterfaces import local_ips
from jupyter_client.manager import KernelManager
from jupyter_core.paths import jupyter_runtime_dir

LIMIT = 120
# An address of this session's own: nobody else's kernel or connection takes a port there before the kernel that it was found for.
ADDRESS = "127.%d.%d.%d" % (random.randrange(1, 255), random.randrange(256), random.randrange(1, 255))
local_ips().append(ADDRESS)
os.environ["PATH"] += os.pathsep + os.path.dirname(sys.executable)
kernels = {}
counts = {}  # of the last cells
background = []


def client(km):
    """Connect, and wait until the kernel answers on shell and is heard on iopub, or has ended. No heartbeat is asked: one may be late."""
    kc = km.client()
    kc.start_channels(hb=False)

    def answers():
        msg_id = kc.kernel_info()
        try:
            for get in (kc.get_shell_msg, kc.get_iopub_msg):
                while (get(timeout=1)["parent_header"] or {}).get("msg_id") != msg_id:
                    pass
            return True
        except queue.Empty:
            return isinstance(km, KernelManager) and not km.is_alive()

    wait(answers)
    return kc


class Other(KernelManager):
    """Starts what no kernel spec names."""

    argv = None

    @property
    def kernel_spec(self):
        return KernelSpec(argv=self.argv, display_name="other", language="other")


def start(name, folder=".", manager=KernelManager, **kw):
    os.makedirs(jupyter_runtime_dir(), mode=0o700, exist_ok=True)
    for _ in range(3):  # a port that was found may still be taken by another kernel of this session
        km = manager(ip=ADDRESS, connection_file=os.path.join(jupyter_runtime_dir(), "kernel-%s-%d.json" % (name, os.getpid())), **kw)
        kernels[name] = km, None  # it ends with this program, also if it does not answer
        km.start_kernel(cwd=os.path.abspath(folder))
        kernels[name] = km, client(km)
        if km.is_alive():
            return
    sys.exit("%s ended" % name)


def end(km):
    """End a kernel, by a signal as shutdown_kernel(now=True) does, and without what else that waits for."""
    if not isinstance(km, KernelManager):
        km.shutdown_kernel(now=True)
    elif km.has_kernel:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(km.provisioner.pid, signal.SIGKILL)
        km.provisioner.process.wait(LIMIT)
        km.cleanup_connection_file()


class Server:
    """A server that starts kernels, and what session.py needs of a kernel manager."""

    running = {}  # by class
    token = "not-a-real-token"

    def __init__(self, spec, notebook):
        cls = type(self)
        if cls not in Server.running:
            with open("server.log", "a") as log:
                env, argv = self.command()
                Server.running[cls] = subprocess.Popen([sys.executable, "-m"] + argv, env=dict(os.environ, **env), stdout=log, stderr=log)
            wait(self.up, lambda: open("server.log").read())
        self.id = self.begin({"name": spec}, notebook)
        self.connection_file = os.path.join(jupyter_runtime_dir(), "kernel-%s.json" % self.id)

    def command(self):
        return {"JUPYTER_TOKEN": self.token}, ["jupyter_server", "--ip=127.0.0.1", "--port=0", "--no-browser", "--allow-root"]

    def up(self):
        try:
            with open(glob.glob(os.path.join(jupyter_runtime_dir(), "jpserver-*.json"))[0]) as f:
                Server.url = json.load(f)["url"]
        except (IndexError, ValueError):
            return False
        return self.answers()

    def answers(self):
        try:
            return self.ask("api") is not None
        except OSError:
            return False

    def begin(self, kernel, notebook):
        body = {"path": notebook, "name": notebook, "type": "notebook", "kernel": kernel}
        return self.ask("api/sessions", body, "POST")["kernel"]["id"]

    def ask(self, path, body=None, method="GET"):
        r = urllib.request.Request(self.url + path, body and json.dumps(body).encode(), method=method,
                                   headers={"Authorization": "token " + self.token})
        with urllib.request.urlopen(r, timeout=LIMIT) as answer:
            return json.loads(answer.read() or b"{}")

    def client(self):
        kc = BlockingKernelClient(connection_file=self.connection_file)
        kc.load_connection_file()
        return kc

    def shutdown_kernel(self, now):
        self.ask("api/kernels/" + self.id, method="DELETE")


class Gateway(Server):
    """jupyter_kernel_gateway."""

    def command(self):
        port = free_port()
        Gateway.url = "http://127.0.0.1:%d/" % port
        return {"KG_AUTH_TOKEN": self.token}, ["kernel_gateway", "--KernelGatewayApp.ip=127.0.0.1", "--KernelGatewayApp.port=%d" % port]

    def up(self):
        return self.answers()

    def begin(self, kernel, notebook):
        return self.ask("api/kernels", kernel, "POST")["id"]


class Hub(Server):
    """JupyterHub's server of one user, and as much of a Hub as it asks for."""

    def command(self):
        class Api(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                body = {"version": __import__("jupyterhub").__version__, "name": "me", "kind": "user", "admin": False, "groups": [],
                        "scopes": ["access:servers!server=me/"], "servers": {}}
                body = json.dumps(body).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_GET

            def log_message(self, *args):
                pass

        hub = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Api)
        threading.Thread(target=hub.serve_forever, daemon=True).start()
        Hub.url = "http://127.0.0.1:%d/user/me/" % free_port()
        return {
            "JUPYTERHUB_API_URL": "http://127.0.0.1:%d/hub/api" % hub.server_port, "JUPYTERHUB_API_TOKEN": "another-token",
            "JUPYTERHUB_USER": "me", "JUPYTERHUB_CLIENT_ID": "jupyterhub-user-me", "JUPYTERHUB_BASE_URL": "/", "JUPYTERHUB_HOST": "",
            "JUPYTERHUB_SERVICE_PREFIX": "/user/me/", "JUPYTERHUB_SERVICE_URL": Hub.url, "JUPYTERHUB_SERVER_NAME": "",
            "JUPYTERHUB_OAUTH_CALLBACK_URL": "/user/me/oauth_callback", "JUPYTERHUB_OAUTH_ACCESS_SCOPES": '["access:servers!server=me/"]',
            "JUPYTERHUB_OAUTH_SCOPES": '["access:servers!server=me/"]',
        }, ["jupyterhub.singleuser", "--allow-root"]

    def up(self):
        return self.answers()


def free_port():
    """A port of those that no system gives to who asks for any: nobody gets it by chance before the server has it."""
    while True:
        port = random.randrange(20000, 30000)
        with contextlib.suppress(OSError), socket.socket() as s:
            s.bind(("127.0.0.1", port))
            return port


def wait(condition, why=lambda: ""):
    end = time.monotonic() + LIMIT
    while not condition():
        if time.monotonic() > end:
            sys.exit("never: %s %s" % (condition, why()))
        time.sleep(0.05)


def execute(name, code):
    texts = []

    def hook(m):
        c = m["content"]
        texts.append(c.get("text") or c.get("data", {}).get("text/plain") or "\n".join(c.get("traceback", [])))

    reply = kernels[name][1].execute_interactive(code, output_hook=hook, timeout=LIMIT, allow_stdin=False)
    counts[name] = reply["content"].get("execution_count")
    return counts[name], re.sub(r"\x1b\[[0-9;]*m", "", "".join(t for t in texts if t))


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
    wait(lambda: not glob.glob(os.path.join(os.environ["NBHUSH_HOME"], "run", "k-*")), lambda: "endpoints are left")
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
            wait(lambda: execute(at.group(2), at.group(3))[1].strip() == "yes", lambda: line)
        elif at:
            print(execute(at.group(2), at.group(3))[1])
        elif words[0] == "start":
            start(*words[1:])
        elif words[0] == "argv":
            Other.argv = [w.replace("{}", "{connection_file}").replace("{prefix}", sys.prefix) for w in shlex.split(line)[2:]]
            start(words[1], manager=Other)
        elif words[0] == "encrypted":
            start(words[1], transport_encryption="required")
        elif words[0] in ("server", "gateway", "hub"):
            km = {"server": Server, "gateway": Gateway, "hub": Hub}[words[0]](*words[2:])
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
            end(km)
        elif words[0] == "heard":
            said = ""
            while words[1] not in said:
                said = background[-1].stderr.readline()
                print(said, end="")
        elif words[0] == "counts":
            print("counts", *(counts[name] for name in words[1:]))
        elif words[0] == "none":
            none()
        else:
            sys.exit("what is " + line)
        sys.stdout.flush()


def end_all():
    for km, _ in list(kernels.values()):
        end(km)
    for server in Server.running.values():
        server.terminate()
        server.wait()


def give_up():
    """Where it hangs is said, and nothing of it is left."""
    faulthandler.dump_traceback()
    end_all()
    os._exit(1)


hung = threading.Timer(5 * LIMIT, give_up)
hung.daemon = True
hung.start()
code = 1
try:
    with open(sys.argv[1]) as f:
        main(f)
    code = 0
except SystemExit as e:
    print(e, file=sys.stderr)
except BaseException:
    traceback.print_exc()
end_all()
for process in background:
    process.terminate()
    print("said:", process.communicate(timeout=LIMIT)[1], end="")
sys.stdout.flush()
os._exit(code)  # what is still connected is not waited for
