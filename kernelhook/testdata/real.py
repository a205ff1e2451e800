"""Runs notebooks behind the hook, as many as can run here in a limit of seconds, and counts what was taken out.

real.py FOLDER SECONDS CELL NOTEBOOK: the last two are the seconds that a cell and a notebook have.
A notebook runs if it is Python, needs nothing but the standard library and what the test environment
has, and leaves the machine alone. There is no network.
"""
import asyncio
import glob
import re

from harness import *

import nbformat
from nbclient import NotebookClient

folder, (seconds, cell, whole) = os.path.abspath(sys.argv[1]), map(float, sys.argv[2:])
HERE = set(sys.stdlib_module_names) | {"IPython", "ipywidgets", "pandas", "numpy", "matplotlib", "mpl_toolkits", "jupyter_client", "ipykernel", "dateutil", "PIL", "yaml", "requests", "nbformat"}
TOUCHES = re.compile(r"^\s*[!%]|os\.(system|remove|unlink|rmdir|kill|popen|exec|fork|rename)|shutil|subprocess|Popen|pip |conda |apt|unlink\(|rmtree|socket|ctypes|multiprocessing|while True|input\(|getpass", re.M)
BASIC = re.compile(r"^\s*%(matplotlib|config|load_ext|time|timeit|precision)[^\n]*$", re.M)


def runs_here(nb):
    language = nb.metadata.get("kernelspec", {}).get("language") or nb.metadata.get("language_info", {}).get("name") or "python"
    if language != "python":
        return False
    source = "\n".join(c.source for c in nb.cells if c.cell_type == "code")
    modules = set(re.findall(r"^\s*(?:import|from)\s+([A-Za-z_]\w*)", source, re.M))
    return bool(source.strip()) and not modules - HERE and not TOUCHES.search(BASIC.sub("", source))


os.chdir(os.environ["NBHUSH_TEST_AGENT"])  # what they write goes with the test
began = time.monotonic()
ran = cells = outputs = size = errors = placeholders = late = 0
taken = []
for path in sorted(glob.glob(os.path.join(folder, "*.ipynb"))):
    if time.monotonic() - began > seconds:
        late += 1
        continue
    try:
        nb = nbformat.read(path, 4)
    except Exception:
        continue
    if not runs_here(nb):
        continue
    for c in nb.cells:
        c.pop("outputs", None)
        if c.cell_type == "code":
            c.outputs = []
    km = Manager()
    client = NotebookClient(nb, km=km, timeout=cell, interrupt_on_timeout=True, allow_errors=True, resources={"metadata": {"path": os.getcwd()}})
    try:
        asyncio.run(asyncio.wait_for(client.async_execute(), whole))
    except Exception as e:
        print(os.path.basename(path), type(e).__name__, file=sys.stderr)
    finally:
        if km.has_kernel:
            km.shutdown_kernel(now=True)
    ran += 1
    for c in nb.cells:
        if c.cell_type == "code" and c.get("outputs"):
            cells += 1
            outputs += len(c.outputs)
            errors += any(o.output_type == "error" for o in c.outputs)
            text = json.dumps(c.outputs)
            size += len(text)
            n = len(re.findall(r"\[nbhush:|nbhush left out", text))
            if n:
                placeholders += n
                taken.append(os.path.basename(path))
tell(ran=ran, cells=cells, outputs=outputs, bytes=size, errors=errors, placeholders=placeholders, late=late, taken=taken)
