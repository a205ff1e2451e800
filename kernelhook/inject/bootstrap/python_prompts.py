"""nbhush._prompts: answers to prompts that name a secret; what is typed becomes known.

A prompt names a secret if it holds its name as it is ("OPENAI_API_KEY: "), or if
it says the words of it and nothing else but what asks for them ("Enter your OpenAI
API key: "). A name of one word, such as TOKEN, must stand there as it is: the
token of which service would it be? A prompt that holds another name, or several
secrets, is the user's to answer.
"""

import re

import nbhush

# What a prompt says to ask, besides the name.
_ASKS = set("A AN ENTER GIVE HERE INPUT INSERT IS MY PASTE PLEASE PROVIDE SET THE TYPE WHAT YOUR".split())


def named(prompt, names):
    """Return the one of names that prompt names, or None."""
    words = re.findall(r"\w+", prompt)
    exact = {w for w in words if w in names}
    if exact or any("_" in w for w in words):
        return exact.pop() if len(exact) == 1 and all(w in names or "_" not in w for w in words) else None
    said = [w.upper() for w in words if w.upper() not in _ASKS]
    if len(said) < 2:
        return None
    found = [n for n in names if n.strip("_").upper() == "_".join(said)]
    return found[0] if len(found) == 1 else None


def answer(prompt):
    """Return the value of the secret that prompt names, or None if a user has to answer."""
    try:
        name = named(str(prompt), nbhush.names(timeout=5.0))
        return None if name is None else nbhush.get(name)
    except nbhush.Error:
        return None


def typed(value):
    """Have value taken out of everything that this kernel shows."""
    try:
        nbhush._ask([b"know", str(value)[:10000].encode("utf-8", "surrogateescape")], 5.0)
    except nbhush.Error:
        pass  # the hook is gone, and with it everybody who could see it


def unanswered(why, prompt):
    """Return an error of the kind of why that says what would have answered the prompt."""
    word = re.search(r"\b[A-Z][A-Z0-9]*_[A-Z0-9_]+\b", str(prompt))
    name = word.group() if word else "NAME"
    return type(why)(
        "%s\nnbhush answers a prompt that names a secret which this kernel may have: run nbhush set %s, "
        "list it in nbhush.toml, then run nbhush allow" % (why, name)
    )
