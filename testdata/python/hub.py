"""A JupyterHub whose user has nbhush in his home, and somebody else of the same machine.

usage, as root and by unshare --mount --pid --fork --kill-child --mount-proc --net:
    hub.py FOLDER PROGRAMS PROXY < VALUE
FOLDER is empty and gets the homes, the logs and what is temporary; PROGRAMS is a folder with
nbhush and nbhush-hook; PROXY is configurable-http-proxy. What came of it is printed as JSON.

The accounts are in an /etc/passwd that only these processes see, and the home of root is
open to them for the folders of Python and the proxy alone, at the paths where they are.
"""
import fcntl
import glob
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
import uuid

import requests
import websocket
from jupyter_client.connect import write_connection_file

LIMIT = 180
USERS = {"ann": 61001, "bob": 61002, "gate": 61003}  # and their groups
HUB = "http://127.0.0.1:8000"
CONFIG = """
c.JupyterHub.bind_url = "http://127.0.0.1:8000"
c.JupyterHub.authenticator_class = "shared-password"
c.SharedPasswordAuthenticator.user_password = "not-a-real-password"
c.Authenticator.allowed_users = {"ann"}
c.JupyterHub.spawner_class = "localprocess"
c.ConfigurableHTTPProxy.command = [%r]
"""


CELL = """
import hashlib, nbhush, os
print(os.getuid(), os.environ["TOKEN"], nbhush.get("TOKEN"), hashlib.sha256(os.environ["TOKEN"].encode()).hexdigest())
os.system("echo in the log: $TOKEN")
1 / 0 if os.environ["TOKEN"] else 0
"""

SQUATTER = """
import os, socket, sys
os.makedirs(sys.argv[1])
os.chmod(sys.argv[1], 0o755)
os.umask(0)
s = socket.socket(socket.AF_UNIX)
s.bind(sys.argv[1] + "/agent.sock")
s.listen()
print("here", flush=True)
while True:
    print(len(s.accept()[0].recv(100)), flush=True)
"""

CLIENT = """
import sys
from jupyter_client import BlockingKernelClient
kc = BlockingKernelClient(connection_file=sys.argv[1])
kc.load_connection_file()
kc.start_channels(hb=False)  # with it, wait_for_ready gives up when one beat is a second late
kc.wait_for_ready(timeout=120)
kc.execute_interactive("import os; print(os.getuid(), os.environ['TOKEN'])", timeout=90)
"""


def mount(*args):
    subprocess.run(["mount", *args], check=True)


def closed(path):
    """The first folder above path that other accounts cannot enter, or None."""
    above = []
    while path != "/":
        path = os.path.dirname(path)
        above.insert(0, path)
    return next((a for a in above if not os.stat(a).st_mode & 0o001), None)


def open_up(folder, keep):
    """Other accounts can reach the folders of keep, whatever lies above them, and /tmp is below folder."""
    keep = sorted({os.path.realpath(k) for k in keep})
    shut = {closed(k) for k in keep} - {None}
    mount("-t", "tmpfs", "-o", "mode=0755", "tmpfs", "/mnt")
    for i, k in enumerate(keep):
        os.mkdir("/mnt/%d" % i)
        mount("--bind", k, "/mnt/%d" % i)
    for d in shut:
        mount("-t", "tmpfs", "-o", "mode=0755", "tmpfs", d)
    mount("--bind", os.path.join(folder, "tmp"), "/tmp")
    for i, k in enumerate(keep):
        os.makedirs(k, mode=0o755, exist_ok=True)
        mount("--bind", "/mnt/%d" % i, k)


def accounts(folder):
    for name, uid in USERS.items():
        home = os.path.join(folder, "home", name)
        for d in ("work", ".local/bin"):
            os.makedirs(os.path.join(home, d))
        for d in (".", "work", ".local", ".local/bin"):
            os.chown(os.path.join(home, d), uid, uid)
        for file, line in (("passwd", "%s:x:%d:%d::%s:/bin/sh\n" % (name, uid, uid, home)), ("group", "%s:x:%d:\n" % (name, uid))):
            mine = os.path.join(folder, file)
            if not os.path.exists(mine):
                shutil.copyfile("/etc/" + file, mine)
                mount("--bind", mine, "/etc/" + file)
            with open(mine, "a") as f:
                f.write(line)


