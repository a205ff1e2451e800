"""nbhush._ipython: what IPython users have beside the functions of nbhush.

    %hush A B      values into variables and os.environ of the same names
    %%hush A B     the same, and back to what was there when the cell has run
    completion     of names, after %hush and inside of nbhush.get("

Loaded when one of them is first used.
"""

import os
import re

from IPython import get_ipython

import nbhush

_ABSENT = object()
_asks = re.compile(r"""(?:^|\n)\s*%%?hush\s[^\n]*$|\bnbhush\.(?:get|env)\([^()]*["'][\w]*$""")


def names_in(line):
    """Return the names in what follows %hush."""
    names = line.replace(",", " ").split()
    if not names:
        raise nbhush.Error("%hush lacks the names of secrets", "write for example: %hush API_TOKEN", "bad-input") from None
    return names


def hush(line):
    shell, names = get_ipython(), names_in(line)
    for name, value in zip(names, nbhush._get(names, 30.0)):
        os.environ[name] = nbhush._environ[name] = value
        shell.user_ns[name] = nbhush._variables[name] = value


def during(line):
    """Do as %hush, until the cell that runs has ended."""
    shell, names = get_ipython(), names_in(line)
    values = nbhush._get(names, 30.0)
    before = [(name, os.environ.get(name), shell.user_ns.get(name, _ABSENT)) for name in names]
    depth = 0  # of cells that this cell runs

    def began(info):
        nonlocal depth
        depth += 1

    def ended(result):
        nonlocal depth
        depth -= 1
        if depth >= 0:
            return
        shell.events.unregister("pre_run_cell", began)
        shell.events.unregister("post_run_cell", ended)
        for name, env, variable in before:
            if env is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = env
            if variable is _ABSENT:
                shell.user_ns.pop(name, None)
            else:
                shell.user_ns[name] = variable

    shell.events.register("pre_run_cell", began)
    shell.events.register("post_run_cell", ended)
    for name, value in zip(names, values):
        os.environ[name] = value
        shell.user_ns[name] = value


def complete(before, token):
    """Return the names that begin with token, where the text before the cursor asks for names."""
    if not _asks.search(before):
        return []
    try:
        names = nbhush.names(timeout=1.0)
    except nbhush.Error:
        return []  # a completion is no place for an error
    return [name for name in names if name.startswith(token)]
