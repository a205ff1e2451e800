"""Comms with buffers, in both directions."""
import hashlib

from harness import *

km = start()
kc = client(km)
o = run(kc, """
import os, hashlib
from comm import create_comm
from IPython import get_ipython
v = os.environ['TOKEN']
small = b'head' + v.encode() + b'tail'
big = os.urandom(1 << 20) * 50
c = create_comm(target_name='t', data={'k': v, 'n': 1.10}, buffers=[small, big])
c.send({'deep': [{'x': v}]})
def opened(comm, msg):
    comm.send({'sum': hashlib.sha256(b''.join(bytes(b) for b in msg['buffers'])).hexdigest()}, buffers=[b'echo'])
get_ipython().kernel.comm_manager.register_target('back', opened)
print(hashlib.sha256(big).hexdigest())
""")
opened = [m for m in o.messages if m["msg_type"] == "comm_open"][0]
small, big = (bytes(b) for b in opened["buffers"])
tell(data=opened["content"]["data"], small=len(small), head=small[:4].decode(), tail=small[-4:].decode(), middle=sorted(set(small[4:-4].decode())),
     same=hashlib.sha256(big).hexdigest() == o.text().strip())
tell(sent=[m["content"]["data"] for m in o.messages if m["msg_type"] == "comm_msg"])

data = os.urandom(1 << 20) * 50
msg = kc.session.msg("comm_open", {"comm_id": "c1", "target_name": "back", "data": {}})
kc.session.send(kc.shell_channel.socket, msg, buffers=[data])
while True:
    m = kc.get_iopub_msg(timeout=LIMIT)
    if m["msg_type"] == "comm_msg" and m["content"]["comm_id"] == "c1":
        break
tell(same=m["content"]["data"]["sum"] == hashlib.sha256(data).hexdigest(), echo=bytes(m["buffers"][0]).decode())
kc.stop_channels()
km.shutdown_kernel()
