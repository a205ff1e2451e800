"""How kernels live and die: the same behind the hook as bare."""
import signal
import threading

from harness import *

mode = sys.argv[1] == "hooked"


def interrupted(km, kc, interrupt):
    t = threading.Timer(0.7, interrupt)
    t.start()
    o = run(kc, "import time; print('in', flush=True); time.sleep(30)")
    t.join()
    return o.text(), o.reply["content"]["status"], o.reply["content"].get("ename")


def ended(km):
    """How the process that Jupyter started ended."""
    return km.provisioner.process.wait(timeout=LIMIT)


km = start(mode)
kc = client(km)
tell(what="interrupt by signal", got=interrupted(km, kc, km.interrupt_kernel))


def by_message():
    kc.session.send(kc.control_channel.socket, kc.session.msg("interrupt_request", {}))


tell(what="interrupt by message", got=interrupted(km, kc, by_message))
run(kc, "kept = 1")
km.restart_kernel()
ready(kc)
o = run(kc, "'kept' in globals()")
tell(what="restart", got=[o.of("execute_result")[0]["data"]["text/plain"], o.reply["content"]["execution_count"]])
kc.execute("import os; os._exit(3)")
tell(what="os._exit", got=ended(km))
km.restart_kernel(now=True)
ready(kc)
kc.execute("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
tell(what="SIGSEGV", got=ended(km))
km.restart_kernel(now=True)
ready(kc)
kc.execute("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
tell(what="SIGKILL", got=ended(km))
km.restart_kernel(now=True)
ready(kc)
kc.execute("exit()")
tell(what="exit()", got=ended(km))
km.restart_kernel(now=True)
ready(kc)
os.kill(km.provisioner.process.pid, signal.SIGTERM)
tell(what="SIGTERM", got=ended(km))
km.restart_kernel(now=True)
ready(kc)
reply = kc.shutdown(reply=True, timeout=LIMIT)
tell(what="shutdown by message", got=[reply["msg_type"], reply["content"]["status"], ended(km)])
km.restart_kernel(now=True)
ready(kc)
run(kc, "1")
process, km.shutdown_wait_time = km.provisioner.process, LIMIT
km.shutdown_kernel()
tell(what="shutdown", got=[km.has_kernel, process.returncode])  # by itself: a kernel that is late is killed
kc.stop_channels()
km = start(mode, command=["/does/not/exist", "-f", "{connection_file}"]) if mode else None
if mode:
    tell(what="no such kernel", got=ended(km))
    km.cleanup_resources()
km = start(mode, command=[sys.executable, "-c", "import sys; sys.exit(5)", "{connection_file}"])
tell(what="dies at once", got=ended(km))
km.cleanup_resources()