def up():
    """The loopback interface of this network works."""
    with socket.socket() as s:
        fcntl.ioctl(s, 0x8914, struct.pack("16sH14x", b"lo", 0x1))  # SIOCSIFFLAGS, IFF_UP


def account(folder, name):
    """How subprocess starts a process of a user, with no group but its own."""
    home = os.path.join(folder, "home", name)
    return dict(user=USERS[name], group=USERS[name], extra_groups=[], cwd=os.path.join(home, "work"),
                env=dict(HOME=home, PATH=os.path.join(home, ".local", "bin") + ":" + os.environ["PATH"], LANG="C.UTF-8"))


def wait(condition, why):
    end = time.monotonic() + LIMIT
    while True:
        got = condition()
        if got:
            return got
        if time.monotonic() > end:
            sys.exit("never: " + why)
        time.sleep(0.05)


def processes():
    """By PID, the user and the command of each process but this one and the first."""
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/cmdline" % pid, "rb") as f:
                argv = f.read().replace(b"\0", b" ").decode()
            if argv and int(pid) not in (1, os.getpid()):
                found[int(pid)] = os.stat("/proc/" + pid).st_uid, argv
        except OSError:
            pass
    return found


class Browser:
    """ann's: what she can do through the proxy, and nothing else."""

    def __init__(self):
        self.session = requests.Session()

    def ask(self, method, path, **kw):
        r = self.session.request(method, HUB + path, timeout=LIMIT, headers={"X-XSRFToken": self.xsrf(path)}, **kw)
        if not r.ok:
            sys.exit("%s %s: %d\n%s" % (method, path, r.status_code, r.text))
        return r

    def xsrf(self, path):
        fit = [c for c in self.session.cookies if c.name == "_xsrf" and path.startswith(c.path)]
        return max(fit, key=lambda c: len(c.path)).value if fit else ""

    def log_in(self, hub):
        def there():
            if hub.poll() is not None:
                sys.exit("the Hub ended")
            try:
                return self.session.get(HUB + "/hub/login").ok
            except OSError:
                return False

        wait(there, "the Hub answers")
        self.ask("POST", "/hub/login", data={"username": "ann", "password": "not-a-real-password", "_xsrf": self.xsrf("/hub/login")})
        self.ask("GET", "/hub/spawn")
        wait(lambda: self.session.get(HUB + "/user/ann/api").ok, "the user's server answers")
        self.ask("GET", "/user/ann/lab")  # by way of the Hub, which says who she is

    def start_kernel(self):
        body = {"path": "work/a.ipynb", "name": "a.ipynb", "type": "notebook", "kernel": {"name": "python3"}}
        self.kernel = self.ask("POST", "/user/ann/api/sessions", json=body).json()["kernel"]["id"]
        path = "/user/ann/api/kernels/%s/channels" % self.kernel
        cookies = {c.name: c.value for c in sorted(self.session.cookies, key=lambda c: len(c.path)) if path.startswith(c.path)}
        self.channels = websocket.create_connection("ws" + HUB[4:] + path + "?_xsrf=" + self.xsrf(path), timeout=LIMIT, origin=HUB,
                                                    cookie="; ".join("%s=%s" % c for c in cookies.items()))

    def execute(self, code):
        msg_id = uuid.uuid4().hex
        header = {"msg_id": msg_id, "msg_type": "execute_request", "username": "ann", "session": "s", "date": "", "version": "5.3"}
        content = {"code": code, "silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": False, "stop_on_error": True}
        self.channels.send(json.dumps({"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell", "buffers": []}))
        said = ""
        while True:
            m = json.loads(self.channels.recv())
            if m["parent_header"].get("msg_id") != msg_id:
                continue
            c = m["content"]
            said += c.get("text", "") + "\n".join(c.get("traceback", []))
            if m["msg_type"] == "status" and c["execution_state"] == "idle":
                return said


