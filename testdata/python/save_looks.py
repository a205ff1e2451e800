"""Saves notebooks through the server extension, with a contents manager that keeps them in memory.

usage: save_looks.py FOLDER NBHUSH NOTEBOOKS_FOLDER < notebooks.json > saved.json

Each notebook is saved as a.ipynb of the one folder, and NBHUSH is the program to start.
"""

import json
import logging
import os
import sys

sys.path.append(sys.argv[1])
from nbhush_save import guard  # noqa: E402

guard.NBHUSH = sys.argv[2]
guard.STALL = guard.IDLE = 60
saved = []


class Manager:
    def save(self, model, path=""):
        saved.append(model["content"])

    def _get_os_path(self, path):
        return os.path.join(sys.argv[3], path)


logging.basicConfig(level="INFO")
manager = Manager()
guard.Guard(logging.getLogger()).attach(manager)
for nb in json.load(sys.stdin):
    manager.save({"type": "notebook", "content": nb}, "a.ipynb")
json.dump(saved, sys.stdout)
