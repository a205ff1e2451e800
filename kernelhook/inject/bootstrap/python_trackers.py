"""nbhush._trackers: wandb and mlflow send and store no value that this kernel was served.

    wandb    records (config, log, summary, notes, console), tables, HTML, saved code, its log
    mlflow   params, tags, and text files among the artifacts

A value stands there as [nbhush:NAME]. Known are the values that nbhush served, what
was typed at its prompts, and what the environment holds under the name of a secret
or as a URL with a password; plain, and as repr, JSON, URLs, HTML, base64 and
hexadecimal have it. Nobody is asked: whoever could ask which text is secret could
guess values piece by piece, so parts of values are not looked for either. What the
user's objects and files hold stays as it is.

Loaded when one of the two is imported. Nothing here raises: text that could not be
searched goes as [nbhush:withheld].
"""

import base64
import collections.abc
import copy
import functools
import importlib.util
import json
import logging
import os
import re
import shutil
import sys
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
        served, self.environ = dict(nbhush._served), dict(environ)
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
        self.forms = [
            (form, forms[form], re.compile(r"(?<![\d.])%s(?![\d.])" % form) if form.isdecimal() else None)
            for form in sorted(forms, key=len, reverse=True)
        ]
        self.served = len(served)
        return self.forms


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
        with tempfile.TemporaryDirectory(prefix="nbhush-") as folder:
            to = os.path.join(folder, os.path.basename(os.path.normpath(path)))
            return work(clean_folder(path, to) if os.path.isdir(path) else clean_file(path, to))
    except TypeError:
        return work(path)


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


# ---- wandb

IDENTITIES = {"_info", "control", "run_id", "uuid", "stream_id"}  # how the service finds a run


def clean_message(message):
    """Take known values out of a protobuf message, in place."""
    for field, value in message.ListFields():
        name = field.name
        if name in IDENTITIES:
            continue
        try:
            if isinstance(value, (str, bytes)):
                one = mask_json if name.endswith("_json") else clean
                cleaned = one(value)
                if cleaned != value:
                    setattr(message, name, cleaned)
            elif hasattr(value, "ListFields"):
                clean_message(value)
            elif hasattr(value, "items"):
                clean_map(value)
            elif hasattr(value, "__getitem__"):
                for i, item in enumerate(value):
                    if hasattr(item, "ListFields"):
                        clean_message(item)
                    elif isinstance(item, (str, bytes)) and clean(item) != item:
                        value[i] = clean(item)
        except Exception:
            message.ClearField(name)


def clean_map(field):
    for key in list(field):
        value = field[key]
        if hasattr(value, "ListFields"):
            clean_message(value)
        elif isinstance(value, (str, bytes)) and clean(value) != value:
            field[key] = clean(value)
        if isinstance(key, str) and clean(key) != key:
            if not hasattr(value, "ListFields"):
                field[clean(key)] = field[key]
            del field[key]


class CleanLog(logging.Filter):
    """Takes known values out of the lines of wandb's own log."""

    def filter(self, record):
        try:
            text = record.getMessage()
        except Exception:
            return True  # logging says what is wrong with it
        masked = mask(text)
        if masked != text:
            record.msg, record.args = masked, ()
        return True


def wandb(module):
    """wandb's own log lies beside the run; its handlers come with each run."""
    logger = logging.getLogger("wandb")
    add = logger.addHandler

    def add_handler(handler):
        handler.addFilter(CleanLog())
        add(handler)

    logger.addHandler = add_handler
    for handler in logger.handlers:
        handler.addFilter(CleanLog())
    expect(module, "wandb.sdk.interface.interface_sock", "what it sends")


def wandb_ipython(module):
    """wandb takes a kernel for Jupyter's if "jupyter" is in the path of its connection file, which the hook's has not."""

    def make(kind):
        def _get_python_type():
            got = kind()
            try:
                if got == "ipython" and "spyder" not in sys.modules:
                    from IPython import get_ipython

                    file = get_ipython().config["IPKernelApp"]["connection_file"]
                    if nbhush._endpoint and os.path.basename(os.path.dirname(file)).startswith("k-"):
                        return "jupyter"
            except Exception:
                pass  # as wandb has it
            return got

        return _get_python_type

    replace(module, "_get_python_type", make)


def wandb_interface(module):
    """Every record on its way to wandb's service passes InterfaceSock._assign."""

    def make(assign):
        def _assign(self, record, *args, **kw):
            clean_message(record)
            return assign(self, record, *args, **kw)

        return _assign

    if not hasattr(module, "InterfaceSock") or not replace(module.InterfaceSock, "_assign", make):
        unknown("wandb", "what it sends")


def wandb_output(module):
    """In some modes wandb writes what is printed to a file itself."""

    def make(write):
        return lambda self, data: write(self, clean(data))

    if hasattr(module, "CRDedupedFile"):
        replace(module.CRDedupedFile, "write", make)


def wandb_table(module):
    def make(to_json):
        return lambda self, *args, **kw: clean(to_json(self, *args, **kw))

    def make_add(add_data):
        # A column of Secret would take no other str.
        return lambda self, *data: add_data(self, *(str(x) if isinstance(x, nbhush.Secret) else x for x in data))

    table = getattr(module, "Table", None)
    if not table or not replace(table, "_to_table_json", make) or not replace(table, "add_data", make_add):
        unknown("wandb", "tables")


