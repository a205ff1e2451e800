"""Makes `import nbhush` and %hush work; source is the text of the module."""

import importlib.abc
import importlib.util
import sys


class NbhushFinder(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    """Finds the module that no file holds. It is asked last, so an installed one wins."""

    def find_spec(self, name, path=None, target=None):
        return importlib.util.spec_from_loader(name, self, origin="nbhush") if name == "nbhush" else None

    def get_source(self, name):
        return source


def hush(line):
    """%hush A B: the secrets A and B become variables and environment variables."""
    import nbhush

    nbhush._hush(line)


if not any(type(f).__name__ == "NbhushFinder" for f in sys.meta_path):
    sys.meta_path.append(NbhushFinder())
try:
    from IPython import get_ipython

    get_ipython().register_magic_function(hush, "line", "hush")
except Exception:
    pass  # no IPython: the module works without the magic
