"""Tells a kernel that runs where to ask for its secrets, and asks for some at once.

endpoint, token, since, names and bootstrap are globals. What came of it is left in sys for
the expression that takes it from there: "", or the JSON of an error, in hexadecimal.
"""

import json
import os
import sys
import threading


def attach():
    if endpoint:
        os.environ["NBHUSH_ENDPOINT"], os.environ["NBHUSH_TOKEN"], os.environ["NBHUSH_EPOCH"] = endpoint, token, since
        loaded = sys.modules.get("nbhush")
        if loaded:  # from somebody who asked elsewhere before
            loaded._endpoint, loaded._token, loaded._local = endpoint, token.encode(), threading.local()
    exec(bootstrap, {})
    if names:
        import nbhush

        try:
            from nbhush._ipython import hush
        except ImportError:  # Python without IPython
            hush = lambda line: nbhush.env(*line.split())
        hush(" ".join(names))


try:
    attach()
    told = ""
except BaseException as why:
    told = json.dumps({
        "code": getattr(why, "code", "internal"), "message": getattr(why, "message", type(why).__name__), "hint": getattr(why, "hint", ""),
    })
sys._nbhush_told = told.encode().hex()
