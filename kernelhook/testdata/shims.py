"""Cells of public documentation for hosted services, as they stand there."""
from harness import *

km = start()
kc = client(km)


def show(what, *cells):
    """Run cells and tell what the last one showed."""
    for code in cells:
        o = run(kc, code)
    results = [c["data"]["text/plain"] for c in o.of("execute_result")]
    errors = [c["ename"] + ": " + c["evalue"] for c in o.of("error")]
    tell(what=what, stream=o.text(), result=results, error=errors)


SAME = "import os; print(%s == os.environ['TOKEN'])"

show("not loaded", "import sys; print([m for m in sys.modules if m.startswith('nbhush')])")
show("probe for colab", "try:\n    import google.colab\n    IN_COLAB = True\nexcept ImportError:\n    IN_COLAB = False\nprint(IN_COLAB)")
show("colab", "from google.colab import userdata\nuserdata.get('TOKEN')")
show("colab value", SAME % "userdata.get('TOKEN')")
show("colab leaves no trace", "import sys\nprint('google.colab' in sys.modules, hasattr(sys.modules.get('google'), '_nbhush'))")
show("probe for colab again", "try:\n    import google.colab\n    IN_COLAB = True\nexcept ImportError:\n    IN_COLAB = False\nprint(IN_COLAB)")
show("colab in one cell", """from google.colab import userdata
import os
os.environ["KAGGLE_KEY"] = userdata.get('TOKEN')
print(os.environ["KAGGLE_KEY"])
""")
show("colab errors", """from google.colab import userdata
for key in ('NOT_THERE', 'OTHER'):
    try:
        userdata.get(key)
    except userdata.SecretNotFoundError as e:
        print(f'Secret not found\\n\\nThis expects you to create a secret named {key} in Colab', e)
    except userdata.NotebookAccessError as e:
        print('You need to grant this notebook access to the secret', e)
""")
show("colab error shown", "userdata.get('NOT_THERE')")
show("colab in a function", """def key():
    from google.colab import userdata
    return userdata.get("ASKED")
print(len(key()) > 8)
""")
# The real google is there where a library of Google's is.
show("colab drive", "try:\n    from google.colab import drive\nexcept ModuleNotFoundError as e:\n    print(e.name in ('google', 'google.colab'))")
show("kaggle", "from kaggle_secrets import UserSecretsClient\nuser_secrets = UserSecretsClient()\nsecret_value_0 = user_secrets.get_secret(\"token\")", SAME % "secret_value_0")
show("kaggle label", 'secret_value_1 = user_secrets.get_secret("My W&B key")', "print(secret_value_1)")
show("kaggle missing", 'user_secrets.get_secret("nothing")')
show("kaggle empty", 'user_secrets.get_secret("")')
show("kaggle bigquery", "print(user_secrets.get_bigquery_access_token()[1])")
show("probe for databricks", "try:\n    dbutils\n    print(True)\nexcept NameError:\n    print(False)")
show("databricks", """extra_configs = {"fs.azure.account.oauth2.client.secret": dbutils.secrets.get(scope = "amlscope", key ="adls-key")}
password = dbutils.secrets.get("amlscope", "adls-key")""", "print(password, extra_configs)")
show("databricks bytes", 'print(type(dbutils.secrets.getBytes(scope="amlscope", key="adls-key")))')
show("databricks list", 'print(dbutils.secrets.list("amlscope"), dbutils.secrets.listScopes())')
show("databricks all", """for scope in dbutils.secrets.listScopes():
    for secret in dbutils.secrets.list(scope.name):
        print(scope.name, secret.key, len(dbutils.secrets.get(scope.name, secret.key)) > 8)""")
show("databricks missing", 'dbutils.secrets.get("amlscope", "nothing")')
show("databricks else", "dbutils.fs.ls('/')")
show("fabric", """pwd = notebookutils.credentials.getSecret('https://my-vault.vault.azure.net/', 'db-password')
print(pwd)""")
show("fabric module", """import notebookutils
print(notebookutils.credentials.getSecret('my-vault', 'db-password'))""")
show("fabric token", "print(notebookutils.credentials.getToken('storage'))")
show("synapse", """from notebookutils import mssparkutils
print(mssparkutils.credentials.getSecret('my-vault', 'db-password', 'MyLinkedService'))""")
show("synapse global", "del mssparkutils", "print(mssparkutils.credentials.getSecret('my-vault', 'db-password'))")
show("keyring", """import keyring
key = keyring.get_password("my-service", "me@example.org")
print(key)""")
show("keyring is the real one", "print(keyring.__file__ is not None, keyring.get_credential('my-service', 'me@example.org').username)")
show("keyring else", """from keyring.backend import KeyringBackend
class Mine(KeyringBackend):
    priority = 1
    def get_password(self, service, username): return "mine " + service
    def set_password(self, service, username, password): pass
    def delete_password(self, service, username): pass
keyring.set_keyring(Mine())
print(keyring.get_password("another", "me"))""")
show("names", "print([n for n in globals() if n in ('dbutils', 'notebookutils', 'sources')])")
kc.stop_channels()
km.shutdown_kernel()

km = start()
kc = client(km)
HIDE = """import importlib.machinery, sys
class Without(importlib.machinery.PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition('.')[0] == 'keyring' else super().find_spec(name, path, target)
sys.meta_path[sys.meta_path.index(importlib.machinery.PathFinder)] = Without
"""
show("keyring shim", HIDE, 'import keyring, keyring.errors\nprint(keyring.get_password("my-service", "me@example.org"), keyring.get_password("no", "body"))')
show("keyring shim set", 'try: keyring.set_password("my-service", "me", "x")\nexcept Exception as e: print(e)')
kc.stop_channels()
km.shutdown_kernel()
