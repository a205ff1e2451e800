"""Secrets by name, in a kernel that nbhush started.

    import nbhush
    nbhush.get("OPENAI_API_KEY")    the value; it shows as [nbhush:OPENAI_API_KEY]
    nbhush.env("A", "B")            puts the values into os.environ
    %hush A B                       the same, and variables A and B
    %%hush A B                      the same, while this cell runs
    nbhush.get("DB", profile="dev") the value of another profile than the one that is on
    nbhush.names()                  the names that this kernel may have
    nbhush.profile()                the profile that is on, None where the project has none

The value comes from the agent each time. What env and %hush put somewhere is
noted, so that it can follow a new value. Where the rules leave it to the user
whether this kernel may have a secret, he is asked; that time is in no timeout.
"""

import json
import os
import socket
import threading
import time

__all__ = ["Denied", "Error", "Secret", "env", "get", "names", "profile"]

_endpoint = os.environ.get("NBHUSH_ENDPOINT", "")
_token = os.environ.get("NBHUSH_TOKEN", "").encode()
_local = threading.local()  # connection and the process that opened it
_environ = {}  # what stands in os.environ by nbhush's doing
_variables = {}  # the same, of variables
_served = {}  # the name of each value that this kernel has had; what _trackers looks for


class Error(Exception):
    """The secret could not be had; the text says why and what mends it."""

    def __init__(self, message, hint="", code="internal", name=""):
        super().__init__(message + ("\n" + hint if hint else ""))
        self.message = message
        self.code = code
        self.hint = hint
        self.name = name  # of the secret that the user is to be asked about

    def _render_traceback_(self):  # what IPython shows in place of a traceback
        return ["nbhush.%s: %s" % (type(self).__name__, self)]


class Denied(Error):
    """The rules of the project do not let this kernel have the secret."""


class Secret(str):
    """A str that shows its name where Python would show its characters."""

    def __new__(cls, value, name, wish=None):
        self = super().__new__(cls, value)
        self._name = name
        self._wish = wish or name  # as it was asked for
        return self

    def __repr__(self):
        return "[nbhush:%s]" % self._name

    def __reduce__(self):
        return (str, (str(self),))


def get(name, profile=None, timeout=30.0):
    """Return the value of the secret called name; wait at most timeout seconds."""
    return _get([name], timeout, profile)[0]


def env(*names, profile=None, timeout=30.0):
    """Put the values of the secrets called names into os.environ."""
    for name, value in zip(names, _get(list(names), timeout, profile)):
        os.environ[name] = _environ[name] = value


def names(timeout=30.0):
    """Return the names of the secrets that this kernel may have."""
    return [n.decode() for n in _ask([b"names"], timeout)]


def profile(timeout=30.0):
    """Return the profile of nbhush.toml that is on, or None."""
    return _ask([b"profile"], timeout)[0].decode() or None


def _get(names, timeout, profile=None):
    if not names:
        return []
    for text in [profile or ""] + names:
        if not isinstance(text, str):
            raise Error("the name of a secret or a profile is a str, not %s" % type(text).__name__, code="bad-input") from None
    wishes = [profile + "/" + n for n in names] if profile and profile != "default" else names
    values = _values(wishes, timeout)
    secrets = [Secret(v.decode("utf-8", "surrogateescape"), n, w) for n, w, v in zip(names, wishes, values)]
    _served.update((s, s._name) for s in secrets)
    return secrets


def _values(names, timeout):
    """Return the values of names, in their order; ask the user where that is needed."""
    answered = {}
    while True:
        rest = [n for n in names if n not in answered]
        try:
            values = iter(_ask([b"get"] + [n.encode() for n in rest], timeout) if rest else ())
            return [answered[n] if n in answered else next(values) for n in names]
        except Error as e:
            if e.code != "consent" or e.name not in rest:
                raise
            name = e.name
        answered[name] = _consent(name)


def _consent(name):
    """Have the user asked, by the hook, and return the value if he says yes."""
    cell = ""
    try:
        from IPython import get_ipython

        cell = get_ipython().kernel.get_parent("shell")["header"]["msg_id"]
    except Exception:
        pass  # then the cell that runs is taken for the one that asks
    return _ask([b"consent", name.encode(), cell.encode()], 3600.0)[0]


