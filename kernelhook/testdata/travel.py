"""Every way that a value can travel out of a kernel, type by type."""
import base64

from harness import *

os.environ["AMBIENT_API_KEY"] = sys.argv[1]
km = start()
kc = client(km)
v = "v"
run(kc, "import os; v = os.environ['TOKEN']; k = os.environ['AMBIENT_API_KEY']")

CELLS = {
    # iopub
    "stream": "print(v)",
    "display_data": "from IPython.display import *; display({'text/plain': v, 'text/html': v, 'text/latex': v, 'image/svg+xml': '<svg><text>' + v + '</text></svg>', 'application/vnd.x+json': {'a': [v], v: 1}}, metadata={'m': v, v: {'n': v}}, raw=True)",
    "update_display_data": "h = display(1, display_id='d'); h.update({'text/plain': v}, raw=True)",
    "execute_result": "v",
    "error": "raise ValueError(v)",
    "transient": "display({'text/plain': 'x'}, raw=True, transient={'display_id': v})",
    "pager": "from IPython.core.page import page; page(v)",
    "next input": "get_ipython().set_next_input('k = ' + repr(v))",
    # encodings
    "repr": "print(repr(v), repr(v.encode()), [v], {'a': v.encode()}, ascii(v))",
    "dict(os.environ)": "dict(os.environ)",
    "environ printed": "print(os.environ)",
    "environment's own": "print(k, repr(k), {'key': k})",
    "colour inside": "print('\\x1b[31m' + v[:6] + '\\x1b[1m' + v[6:] + '\\x1b[0m', end='')",
    "coloured by pygments": "from pygments import highlight; from pygments.lexers import PythonLexer; from pygments.formatters import TerminalFormatter, Terminal256Formatter, HtmlFormatter; code = 'f(\"' + v + '\", k={\"' + v + '\": 1}) # ' + v; print(highlight(code, PythonLexer(), TerminalFormatter()), highlight(code, PythonLexer(), Terminal256Formatter()))",
    "pygments HTML": "HTML(highlight(code, PythonLexer(), HtmlFormatter(full=True, linenos='table')))",
    "pygments HTML of a format": "HTML(highlight('f\"' + v[:4] + '{x}' + v + '%s\\\\n\"', PythonLexer(), HtmlFormatter()))",
    "code display": "Code('key = ' + repr(v), language='python')",
    "folded": "import base64, textwrap; long = v * 1 + ' '; print(textwrap.fill(v, len(v) - 5))",
    "encodebytes": "print(base64.encodebytes(('x' * 50 + v).encode()).decode(), base64.encodebytes(('x' * 50 + v).encode()))",
    "DataFrame": "import pandas as pd; df = pd.DataFrame({'key': [v, 'x' * 200], v: ['<' + v + '&', [v]]}, index=[v, {v}]); df",
    "DataFrame as HTML": "pd.set_option('display.max_colwidth', 30); display(HTML(df.to_html(escape=False)), HTML(df.to_html()), HTML(df.style.to_html())); df.T",
    "DataFrame printed": "pd.set_option('display.width', 60); print(pd.DataFrame([[v + str(i) for i in range(9)]]))",
    "Series": "pd.Series([v, v])",
    "config object": "class Config(dict):\n    def __repr__(self): return '{' + ', '.join(f'{a!r}: {b!r}' for a, b in self.items()) + '}'\nc = Config(); c.update(os.environ); c.update({'lr': 0.1}); c",
    "config as a table": "HTML('<table>' + ''.join(f'<tr><td>{a}</td><td>{b}</td></tr>' for a, b in c.items()) + '</table>')",
    "config as JSON and YAML": "import json; print(json.dumps(dict(c), indent=1)); print('\\n'.join(f'{a}: {json.dumps(b)}' for a, b in c.items()))",
    "namespace": "import types, dataclasses\n@dataclasses.dataclass\nclass D: key: str\nprint(types.SimpleNamespace(key=v), D(v), dataclasses.asdict(D(v)))",
    "traceback": "%xmode Verbose\ndef f(key, other): raise RuntimeError('no ' + key)\nf(v, {'deep': [v]})",
    "plain traceback": "%xmode Plain\nf(v, 1)",
    "chained": "%xmode Context\ntry: f(v, 1)\nexcept Exception as e: raise KeyError(v.encode()) from e",
    "exception group": "raise ExceptionGroup(v, [ValueError(v), ExceptionGroup('in', [OSError(2, v, v)])])",
    "syntax error": "exec('x = \"' + v + '\" \"')",
    "showtraceback": "try: f(v, 1)\nexcept Exception: import traceback; traceback.print_exc()",
    "warning": "import warnings; warnings.warn(v)",
    "widgets": "import ipywidgets as w; p = w.Password(value=v, description=v); t = w.Text(value=v); p",
    "widget update": "t.value = 'x'; t.value = v; t.placeholder = v; print(t)",
    "widget HTML": "w.HTML('<b>' + v[:5] + '</b>' + v[5:])",
    "widget output": "o = w.Output(); o.append_stdout(v); o.append_display_data(HTML(v)); o",
    "widget image": "w.Image(value=b'\\x89PNG' + v.encode())",
    "interact": "w.interact(lambda x: print(x), x=w.Dropdown(options=[v, 'b'])); None",
}
for name, code in CELLS.items():
    if name.startswith("transient"):
        pass
    o = run(kc, code)
    shown = []
    for m in o.messages:
        if m["msg_type"] in ("status", "execute_input"):
            continue
        shown.append([m["msg_type"], m["content"], m["metadata"], [base64.b64encode(bytes(b)).decode() for b in m.get("buffers", [])], [bytes(b).decode("latin1") for b in m.get("buffers", [])]])
    tell(what=name, types=sorted({m[0] for m in shown}), shown=json.dumps(shown), reply=json.dumps(o.reply["content"]))


