"""One kernel of another language: LANGUAGES.py '{"argv": […], "cells": {what: code}}'."""
from harness import *

job = json.loads(sys.argv[1])
km = start(command=job["argv"])
kc = client(km)
kc.kernel_info()
while True:
    m = kc.get_shell_msg(timeout=LIMIT)
    if m["msg_type"] == "kernel_info_reply":
        break
tell(what="language", name=m["content"]["language_info"]["name"])
for what, code in job["cells"]:
    o = run(kc, code)
    while what not in ("set", "denied") and o.reply["content"]["status"] == "ok" and not o.types().count("stream") + o.types().count("display_data"):
        m = kc.get_iopub_msg(timeout=LIMIT)  # Deno's kernel is idle before it has shown all, with a hook and without
        if m["parent_header"].get("msg_id") == o.reply["parent_header"]["msg_id"]:
            o.messages.append(m)
    text = o.text() + "".join(c["data"].get("text/plain", "") for c in o.of("execute_result") + o.of("display_data"))
    errors = "".join("\n".join(c["traceback"]) + c["evalue"] for c in o.of("error"))
    tell(what=what, text=text, error=errors, status=o.reply["content"]["status"])
kc.stop_channels()
km.shutdown_kernel()
