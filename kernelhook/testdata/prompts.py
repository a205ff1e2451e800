"""Prompts that name a secret, with clients that can answer and with those that cannot; .env files."""
import shutil
import tempfile

from harness import *

km = start()
kc = client(km)
typed = __import__("secrets").token_urlsafe(20)


def show(what, code, stdin=None):
    o = run(kc, code, stdin=stdin)
    errors = [c["ename"] + ": " + c["evalue"] for c in o.of("error")]
    prompts = [[c["prompt"], c["password"]] for c in o.of("input_request")]
    tell(what=what, stream=o.text(), error=errors, prompts=prompts)


SAME = "; print(v == os.environ['TOKEN'])"
# What notebooks of public repositories do.
show("getpass", """import getpass
import os

def _set_env(key: str):
    os.environ[key] = getpass.getpass(f"{key}:")

_set_env("ASKED")
print(os.environ["ASKED"])""", stdin="not this")
show("getpass, no stdin", "_set_env('TOKEN'); print(os.environ['TOKEN'])")
show("from getpass", "from getpass import getpass as ask\nv = ask('Enter your MY API key: '); print(v)")
show("from getpass, again", "v = ask('TOKEN'); import os" + SAME)
show("input", "v = input('Please enter the TOKEN: ')" + SAME)
show("not named", "print(ask('OTHER_KEY: '))", stdin=typed)
show("typed is known", "print(%r)" % typed)
show("typed is known, base64", "import base64; print(base64.b64encode(%r.encode()).decode())" % typed)
show("default prompt", "print(ask())", stdin=typed[::-1])
show("denied", "print(len(ask('OTHER: ')))", stdin="xx")
show("input is not known", "print(input('your street: '))", stdin="17 Long Street, Springfield")
show("no stdin, not named", "ask('OTHER_KEY: ')")
show("no stdin, input", "input('your street: ')")
show("consent", "print(ask('WISHED_TOKEN: '))", stdin="o")
show("consent, in words", "print(ask('Enter your Wished token: '))", stdin="o")
show("consent, no", "print(ask('WISHED_TOKEN: '))", stdin=typed[::-1])
show("consent, no stdin", "ask('WISHED_TOKEN: ')")
show("which wishes", """
from nbhush._prompts import wished
for prompt, password, want in [
    ("API_TOKEN:", True, "API_TOKEN"), ("API_TOKEN:", False, "API_TOKEN"), ("Enter your GitHub token: ", True, "GITHUB_TOKEN"),
    ("Enter your GitHub token: ", False, None), ("Password: ", True, None), ("password for me@example.org:", True, None),
    ("A_KEY or B_KEY?", True, None), ("a token", True, None), ("passphrase for key file:", True, None), ("_", True, None), ("", True, None),
    ("0 token", True, None),
]:
    if wished(prompt, password) != want: print(repr(prompt), wished(prompt, password))
print("all")""")
show("which prompts", """
from nbhush._prompts import named
names = ["OPENAI_API_KEY", "AZURE_OPENAI_API_KEY", "TOKEN", "PASSWORD", "MY_API_KEY"]
for prompt, want in [
    ("OPENAI_API_KEY:", "OPENAI_API_KEY"), ("Enter your OpenAI API key: ", "OPENAI_API_KEY"),
    ("Please set OPENAI_API_KEY (it is on the web site)", "OPENAI_API_KEY"),
    ("Paste your OpenAI API key here: ", "OPENAI_API_KEY"), ("Azure OpenAI API key", "AZURE_OPENAI_API_KEY"),
    ("Enter My API key", "MY_API_KEY"), ("PASSWORD:", "PASSWORD"), ("Enter the TOKEN", "TOKEN"),
    ("Enter the Gemini OpenAI API key", None), ("Password: ", None), ("GitHub token: ", None), ("GITHUB TOKEN:", None),
    ("OPENAI_API_KEY or AZURE_OPENAI_API_KEY?", None), ("X_OPENAI_API_KEY:", None), ("OPENAI_API_KEY for OTHER_THING", None),
    ("PASSWORD for admin@host:", None), ("API key", None), ("", None), ("?", None), ("enter the", None),
]:
    if named(prompt, names) != want: print(repr(prompt), named(prompt, names))
print("all")""")
kc.stop_channels()
km.shutdown_kernel()

# nbclient and papermill, which answer no prompt.
import nbformat
from nbclient import NotebookClient

nb = nbformat.v4.new_notebook(cells=[
    nbformat.v4.new_code_cell("import os, getpass\nif 'ASKED' not in os.environ:\n    os.environ['ASKED'] = getpass.getpass('ASKED:')\nprint(os.environ['ASKED'])")
])
done = NotebookClient(nb, km=Manager()).execute(cwd=tempfile.gettempdir())
tell(what="nbclient", stream=done.cells[0].outputs[0]["text"])

import papermill
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NBClientEngine, papermill_engines


class Engine(NBClientEngine):
    """papermill's own engine, with a kernel behind the hook."""

    @classmethod
    def execute_managed_notebook(cls, nb_man, kernel_name, **kw):
        return PapermillNotebookClient(nb_man, km=Manager()).execute()


papermill_engines.register("hooked", Engine)
folder = tempfile.mkdtemp()
nbformat.write(nb, folder + "/in.ipynb")
out = papermill.execute_notebook(folder + "/in.ipynb", folder + "/out.ipynb", engine_name="hooked", kernel_name="python3", language="python", progress_bar=False)
tell(what="papermill", stream=nbformat.read(folder + "/out.ipynb", 4).cells[0].outputs[0]["text"])

# python-dotenv, beside nbhush: what the kernel was given stays, the rest comes from the file.
with open(folder + "/.env", "w") as f:
    f.write("TOKEN=of-the-file\nPLAIN_SETTING=of-the-file\n")
km = Manager()
km.start_kernel(cwd=folder, stdout=sys.stderr)
kc = client(km)
show("load_dotenv", "from dotenv import load_dotenv\nload_dotenv()\nimport os\nprint(os.environ['TOKEN'], os.environ['PLAIN_SETTING'])")
show("%dotenv", "%load_ext dotenv\n%dotenv\nprint(os.environ['TOKEN'], os.environ['PLAIN_SETTING'])")
show("%dotenv -o", "%dotenv -o\nprint(os.environ['TOKEN'])")
kc.stop_channels()
km.shutdown_kernel()
shutil.rmtree(folder)
