"""Kernels over each transport that a connection file can name, with and without CURVE."""
import tempfile

import zmq
from zmq.utils.monitor import recv_monitor_message

from harness import *

transport, encryption = sys.argv[1:]
options = {"transport_encryption": encryption}
if transport == "ipc":
    options.update(transport="ipc", ip=os.path.join(tempfile.mkdtemp(dir=os.path.dirname(os.environ["NBHUSH_TEST_AGENT"])), "k"))
elif transport == "ipv6":
    # jupyter_client holds ::1 for another machine and asks a socket of IPv4 for free ports, so its own
    # check is taken out here; libzmq knows IPv6 where it is told to.
    import socket

    from jupyter_client.provisioning import local_provisioner

    local_provisioner.is_local_ip = lambda ip: True

    context = zmq.Context()
    context.setsockopt(zmq.IPV6, 1)
    options.update(ip="::1", cache_ports=False, context=context)
    sockets = [socket.create_server(("::1", 0), family=socket.AF_INET6) for _ in range(5)]
    for kind, s in zip(("shell", "control", "stdin", "iopub", "hb"), sockets):
        options[kind + "_port"] = s.getsockname()[1]
        s.close()

km = start(**options)
kc = client(km, context=km.context)
info = km.get_connection_info()
tell(curve=[bool(info.get("curve_publickey")), bool(info.get("curve_secretkey"))], transport=km.transport)

o = run(kc, "import os; print('T=' + os.environ['TOKEN']); 6*7")
tell(stream=o.text(), result=o.of("execute_result")[0]["data"]["text/plain"], types=o.types())
o = run(kc, "import nbhush; v = nbhush.get('ASKED'); print(v[::-1] != v); v")
tell(result=o.of("execute_result")[0]["data"]["text/plain"], stream=o.text())
o = run(kc, "print(input('who? '))", stdin="me")
tell(stream=o.text(), prompts=[m["content"]["prompt"] for m in o.messages if m["msg_type"] == "input_request"])
# No more messages than a PUB of libzmq keeps for a subscriber that is not quick enough: 1,000.
o = run(kc, "for i in range(900): print(i, flush=True)\nprint('x' * 20_000_000)")
text = o.text()
tell(lines=text.startswith("0\n1\n") and "899\nxx" in text, size=len(text) - len("".join("%d\n" % i for i in range(900))))
kc.session.send(kc.control_channel.socket, kc.session.msg("kernel_info_request", {}))
tell(control=kc.get_control_msg(timeout=LIMIT)["msg_type"])
beating = kc.hb_channel
beating._running = True
kc.hb_channel.unpause()
end = time.monotonic() + LIMIT
while not beating.is_beating() and time.monotonic() < end:
    time.sleep(0.05)
tell(heart=beating.is_beating())


ENDS = {zmq.EVENT_HANDSHAKE_SUCCEEDED, zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL, zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL,
        zmq.EVENT_HANDSHAKE_FAILED_AUTH, zmq.EVENT_DISCONNECTED}


def heard(**keys):
    """Whether a subscriber that has only these keys hears a cell."""
    s = km.context.socket(zmq.SUB)
    s.linger = 0
    for key, value in keys.items():
        setattr(s, key, value)
    s.subscribe(b"")
    monitor = s.get_monitor_socket()
    s.connect(km._make_url("iopub"))
    try:
        while True:
            if not monitor.poll(LIMIT * 1000):
                raise TimeoutError("the end of a handshake")
            event = recv_monitor_message(monitor)["event"]
            if event in ENDS:
                break
        run(kc, "print('for those with the key')")
        return s.poll(LIMIT * 1000 if event == zmq.EVENT_HANDSHAKE_SUCCEEDED else 50) != 0
    finally:
        s.disable_monitor()
        s.close()


public, secret = zmq.curve_keypair()
other, _ = zmq.curve_keypair()
tell(plain=heard(), other=heard(curve_publickey=public, curve_secretkey=secret, curve_serverkey=other))

o = run(kc, "from ipykernel.connect import get_connection_info as c; import json; i = json.loads(c()); print(i['transport'], 'curve_publickey' in i)")
tell(behind=o.text())
km.restart_kernel()
kc.wait_for_ready(timeout=LIMIT)
o = run(kc, "import os; print('T=' + os.environ['TOKEN'])")
tell(restart=o.text(), same=info.get("curve_publickey") == km.get_connection_info().get("curve_publickey"))
if transport == "ipc":
    files = sorted(os.listdir(os.path.dirname(km.ip)))
    modes = {oct(os.stat(os.path.join(os.path.dirname(km.ip), f)).st_mode & 0o777) for f in files}
    tell(files=files, modes=sorted(modes))
km.restart_kernel(now=True)
kc.wait_for_ready(timeout=LIMIT)
tell(killed=run(kc, "print('there')").text())
kc.stop_channels()
km.shutdown_kernel()
tell(end=km.has_kernel)
