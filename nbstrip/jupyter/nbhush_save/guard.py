"""Stands before a contents manager's save.

Nothing here may cost a save: whatever fails is said once, with the command that mends it,
and the notebook is saved as it is.
"""

import base64
import inspect
import os
import subprocess
import threading
import time

from . import agent, notebook
from .place import NBHUSH

STALL = 0.19  # seconds that a save waits for anything but an agent that answers
PATIENCE = 5.0  # seconds that the thread waits which looks whether the agent is back
PAUSES = (0.5, 1, 2, 5, 10, 30)  # seconds between its looks


class Guard:
    """Strips what one server saves. It may be used by several threads."""

    def __init__(self, log):
        self.log = log
        self.lock = threading.Lock()  # held by who uses link
        self.link = None
        self.path = None
        self.ready = threading.Event()  # set while the agent is thought to answer
        self.away = agent.Away("the agent does not answer")  # why not
        self.hopeless = False  # a save has waited, or a look was taken, in vain
        self.looking = threading.Lock()  # held by the thread that looks
        self.said = set()
        self.unchecked = {}  # paths, in order

    def attach(self, manager):
        """Stand before manager's save, whatever class it is of; do it once."""
        if getattr(manager, "_nbhush_guard", None):
            return
        manager._nbhush_guard = self
        manager.save = around(manager.save, self.before_save, self.after_save(manager))
        if hasattr(manager, "restore_checkpoint"):
            manager.restore_checkpoint = around(manager.restore_checkpoint, None, self.after_restore(manager))
        if hasattr(manager, "register_pre_save_hook"):
            manager.register_pre_save_hook(self.hook)
        self.watch()

    def hook(self, model=None, path="", contents_manager=None, **_):
        """The pre-save hook: what other hooks put in after save was called."""
        others = [h for h in getattr(contents_manager, "_pre_save_hooks", []) if h != self.hook]
        if others or getattr(contents_manager, "pre_save_hook", None) is not None:
            self.before_save(model, path)

    # -- what is saved

    def before_save(self, model, path=""):
        """Strip a model that is about to be saved, in place."""
        if not isinstance(model, dict) or "chunk" in model and model["chunk"] is not None:
            return
        content = model.get("content")
        if isinstance(content, dict) and model.get("type") == "notebook":
            self.checked(path, lambda: self.asking(lambda link: notebook.strip(content, link)))
        elif isinstance(content, str) and model.get("type") != "directory" and is_notebook(path):
            self.checked(path, lambda: self.strip_file_model(model))

    def strip_file_model(self, model):
        """Strip a notebook that comes as the content of a file."""
        content, coded = model["content"], model.get("format") == "base64"
        try:
            raw = base64.b64decode(content) if coded else notebook.encode(content)
        except ValueError:
            return set()  # the contents manager will refuse it
        out, names = self.strip_bytes(raw)
        if out != raw:
            model["content"] = base64.b64encode(out).decode() if coded else out.decode("utf-8", "surrogatepass")
        return names

    def strip_bytes(self, raw):
        """Return the file raw, stripped to the byte by nbhush itself; one that cannot be read is stripped as text."""
        out = self.run(["strip", "-"], raw)
        if out is not None:
            return out, {"secrets"} if out != raw else set()
        text, names = self.asking(lambda link: notebook.strip_text(raw.decode("utf-8", "surrogateescape"), link))
        return text.encode("utf-8", "surrogateescape"), names

    def after_save(self, manager):
        """What is done when the last chunk of an upload is there: only then it is a notebook."""

        def after(model, path=""):
            if isinstance(model, dict) and model.get("chunk") == -1 and is_notebook(path):
                return self.strip_on_disk(manager, path)
            return False

        return after, manager

    def after_restore(self, manager):
        """A checkpoint may be older than nbhush."""

        def after(checkpoint_id=None, path=""):
            return is_notebook(path) and self.strip_on_disk(manager, path)

        return after, None

    def strip_on_disk(self, manager, path):
        """Strip the file at path, unless somebody changes it meanwhile; return whether it changed."""
        if not hasattr(manager, "_get_os_path"):
            return False

        def strip():
            file = manager._get_os_path(path.strip("/"))
            before = stamp(file)
            self.run(["strip", os.path.abspath(file)])
            return {"secrets"} if stamp(file) != before else set()

        return bool(self.checked(path, strip))

    # -- the agent

    def checked(self, path, work):
        """Do work, which returns the names of what it took out. No error leaves."""
        path = str(path).strip("/")
        try:
            names = work()
        except agent.Away as why:
            self.say(path, str(why) if why.refused else "away", why, why.mend)
            if not why.refused:
                self.watch()
        except Exception as why:
            self.say(path, type(why), type(why).__name__, "nbhush doctor")
        else:
            self.said.clear()
            if names:
                self.log.info("nbhush: took out of %s, before it was saved: %s", path, ", ".join(sorted(names)))
            self.unchecked.pop(path, None)
            return names
        self.unchecked[path] = None
        return None

    def say(self, path, kind, what, mend):
        if kind not in self.said:
            self.said.add(kind)
            self.log.warning(
                "nbhush: %s was saved unchecked, and so is what follows: %s; to mend it: %s, then: nbhush strip FILE", path, what, mend
            )

    def asking(self, do):
        """Call do with the link to the agent. Where the agent has gone, there is time to start another."""
        end = time.monotonic() + STALL
        while True:
            left = end - time.monotonic()
            if self.hopeless or left <= 0 or not self.ready.wait(left):
                self.hopeless = not self.ready.is_set()
                raise self.away
            if not self.lock.acquire(timeout=left):
                raise agent.Away("another save waits for the agent", refused=True)
            try:
                return self.ask(do)
            except (OSError, agent.Away) as why:
                if isinstance(why, agent.Away) and not why.absent:
                    raise
                self.watch()
            finally:
                self.lock.release()

    def ask(self, do):
        used = self.link is not None
        try:
            if not used:
                self.link = agent.Link(self.path)
            self.link.begin()
            return do(self.link)
        except BaseException as why:
            if self.link is not None:
                self.link.close()  # answers may be on their way that nobody waits for
                self.link = None
            if isinstance(why, agent.Away) and not why.refused:
                self.ready.clear()
                self.away, self.hopeless = why, not why.absent
            raise

    def run(self, args, given=b""):
        """Run nbhush, if the agent answers, and return what it writes, or None where it says that the file is unreadable."""
        self.asking(lambda link: (link.ask(b"", lambda *_: None), link.wait()))
        try:
            done = subprocess.run([NBHUSH, *args], input=given, capture_output=True, timeout=2 + len(given) * agent.FLOOR)
        except subprocess.TimeoutExpired:
            raise agent.Away("nbhush strip took too long") from None
        if done.returncode == 4:
            raise agent.Away("the agent went away")
        return done.stdout if done.returncode == 0 else None

    def watch(self):
        """Look, in a thread, until the agent answers; start it if it does not run."""
        if self.looking.acquire(blocking=False):
            self.ready.clear()
            threading.Thread(target=self.look, name="nbhush", daemon=True).start()

    def look(self):
        for n in range(1 << 30):
            try:
                self.reach()
                break
            except agent.Away as why:
                self.away = why
            except FileNotFoundError:
                self.away = agent.Away("%s is not there" % NBHUSH, "install it again, or nbhush jupyter disable")
            except Exception as why:
                self.away = agent.Away("the agent does not start (%s)" % type(why).__name__)
            self.hopeless = True
            time.sleep(PAUSES[min(n, len(PAUSES) - 1)])
        self.looking.release()
        self.hopeless = False
        self.ready.set()
        if self.unchecked:
            self.log.warning("nbhush: the agent answers again; saved unchecked meanwhile: %s; to mend it: nbhush strip FILE", ", ".join(list(self.unchecked)))

    def reach(self):
        """Have an agent answer one question, or raise why not."""
        if self.path is None:
            self.path = nbhush("agent", "socket").rstrip("\n")
        try:
            link = agent.Link(self.path, PATIENCE)
        except agent.Away as why:
            if not why.absent:
                raise
            nbhush("agent", "start")
            link = agent.Link(self.path, PATIENCE)
        try:
            link.ask(b"", lambda *_: None)
            link.wait()
        except agent.Away as why:
            if not why.refused:
                raise
        finally:
            link.close()


def nbhush(*args):
    """Run nbhush and return what it prints."""
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    return subprocess.run([NBHUSH, *args], timeout=2 * PATIENCE, check=True, text=True, **quiet).stdout


def around(method, before, after):
    """Return method with before in front of it, and after behind it: when that returns true, the model is read anew."""
    check, manager = after

    def enter(args, kwargs):
        if before is not None:
            before(*args, **kwargs)

    if inspect.iscoroutinefunction(method):

        async def outer(*args, **kwargs):
            enter(args, kwargs)
            again = renewed(args, kwargs)
            result = await method(*args, **kwargs)
            if check(*args, **kwargs) and manager is not None:
                result = await manager.get(again, content=False)
            return result

    else:

        def outer(*args, **kwargs):
            enter(args, kwargs)
            again = renewed(args, kwargs)
            result = method(*args, **kwargs)
            if check(*args, **kwargs) and manager is not None:
                result = manager.get(again, content=False)
            return result

    return outer


def renewed(args, kwargs):
    return kwargs.get("path", args[1] if len(args) > 1 else "")


def is_notebook(path):
    return path.lower().endswith(".ipynb")


def stamp(file):
    s = os.stat(file)
    return s.st_ino, s.st_size, s.st_mtime_ns
