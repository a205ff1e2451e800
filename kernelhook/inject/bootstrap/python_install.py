"""Makes `import nbhush`, its magics, its shims and its answers to prompts work.

sources has the texts of the modules by name, in base64 of zlib. This file runs in
every kernel before its first cell: it loads nothing that a cell may never need.
"""

import importlib.abc
import importlib.util
import os
import sys
import time


class NbhushFinder(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    """Finds the modules that no file holds. It is asked last, so an installed one wins."""

    shims = {"kaggle_secrets", "notebookutils", "mssparkutils", "keyring", "keyring.errors"}
    packages = {"nbhush", "google", "google.colab", "keyring"}

    def find_spec(self, name, path=None, target=None):
        if name in sources or name in self.shims or name in ("google", "google.colab") and self.userdata_only():
            return importlib.util.spec_from_loader(name, self, origin="nbhush", is_package=name in self.packages)
        return None

    def userdata_only(self):
        """Say whether the code that imports wants google.colab for its userdata; see Colab in _shims."""
        frame = sys._getframe(2)
        while frame and frame.f_code.co_filename.startswith(("<frozen importlib", "<nbhush>")):
            frame = frame.f_back
        return bool(frame) and {"google.colab", "userdata"} <= set(frame.f_code.co_names)

    def create_module(self, spec):
        if spec.name == "google.colab":
            from nbhush import _shims

            return _shims.Colab(spec.name)
        return None

    def exec_module(self, module):
        if module.__name__ in sources:
            super().exec_module(module)
        else:
            from nbhush import _shims

            _shims.fill(module)

    def get_source(self, name):
        import binascii
        import zlib

        return zlib.decompress(binascii.a2b_base64(sources[name])).decode() if name in sources else None

    def is_package(self, name):
        return name in self.packages


# What is done when a module was loaded: a function of a module of ours.
watched = {
    "keyring": ("_shims", "extend_keyring"),
    "wandb": ("_wandb", "library"),
    "wandb.sdk.lib.ipython": ("_wandb", "ipython"),
    "wandb.sdk.lib.filesystem": ("_wandb", "output"),
    "wandb.sdk.lib.service_connection": ("_wandb", "service"),
    "wandb.sdk.lib.service.service_connection": ("_wandb", "service"),
    "wandb.sdk.interface.interface_sock": ("_wandb", "interface"),
    "wandb.sdk.data_types.table": ("_wandb", "table"),
    "wandb.sdk.data_types.html": ("_wandb", "html"),
    "wandb.sdk.artifacts.artifact": ("_wandb", "artifact"),
    "wandb.jupyter": ("_wandb", "notebook"),
    "mlflow": ("_mlflow", "library"),
    "mlflow.tracking._tracking_service.client": ("_mlflow", "client"),
    "mlflow.tracking.client": ("_mlflow", "dicts"),
}


def loaded(module):
    """Do to module what is to be done; a library must not fail because of us."""
    name = getattr(module, "__name__", "")
    try:
        ours, function = watched[name]
        getattr(importlib.import_module("nbhush." + ours), function)(module)
    except Exception as why:
        sys.stderr.write("nbhush: %s is as it would be without nbhush: %s\n" % (name, type(why).__name__))


class NbhushWatch(importlib.abc.MetaPathFinder):
    """Is asked first, and only looks: a real library is extended after it was loaded."""

    def find_spec(self, name, path=None, target=None):
        if name not in watched:
            return None
        for finder in sys.meta_path:
            if finder is self:
                continue
            spec = finder.find_spec(name, path, target) if hasattr(finder, "find_spec") else None
            if spec is None:
                continue
            if not isinstance(finder, NbhushFinder) and hasattr(spec.loader, "exec_module"):
                execute = spec.loader.exec_module

                def exec_module(module):
                    execute(module)
                    loaded(module)

                spec.loader.exec_module = exec_module
            return spec
        return None


def install_magics(shell):
    def hush(line):
        """%hush A B: the secrets A and B become variables and environment variables."""
        from nbhush import _ipython

        _ipython.hush(line)

    def hush_cell(line, cell):
        """%%hush A B: the secrets A and B are variables and environment variables while this cell runs."""

    def expand(lines):
        # A magic that ran the rest of the cell itself would cost it its line numbers,
        # its last value and its await.
        if lines and lines[0].startswith("%%hush"):
            head, _, names = lines[0].rstrip("\n").partition(" ")
            if head == "%%hush":
                return ["__import__('nbhush._ipython')._ipython.during(%r)\n" % names] + lines[1:]
        return lines

    def complete(text):
        before = getattr(shell.Completer, "text_until_cursor", "")
        if "hush" not in before:
            return []
        from nbhush import _ipython

        return _ipython.complete(before, text)

    def offer(info):
        cell = info.raw_cell or ""
        if "dbutils.secrets" in cell or "utils.credentials" in cell:
            from nbhush import _shims

            _shims.offer(shell, cell)

    shell.register_magic_function(hush, "line", "hush")
    shell.register_magic_function(hush_cell, "cell", "hush")
    shell.input_transformer_manager.cleanup_transforms.append(expand)
    shell.Completer.custom_matchers.append(complete)
    shell.events.register("pre_run_cell", offer)


def install_prompts(kernel):
    """Answer input() and getpass() where the prompt names a secret, also where no client could."""

    def answers(ask, password):
        def prompt(prompt="", *args, **kw):
            from nbhush import _prompts

            value, no = _prompts.answer(prompt, password)
            if value is not None:
                return value
            try:
                value = ask(prompt, *args, **kw)
            except Exception as why:
                if type(why).__name__ != "StdinNotImplementedError" or not _prompts.wants(prompt, password):
                    raise
                raise _prompts.unanswered(why, no) from None
            if password:
                _prompts.typed(value)
            return value

        return prompt

    kernel.getpass = answers(kernel.getpass, True)
    kernel.raw_input = answers(kernel.raw_input, False)


def install_refresh(shell):
    """Between two cells, have what this kernel holds follow what has changed at the agent.

    A cell pays one read of eight bytes for that, as long as nothing has changed.
    """
    seen, _, path = os.environ.get("NBHUSH_EPOCH", "").partition(":")
    if not path or not hasattr(os, "pread"):
        return
    seen, failed, again = bytes.fromhex(seen), b"", 0.0
    given = {n: os.environ[n] for n in os.environ.get("NBHUSH_NAMES", "").split() if n in os.environ}
    file = os.open(path, os.O_RDONLY)

    def look(info):
        nonlocal seen, failed, again
        now = os.pread(file, 8, 0)  # before the question: what changes after it is seen next time
        if now == seen or now == failed and time.monotonic() < again:
            return
        from nbhush import _refresh

        if _refresh.refresh(shell, given):
            seen = now
        else:
            failed, again = now, time.monotonic() + 5.0

    shell.events.register("pre_run_cell", look)


def install():
    sys.meta_path.append(NbhushFinder())
    sys.meta_path.insert(0, NbhushWatch())
    for name in watched:  # where a kernel is attached to
        if sys.modules.get(name):
            loaded(sys.modules[name])
    from IPython import get_ipython

    shell = get_ipython()
    install_magics(shell)
    install_refresh(shell)
    install_prompts(shell.kernel)  # the last: a session in a terminal has no kernel


if not any(type(f).__name__ == "NbhushFinder" for f in sys.meta_path):
    try:
        install()
    except Exception:
        pass  # no IPython, or one of another make: the module works without
