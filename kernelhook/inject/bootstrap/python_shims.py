"""nbhush._shims: lets notebooks that were written for a hosted service run unchanged.

    google.colab.userdata   get(key)                                    KEY
    kaggle_secrets          UserSecretsClient().get_secret(label)       LABEL
    dbutils.secrets         get(scope, key)                             SCOPE_KEY
    notebookutils,          credentials.getSecret(akvName, secret)      VAULT_SECRET
    mssparkutils
    keyring                 get_password(service, username)             SERVICE_USERNAME

The right column is the name of the secret: the parts joined by _, with a _ for
whatever a name cannot hold. A name is looked for as it is written, then in upper
case, then in any case. There is no other guess: a part alone never stands for
the whole, so that the password of one service is never given for another's.
Of a key vault's address the vault's name counts.

Loaded when a cell first asks for one of them; where the real module can be
imported, that one is.
"""

import builtins
import re
import sys
import types
from collections import namedtuple

import nbhush

# ---- names


def name_of(*parts):
    """Return the name of the secret that a service knows by parts, in their case."""
    name = "_".join(filter(None, (re.sub(r"[^A-Za-z0-9]+", "_", str(p)).strip("_") for p in parts if p)))
    return "_" + name if name[:1].isdigit() else name


def pick(name, names):
    """Return the one of names that name means, or None."""
    for form in (name, name.upper()):
        if form in names:
            return form
    same = [n for n in names if n.upper() == name.upper()]
    return same[0] if len(same) == 1 else None


def value_of(call, *parts):
    """Return the value of the secret that call, in words, asks for."""
    if len(parts) == 1 and re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", str(parts[0])):
        name = own = str(parts[0])
    else:
        name = name_of(*parts)
        own = name.upper()
    if not name:
        raise nbhush.Error("%s names no secret" % call, "", "bad-input") from None
    try:
        return nbhush.get(pick(name, nbhush.names()) or own)
    except nbhush.Error as e:
        raise type(e)("%s: %s" % (call, e.message), e.hint, e.code) from None


# ---- Google Colab


class NotebookAccessError(Exception):
    def __init__(self, key, hint=""):
        super().__init__("Notebook does not have access to secret %s" % key + hint)


class SecretNotFoundError(Exception):
    def __init__(self, key, hint=""):
        super().__init__("Secret %s does not exist." % key + hint)


class TimeoutException(Exception):
    def __init__(self, key, hint=""):
        super().__init__("Requesting secret %s timed out." % key + hint)


def colab_get(key):
    """Return the secret called key."""
    try:
        return value_of("userdata.get(%r)" % key, key)
    except nbhush.Error as e:
        kind = {"denied": NotebookAccessError, "not-found": SecretNotFoundError}.get(e.code)
        if kind is None:
            raise
        raise kind(key, "\n" + e.hint if e.hint else "") from None


class Colab(types.ModuleType):
    """google.colab, for as long as it takes to import userdata from it.

    Much code asks whether google.colab is there, and behaves as if it were in
    Colab when it is; so it is there for nobody else.
    """

    def __getattr__(self, name):
        if name != "userdata":
            raise AttributeError("google.colab has only userdata outside of Colab")
        for module in ("google.colab", "google"):
            if getattr(sys.modules.get(module), "_nbhush", False):
                del sys.modules[module]
        google = sys.modules.get("google")
        if getattr(google, "colab", None) is self:
            del google.colab
        return userdata


userdata = types.ModuleType("google.colab.userdata", "The secrets of nbhush, as Colab's.")
userdata.get = colab_get
userdata.NotebookAccessError = NotebookAccessError
userdata.SecretNotFoundError = SecretNotFoundError
userdata.TimeoutException = TimeoutException

# ---- Kaggle


class CredentialError(Exception):
    pass


class BackendError(Exception):
    pass


class ValidationError(Exception):
    pass


class UserSecretsClient:
    """Kaggle's client; the labels are names of nbhush."""

    def get_secret(self, label):
        if label is None or len(label) == 0:
            raise ValidationError("Label must be non-empty.")
        return self._get("get_secret(%r)" % label, label)

    def get_bigquery_access_token(self):
        return self._get("get_bigquery_access_token()", "BIGQUERY_ACCESS_TOKEN"), None

    def _get(self, call, label):
        try:
            return value_of("UserSecretsClient()." + call, label)
        except nbhush.Error as e:
            kind = {"denied": CredentialError, "not-found": BackendError}.get(e.code)
            if kind is None:
                raise
            raise kind(str(e)) from None


# ---- Databricks

SecretMetadata = namedtuple("SecretMetadata", "key")
SecretScope = namedtuple("SecretScope", "name")


class Only:
    """Something of which the secrets are here and nothing else."""

    def __init__(self, _name, **has):
        self._name = _name
        self.__dict__.update(has)

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        has = ", ".join(sorted(k for k in self.__dict__ if k != "_name"))
        raise AttributeError("%s.%s is not here: nbhush has only %s of it" % (self._name, name, has))

    def __repr__(self):
        return "<%s, by nbhush>" % self._name


