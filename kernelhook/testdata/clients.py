"""Two clients of one kernel, and a second kernel shell (JEP 91)."""
import threading

from harness import *
from jupyter_client.session import Session

km = start()
first = client(km)
second = km.client()
second.session = Session(key=km.session.key)
second.start_channels()
second.wait_for_ready(timeout=LIMIT)
tell(distinct=first.session.bsession != second.session.bsession)

# Each client gets its own replies, and both see all output.
a = run(first, "x = 1; print('from the first')")
b = run(second, "print('from the second'); x")
tell(replies=[a.reply["content"]["status"], b.reply["content"]["execution_count"]], result=b.of("execute_result")[0]["data"]["text/plain"])
seen = []
while True:
    m = first.get_iopub_msg(timeout=LIMIT)
    if m["msg_type"] == "stream":
        seen.append(m["content"]["text"])
    if m["parent_header"].get("msg_id") == b.reply["parent_header"]["msg_id"] and m["content"].get("execution_state") == "idle":
        break
tell(seen=seen)

# Each is asked for input by its own cells only.
got = {}


def ask(name, kc):
    o = run(kc, "print(input('%s? '))" % name, stdin="to " + name)
    got[name] = [o.text(), [m["content"]["prompt"] for m in o.messages if m["msg_type"] == "input_request"]]


threads = [threading.Thread(target=ask, args=p) for p in (("one", first), ("two", second))]
[t.start() for t in threads]
[t.join() for t in threads]
tell(input=got)

# A subshell answers while the main shell is busy.
first.session.send(first.control_channel.socket, first.session.msg("create_subshell_request", {}))
reply = first.get_control_msg(timeout=LIMIT)
sub = reply["content"]["subshell_id"]
busy = first.execute("import time, os; time.sleep(1); 'main'")
msg = first.session.msg("execute_request", {"code": "import nbhush; print(nbhush.get('ASKED'), os.environ['TOKEN'] if 0 else '')", "silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": False, "stop_on_error": True})
msg["header"]["subshell_id"] = sub
first.session.send(first.shell_channel.socket, msg)
order = []
while len(order) < 2:
    m = first.get_shell_msg(timeout=LIMIT)
    order.append(["main", "sub"][m["parent_header"]["msg_id"] == msg["header"]["msg_id"]] + " " + m["content"]["status"])
text = ""
while True:
    m = first.get_iopub_msg(timeout=LIMIT)
    if m["msg_type"] == "stream" and m["parent_header"]["msg_id"] == msg["header"]["msg_id"]:
        text += m["content"]["text"]
    if m["parent_header"].get("msg_id") == busy and m["content"].get("execution_state") == "idle":
        break
tell(order=order, text=text)

# A client that comes while a value is out gets iopub_welcome if its protocol has it.
third = km.client()
third.session = Session(key=km.session.key)
third.start_channels()
m = third.get_iopub_msg(timeout=LIMIT)
tell(welcome=[m["msg_type"], m["content"], m["parent_header"]])

# The debugger's replies come over control.
first.session.send(first.control_channel.socket, first.session.msg("debug_request", {"type": "request", "seq": 1, "command": "debugInfo", "arguments": {}}))
m = first.get_control_msg(timeout=LIMIT)
tell(debug=[m["msg_type"], m["content"]["success"], m["content"]["command"]])
tell(heart=first.hb_channel.is_beating())
for kc in (first, second, third):
    kc.stop_channels()
km.shutdown_kernel()
