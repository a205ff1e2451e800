"""Takes the values of known secrets out of notebooks before Jupyter saves them.

A Jupyter server extension that `nbhush jupyter enable` puts here. It needs nothing
but the standard library, holds no value and matches none: the agent does.
"""

import os


def _jupyter_server_extension_points():
    return [{"module": "nbhush_save"}]


def _load_jupyter_server_extension(app):
    if os.environ.get("NBHUSH", "").lower() == "off":
        return
    try:
        from .guard import Guard

        Guard(app.log).attach(app.contents_manager)
    except Exception as why:
        app.log.warning("nbhush: notebooks are saved unchecked (%s); to mend it: nbhush jupyter enable", why)
