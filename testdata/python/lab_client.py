"""What JupyterLab's front end does, without a browser: starts a kernel through
the server's REST interface, runs cells over its websocket, collects the outputs
as JupyterLab does, and saves the notebook through the contents interface.

usage: lab_client.py BASE_URL NOTEBOOK < cells.json > report.json

JUPYTER_TOKEN holds the server's token. cells.json is a list of sources. The
kernel goes on running, so that the caller can look at its processes; the report
holds its id, and the outputs of each cell as they were saved.
"""

import json
import os
import sys
import urllib.request
import uuid

import websocket

BASE, PATH = sys.argv[1].rstrip("/"), sys.argv[2]
TOKEN = os.environ["JUPYTER_TOKEN"]


def rest(method, path, body=None):
    request = urllib.request.Request(
        BASE + path,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": "token " + TOKEN, "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=120) as response:
        return json.loads(response.read() or b"null")


def collect(outputs, kind, content):
    """Adds one iopub message to a cell's outputs, as nbformat 4 has them."""
    if kind == "stream":
        if outputs and outputs[-1].get("name") == content["name"]:
            outputs[-1]["text"] += content["text"]
        else:
            outputs.append({"output_type": "stream", "name": content["name"], "text": content["text"]})
    elif kind == "error":
        outputs.append({"output_type": "error", **{k: content[k] for k in ("ename", "evalue", "traceback")}})
    elif kind == "update_display_data":
        for output in outputs:
            if output.get("transient") == content["transient"]:
                output["data"], output["metadata"] = content["data"], content["metadata"]
    elif kind in ("display_data", "execute_result"):
        output = {"output_type": kind, "data": content["data"], "metadata": content["metadata"],
                  "transient": content.get("transient")}
        if kind == "execute_result":
            output["execution_count"] = content["execution_count"]
        outputs.append(output)


def execute(ws, session, source):
    msg_id = uuid.uuid4().hex
    ws.send(json.dumps({
        "channel": "shell",
        "header": {"msg_id": msg_id, "session": session, "username": "u", "msg_type": "execute_request",
                   "version": "5.3", "date": "2026-01-01T00:00:00Z"},
        "parent_header": {}, "metadata": {}, "buffers": [],
        "content": {"code": source, "silent": False, "store_history": True, "user_expressions": {},
                    "allow_stdin": False, "stop_on_error": False},
    }))
    outputs, count, idle, replied = [], None, False, False
    while not (idle and replied):
        message = json.loads(ws.recv())
        if message["parent_header"].get("msg_id") != msg_id:
            continue
        kind, content = message["header"]["msg_type"], message["content"]
        if message["channel"] == "shell" and kind == "execute_reply":
            replied, count = True, content["execution_count"]
        elif kind == "status":
            idle = content["execution_state"] == "idle"
        else:
            collect(outputs, kind, content)
    for output in outputs:
        output.pop("transient", None)  # not a part of nbformat
    return outputs, count


cells = json.load(sys.stdin)
session = rest("POST", "/api/sessions", {"path": PATH, "name": PATH, "type": "notebook", "kernel": {"name": "python3"}})
kernel = session["kernel"]["id"]
client = uuid.uuid4().hex
ws = websocket.create_connection(
    BASE.replace("http", "ws", 1) + f"/api/kernels/{kernel}/channels?session_id={client}",
    header=["Authorization: token " + TOKEN], timeout=120, suppress_origin=True,
)
saved = []
for source in cells:
    outputs, count = execute(ws, client, source)
    saved.append({"cell_type": "code", "id": uuid.uuid4().hex[:8], "metadata": {}, "source": source,
                  "outputs": outputs, "execution_count": count})
ws.close()
notebook = {"cells": saved, "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3"}},
            "nbformat": 4, "nbformat_minor": 5}
rest("PUT", "/api/contents/" + PATH, {"type": "notebook", "format": "json", "content": notebook})
json.dump({"kernel": kernel, "outputs": [c["outputs"] for c in saved]}, sys.stdout)
