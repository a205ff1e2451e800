"""Prints the names of the checks that failed."""
import base64
import html
import json
import os
import secrets
import sys
import urllib.parse
import warnings

given = json.load(sys.stdin)
exec(compile(given["install"], "<nbhush>", "exec"), {"__name__": "nbhush_install", "sources": given["sources"]})
import nbhush

failed = []


def check(name, good):
    if not good:
        failed.append(name)


check("not loaded without a tracker", "nbhush._trackers" not in sys.modules)
from nbhush import _trackers as t

plain = secrets.token_hex(12)
odd = "a\"b'c\\d<&> é\n" + secrets.token_urlsafe(12) + "/+ %"
pin = "8261940357"
nbhush._served.update({plain: "PLAIN", odd: "ODD", pin: "PIN"})
url_password = secrets.token_hex(8)
os.environ["MY_TOKEN"] = secrets.token_hex(10)
os.environ["MY_DB"] = "postgres://me:%s@host/db" % url_password
for name, value in (("PLAIN", plain), ("ODD", odd)):
    raw = value.encode()
    for form in (
        value, repr(value), repr(value)[1:-1], json.dumps(value), json.dumps(value, ensure_ascii=False), json.dumps(json.dumps(value)),
        urllib.parse.quote(value), urllib.parse.quote(value, safe=""), urllib.parse.quote_plus(value), html.escape(value), value.replace("'", "''"),
        base64.b64encode(raw).decode(), base64.urlsafe_b64encode(b"x" + raw + b"yz").decode(), base64.b64encode(b"xy" + raw).decode(),
        raw.hex(), raw.hex().upper(),
    ):
        masked = t.mask("before " + form + " after")
        check("%s: %s" % (name, form[:4]), "[nbhush:%s]" % name in masked and masked.startswith("before ") and masked.endswith(" after"))
check("variable", t.mask("x " + os.environ["MY_TOKEN"]) == "x [nbhush:env-MY_TOKEN]")
check("password of a URL", t.mask("p=" + url_password) == "p=[nbhush:env-MY_DB]")
del os.environ["MY_TOKEN"]
os.environ["LATER_KEY"] = secrets.token_hex(10)
check("later variable", t.mask(os.environ["LATER_KEY"]) == "[nbhush:env-LATER_KEY]")

check("number", t.mask_json('{"a": %s, "b": 0.%s, "c": %s1}' % (pin, pin, pin)) == json.dumps("[nbhush:withheld]"))
check("part of a number", t.mask_json('{"b": 0.%s, "c": %s1}' % (pin, pin)) == '{"b": 0.%s, "c": %s1}' % (pin, pin))

same = {"a": [1, 2.5, "x", None, True, (1, b"y"), {"z"}], "b": {"c": object()}}
check("same object", t.clean(same) is same)
deep = t.clean({"k" + plain: [{"a": (plain, 1)}, {plain}, plain.encode()]})
check("deep", deep == {"k[nbhush:PLAIN]": [{"a": ("[nbhush:PLAIN]", 1)}, {"[nbhush:PLAIN]"}, b"[nbhush:PLAIN]"]})
check("a secret itself", type(t.clean(nbhush.Secret(plain, "PLAIN"))) is str)
check("data", t.mask_bytes(b"\0" + plain.encode()) == b"\0" + plain.encode())


class Broken:
    def now(self):
        raise RuntimeError("broken")


known, t.known = t.known, Broken()
check("withheld", t.mask("text") == "[nbhush:withheld]" and t.clean({"a": 1}) == {"[nbhush:withheld]": 1})
t.known = known


class Other:
    pass


with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    module = type(sys)("wandb.sdk.interface.interface_sock")
    from nbhush import _mlflow, _wandb

    _wandb.interface(module)
    _mlflow.client(module)
    _wandb.table(module)
check("unknown versions", [str(w.message).split(":")[0] for w in said] == ["nbhush does not know this version of " + n for n in ("wandb", "mlflow", "wandb")])


# In a kernel that runs already a tracker may have been imported before.
class InterfaceSock:
    def _assign(self, record):
        record.assigned = True


class Message:
    assigned = False

    def ListFields(self):
        return []


module = sys.modules["wandb.sdk.interface.interface_sock"] = type(sys)("wandb.sdk.interface.interface_sock")
module.InterfaceSock, message = InterfaceSock, Message()
sys.modules["mlflow"] = None
sys.meta_path[:] = [f for f in sys.meta_path if not type(f).__name__.startswith("Nbhush")]
exec(compile(given["install"], "<nbhush>", "exec"), {"__name__": "nbhush_install", "sources": given["sources"]})
check("imported before", hasattr(InterfaceSock._assign, "_nbhush"))
InterfaceSock()._assign(message)
check("the library's own is called", message.assigned)
print(json.dumps(failed))
