"""A connection to the agent: text goes out, the places of known values come back.

The frames are those of package agent/api. What is here never holds a value.
"""

import json
import re
import select
import socket
import struct
import time
from collections import deque

MAX_FRAME = 4 << 20  # bytes of one frame, as in agent/api
FLOOR = 40e-9  # seconds a byte: an agent slower than this is away too
LOOKS_FLOOR = 400e-9  # the same where it searches for what looks like a secret

# What a request asks for; an agent whose interface is older than LOOKS_SINCE knows the first alone.
VALUES, LOOKS = b"F", b"P"  # known values; these and what looks like a secret
LOOKS_SINCE = 2

HELLO = b"GET /v1/stream HTTP/1.1\r\nHost: nbhush\r\nConnection: Upgrade\r\nUpgrade: nbhush-stream/1\r\n\r\n"


class Away(Exception):
    """The agent cannot be asked. Mend is the command against it."""

    def __init__(self, what, mend="nbhush doctor", absent=False, refused=False):
        super().__init__(what)
        self.mend, self.absent, self.refused = mend, absent, refused


class Link:
    """One connection. Requests are sent as they come; answers arrive in the same order.

    Whoever waits waits at most `idle` seconds without a sign of the agent.
    """

    def __init__(self, path, idle):
        if not hasattr(socket, "AF_UNIX"):
            raise Away("this Python has no unix sockets", "nbhush jupyter disable")
        self.idle, self.out, self.waiting, self.inbox = idle, deque(), deque(), bytearray()
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.setblocking(False)
        self.poll = select.poll()
        self.poll.register(self.sock, select.POLLIN)
        self.begin()
        try:
            self.sock.connect(path)
            self.out.append(memoryview(HELLO))
            while b"\r\n\r\n" not in self.inbox:
                self.turn()
        except (FileNotFoundError, ConnectionRefusedError):
            self.close()
            raise Away("the agent does not run", "nbhush agent start", absent=True) from None
        except BlockingIOError:
            self.close()
            raise Away("the agent does not answer") from None
        except (OSError, Away):
            self.close()
            raise
        head, _, self.inbox = self.inbox.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 101 "):
            self.close()
            raise Away("the agent is of another version", "nbhush agent stop")
        self.looks = version(head) >= LOOKS_SINCE

    def close(self):
        self.sock.close()

    def begin(self):
        """Start the clocks for one save: the agent may keep us waiting for left seconds until its next answer, and for total in all."""
        self.left = self.total = self.idle

    def ask(self, text, done, looks=False, most=8):
        """Send text, of less than MAX_FRAME bytes; done(spans, tail) is called when the answer is here.

        With looks the agent searches also for what looks like a secret, if it can.
        Returns when at most `most` answers are awaited.
        """
        looks = looks and self.looks
        self.out.append(memoryview(struct.pack(">Ic", 1 + len(text), LOOKS if looks else VALUES)))
        self.out.append(memoryview(text))
        self.waiting.append((done, len(text)))
        self.total += len(text) * (LOOKS_FLOOR if looks else FLOOR)
        while self.out or len(self.waiting) > most:
            self.turn()

    def find(self, text, looks=False):
        """Send text and return its spans and tail."""
        answer = []
        self.ask(text, lambda *a: answer.extend(a), looks)
        self.wait()
        return answer

    def wait(self):
        """Return when every answer is here."""
        while self.waiting:
            self.turn()

    def turn(self):
        """Send and receive what can be, or wait until something can."""
        self.poll.modify(self.sock, select.POLLIN | (select.POLLOUT if self.out else 0))
        start = time.monotonic()
        ready = self.poll.poll(1 + 1000 * max(0, min(self.left, self.total)))
        waited = time.monotonic() - start
        self.left, self.total = self.left - waited, self.total - waited
        if not ready and min(self.left, self.total) <= 0:
            raise Away("the agent does not answer")
        for _, events in ready:
            if events & select.POLLOUT and self.out:
                self.send()
            if events & ~select.POLLOUT:
                self.receive()

    def send(self):
        try:
            sent = self.sock.send(self.out[0])
        except BlockingIOError:
            return
        if sent < len(self.out[0]):
            self.out[0] = self.out[0][sent:]
        else:
            self.out.popleft()

    def receive(self):
        try:
            data = self.sock.recv(1 << 16)
        except BlockingIOError:
            return
        if not data:
            raise ConnectionResetError("the agent ended")
        self.left = self.idle
        self.inbox += data
        while self.waiting and len(self.inbox) >= 4:
            (size,) = struct.unpack_from(">I", self.inbox)
            if not 0 < size <= MAX_FRAME:
                raise Away("the agent is of another version", "nbhush agent stop")
            if len(self.inbox) < 4 + size:
                return
            frame = bytes(self.inbox[4 : 4 + size])
            del self.inbox[: 4 + size]
            done, length = self.waiting.popleft()
            done(*parse(frame, length))


def version(head):
    """Return the version of the agent's interface, of which every response has a header."""
    found = re.search(rb"(?i)\r\nnbhush-api: *(\d{1,9})", head)
    return int(found[1]) if found else 1


def parse(frame, length):
    """Return the spans (start, end, name), which are of a text of length bytes, and the tail."""
    if frame[0] != 0:
        error = json.loads(frame[1:])
        raise Away(error.get("message", "the agent refused"), error.get("hint") or "nbhush doctor", refused=True)
    tail, count = struct.unpack_from(">II", frame, 1)
    spans, at, end = [], 9, 0
    for _ in range(count):
        start, stop, size = struct.unpack_from(">IIB", frame, at)
        name = frame[at + 9 : at + 9 + size]
        if not end <= start < stop <= length or len(name) < size:
            raise Away("the agent is of another version", "nbhush agent stop")
        spans.append((start, stop, name.decode()))
        at, end = at + 9 + size, stop
    if tail > length or at != len(frame):
        raise Away("the agent is of another version", "nbhush agent stop")
    return spans, tail
