"""nbhush._trackers: what trackers send and store has no value that this kernel was served.

_wandb and _mlflow know where these two pass text on; here is what is done to it. A
value stands there as [nbhush:NAME]. Known are the values that nbhush served, what
was typed at its prompts, and what the environment holds under the name of a secret
or as a URL with a password; plain, and as repr, JSON, URLs, HTML, base64 and
hexadecimal have it. Nobody is asked: whoever could ask which text is secret could
guess values piece by piece, so parts of values are not looked for either. What the
user's objects and files hold stays as it is.

Loaded when a tracker is imported. Nothing here raises: text that could not be
searched goes as [nbhush:withheld].
"""

import base64
import collections.abc
import copy
import functools
import importlib.util
import json
import os
import re
import shutil
import tempfile
import urllib.parse
import warnings

import nbhush

WITHHELD = "[nbhush:withheld]"
SHORTEST = 8  # characters of a value; shorter ones cannot be told from other text

# ---- which variables are secrets: package agent/ambient decides the same

WORDS = set(
    "password passwd passphrase pass pwd pw secret secrets token key apikey "
    "credential credentials authtoken identitytoken pat auth".split()
)
ENDINGS = ("password", "passwd", "secret", "apikey", "token")
ABOUT = set(
    "file path dir directory name id url uri endpoint host hostname port user username "
    "type algorithm alg expiry expires expiration expire ttl sock socket helper prompt length size "
    "version region backend enabled format env mode method command cmd provider store hash fingerprint".split()
)
HARMLESS = set("public primary foreign sort partition gpg shift sshpublic".split())
REFERENCES = ("$", "{{", "op://", "vault://", "ref+", "file:", "keyring:")


def says(name):
    """Say whether a name says that its value is a secret."""
    words = [w.lower() for w in re.split(r"[\W_]+|(?<=[a-z])(?=[A-Z])", name) if w]
    if not words or words[-1] in ABOUT or HARMLESS & set(words):
        return False
    return any(w in WORDS and name != "PWD" or w.endswith(ENDINGS) for w in words)


def password_of(value):
    """Return the password of a URL, or None."""
    if "://" not in value:
        return None
    try:
        url = urllib.parse.urlsplit(value.strip())
        password = url.password
        return password if url.hostname and password and not password.startswith("$") else None
    except ValueError:
        return None


def is_secret(name, value):
    """Say whether a variable of this name and value is taken for a secret."""
    if len(value) < SHORTEST or len(set(value)) < 5:
        return False
    if password_of(value):
        return True
    if not says(name) or value.startswith(REFERENCES):
        return False
    if value.isalpha() and len(value) < 16 and value[1:].islower():
        return False  # a word
    return not (value.startswith("~/") or os.path.isabs(value) and len(value) <= 4096 and os.path.lexists(value))


# ---- the known values and their forms


