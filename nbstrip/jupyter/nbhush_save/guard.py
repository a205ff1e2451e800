"""Stands before a contents manager's save.

Nothing here may cost a save: whatever fails is said once, with the command that mends it,
and the notebook is saved as it is. Nor may it cost the server's time: for an asynchronous
manager a thread does the work, for any other nothing waits for an agent that is silent.
"""

import asyncio
import base64
import functools
import inspect
import json
import os
import subprocess
import threading
import time

from . import agent, notebook
from .place import NBHUSH

STALL = 0.19  # seconds that a save waits for anything but an agent that answers
IDLE = 0.15  # of them, without a sign of the agent
PATIENCE = 5.0  # seconds that the thread waits which looks whether the agent is back
PAUSES = (0.5, 1, 2, 5, 10, 30)  # seconds between its looks
ALLOWANCE = 1 << 20  # bytes that are searched, while the server waits, for what looks like a secret
SPARE = 4  # connections that are kept
NAMES = 10  # that the page is told of


class Guard:
    """Strips what one server saves. It may be used by several threads."""

    def __init__(self, log):
        self.log = log
        self.manager = None
        self.clean = notebook.Clean()
        self.links = []  # connections that nobody uses now
        self.path = None
        self.ready = threading.Event()  # set while the agent is thought to answer
        self.away = agent.Away("the agent does not answer")  # why not
        self.hopeless = False  # a save has waited, or a look was taken, in vain
        self.looking = threading.Lock()  # held by the thread that looks
        self.said = set()
        self.took = {}  # names by path, so that every save of an open document does not say them again
        self.unchecked = {}  # paths, in order

    def attach(self, manager):
        """Stand before manager's save, whatever class it is of; do it once."""
        if getattr(manager, "_nbhush_guard", None):
            return
        manager._nbhush_guard = self
        save, threaded = manager.save, inspect.iscoroutinefunction(manager.save)
        self.manager = manager
        if not threaded:
            self.clean.allowance = ALLOWANCE

        async def saved(result, model=None, path="", *_, **__):
            # Only the last chunk makes an upload a notebook.
            if isinstance(model, dict) and model.get("chunk") == -1 and is_notebook(path):
                result = await self.strip_kept(manager, save, path, threaded) or result
            return self.told(result, path)

        async def restored(result, checkpoint_id=None, path="", *_, **__):
            if is_notebook(path):  # a checkpoint may be older than nbhush
                await self.strip_kept(manager, save, path, threaded)
            return result

        manager.save = around(save, self.before_save, saved, threaded)
        if hasattr(manager, "restore_checkpoint"):
            manager.restore_checkpoint = around(manager.restore_checkpoint, None, restored, threaded)
        if hasattr(manager, "run_pre_save_hooks"):
            manager.run_pre_save_hooks = self.behind_hooks(manager, manager.run_pre_save_hooks)
        self.watch()

    def behind_hooks(self, manager, run):
        """Return run with a look behind it at what others' hooks, if there are any, put in after save was called."""

        def outer(model, path, **kwargs):
            run(model=model, path=path, **kwargs)
            if getattr(manager, "pre_save_hook", None) is not None or getattr(manager, "_pre_save_hooks", None):
                self.before_save(model, path)

        return outer

    # -- what is saved

    def before_save(self, model=None, path="", *_, **__):
        """Strip a model that is about to be saved, in place. No error leaves."""
        if not isinstance(model, dict) or model.get("chunk") is not None:
            return
        content = model.get("content")
        if isinstance(content, dict) and model.get("type") == "notebook":
            self.checked(path, lambda: self.asking(lambda link: notebook.strip(content, link, self.clean, functools.partial(self.decided, path))))
        elif isinstance(content, str) and model.get("type") != "directory" and is_notebook(path):
            self.checked(path, lambda: self.strip_file_model(model, path))

    def strip_file_model(self, model, path):
        """Strip a notebook that comes as the content of a file."""
        content, coded = model["content"], model.get("format") == "base64"
        try:
            raw = base64.b64decode(content) if coded else notebook.encode(content)
        except ValueError:
            return set()  # the contents manager will refuse it
        out, names = self.strip_bytes(raw, path)
        if out != raw:
            model["content"] = base64.b64encode(out).decode() if coded else out.decode("utf-8", "surrogatepass")
        return names

    def strip_bytes(self, raw, path):
        """Return the file raw, stripped to the byte by nbhush itself; one that cannot be read is stripped as text."""
        self.asking(lambda link: link.find(b""))
        out = self.strip_process(raw, path)
        if out is not None:
            return out, {"secrets"} if out != raw else set()
        text, names = self.asking(lambda link: notebook.strip_text(raw.decode("utf-8", "surrogateescape"), link))
        return text.encode("utf-8", "surrogateescape"), names

    def strip_process(self, raw, path):
        """Return what nbhush strip makes of a notebook in the folder of path; None where it says that it is none."""
        patience = 2 + len(raw) * agent.LOOKS_FLOOR
        try:
            done = subprocess.run([NBHUSH, "strip", "-"], input=raw, capture_output=True, timeout=patience, cwd=self.folder(path))
        except subprocess.TimeoutExpired:
            raise agent.Away("nbhush strip took too long") from None
        if done.returncode == 4:
            raise agent.Away("the agent went away")
        return done.stdout if done.returncode == 0 else None

    def decided(self, path, nb, names):
        """Return nb as nbhush strip, which knows the project's rules and exceptions, strips it; None where it cannot or need not."""
        if not any(map(notebook.is_look, names)) and not self.ruled(path):
            return None
        out = self.strip_process(notebook.encode(json.dumps(nb, ensure_ascii=False)), path)
        return None if out is None else json.loads(out)

    def folder(self, path):
        """Return the folder of path on the disk, if there is one."""
        try:
            folder = os.path.dirname(self.manager._get_os_path(name_of(path)))
        except Exception:  # of a manager that keeps no files
            return None
        return folder if os.path.isdir(folder) else None

    def ruled(self, path):
        """Say whether an nbhush.toml may have rules for the notebook at path: nbhush strip knows for sure."""
        folder = self.folder(path)
        while folder:
            try:
                with open(os.path.join(folder, "nbhush.toml"), "rb") as file:
                    return b"strip" in file.read(1 << 20)
            except OSError:
                folder, below = os.path.dirname(folder), folder
                if folder == below:
                    break
        return False

    async def strip_kept(self, manager, save, path, threaded):
        """Strip what manager already keeps at path. Return what save does, or None where it was clean."""
        try:
            model = await settled(manager.get(path, content=True, type="file"))
            content = model.get("content")
            if threaded:
                await aside(self.before_save, model, path)
            else:
                self.before_save(model, path)
            return None if model.get("content") == content else await settled(save(model, path))
        except Exception as why:
            self.failed(path, why)
            return None

    # -- what is said

    def checked(self, path, work):
        """Do work, which returns the names of what it took out. No error leaves."""
        try:
            names = work()
        except Exception as why:
            return self.failed(path, why)
        self.said.clear()
        self.unchecked.pop(name_of(path), None)
        if names and names != self.took.get(name_of(path)):
            self.log.info("nbhush: took out of %s, before it was saved: %s", name_of(path), ", ".join(sorted(names)))
        self.took[name_of(path)] = names

    def told(self, result, path):
        """Return the model of a saved file with the names of what was taken out of it, for the page."""
        names = self.took.get(name_of(path))
        return {**result, "nbhush": sorted(names)[:NAMES]} if names and isinstance(result, dict) else result

    def failed(self, path, why):
        """Say why path was saved unchecked, unless that was said; see to the agent."""
        self.took.pop(name_of(path), None)
        self.unchecked[name_of(path)] = None
        if not isinstance(why, agent.Away):
            # Only the kind: what the error says may be the notebook's text.
            kind, what, mend = type(why), type(why).__name__, "nbhush doctor"
        else:
            kind, what, mend = str(why) if why.refused else "away", why, why.mend
            if not why.refused:
                self.watch()
        if kind not in self.said:
            self.said.add(kind)
            self.log.warning(
                "nbhush: %s was saved unchecked, and so is what follows: %s; to mend it: %s, then: nbhush strip FILE", name_of(path), what, mend
            )

    # -- the agent

    def asking(self, do):
        """Return what do, called with a connection to the agent, returns. Where the agent has gone, there is time to start another."""
        end = time.monotonic() + STALL
        while True:
            left = end - time.monotonic()
            if self.hopeless or left <= 0 or not self.ready.wait(left):
                self.hopeless = not self.ready.is_set()
                raise self.away
            try:
                return self.ask(do)
            except (OSError, agent.Away) as why:
                if isinstance(why, agent.Away) and not why.absent:
                    raise
                self.watch()

    def ask(self, do):
        link = None
        try:
            try:
                link = self.links.pop()
            except IndexError:
                link = agent.Link(self.path, IDLE)
            link.begin()
            result = do(link)
        except BaseException as why:
            if link is not None:
                link.close()  # answers may be on their way that nobody waits for
            if isinstance(why, agent.Away) and not why.refused:
                self.ready.clear()
                self.away, self.hopeless = why, not why.absent
            raise
        if len(self.links) < SPARE:
            self.links.append(link)
        else:
            link.close()
        return result

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
        self.clean.hashes = set()  # this agent may have other rules
        while self.links:
            self.links.pop().close()  # to the agent before this one
        self.looking.release()
        self.hopeless = False
        self.ready.set()
        if self.unchecked:
            self.log.warning(
                "nbhush: the agent answers again; saved unchecked meanwhile: %s; to mend it: nbhush strip FILE", ", ".join(list(self.unchecked))
            )

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
            link.find(b"")
        except agent.Away as why:
            if not why.refused:
                raise
        finally:
            link.close()