def ask(kind, content, channel="shell", reply=None):
    """A request's reply, and its output if it has any."""
    ch = getattr(kc, channel + "_channel")
    msg = kc.session.msg(kind, content)
    kc.session.send(ch.socket, msg)
    get = kc.get_shell_msg if channel == "shell" else kc.get_control_msg
    while True:
        m = get(timeout=LIMIT)
        if m["parent_header"].get("msg_id") == msg["header"]["msg_id"]:
            return m


def told(what, m):
    tell(what=what, types=[m["msg_type"]], shown=json.dumps(m["content"]), reply="")


run(kc, "class C:\n    '''%s'''\nC.__doc__ = v; d = {v: 1}; setattr(C, 'k_' + v.replace('-', '_'), 1)")
literal = run(kc, "print(v)").text()  # masked
told("inspect_reply", ask("inspect_request", {"code": "C", "cursor_pos": 1, "detail_level": 1}))
told("complete_reply", ask("complete_request", {"code": "d['", "cursor_pos": 3}))
told("complete_reply of an attribute", ask("complete_request", {"code": "C.k_", "cursor_pos": 4}))
told("user_expressions", ask("execute_request", {"code": "", "silent": True, "user_expressions": {"e": "v", "f": "1/0 if v else 0", "g": "int(v)"}, "store_history": False, "allow_stdin": False}))
run(kc, "exec('get_ipython().history_manager.store_inputs(99, \"k = \" + repr(v))')")
told("history_reply", ask("history_request", {"output": True, "raw": True, "hist_access_type": "tail", "n": 9}))
told("comm_info_reply", ask("comm_info_request", {}))
run(kc, "class W:\n    def __init__(self): pass\nimport sys")
# The debugger tells variables.
ask("debug_request", {"type": "request", "seq": 1, "command": "initialize", "arguments": {"clientID": "t", "clientName": "t", "adapterID": "", "pathFormat": "path", "linesStartAt1": True, "columnsStartAt1": True}}, "control")
told("debug_reply inspectVariables", ask("debug_request", {"type": "request", "seq": 2, "command": "inspectVariables", "arguments": {}}, "control"))
told("debug_reply richInspectVariables", ask("debug_request", {"type": "request", "seq": 3, "command": "richInspectVariables", "arguments": {"variableName": "v"}}, "control"))
o = run(kc, "x = input('is it ' + v + '? ')", stdin="no")
told("input_request", [m for m in o.messages if m["msg_type"] == "input_request"][0])
# The page of a widget that the client opens: state comes back in comm_msg.
o = run(kc, "t.send_state()")
tell(what="comm_msg", types=sorted(set(o.types())), shown=json.dumps([m["content"] for m in o.messages if m["msg_type"] == "comm_msg"]), reply="")
o = run(kc, "from comm import create_comm\nc = create_comm(target_name='x', data={'a': v}, metadata={'m': v}, buffers=[b'\\x00' + v.encode()]); c.send({v: 1}); c.close(data={'bye': v})")
tell(what="comm_close", types=sorted(set(o.types())), shown=json.dumps([m["content"] for m in o.messages if m["msg_type"] in ("comm_open", "comm_msg", "comm_close")]), reply="")
kc.stop_channels()
km.shutdown_kernel()
