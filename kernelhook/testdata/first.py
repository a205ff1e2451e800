from harness import *

km = start()
kc = client(km)
o = run(kc, "import os; print('T=' + os.environ['TOKEN']); 6*7")
tell(stream=o.text(), result=o.of("execute_result")[0]["data"]["text/plain"], count=o.reply["content"]["execution_count"], types=o.types())
o = run(kc, "import nbhush; v = nbhush.get('ASKED'); print(v[::-1] != v); v")
tell(result=o.of("execute_result")[0]["data"]["text/plain"], stream=o.text())
kc.stop_channels()
km.shutdown_kernel()
tell(end=km.has_kernel)
