"""nbhush._prompts: answers to prompts that name a secret; what is typed becomes known.

A prompt names a secret if it holds its name as it is ("OPENAI_API_KEY: "), or if
it says the words of it and nothing else but what asks for them ("Enter your OpenAI
API key: "). A name of one word, such as TOKEN, must stand there as it is: the
token of which service would it be? A prompt that holds another name, or several
secrets, or one for anything else, is the user's to answer.

A name that this kernel may not have yet, but may ask for, is asked for: the user
is asked whether it may have that, in place of being asked for the value.
"""

import re

import nbhush

# What names of secrets end with, and what a prompt says to ask, besides the name.
_KINDS = set("KEY PASSWORD SECRET TOKEN".split())
_ASKS = set("A AN ENTER GIVE HERE INPUT INSERT IS MY PASTE PLEASE PROVIDE SET THE TYPE WHAT YOUR".split())


def named(prompt, names):
    """Return the one of names that prompt names, or None."""
    words = re.findall(r"\w+", prompt)
    said = [w.upper() for w in words]
    if any("_" in w for w in words):  # then these are the names
        written = {w for w in words if "_" in w}
        return written.pop() if len(written) == 1 and written <= set(names) else None
    alone = [w for w in words if w.upper() not in _ASKS]
    if len(alone) == 1:
        return alone[0] if alone[0] in names else None
    first = next((i for i, w in enumerate(said) if w not in _ASKS), len(said))
    last = next((i for i, w in enumerate(reversed(said)) if w not in _ASKS), len(said))
    rests = [said[i : len(said) - j] for i in range(first + 1) for j in range(last + 1)]
    meant = {"_".join(r) for r in rests if len(r) > 1}
    found = [n for n in names if n.strip("_").upper() in meant]
    return found[0] if len(found) == 1 else None


def wished(prompt, password):
    """Return the name that prompt says, of whatever secret, or None.

    That is the one that is written there, such as API_TOKEN, or, in a prompt for a
    password, the one that its words make and that is called as secrets are.
    """
    written = set(re.findall(r"\b[A-Z][A-Z0-9]*_[A-Z0-9_]*[A-Z0-9]\b", prompt))
    if written or not password:
        return written.pop() if len(written) == 1 else None
    words = [w.upper() for w in re.findall(r"\w+", prompt)]
    while words and words[0] in _ASKS:
        del words[0]
    while words and words[-1] in _ASKS:
        del words[-1]
    name = "_".join(words)
    return name if len(words) > 1 and words[-1] in _KINDS and re.fullmatch(r"[A-Z][A-Z0-9_]{,63}", name) else None


def answer(prompt, password):
    """Return the value of the secret that prompt names, or None if a user has to answer, and why nbhush did not."""
    prompt = str(prompt)
    if not re.search(r"_|[A-Z]{2}|\w\W+\w", prompt):
        return None, None  # such as the debugger's, which comes often
    name = None
    try:
        name = named(prompt, nbhush.names(timeout=2.5)) or wished(prompt, password)
        return None if name is None else nbhush.get(name), None
    except nbhush.Error as no:
        no.name = name
        return None, no


def typed(value):
    """Have value taken out of everything that this kernel shows, and that trackers send."""
    nbhush._served.setdefault(str(value), "password-prompt")
    try:
        nbhush._ask([b"know", str(value)[:10000].encode("utf-8", "surrogateescape")], 5.0)
    except nbhush.Error:
        pass  # the hook is gone, and with it everybody who could see it


def wants(prompt, password):
    """Return whether prompt is for a secret: any other one gets the error of a bare kernel."""
    return password or re.search(r"\b[A-Z][A-Z0-9]*_[A-Z0-9_]+\b", str(prompt)) is not None


def unanswered(why, no):
    """Return an error of the kind of why that says what would have answered the prompt."""
    mend = ": run nbhush set %s, list it in nbhush.toml, then run nbhush allow" % (no and no.name or "NAME")
    if isinstance(no, nbhush.Denied):
        mend = ".\n%s: %s\n%s\nif it is not stored yet, run: nbhush set %s" % (no.name, no.message, no.hint, no.name)
    return type(why)("%s\nnbhush answers a prompt that names a secret which this kernel may have%s" % (why, mend))
