"""Secrets by name, in a kernel that nbhush started.

    import nbhush
    nbhush.get("OPENAI_API_KEY")    the value; it shows as [nbhush:OPENAI_API_KEY]
    nbhush.env("A", "B")            puts the values into os.environ
    %hush A B                       the same, and variables A and B
    nbhush.names()                  the names that this kernel may have

The value comes from the agent each time; nothing is kept here.
"""

import atexit
import json
import os
import threading

__all__ = ["Denied", "Error", "Secret", "env", "get", "names"]

_endpoint = os.environ.get("NBHUSH_ENDPOINT", "")
_token = os.environ.get("NBHUSH_TOKEN", "").encode()
_local = threading.local()  # socket and the process that opened it
_context = (0, None)  # process and its zmq.Context
_lock = threading.Lock()


class Error(Exception):
    """The secret could not be had; the text says why and what mends it."""

    def __init__(self, message, hint="", code="internal"):
        super().__init__(message + ("\n" + hint if hint else ""))
        self.code = code
        self.hint = hint

    def _render_traceback_(self):  # what IPython shows in place of a traceback
        return ["nbhush.%s: %s" % (type(self).__name__, self)]


class Denied(Error):
    """The rules of the project do not let this kernel have the secret."""


class Secret(str):
    """A str that shows its name where Python would show its characters."""

    def __new__(cls, value, name):
        self = super().__new__(cls, value)
        self._name = name
        return self

    def __repr__(self):
        return "[nbhush:%s]" % self._name

    def __reduce__(self):
        return (str, (str(self),))


def get(name, timeout=30.0):
    """Return the value of the secret called name; wait at most timeout seconds."""
    return _get([name], timeout)[0]


def env(*names, timeout=30.0):
    """Put the values of the secrets called names into os.environ."""
    for name, value in zip(names, _get(list(names), timeout)):
        os.environ[name] = value


def names(timeout=30.0):
    """Return the names of the secrets that this kernel may have."""
    return [n.decode() for n in _ask([b"names"], timeout)]


def _get(names, timeout):
    if not names:
        return []
    for name in names:
        if not isinstance(name, str):
            raise Error("the name of a secret is a str, not %s" % type(name).__name__, code="bad-input") from None
    values = _ask([b"get"] + [n.encode() for n in names], timeout)
    return [Secret(v.decode("utf-8", "surrogateescape"), n) for n, v in zip(names, values)]


def _ask(request, timeout):
    """Send one request and return the frames of its answer."""
    if not _endpoint:
        raise Error("this kernel was not started behind nbhush", "see: nbhush jupyter status", "away") from None
    socket = _socket()
    try:
        socket.send_multipart([b"nbhush/1", _token] + request)
        answer = socket.recv_multipart() if socket.poll(max(0, int(timeout * 1000))) else None
    except BaseException:  # also an interrupt: a REQ that waits cannot be used again
        _drop()
        raise
    if answer is None:
        _drop()
        raise Error("no answer within %g seconds" % timeout, "see: nbhush agent status", "away") from None
    if answer[0] == b"ok":
        return answer[1:]
    e = json.loads(answer[1])
    kind = Denied if e.get("code") == "denied" else Error
    raise kind(e.get("message", "unknown error"), e.get("hint", ""), e.get("code", "")) from None


def _socket():
    """Return the open socket of this thread of this process."""
    pid, socket = getattr(_local, "socket", (0, None))
    if pid == os.getpid() and not socket.closed:
        return socket
    import zmq

    socket = _process_context(zmq).socket(zmq.REQ)
    socket.linger = 0
    socket.connect(_endpoint)
    _local.socket = (os.getpid(), socket)
    return socket


def _process_context(zmq):
    """Return a context that belongs to this process: after a fork, a new one."""
    global _context
    with _lock:
        if _context[0] != os.getpid():
            _context = (os.getpid(), zmq.Context())
            atexit.register(_end, os.getpid(), _context[1])
        return _context[1]


def _end(pid, context):
    if pid == os.getpid():
        context.destroy(linger=0)


def _drop():
    _, socket = getattr(_local, "socket", (0, None))
    if socket is not None:
        socket.close(0)
    _local.socket = (0, None)


def _hush(line):
    """%hush A B: values into variables and os.environ of the same names."""
    names = line.replace(",", " ").split()
    values = _get(names, 30.0)
    from IPython import get_ipython

    for name, value in zip(names, values):
        os.environ[name] = value
        get_ipython().user_ns[name] = value


def _after_fork():
    global _lock
    _lock = threading.Lock()  # another thread may have held it


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
