"""A JupyterHub whose user has nbhush in his home, and somebody else of the same machine.

usage, as root and by unshare --mount --pid --fork --kill-child --mount-proc --net:
    hub.py FOLDER PROGRAMS PROXY < VALUE
FOLDER is empty and gets the homes, the logs and what is temporary; PROGRAMS is a folder with
nbhush and nbhush-hook; PROXY is configurable-http-proxy. What came of it is printed as JSON.

The accounts are in an /etc/passwd that only these processes see, and the home of root is
open to them for the folders of Python and the proxy alone, at the paths where they are.
"""
import fcntl
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

LIMIT = 90
MINE, OTHERS = 61001, 61002  # user and group ids
HUB = "http://127.0.0.1:8000"
CONFIG = """
c.JupyterHub.bind_url = "http://127.0.0.1:8000"
c.JupyterHub.authenticator_class = "shared-password"
c.SharedPasswordAuthenticator.user_password = "not-a-real-password"
c.Authenticator.allowed_users = {"ann"}
c.JupyterHub.spawner_class = "localprocess"
c.ConfigurableHTTPProxy.command = [%r]
c.ConfigurableHTTPProxy.pid_file = %r
"""


def mount(*args):
    subprocess.run(["mount", *args], check=True)


def open_up(folder, keep):
    """Other accounts can read the folders of keep, whatever their parents' modes, and have /tmp below folder."""
    keep = sorted({os.path.realpath(k) for k in keep})
    keep = [k for k in keep if not any(k.startswith(other + "/") for other in keep)]
    mount("-t", "tmpfs", "-o", "mode=0755", "tmpfs", "/mnt")
    for i, k in enumerate(keep):
        os.mkdir("/mnt/%d" % i)
        mount("--bind", k, "/mnt/%d" % i)
    home = os.path.expanduser("~")
    mount("-t", "tmpfs", "-o", "mode=0755", "tmpfs", home)
    mount("--bind", os.path.join(folder, "tmp"), "/tmp")
    for i, k in enumerate(keep):
        os.makedirs(k, mode=0o755, exist_ok=True)
        mount("--bind", "/mnt/%d" % i, k)


def accounts(folder):
    for name, uid in (("ann", MINE), ("bob", OTHERS)):
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


def account(uid, home, **env):
    return dict(user=uid, group=uid, extra_groups=[], cwd=os.path.join(home, "work"),
                env=dict(HOME=home, PATH=os.path.join(home, ".local", "bin") + ":" + os.environ["PATH"], LANG="C.UTF-8", **env))


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
        import requests
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
        import websocket
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


def main(folder, programs, proxy):
    value, proxy = sys.stdin.read(), os.path.realpath(proxy)
    up()
    for d, mode in (("hub", 0o700), ("tmp", 0o1777)):
        os.mkdir(os.path.join(folder, d))
        os.chmod(os.path.join(folder, d), mode)
    accounts(folder)
    home = os.path.join(folder, "home", "ann")
    ann = account(MINE, home)
    for name in ("nbhush", "nbhush-hook"):
        shutil.copy(os.path.join(programs, name), os.path.join(home, ".local", "bin"))
    open_up(folder, [folder, sys.prefix, sys.base_prefix, os.path.dirname(os.path.dirname(proxy))])

    def nbhush(*args, **kw):
        return subprocess.run(["nbhush", *args], check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **kw, **ann).stdout

    told = {}
    with open(os.path.join(folder, "home", "ann", "work", "nbhush.toml"), "w") as f:
        f.write("[secrets]\nTOKEN = {}\n")
    os.chown(f.name, MINE, MINE)
    nbhush("set", "TOKEN", input=value)
    nbhush("allow")
    nbhush("jupyter", "enable")

    hub = os.path.join(folder, "hub")
    with open(os.path.join(hub, "config.py"), "w") as f:
        f.write(CONFIG % (proxy, os.path.join(hub, "proxy.pid")))
    with open(os.path.join(hub, "log"), "w") as log:
        server = subprocess.Popen([sys.executable, "-m", "jupyterhub", "-f", f.name], cwd=hub, stdout=log, stderr=log)
    ann_browser = Browser()
    ann_browser.log_in(server)
    ann_browser.start_kernel()
    told["digest"] = hashlib.sha256(value.encode()).hexdigest()
    told["cell"] = ann_browser.execute("""
import hashlib, nbhush, os
print(os.getuid(), os.environ["TOKEN"], nbhush.get("TOKEN"), hashlib.sha256(os.environ["TOKEN"].encode()).hexdigest())
os.system("echo in the log: $TOKEN")
1 / 0 if os.environ["TOKEN"] else 0
""")
    told["running"] = sorted(processes().values())
    server.terminate()
    server.wait(LIMIT)
    told["left"] = sorted(processes().values())
    told["stop"] = nbhush("agent", "stop")
    told["at the end"] = sorted(processes().values())
    print(json.dumps(told))


try:
    main(*sys.argv[1:])
except BaseException:
    log = os.path.join(sys.argv[1], "hub", "log")
    if os.path.exists(log):
        sys.stderr.write(open(log).read())
    raise
