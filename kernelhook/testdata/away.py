"""The agent is not there, goes away, comes back."""
from harness import *

away = os.path.join(os.environ["NBHUSH_TEST_AGENT"], "away")
open(away, "w").close()
km = start()
kc = client(km)
o = run(kc, "import os; print(os.environ.get('TOKEN'))")
tell(what="first cell", stream=o.text(), names=[c["name"] for c in o.of("stream")])
o = run(kc, "import nbhush; nbhush.get('ASKED')")
tell(what="get", ename=o.reply["content"]["ename"], evalue=o.reply["content"]["evalue"].split("\n"), stream=o.text())
os.remove(away)
for _ in range(200):
    o = run(kc, "try:\n  v = nbhush.get('ASKED')\nexcept nbhush.Error: pass\nelse: print(v)")
    if o.text():
        break
    time.sleep(0.05)
tell(what="back", stream=o.text())
open(away, "w").close()
o = run(kc, "print(v)\nprint('long enough to be searched')\nv")
tell(what="away again", stream=o.text(), result=o.of("execute_result")[0]["data"], status=o.reply["content"]["status"])
o = run(kc, "print(v)")
tell(what="still away", stream=o.text())
os.remove(away)
for _ in range(200):
    o = run(kc, "print(v)")
    if "ASKED" in o.text():
        break
    time.sleep(0.05)
tell(what="back again", stream=o.text())
kc.stop_channels()
km.shutdown_kernel()
