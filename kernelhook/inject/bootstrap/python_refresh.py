"""nbhush._refresh: what this kernel holds by nbhush's doing follows what the agent says.

Loaded when something has changed at the agent. It asks by name and digest; what
the kernel got anew goes where the former value still stands, in os.environ and in
the variables of %hush, and what it may not keep is taken out of there. A place
that has another value by now is the user's own and is left alone.
"""

import hashlib
import os

import nbhush


def refresh(shell, given):
    """Say whether the agent was asked. given is what the kernel was started with."""
    for name, value in given.items():
        nbhush._environ.setdefault(name, value)
    given.clear()
    held = sorted(set(nbhush._environ.items()) | set(nbhush._variables.items()))
    if not held:
        return True
    request = [b"refresh"]
    for name, value in held:
        request += [wish(name, value).encode(), hashlib.sha256(raw(value)).digest()]
    try:
        answer = nbhush._ask(request, 2.5)
    except nbhush.Error:
        return False
    changes = {}
    for i in range(0, len(answer), 3):
        asked = answer[i].decode()
        changes[asked] = None
        if answer[i + 1] == b"new":
            name = asked.rpartition("/")[2]
            changes[asked] = nbhush.Secret(answer[i + 2].decode("utf-8", "surrogateescape"), name, asked)
            nbhush._served[changes[asked]] = name
    for name, value in held:
        asked = wish(name, value)
        if asked in changes and changes[asked] != value:
            former(name, value)
    for where, mine in ((os.environ, nbhush._environ), (shell.user_ns, nbhush._variables)):
        for name, value in list(mine.items()):
            if wish(name, value) in changes:
                change(where, mine, name, changes[wish(name, value)])
    return True


def wish(name, value):
    """Return the name as it was asked for: with its profile, if that was another one."""
    return getattr(value, "_wish", name)


def change(where, held, name, value):
    """Put value, None for nothing, in the place of the one that nbhush put there."""
    former = held.pop(name, None)
    if former is None or where.get(name) != former:
        return
    if value is None:
        del where[name]
        return
    try:
        where[name] = value
        held[name] = value
    except ValueError:  # a zero byte, which no environment can hold
        del where[name]


def former(name, value):
    """Have value go on being taken out of what this kernel shows."""
    try:
        nbhush._ask([b"former", name.encode(), raw(value)[:10000]], 2.5)
    except nbhush.Error:
        pass  # the agent knows it, too


def raw(value):
    return str(value).encode("utf-8", "surrogateescape")