def _ask(request, timeout):
    """Send one request and return the frames of its answer."""
    if not _endpoint:
        raise Error("this kernel was not started behind nbhush", "see: nbhush jupyter status", "away") from None
    try:
        answer = _connection().ask([b"nbhush/1", _token] + request, timeout)
    except (TimeoutError, socket.timeout):  # one class from Python 3.10 on
        _drop()
        raise Error("no answer within %g seconds" % timeout, "see: nbhush agent status", "away") from None
    except OSError as why:
        _drop()
        raise Error("the hook of this kernel does not answer: %s" % why, "restart the kernel", "away") from None
    except BaseException:  # an interrupt: what comes next would be the answer to this request
        _drop()
        raise
    if answer[0] == b"ok":
        return answer[1:]
    e = json.loads(answer[1])
    kind = Denied if e.get("code") == "denied" else Error
    raise kind(e.get("message", "unknown error"), e.get("hint", ""), e.get("code", ""), e.get("name", "")) from None


class _Req:
    """A REQ socket: ZMTP 3.0 with NULL, RFC 23 and RFC 28 of zeromq.

    pyzmq would do the same by way of a thread of libzmq's and take several times
    as long; and not every kernel that runs Python has pyzmq.
    """

    GREETING = b"\xff\0\0\0\0\0\0\0\1\x7f\3\0NULL".ljust(64, b"\0")
    READY = b"\4\x19\5READY\x0bSocket-Type\0\0\0\3REQ"
    MORE, LONG, COMMAND = 1, 2, 4

    def __init__(self, endpoint):
        scheme, _, address = endpoint.partition("://")
        if scheme == "ipc":
            self.socket = socket.socket(socket.AF_UNIX)
        else:
            self.socket = socket.socket()
            host, _, port = address.rpartition(":")
            address = (host, int(port))
        self.buffer = b""
        try:
            self.socket.settimeout(10)
            self.socket.connect(address)
            self.socket.sendall(self.GREETING + self.READY)
            if self.take(64)[:10:9] != b"\xff\x7f" or not self.frame()[0] & self.COMMAND:
                raise OSError("not a ZeroMQ endpoint")
        except BaseException:
            self.socket.close()
            raise

    def ask(self, frames, timeout):
        last = len(frames) - 1
        message = b"\1\0" + b"".join(self.encode(f, self.MORE if i < last else 0) for i, f in enumerate(frames))
        deadline = time.monotonic() + timeout
        self.socket.settimeout(max(timeout, 0.001))
        self.socket.sendall(message)
        answer, more = [], True
        while more:
            flags, body = self.frame(deadline)
            if not flags & self.COMMAND:
                answer.append(body)
                more = flags & self.MORE
        return answer[1:]  # less the empty frame that a REP repeats

    def encode(self, body, flags):
        if len(body) < 256:
            return bytes((flags, len(body))) + body
        return bytes((flags | self.LONG,)) + len(body).to_bytes(8, "big") + body

    def frame(self, deadline=None):
        flags = self.take(1, deadline)[0]
        size = int.from_bytes(self.take(8 if flags & self.LONG else 1, deadline), "big")
        return flags, self.take(size, deadline)

    def take(self, n, deadline=None):
        while len(self.buffer) < n:
            if deadline is not None:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise TimeoutError
                self.socket.settimeout(left)
            got = self.socket.recv(65536)
            if not got:
                raise ConnectionError("it closed the connection")
            self.buffer += got
        taken, self.buffer = self.buffer[:n], self.buffer[n:]
        return taken


def _connection():
    """Return the open connection of this thread of this process."""
    pid, connection = getattr(_local, "connection", (0, None))
    if pid != os.getpid():  # after a fork the parent's connection is not ours
        connection = _Req(_endpoint)
        _local.connection = (os.getpid(), connection)
    return connection


def _drop():
    pid, connection = getattr(_local, "connection", (0, None))
    if pid == os.getpid():
        connection.socket.close()
        _local.connection = (0, None)