class DatabricksSecrets:
    """dbutils.secrets; a scope is how a name begins."""

    def get(self, scope, key):
        return value_of("dbutils.secrets.get(%r, %r)" % (scope, key), scope, key)

    def getBytes(self, scope, key):
        return self.get(scope, key).encode("utf-8", "surrogateescape")

    def list(self, scope):
        begin = name_of(scope).upper() + "_"
        return [SecretMetadata(n[len(begin) :]) for n in nbhush.names() if n.upper().startswith(begin) and n[len(begin) :]]

    def listScopes(self):
        names = [n.lstrip("_").partition("_") for n in nbhush.names()]
        return [SecretScope(s) for s in sorted({begin for begin, _, rest in names if begin and rest})]


# ---- Fabric and Synapse


class Credentials:
    """notebookutils.credentials and mssparkutils.credentials."""

    def __init__(self, utils):
        self._utils = utils

    def getSecret(self, akvName, secret, linkedService=None):
        vault = re.sub(r"^https?://", "", str(akvName)).split("/")[0].split(".")[0]
        return value_of("%s.credentials.getSecret(%r, %r)" % (self._utils, akvName, secret), vault, secret)

    def getToken(self, audience, name=None):
        host = re.sub(r"^https?://", "", str(audience)).split("/")[0]
        return value_of("%s.credentials.getToken(%r)" % (self._utils, audience), host, "token")


dbutils = Only("dbutils", secrets=DatabricksSecrets())
notebookutils = Only("notebookutils", credentials=Credentials("notebookutils"))
mssparkutils = Only("mssparkutils", credentials=Credentials("mssparkutils"))


def offer(shell, cell):
    """Give a cell the global names that the service would: those that it asks for secrets through."""
    for name, asks in (
        ("dbutils", "dbutils.secrets"),
        ("notebookutils", "notebookutils.credentials"),
        ("mssparkutils", "mssparkutils.credentials"),
    ):
        if asks in cell and name not in shell.user_ns and not hasattr(builtins, name):
            setattr(builtins, name, globals()[name])


# ---- keyring


def keyring_value(service, username):
    """Return the value for a service and a user, or None if this kernel has none."""
    name = pick(name_of(service, username), nbhush.names())
    return nbhush.get(name) if name else None


Credential = namedtuple("Credential", "username password")


def get_password(service_name, username):
    return keyring_value(service_name, username)


def get_credential(service_name, username):
    value = keyring_value(service_name, username)
    return None if value is None else Credential(username, value)


def set_password(service_name, username, password):
    raise nbhush.Error(
        "a cell cannot store a secret", "store it in a terminal with: nbhush set %s" % name_of(service_name, username).upper(), "denied"
    ) from None


def delete_password(service_name, username):
    raise nbhush.Error(
        "a cell cannot remove a secret", "remove it in a terminal with: nbhush rm %s" % name_of(service_name, username).upper(), "denied"
    ) from None


def errors_of_keyring(module):
    for name, base in (
        ("KeyringError", Exception),
        ("PasswordSetError", "KeyringError"),
        ("PasswordDeleteError", "KeyringError"),
        ("InitError", "KeyringError"),
        ("KeyringLocked", "KeyringError"),
        ("NoKeyringError", "KeyringError"),
    ):
        setattr(module, name, type(name, (module.__dict__.get(base, base),), {}))


def extend_keyring(module):
    """Let the real keyring answer from nbhush what the project lists, and else as ever."""
    core = sys.modules["keyring.core"]
    real_password, real_credential = module.get_password, module.get_credential

    def asked(service, username):
        try:
            return keyring_value(service, username)
        except nbhush.Error:
            return None

    def get_password(service_name, username):
        value = asked(service_name, username)
        return real_password(service_name, username) if value is None else value

    def get_credential(service_name, username):
        value = asked(service_name, username)
        if value is None:
            return real_credential(service_name, username)
        from keyring.credentials import SimpleCredential

        return SimpleCredential(username, value)

    for m in (module, core):
        m.get_password, m.get_credential = get_password, get_credential


# ---- modules


def fill(module):
    """Make module, whose name install knows, what the real one of that name is to a notebook."""
    name = module.__name__
    module._nbhush = True
    if name == "kaggle_secrets":
        for thing in (UserSecretsClient, CredentialError, BackendError, ValidationError):
            setattr(module, thing.__name__, thing)
    elif name == "notebookutils":
        module.credentials, module.mssparkutils, module.notebookutils = notebookutils.credentials, mssparkutils, notebookutils
    elif name == "mssparkutils":
        module.credentials = mssparkutils.credentials
    elif name == "keyring":
        for thing in (get_password, get_credential, set_password, delete_password):
            setattr(module, thing.__name__, thing)
    elif name == "keyring.errors":
        errors_of_keyring(module)