def stranger(folder, name, **asked):
    """What a process of this user gets."""
    done = subprocess.run([sys.executable, os.path.join(folder, "stranger.py")], input=json.dumps(asked), stdout=subprocess.PIPE, text=True,
                          check=True, **account(folder, name))
    return json.loads(done.stdout)


def attempt(who, *args, **kw):
    """Exit code and output of nbhush."""
    done = subprocess.run(["nbhush", *args], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **kw, **who)
    return done.returncode, done.stdout


def ports(file):
    with open(file) as f:
        info = json.load(f)
    return [[info["ip"], info[name]] for name in ("shell_port", "control_port", "stdin_port", "iopub_port", "hb_port")]


def gateway(told, folder):
    """Kernels of ann's, one with a connection file that somebody else wrote, as a gateway does that starts kernels of many users."""
    ann = account(folder, "ann")
    settings = os.path.join(folder, "home", "ann", ".config", "nbhush", "config.toml")
    for case, owner, line in (("OfTheGateway", "gate", ""), ("HerOwn", "ann", ""), ("ForOthers", "ann", "kernel_other_users = true\n")):
        subprocess.run(["sh", "-c", 'mkdir -p "${1%/*}" && printf %s "$2" >>"$1"', "sh", settings, line], check=True, **ann)
        file = os.path.join(folder, "kernel-%d.json" % len(told))
        write_connection_file(file, key=uuid.uuid4().hex.encode())
        os.chown(file, USERS[owner], USERS["ann"])
        os.chmod(file, 0o640)
        argv = ["nbhush", "kernel", "-f", file, "--", sys.executable, "-m", "ipykernel_launcher", "-f", file]
        kernel = subprocess.Popen(argv, stdout=sys.stderr, **ann)
        done = subprocess.run([sys.executable, "-c", CLIENT, file], stdout=subprocess.PIPE, text=True, check=True, **account(folder, owner))
        told[case] = {"client": done.stdout}
        for name in ("gate", "bob"):
            told[case][name] = stranger(folder, name, ports=ports(file))["ports"]
        kernel.terminate()
        kernel.wait(LIMIT)


def give(file, folder):
    os.chmod(shutil.copy(file, folder), 0o755)


def prepare(folder, programs, proxy):
    """The accounts, and ann's own nbhush."""
    give(os.path.join(os.path.dirname(os.path.abspath(__file__)), "stranger.py"), folder)
    for d, mode in (("hub", 0o700), ("tmp", 0o1777)):
        os.mkdir(os.path.join(folder, d))
        os.chmod(os.path.join(folder, d), mode)
    accounts(folder)
    home = os.path.join(folder, "home", "ann")
    for name in ("nbhush", "nbhush-hook"):
        give(os.path.join(programs, name), os.path.join(home, ".local", "bin"))
    with open(os.path.join(home, "work", "nbhush.toml"), "w") as f:
        f.write("[secrets]\nTOKEN = {}\n")
    os.chown(f.name, USERS["ann"], USERS["ann"])
    open_up(folder, [folder, sys.prefix, sys.base_prefix, os.path.dirname(os.path.dirname(proxy))])


def start_hub(folder, proxy):
    with open(os.path.join(folder, "hub", "config.py"), "w") as f:
        f.write(CONFIG % proxy)
    with open(os.path.join(folder, "hub", "log"), "w") as log:
        return subprocess.Popen([sys.executable, "-m", "jupyterhub", "-f", f.name], cwd=os.path.dirname(f.name), stdout=log, stderr=log)


