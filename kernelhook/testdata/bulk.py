"""Much output: all of it arrives, in order, and the hook's memory comes back."""
import hashlib

from harness import *

import psutil

km = start()
kc = client(km)
hook = psutil.Process(km.provisioner.process.pid)


def resident():
    return hook.memory_info().rss / 1e6


run(kc, "1")
tell(idle=resident())
N, EACH = int(sys.argv[1]), 500  # a kernel drops what is more than 1,000 messages ahead, with or without a hook
numbers = []
for first in range(0, N, EACH):
    o = run(kc, """
from IPython.display import publish_display_data
for i in range(%d, %d): publish_display_data({'text/plain': str(i)})
""" % (first, first + EACH))
    numbers += [int(c["data"]["text/plain"]) for c in o.of("display_data")]
tell(count=len(numbers), ordered=numbers == sorted(numbers))
size = int(sys.argv[2])
o = run(kc, """
import hashlib, os
line = 'x' * 99 + '\\n'
text = line * %d
print(text, end='')
""" % (size // 100))
text = o.text()
tell(size=len(text), same=text == ("x" * 99 + "\n") * (size // 100))
o = run(kc, "import sys\nfor i in range(100000): print(i)")
tell(lines=o.text() == "".join("%d\n" % i for i in range(100000)))
del text, o
end = time.monotonic() + 5
while resident() > 40 and time.monotonic() < end:
    time.sleep(0.1)
tell(after=resident())
kc.stop_channels()
km.shutdown_kernel()
