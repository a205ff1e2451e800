"""Every way that a cell can show a value."""
from harness import *

km = start()
kc = client(km)

CELLS = {
    "print": "import os; v = os.environ['TOKEN']; print('a', v, 'b')",
    "stderr": "import sys; print(v, file=sys.stderr)",
    "return": "v",
    "in a list": "[v, {'k': v}]",
    "html": "from IPython.display import *; display(HTML('<b>' + v + '</b>'))",
    "markdown and json": "display({'application/json': {'k': [v]}, 'text/markdown': v}, raw=True)",
    "update": "h = display(1, display_id='d'); h.update(v)",
    "flushed": "import time; print('x' + v[:7], end='', flush=True); time.sleep(0.004); print(v[7:], flush=True)",
    "flushed slowly": "print('y' + v[:9], end='', flush=True); time.sleep(0.2); print(v[9:], flush=True)",
    "character by character": "for c in v: print(c, end='', flush=True)\nprint()",
    "raise": "raise ValueError(v)",
    "syntax": "eval('1 +' + v + '(')",
    "base64": "import base64; print(base64.b64encode(v.encode()).decode())",
    "hex": "print(v.encode().hex())",
    "url": "import urllib.parse; print(urllib.parse.quote('k=' + v))",
    "png": "display({'image/png': base64.b64encode(b'\\x89PNG' + v.encode()).decode(), 'text/plain': '<Figure>'}, raw=True)",
    "asked": "import nbhush; print(nbhush.get('ASKED'))",
    "literal": "# comment\nv2 = 1; v2",
    "log": "import logging; logging.warning('%s', v)",
    "thread": "import threading; t = threading.Thread(target=lambda: print(v)); t.start(); t.join()",
    "subprocess": "import subprocess; print(subprocess.run(['sh', '-c', 'echo $TOKEN'], capture_output=True, text=True).stdout)",
    "system": "os.system('echo on the own stdout: $TOKEN; echo $TOKEN >&2')",
    "bang": "!echo $TOKEN",
    "much at once": "print(('x' * 99 + '\\n') * 50_000 + v)",  # searched while it arrives
}
for name, code in CELLS.items():
    o = run(kc, code)
    while name == "system" and not o.text():  # a thread of ipykernel's reads it, perhaps after the cell's end
        o.messages.append(kc.get_iopub_msg(timeout=LIMIT))
    shown = [m["content"] for m in o.messages if m["msg_type"] not in ("status", "execute_input")]
    tell(cell=name, shown=json.dumps(shown), reply=json.dumps(o.reply["content"]), stream=o.text())

# What comes back on shell and stdin.
o = run(kc, "1", user_expressions={"e": "v"})
tell(cell="user expression", shown=json.dumps(o.reply["content"]))
o = run(kc, "got = input('is it ' + v + '? ')", stdin="typed")
prompt = [m["content"]["prompt"] for m in o.messages if m["msg_type"] == "input_request"]
tell(cell="prompt", shown=json.dumps(prompt), got=run(kc, "got").of("execute_result")[0]["data"]["text/plain"])


def ask(msg_id):
    while True:
        m = kc.get_shell_msg(timeout=LIMIT)
        if m["parent_header"].get("msg_id") == msg_id:
            return m["content"]


run(kc, "class C: pass\nsetattr(C, 'p_' + v.replace('-', '_'), 1); C.__doc__ = v; d = {v: 1}")
tell(cell="inspect", shown=json.dumps(ask(kc.inspect("C", 1))))
tell(cell="inspect a value", shown=json.dumps(ask(kc.inspect("v", 1))))
tell(cell="complete", shown=json.dumps(ask(kc.complete("d['", 3))))
run(kc, "literal = '" + run(kc, "print(v)").text().strip() + "'")
tell(cell="history", shown=json.dumps(ask(kc.history(hist_access_type="tail", n=5, output=True))))
o = run(kc, "?C")
tell(cell="payload", shown=json.dumps(o.reply["content"]))
kc.stop_channels()
km.shutdown_kernel()
