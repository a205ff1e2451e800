"""What Python users have beside get: %hush, %%hush, completion, errors that help."""
from harness import *

km = start()
kc = client(km)


def show(what, code):
    o = run(kc, code)
    results = [c["data"]["text/plain"] for c in o.of("execute_result")]
    errors = ["\n".join(c["traceback"]) for c in o.of("error")]
    tell(what=what, stream=o.text(), result=results, error=errors, status=o.reply["content"]["status"])


def complete(what, code):
    kc.complete(code)
    while True:
        m = kc.get_shell_msg(timeout=LIMIT)
        if m["msg_type"] == "complete_reply":
            break
    c = m["content"]
    tell(what=what, got=[code[: c["cursor_start"]] + match for match in c["matches"] if match in ("ASKED", "TOKEN", "OTHER")])


STATE = "import os; sorted(k for k in globals() if k in ('ASKED', 'B')), os.environ.get('ASKED'), 'B' in os.environ"
show("first import", "import sys; [n for n in sys.modules if 'nbhush' in n]")
complete("get", "nbhush.get('AS")
complete("get, double quotes", 'x = nbhush.get("')
complete("env", 'nbhush.env("TOKEN", "A')
complete("hush", "%hush A")
complete("cell hush", "%%hush TOKEN AS")
complete("elsewhere", "print('AS")
show("profile", "import nbhush; nbhush.get('ASKED', 'staging')")
show("default profile", "nbhush.get('ASKED', profile='default') == nbhush.get('ASKED', profile=None) == nbhush.get('ASKED', None, 5)")
show("no names", "%hush")
show("cell", "%%hush ASKED, TOKEN\nimport os\nawait __import__('asyncio').sleep(0)\nprint(len(ASKED) == len(os.environ['ASKED']) > 8)\nASKED")
show("after", STATE)
show("exception", "%%hush ASKED\n\n1/0")
show("after exception", STATE)
show("before", "ASKED = 1; os.environ['ASKED'] = 'x'")
show("nested", "%%hush ASKED\nget_ipython().run_cell('1+1', store_history=False)\nget_ipython().run_cell('''%%hush TOKEN\\nprint(TOKEN != ASKED)''', store_history=False)\nlen(ASKED) > 8")
show("after nested", "ASKED, os.environ['ASKED'], 'TOKEN' in globals()")
show("inside another", "%%capture out\n%%hush ASKED\nprint(len(ASKED) > 8)")
show("after inside", "out.stdout, ASKED")
show("cell denied", "%%hush ASKED OTHER\nprint('not reached')")
show("after denied", "ASKED, os.environ['ASKED']")
show("syntax", "%%hush ASKED\n1 +")
show("after syntax", "ASKED")
show("not the magic", "%%hushed ASKED\n1")
kc.stop_channels()
km.shutdown_kernel()