def another(told, folder, run, kernel):
    """Somebody else, while ann's kernel runs, and ann herself for comparison."""
    home = os.path.join(folder, "home", "ann")
    data, agent = os.path.join(home, ".local", "share"), os.path.join(run, "agent.sock")
    file = os.path.join(data, "jupyter", "runtime", "kernel-%s.json" % kernel)
    questions = {
        "ports": ports(file), "walk": [home, run],
        "sockets": [agent, *glob.glob(os.path.join(run, "k-*", "get"))],
        "files": [run, file, *glob.glob(os.path.join(run, "k-*")), *glob.glob(os.path.join(data, "nbhush", "*")),
                  os.path.join(home, ".local", "state", "nbhush", "audit.jsonl")],
        "processes": [pid for pid, (uid, _) in told["running"].items() if uid == USERS["ann"]],
    }
    for name in ("bob", "ann"):
        told[name] = stranger(folder, name, **questions)
    # The agent refuses him where its folder does not, too.
    for path, mode in ((run, 0o755), (agent, 0o666)):
        os.chmod(path, mode)
    told["open"] = stranger(folder, "bob", sockets=[agent])
    for path, mode in ((run, 0o700), (agent, 0o600)):
        os.chmod(path, mode)
    # nbhush itself, by him, in her home.
    him = account(folder, "bob")
    him["env"].update(HOME=home, PATH=account(folder, "ann")["env"]["PATH"])
    told["his"] = attempt(him, "get", "TOKEN")


def squat(told, folder, run, value):
    """He was first at the path of her agent's folder, and listens there, and in a runtime directory that she calls hers."""
    shutil.rmtree(run)
    folders, squatters = (run, "/tmp/bobs/nbhush"), []
    for at in folders:
        squatters.append(subprocess.Popen([sys.executable, "-c", SQUATTER, at], stdout=subprocess.PIPE, text=True, **account(folder, "bob")))
        squatters[-1].stdout.readline()
    ann = account(folder, "ann")
    told["aside"] = [attempt(ann, *args, **kw) for args, kw in (
        (["set", "OTHER"], {"input": value}), (["run", "--", "sh", "-c", 'test "$TOKEN" && echo it is there'], {}), (["agent", "stop"], {}))]
    ann["env"]["XDG_RUNTIME_DIR"] = os.path.dirname(folders[1])
    told["hers"] = attempt(ann, "set", "OTHER", input=value)
    told["doctor"] = attempt(ann, "doctor")[1]
    told["heard"] = ""
    for squatter in squatters:
        squatter.terminate()
        told["heard"] += squatter.communicate()[0]


def main(folder, programs, proxy):
    value, proxy = sys.stdin.read(), os.path.realpath(proxy)
    os.umask(0o022)
    up()
    prepare(folder, programs, proxy)

    def nbhush(*args, **kw):
        code, said = attempt(account(folder, "ann"), *args, **kw)
        if code:
            sys.exit("nbhush %s: %s" % (" ".join(args), said))
        return said

    nbhush("set", "TOKEN", input=value)
    nbhush("allow")
    nbhush("jupyter", "enable")
    nbhush("agent", "stop")  # so that the hook of her kernel starts one, below the Hub's server
    hub, browser, told = start_hub(folder, proxy), Browser(), {}
    browser.log_in(hub)
    browser.start_kernel()
    told["digest"] = hashlib.sha256(value.encode()).hexdigest()
    told["cell"] = browser.execute(CELL)
    told["running"] = processes()
    [run] = glob.glob("/tmp/nbhush-*")
    another(told, folder, run, browser.kernel)
    told["audit"] = [line for line in nbhush("audit").splitlines() if "connection of user" in line]
    told["again"] = browser.execute("print(nbhush.get('TOKEN'))")
    hub.terminate()
    hub.wait(LIMIT)
    wait(lambda: len(processes()) <= 1, "all but the agent has ended")
    told["left"] = processes()
    gateway(told, folder)
    nbhush("agent", "stop")
    wait(lambda: not processes(), "the agent has ended")
    squat(told, folder, run, value)
    print(json.dumps(told))


try:
    main(*sys.argv[1:])
except BaseException:
    log = os.path.join(sys.argv[1], "hub", "log")
    if os.path.exists(log):
        sys.stderr.write(open(log).read())
    raise
