"""nbhush._wandb: what wandb sends and stores has no known value; see _trackers.

    records       config, log, summary, notes, console and whatever else goes to its service
    files         tables, HTML, saved code and notebooks, output in some modes
    its own log   debug.log

Loaded when wandb is imported.
"""

import io
import logging
import os
import sys

import nbhush
from nbhush._trackers import clean, clean_file, cleaned_path, expect, mask, mask_json, replace, unknown

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


def library(module):
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


def ipython(module):
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


def interface(module):
    """Every record on its way to wandb's service passes InterfaceSock._assign."""

    def make(assign):
        def _assign(self, record, *args, **kw):
            try:
                clean_message(record)
            except Exception:  # no message of protobuf
                unknown("wandb", "what it sends")
            return assign(self, record, *args, **kw)

        return _assign

    if not hasattr(module, "InterfaceSock") or not replace(module.InterfaceSock, "_assign", make):
        unknown("wandb", "what it sends")


def output(module):
    """In some modes wandb writes what is printed to a file itself."""

    def make(write):
        return lambda self, data: write(self, clean(data))

    if hasattr(module, "CRDedupedFile"):
        replace(module.CRDedupedFile, "write", make)


def table(module):
    def make(to_json):
        return lambda self, *args, **kw: clean(to_json(self, *args, **kw))

    def make_add(add_data):
        # A column of Secret would take no other str.
        return lambda self, *data: add_data(self, *(str(x) if isinstance(x, nbhush.Secret) else x for x in data))

    table = getattr(module, "Table", None)
    # to_json is what the artifact of a logged table has, names and types of columns too.
    if not table or not all([replace(table, "_to_table_json", make), replace(table, "to_json", make), replace(table, "add_data", make_add)]):
        unknown("wandb", "tables")


def html(module):
    def make(init):
        def __init__(self, data, *args, **kw):
            text = None
            if hasattr(data, "read"):
                if hasattr(data, "seek"):
                    data.seek(0)
                text = data.read()
                data = io.StringIO(clean(text)) if isinstance(text, str) else io.BytesIO(clean(text))
            elif isinstance(data, (str, os.PathLike)) and str(data).endswith(".html") and os.path.isfile(data):
                with open(data, encoding="utf-8") as f:
                    text = f.read()
                if not kw.get("data_is_not_path") and mask(text) != text:
                    data = io.StringIO(mask(text))
            elif isinstance(data, str):
                data = clean(data)
            return init(self, data, *args, **kw)

        return __init__

    if not hasattr(module, "Html") or not replace(module.Html, "__init__", make):
        unknown("wandb", "HTML")


def artifact(module):
    """Code that wandb saves is an artifact; those that the user makes are his data."""

    def make(add_file):
        def cleaned(self, local_path, name=None, *args, **kw):
            if getattr(self, "type", "") not in ("code", "job"):
                return add_file(self, local_path, name, *args, **kw)
            return cleaned_path(local_path, lambda path: add_file(self, path, name, *args, **kw))

        return cleaned

    if not hasattr(module, "Artifact") or not replace(module.Artifact, "add_file", make):
        unknown("wandb", "saved code")


def service(module):
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


def notebook(module):
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
