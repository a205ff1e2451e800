"""Contents managers and a pre-save hook for the tests of what is done before a save."""

import datetime
import json
import os

from jupyter_server.services.contents.checkpoints import Checkpoints
from jupyter_server.services.contents.largefilemanager import AsyncLargeFileManager
from jupyter_server.services.contents.manager import AsyncContentsManager, ContentsManager
from tornado.web import HTTPError

KEPT = os.path.join(os.path.expanduser("~"), "project")


def hook(model, path, contents_manager, **kwargs):
    """A user's own hook, which puts into notebooks what stands in a file."""
    if model["type"] == "notebook":
        with open(os.path.join(os.path.expanduser("~"), "late")) as f:
            model["content"]["metadata"]["late"] = f.read()


class NoCheckpoints(Checkpoints):
    def list_checkpoints(self, path):
        return []


class Plain(ContentsManager):
    """Keeps models as JSON files of its own form, and knows nothing of hooks."""

    checkpoints_class = NoCheckpoints

    def file(self, path):
        return os.path.join(KEPT, path.strip("/").replace("/", "-") or "none")

    def file_exists(self, path=""):
        return os.path.exists(self.file(path))

    def dir_exists(self, path):
        return path.strip("/") == ""

    def is_hidden(self, path):
        return False

    def get(self, path, content=True, type=None, format=None, require_hash=False):
        now = datetime.datetime.now(datetime.timezone.utc)
        model = {"name": path, "path": path, "type": type or "notebook", "created": now, "last_modified": now,
                 "writable": True, "mimetype": None, "format": None, "content": None}
        if path.strip("/") == "":
            return {**model, "type": "directory", "format": "json", "content": []}
        if not self.file_exists(path):
            raise HTTPError(404, path)
        with open(self.file(path)) as f:
            kept = json.load(f)
        model["type"] = kept["type"]
        return {**model, "format": kept.get("format") or "json", "content": kept["content"]} if content else model

    def save(self, model, path=""):
        with open(self.file(path), "w") as f:
            json.dump({k: model.get(k) for k in ("type", "format", "content")}, f)
        return self.get(path, content=False)


class AsyncPlain(AsyncContentsManager):
    """The same, asynchronous."""

    checkpoints_class = NoCheckpoints
    file = Plain.file

    async def file_exists(self, path=""):
        return os.path.exists(self.file(path))

    async def dir_exists(self, path):
        return path.strip("/") == ""

    async def is_hidden(self, path):
        return False

    async def get(self, path, **kwargs):
        return Plain().get(path, **kwargs)

    async def save(self, model, path=""):
        return Plain().save(model, path)


class LatePlain(AsyncPlain):
    """The same, with methods that do not look asynchronous."""

    def save(self, model, path="", kept=True):
        return super().save(model, path)


class Switch(AsyncLargeFileManager):
    """Jupyter's own manager; what is saved below bare/ passes by whoever put something before save."""

    def __setattr__(self, name, value):
        if name == "save":
            bare, checked = self.save, value

            async def value(model, path=""):
                return await (bare if path.strip("/").startswith("bare/") else checked)(model, path)

        super().__setattr__(name, value)