def wandb_html(module):
    def make(init):
        def __init__(self, data, *args, **kw):
            if hasattr(data, "read"):
                data.seek(0) if hasattr(data, "seek") else None
                data = data.read()
                kw["data_is_not_path"] = True
            elif isinstance(data, (str, os.PathLike)) and str(data).endswith(".html") and os.path.isfile(data) and not kw.get("data_is_not_path"):
                with open(data, encoding="utf-8") as f:
                    text = f.read()
                if mask(text) == text:
                    return init(self, data, *args, **kw)
                data, kw["data_is_not_path"] = text, True
            return init(self, clean(data), *args, **kw)

        return __init__

    if not hasattr(module, "Html") or not replace(module.Html, "__init__", make):
        unknown("wandb", "HTML")


def wandb_artifact(module):
    """Code that wandb saves is an artifact; those that the user makes are his data."""

    def make(add_file):
        def cleaned(self, local_path, name=None, *args, **kw):
            if getattr(self, "type", "") not in ("code", "job"):
                return add_file(self, local_path, name, *args, **kw)
            return cleaned_path(local_path, lambda path: add_file(self, path, name, *args, **kw))

        return cleaned

    if not hasattr(module, "Artifact") or not replace(module.Artifact, "add_file", make):
        unknown("wandb", "saved code")


def wandb_service(module):
    """wandb's service copies the program or notebook into the run's folder, unless it is there."""

    def make(inform):
        def inform_init(self, settings, *args, **kw):
            try:
                if settings.save_code.value and settings.program_relpath.value:
                    clean_file(settings.program_abspath.value, os.path.join(settings.files_dir.value, "code", settings.program_relpath.value))
            except Exception:
                unknown("wandb", "saved code")
            return inform(self, settings, *args, **kw)

        return inform_init

    if not hasattr(module, "ServiceConnection") or not replace(module.ServiceConnection, "inform_init", make):
        unknown("wandb", "saved code")


class Instead:
    """real, with some attributes of its own."""

    def __init__(self, real, **own):
        self.__dict__.update(own, _real=real)

    def __getattr__(self, name):
        return getattr(self._real, name)


def wandb_notebook(module):
    """The history of the session and the copy of the notebook that code saving keeps."""

    def make_history(save):
        def save_history(self, *args, **kw):
            shell, outputs = self.shell, self.outputs
            try:
                history = shell.history_manager
                hidden = Instead(history, get_range=lambda *a, **k: clean([tuple(x) for x in history.get_range(*a, **k)]))
                self.shell, self.outputs = Instead(shell, history_manager=hidden), clean(outputs)
            except AttributeError:
                pass  # no history to save
            try:
                return save(self, *args, **kw)
            finally:
                self.shell, self.outputs = shell, outputs

        return save_history

    def make_copy(save):
        def _save_ipynb(self, *args, **kw):
            saved = save(self, *args, **kw)
            for folder in (self.settings._tmp_code_dir, os.path.join(self.settings.files_dir, "code")):
                for parent, _, files in os.walk(folder):
                    for name in files:
                        clean_file(os.path.join(parent, name), os.path.join(parent, name))
            return saved

        return _save_ipynb

    notebook = getattr(module, "Notebook", None)
    if not notebook or not replace(notebook, "save_history", make_history) or not replace(notebook, "_save_ipynb", make_copy):
        unknown("wandb", "saved code")


# ---- mlflow

# The methods of mlflow's client to a tracking server or store, whatever is behind.
TEXTS = """log_param log_batch set_tag create_run update_run create_experiment rename_experiment set_experiment_tag
    create_logged_model log_model_params set_logged_model_tags set_dataset_tags""".split()
FILES = "log_artifact log_artifacts log_model_artifact log_model_artifacts".split()


def shown(thing):
    """Return thing, of which mlflow keeps what str makes of it, or that without known values."""
    cleaned = clean(thing)
    if cleaned is thing and not isinstance(thing, (str, int, float, list, tuple, type(None))):
        try:
            text = str(thing)
        except Exception:
            return thing  # mlflow cannot have it either
        masked = mask(text)
        return thing if masked == text else masked
    return cleaned


def mlflow(module):
    expect(module, "mlflow.tracking._tracking_service.client", "params, tags and artifacts")


def mlflow_client(module):
    def make_texts(call):
        def cleaned(self, *args, **kw):
            given = list(args) + list(kw.values())
            args, kw = [shown(a) for a in args], {k: shown(v) for k, v in kw.items()}
            result = call(self, *args, **kw)
            for before, after in zip(given, list(args) + list(kw.values())):
                if result is after:
                    return before  # log_param returns its value
            return result

        return cleaned

    def make_files(call):
        def cleaned(self, owner, *args, **kw):
            for key in ("local_path", "local_dir"):
                if key in kw:
                    return cleaned_path(kw.pop(key), lambda path: call(self, owner, *args, **{key: path}, **kw))
            if not args:
                return call(self, owner, **kw)
            return cleaned_path(args[0], lambda path: call(self, owner, path, *args[1:], **kw))

        return cleaned

    client = getattr(module, "TrackingServiceClient", None)
    if not client or not all(hasattr(client, name) for name in ("log_param", "log_batch", "set_tag", "log_artifact", "log_artifacts")):
        unknown("mlflow", "params, tags and artifacts")
        return
    for name in TEXTS:
        replace(client, name, make_texts)
    for name in FILES:
        replace(client, name, make_files)