def nbhush(*args):
    """Run nbhush and return what it prints."""
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    return subprocess.run([NBHUSH, *args], timeout=2 * PATIENCE, check=True, text=True, **quiet).stdout


def around(method, before, after, threaded):
    """Return method with before in front of it, in a thread if it is asynchronous, and the coroutine after behind it.

    Both get the arguments, and after the result before them; what after returns is returned.
    """
    async def finish(result, args, kwargs):
        return await after(await settled(result), *args, **kwargs)

    async def asynchronous(*args, **kwargs):
        if before:
            await aside(before, *args, **kwargs)
        return await finish(method(*args, **kwargs), args, kwargs)

    def synchronous(*args, **kwargs):
        if before:
            before(*args, **kwargs)
        result = method(*args, **kwargs)
        finishing = finish(result, args, kwargs)
        if inspect.isawaitable(result):
            return finishing
        try:
            finishing.send(None)
        except StopIteration as end:
            return end.value
        finishing.close()  # it waits for something asynchronous, of a manager that is not
        return result

    return functools.wraps(method)(asynchronous if threaded else synchronous)


async def settled(result):
    """Return the result of a method that may be asynchronous."""
    return await result if inspect.isawaitable(result) else result


async def aside(do, *args, **kwargs):
    """Call do in a thread."""
    await asyncio.get_running_loop().run_in_executor(None, functools.partial(do, *args, **kwargs))


def is_notebook(path):
    return str(path).lower().endswith(".ipynb")


def name_of(path):
    return str(path).strip("/")
