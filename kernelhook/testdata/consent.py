"""Consent: who is asked, who is not, and where the answers go."""
import threading

from harness import *
from jupyter_client.session import Session

os.environ["JPY_SESSION_NAME"] = "/p/analysis.ipynb"


def talk(kc, code, answers=(), meanwhile=None, allow=True, timeout=LIMIT):
    """Execute code, answer its questions in turn; meanwhile(n) is called when question n came, before it is answered."""
    out, end, n = Outcome(), time.monotonic() + timeout, 0
    msg_id = kc.execute(code, allow_stdin=allow)
    idle = replied = False
    while not (idle and replied):
        if time.monotonic() > end:
            raise TimeoutError(code)
        for get in (kc.get_stdin_msg, kc.get_iopub_msg, kc.get_shell_msg):
            try:
                m = get(timeout=0.01)
            except queue.Empty:
                continue
            if m["parent_header"].get("msg_id") != msg_id:
                continue
            if m["msg_type"] == "execute_reply":
                out.reply, replied = m, True
                continue
            out.messages.append(m)
            if m["msg_type"] == "input_request":
                if meanwhile:
                    meanwhile(n, out)
                if n < len(answers) and answers[n] is not None:
                    kc.input(answers[n])
                n += 1
            idle = idle or m["msg_type"] == "status" and m["content"]["execution_state"] == "idle"
    return out


def show(what, out, **more):
    tell(what=what, stream=out.text(), error=[c["ename"] + ": " + c["evalue"] for c in out.of("error")],
         prompts=[c["prompt"] for c in out.of("input_request")], **more)


def other(km):
    kc = km.client()
    kc.session = Session(key=km.session.key)
    kc.start_channels()
    kc.wait_for_ready(timeout=LIMIT)
    return kc


def hears_nothing(kc):
    try:
        return kc.get_stdin_msg(timeout=0.3)["content"]
    except queue.Empty:
        return None


km = start()
kc = client(km)
run(kc, "import nbhush, os, sys, threading\ndef ask(n):\n    try: print(n, len(nbhush.get(n)))\n    except nbhush.Denied as e: print('denied', e.message)")

# What is asked, and what the answers do.
show("default", talk(kc, "ask('A_NAME'); ask('A_NAME')", [""]))
show("what it says", talk(kc, "nbhush.get('A_NAME')", ["maybe"]))
show("once", talk(kc, "ask('A_NAME')", [" Once "]))
show("once more", talk(kc, "ask('A_NAME')", ["n"]))
show("kernel", talk(kc, "ask('A_NAME')", ["k"]))
show("kernel again", talk(kc, "ask('A_NAME')", allow=False))
show("always", talk(kc, "ask('B_NAME'); ask('B_NAME')", ["a"]))
show("several", talk(kc, "print([len(v) for v in nbhush._get(['ASKED', 'C_NAME', 'TOKEN', 'D_NAME'], 9)])", ["o", "o"]))
show("magic", talk(kc, "%hush C_NAME\nprint(C_NAME)", ["y"]))
show("program", talk(kc, "import subprocess; p = subprocess.run([%r, 'get', 'C_NAME'], stdout=subprocess.PIPE); print(len(p.stdout))" % HOOK[0], ["o"]))
show("headless", talk(kc, "ask('C_NAME')", allow=False))
show("thread", talk(kc, "t = threading.Thread(target=ask, args=['C_NAME']); t.start(); t.join()", ["o"]))

# The kernel's own questions wait for the hook's, and the other way round.
asks = "t = threading.Thread(target=lambda: (%s)); t.start(); import time; time.sleep(0.3); %s; t.join()"
show("input waits", talk(kc, asks % ("ask('C_NAME')", "print(input('name? '))"), ["o", "Ann"],
                         lambda n, out: n == 0 and tell(what="meanwhile", heard=hears_nothing(kc))))
show("question waits", talk(kc, asks % ("print(input('name? '))", "ask('C_NAME')"), ["Ann", "o"],
                            lambda n, out: n == 0 and tell(what="meanwhile, the other way", heard=hears_nothing(kc))))

