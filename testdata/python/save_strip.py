"""Strips notebooks as the server extension does before a save.

usage: save_strip.py FOLDER SOCKET < notebooks.json > stripped.json
"""

import json
import sys

sys.path.append(sys.argv[1])
from nbhush_save import agent, notebook  # noqa: E402

link = agent.Link(sys.argv[2], 30)
out = []
for nb in json.load(sys.stdin):
    link.begin()
    names = notebook.strip(nb, link)
    out.append({"notebook": nb, "names": sorted(names)})
json.dump(out, sys.stdout)
