"""Makes `import nbhush`, %hush and %%hush work.

sources has the texts of the modules by name. This file runs in every kernel
before its first cell: it loads nothing that a cell may never need.
"""

import importlib.abc
import importlib.util
import sys


class NbhushFinder(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    """Finds the modules that no file holds. It is asked last, so an installed one wins."""

    def find_spec(self, name, path=None, target=None):
        if name in sources:
            return importlib.util.spec_from_loader(name, self, origin="nbhush", is_package=name == "nbhush")
        return None

    def get_source(self, name):
        return sources[name]

    def is_package(self, name):
        return name == "nbhush"


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
                call = "__import__('nbhush._ipython')._ipython.during(%r)\n" % names
                return [call] + lines[1:]
        return lines

    def complete(text):
        completer = shell.Completer
        before = getattr(completer, "text_until_cursor", "")
        if "hush" not in before:
            return []
        from nbhush import _ipython

        return _ipython.complete(before, text)

    shell.register_magic_function(hush, "line", "hush")
    shell.register_magic_function(hush_cell, "cell", "hush")
    shell.input_transformer_manager.cleanup_transforms.append(expand)
    shell.Completer.custom_matchers.append(complete)


if not any(type(f).__name__ == "NbhushFinder" for f in sys.meta_path):
    sys.meta_path.append(NbhushFinder())
    try:
        from IPython import get_ipython

        install_magics(get_ipython())
    except Exception:
        pass  # no IPython, or one of another make: the module works without
