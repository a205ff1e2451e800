"""Requests from running cells, from everywhere that a cell can run code."""
from harness import *

km = start()
kc = client(km)


def show(what, code):
    o = run(kc, code)
    results = [c["data"]["text/plain"] for c in o.of("execute_result")]
    errors = ["\n".join(c["traceback"]) for c in o.of("error")]
    tell(what=what, stream=o.text(), result=results, error=errors)
    return o


show("namespace", "sorted(n for n in globals() if 'hush' in n.lower() or n == 'source'), In, Out")
show("count", "get_ipython().execution_count")
show("history", "list(get_ipython().history_manager.get_range())[0][2][:20]")
show("names", "import nbhush; nbhush.names()")
show("mask", "s = nbhush.get('ASKED'); [type(s).__name__, isinstance(s, str), repr(s), str(s) == s.upper().lower().upper() or len(s) > 8, type(__import__('pickle').loads(__import__('pickle').dumps(s))).__name__]")
show("env", "import os; nbhush.env('ASKED', 'TOKEN'); os.environ['ASKED'] == s")
show("magic", "%hush TOKEN, ASKED\nTOKEN == os.environ['TOKEN'], ASKED == s, ASKED")
show("denied", "nbhush.get('OTHER')")
show("unknown", "nbhush.get('NOT_THERE')")
show("bad name", "nbhush.get('not a name')")
show("caught", "try: nbhush.get('OTHER')\nexcept nbhush.Denied as e: print(e.code, isinstance(e, nbhush.Error))")
show("wrong token", "t = nbhush._token; nbhush._token = b'x' * len(t)\ntry: nbhush.get('ASKED')\nexcept nbhush.Error as e: print(e.code)\nfinally: nbhush._token = t")
show("threads", """
import threading
got = []
def ask():
    for _ in range(20): got.append(nbhush.get('ASKED') == s)
ts = [threading.Thread(target=ask) for _ in range(8)]
[t.start() for t in ts]; [t.join() for t in ts]
len(got), all(got)
""")
show("fork", """
import os
r, w = os.pipe()
pid = os.fork()
if pid == 0:
    os.write(w, b'same' if nbhush.get('ASKED') == s else b'other')
    os._exit(0)
os.waitpid(pid, 0)
os.read(r, 9), nbhush.get('ASKED') == s
""")
show("asyncio", """
import asyncio
async def ask(): return nbhush.get('ASKED') == s
all(await asyncio.gather(*(ask() for _ in range(50)))), await asyncio.to_thread(nbhush.get, 'ASKED') == s
""")
show("timeout", """
try: nbhush.get('SLOW', timeout=0.1)
except nbhush.Error as e: print(e.code)
nbhush.get('ASKED') == s
""")
show("latency", """
import time
def once():
    t = time.perf_counter(); nbhush.get('ASKED'); return time.perf_counter() - t
for _ in range(200): once()
ts = sorted(once() for _ in range(2000))
print(int(ts[1000] * 1e6), int(ts[1980] * 1e6))
""")
show("orphan", """
import subprocess, time
p = subprocess.run(['sh', '-c', 'setsid sleep 60 > /dev/null 2>&1 & echo $!'], capture_output=True, text=True)
time.sleep(0.3)
pid = int(p.stdout)
with open('/proc/%d/stat' % pid) as f: parent = int(f.read().rsplit(')', 1)[1].split()[1])
import signal
os.kill(pid, signal.SIGKILL)
adopted = parent == os.getppid()
for _ in range(100):
    if not os.path.exists('/proc/%d' % pid): break
    time.sleep(0.05)
adopted, os.path.exists('/proc/%d' % pid)
""")
kc.stop_channels()
km.shutdown_kernel()