# Two clients, two cells: each is asked by its own.
second = other(km)
got = {}
threads = [threading.Thread(target=lambda n, c, a: got.update({n: talk(c, "ask(%r)" % n, [a])}), args=x)
           for x in (("C_NAME", kc, "o"), ("D_NAME", second, "n"))]
[t.start() for t in threads]
[t.join() for t in threads]
for n in got:
    show("two clients " + n, got[n])

# A client that goes away while it is asked: no, and the next one gets its turn.
second.execute("ask('C_NAME'); open(os.environ['NBHUSH_TEST_AGENT'] + '/went', 'w').close()", allow_stdin=True)
second.get_stdin_msg(timeout=LIMIT)
second.stop_channels()
show("after it went", talk(kc, "print(os.path.exists(os.environ['NBHUSH_TEST_AGENT'] + '/went'))"))

# An interrupt while it is asked; the answer comes late, and goes nowhere.
def interrupt(n, out):
    if n == 0:
        km.interrupt_kernel()

show("interrupt", talk(kc, "ask('C_NAME')", [None], interrupt))
kc.input("always")
show("after interrupt", talk(kc, "print(input('name? '))", ["Ann"]))
show("late answer", talk(kc, "ask('C_NAME')", allow=False))

# An answer that names its question, as JupyterLab's does, when the cell has gone on.
def answer_to(m, value):
    kc.stdin_channel.send(kc.session.msg("input_reply", {"value": value}, parent=m))

first = talk(kc, "ask('C_NAME')", [None], interrupt).messages
question = [m for m in first if m["msg_type"] == "input_request"][0]
show("named late answer", talk(kc, "print(input('name? '))", ["Ann"], lambda n, out: answer_to(question, "always")))
show("named late answer to another", talk(kc, "ask('C_NAME')", ["n"], lambda n, out: answer_to(question, "always")))

# Code of the kernel that makes itself a client of its own kernel.
own = """
from jupyter_client import BlockingKernelClient
kc = BlockingKernelClient(connection_file=%r)
kc.load_connection_file(); kc.start_channels(hb=False); kc.wait_for_ready(timeout=120)
kc.execute("ask('D_NAME')", allow_stdin=True)
kc.get_stdin_msg(timeout=120); kc.input("always")
while kc.get_shell_msg(timeout=120)["msg_type"] != "execute_reply": pass
kc.stop_channels()
open(%r, "w").close()
"""
own = talk(kc, "p = subprocess.Popen([sys.executable, '-c', %r]); print(p.pid)" % (own % (km.connection_file, os.environ["NBHUSH_TEST_AGENT"] + "/own")))
show("own client", own, pid=own.text().strip())
end = time.monotonic() + LIMIT
while not os.path.exists(os.environ["NBHUSH_TEST_AGENT"] + "/own") and time.monotonic() < end:
    time.sleep(0.05)  # it waits for the kernel to be silent

# A restart while it is asked.
kc.execute("ask('C_NAME')", allow_stdin=True)
kc.get_stdin_msg(timeout=LIMIT)
km.restart_kernel()
ready(kc)
show("after restart", talk(kc, "import nbhush; print(len(nbhush.get('TOKEN')))"))
kc.stop_channels()
km.shutdown_kernel()

# Nobody answers in time: no. What the kernel asks waits until the question is out of the way.
os.environ["NBHUSH_TEST_PATIENCE"] = "200ms"
km = start()
kc = client(km)


def late(n, out):
    if n == 0:
        while "denied" not in out.text():
            m = kc.get_iopub_msg(timeout=LIMIT)
            out.messages.append(m)
        tell(what="meanwhile, late", heard=hears_nothing(kc))


show("late", talk(kc, "import nbhush\ntry: nbhush.get('C_NAME')\nexcept nbhush.Denied: print('denied', flush=True)\nprint(input('name? '))", ["always", "Ann"], late))
show("after late", talk(kc, "try: nbhush.get('C_NAME')\nexcept nbhush.Denied as e: print(e.message)", allow=False))
kc.stop_channels()
km.shutdown_kernel()
