"""What a process of another account gets. The questions are JSON on stdin, as are the answers:

    ports     addresses [HOST, PORT] of a kernel: "answered" or "closed" after a handshake of ZeroMQ
    sockets   paths: the same after a request of HTTP
    files     paths, and names of folders: "read", or what the system says
    walk      folders: which files in them can be read
    processes PIDs: the same of what /proc has of them
"""
import errno
import json
import os
import socket
import sys

GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x01NULL" + bytes(48)


def attempt(f, *args):
    try:
        return f(*args)
    except OSError as e:
        return errno.errorcode[e.errno] if e.errno else str(e)


def read(path):
    if os.path.islink(path) and path.startswith("/proc/"):
        os.readlink(path)
    elif os.path.isdir(path):
        os.listdir(path)
    else:
        with open(path, "rb", buffering=0) as f:
            f.read(1 << 20)
    return "read"


def answer(s, request):
    with s:
        s.settimeout(30)
        try:
            s.sendall(request)
            return "answered" if s.recv(1) else "closed"
        except ConnectionError:
            return "closed"


def port(address):
    kind = b"\x04\x19\x05READY\x0bSocket-Type\x00\x00\x00\x03SUB\x00\x01\x01"
    return answer(socket.create_connection(address), GREETING + kind)


def unix(path):
    s = socket.socket(socket.AF_UNIX)
    s.connect(path)
    return answer(s, b"GET /v1/status HTTP/1.1\r\nHost: nbhush\r\n\r\n")


def walk(folder):
    files = [os.path.join(d, name) for d, _, names in os.walk(folder) for name in names]
    return sorted(os.path.relpath(f, folder) for f in files if attempt(read, f) == "read")


def process(pid):
    told = {what: attempt(read, "/proc/%d/%s" % (pid, what)) for what in ("environ", "mem", "maps", "auxv", "fd", "exe", "cwd", "root", "syscall")}
    with open("/proc/%d/cmdline" % pid) as f:
        told["cmdline"] = f.read()
    return told


asked = json.load(sys.stdin)
told = {"who": [os.getresuid(), os.getresgid(), os.getgroups()]}
for what, f in (("ports", port), ("sockets", unix), ("files", read), ("walk", walk), ("processes", process)):
    told[what] = {str(q[1] if what == "ports" else q): attempt(f, q) for q in asked.get(what, [])}
print(json.dumps(told))