def encodings(value):
    """Return the forms of value that are looked for."""
    forms = {value}
    for inner in (value, repr(str(value))[1:-1]):
        ascii, wide = json.dumps(inner)[1:-1], json.dumps(inner, ensure_ascii=False)[1:-1]
        forms |= {inner, ascii, wide, json.dumps(ascii)[1:-1], json.dumps(wide, ensure_ascii=False)[1:-1]}
    raw = value.encode("utf-8", "surrogateescape")
    for safe in ("/", "", "/~", "-_.!~*'()"):
        quoted = urllib.parse.quote(raw, safe=safe)
        forms |= {quoted, quoted.replace("%20", "+"), re.sub("%..", lambda m: m.group().lower(), quoted)}
    forms.add(value.replace("'", "''"))  # YAML
    html = value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    forms |= {html, html.replace('"', "&quot;"), html.replace('"', "&quot;").replace("'", "&#x27;"), html.replace('"', "&#34;").replace("'", "&#39;")}
    forms |= {raw.hex(), raw.hex().upper()}
    for before in range(3):  # bytes in front of it, which shift its bits
        whole = base64.b64encode(b"\0" * before + raw).decode()
        own = whole[(8 * before + 5) // 6 : 8 * (before + len(raw)) // 6]
        forms |= {own, own.replace("+", "-").replace("/", "_")}
    lines = value.splitlines()
    if len(lines) > 1:  # a key in a file may be indented, or be printed line by line
        forms |= {line.strip() for line in lines if len(line.strip()) >= 20 and "-----" not in line}
    return {f for f in forms if len(f) >= SHORTEST}


class Known:
    """The forms of all known values, longest first. They are made anew when the values have changed."""

    def __init__(self):
        self.served, self.environ, self.forms = -1, None, []
        self.started = {n: os.environ[n] for n in os.environ.get("NBHUSH_NAMES", "").split() if n in os.environ}

    def now(self):
        environ = getattr(os.environ, "_data", os.environ)
        if self.served == len(nbhush._served) and self.environ == environ:
            return self.forms
        served, environ = dict(nbhush._served), dict(environ)
        names = {value: "env-" + name for name, value in dict(os.environ).items() if is_secret(name, value)}
        names.update((value, name) for name, value in self.started.items())
        names.update(served)
        forms = {}
        for value, name in names.items():
            for part in (value, value.rstrip("\r\n"), password_of(value) or ""):
                if len(part) >= SHORTEST:
                    for form in encodings(part):
                        forms.setdefault(form, "[nbhush:%s]" % name)
        # A number is no part of a longer one.
        self.forms = found = [
            (form, forms[form], re.compile(r"(?<![\d.])%s(?![\d.])" % form) if form.isdecimal() else None)
            for form in sorted(forms, key=len, reverse=True)
        ]
        self.served, self.environ = len(served), environ  # at last: another thread may ask meanwhile
        return found


known = Known()


def mask(text):
    """Return text, a str, without known values."""
    try:
        for form, placeholder, number in known.now():
            if form in text:
                text = number.sub(placeholder, text) if number else text.replace(form, placeholder)
        return text
    except Exception:
        return WITHHELD


def mask_json(text):
    """Return the JSON text without known values, as JSON: a number becomes a string."""
    masked = mask(text)
    if masked == text:
        return text
    try:
        json.loads(masked)
        return masked
    except ValueError:
        return json.dumps(WITHHELD)


def mask_bytes(data):
    """Return data without known values, if it is text."""
    if b"\0" in data[:8192]:
        return data
    text = data.decode("utf-8", "surrogateescape")
    masked = mask(text)
    return data if masked == text else masked.encode("utf-8", "surrogateescape")


def clean(thing):
    """Return thing, with what is in it, without known values; what cannot hold one is returned itself."""
    try:
        if isinstance(thing, str):
            masked = mask(thing)
            return thing if masked == thing else masked
        if isinstance(thing, bytes):
            return mask_bytes(thing)
        if isinstance(thing, collections.abc.Mapping):
            pairs = [(clean(k), clean(v), k, v) for k, v in thing.items()]
            if all(a is k and b is v for a, b, k, v in pairs):
                return thing
            return {a: b for a, b, _, _ in pairs}
        if type(thing) in (list, tuple, set):
            cleaned = [clean(x) for x in thing]
            return thing if all(a is b for a, b in zip(cleaned, thing)) else type(thing)(cleaned)
        if type(thing).__module__.startswith("mlflow.entities") and isinstance(getattr(thing, "_value", None), str):
            key, value = clean(thing._key), clean(thing._value)
            if key is not thing._key or value is not thing._value:
                thing = copy.copy(thing)
                thing._key, thing._value = key, value
        return thing
    except Exception:
        return WITHHELD


# ---- files


def clean_file(path, to):
    """Write the text file at path to the path to without known values, and return that; path if it has none."""
    try:
        with open(path, "rb") as f:
            if b"\0" in f.read(8192):
                return path  # data
            f.seek(0)
            data = f.read()
        masked = mask_bytes(data)
    except OSError:
        return path  # the library says what is wrong with it
    except Exception:
        data, masked = b"", WITHHELD.encode()
    if masked == data:
        return path
    os.makedirs(os.path.dirname(to), exist_ok=True)
    with open(to, "wb") as f:
        f.write(masked)
    return to


def clean_folder(folder, to):
    """Make to what folder is, without known values in text files, and return it; folder if it has none."""
    changed, others = False, []
    for parent, _, files in os.walk(folder, followlinks=True):
        for name in files:
            path = os.path.join(parent, name)
            copied = os.path.join(to, os.path.relpath(path, folder))
            if clean_file(path, copied) == path:
                others.append((path, copied))
            else:
                changed = True
    if not changed:
        return folder
    for path, copied in others:
        os.makedirs(os.path.dirname(copied), exist_ok=True)
        try:
            os.symlink(os.path.abspath(path), copied)
        except OSError:
            shutil.copy(path, copied)
    return to


def cleaned_path(path, work):
    """Call work with path, or with a copy of it that holds no known value."""
    try:
        path = os.fspath(path)
    except TypeError:
        return work(path)  # the library says what is wrong with it
    with tempfile.TemporaryDirectory(prefix="nbhush-") as folder:
        to = os.path.join(folder, os.path.basename(os.path.normpath(path)))
        return work(clean_folder(path, to) if os.path.isdir(path) else clean_file(path, to))


# ---- how functions are replaced


def replace(owner, name, make):
    """Put make(function) in the place of the function of owner called name; say whether there is one."""
    real = owner.__dict__.get(name)
    if not callable(real):
        return False
    if not hasattr(real, "_nbhush"):
        made = functools.wraps(real)(make(real))
        made._nbhush = True
        setattr(owner, name, made)
    return True


def unknown(library, what):
    warnings.warn("nbhush does not know this version of %s: values of secrets are not masked in %s" % (library, what), RuntimeWarning, stacklevel=2)


def expect(library, name, what):
    """Warn if library has no module called name, through which what goes. A folder that only has its name is no library."""
    if getattr(library, "__file__", None) and importlib.util.find_spec(name) is None:
        unknown(library.__name__, what)
