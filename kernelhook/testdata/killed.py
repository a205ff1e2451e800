"""The hook is killed: the kernel goes with it, and the next hook cleans up."""
from harness import *

import psutil

run_dir = HOOK[2]
km = start()
kc = client(km)
o = run(kc, "import os; os.getpid()")
kernel = psutil.Process(int(o.of("execute_result")[0]["data"]["text/plain"]))
before = sorted(os.listdir(run_dir))
os.kill(km.provisioner.process.pid, 9)
psutil.wait_procs([kernel], timeout=LIMIT)
tell(kernel=kernel.is_running() and kernel.status() != "zombie", dirs=len(before), left=len(os.listdir(run_dir)))
kc.stop_channels()
km.cleanup_resources()
km = start()
kc = client(km)
left = os.listdir(run_dir)
tell(swept=before[0] not in left, dirs=len(left))
info = os.stat(os.path.join(run_dir, left[0]))
files = {f: oct(os.stat(os.path.join(run_dir, left[0], f)).st_mode & 0o777) for f in os.listdir(os.path.join(run_dir, left[0])) if f.endswith(".json")}
tell(mode=oct(info.st_mode & 0o777), files=sorted(files.values()))
kc.stop_channels()
km.shutdown_kernel()

# Jupyter itself is killed: hook and kernel notice.
code = "from harness import *; km = start(); kc = client(km); print(km.provisioner.process.pid, run(kc, 'import os; os.getpid()').of('execute_result')[0]['data']['text/plain'], flush=True); os._exit(9)"
import subprocess

out = subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": os.pathsep.join([os.path.dirname(os.path.abspath(__file__)), os.environ.get("PYTHONPATH", "")])}, capture_output=True, text=True).stdout.split()
left = [psutil.Process(int(pid)) for pid in out if psutil.pid_exists(int(pid))]
gone, alive = psutil.wait_procs(left, timeout=LIMIT)
tell(pids=len(out), alive=len(alive))
