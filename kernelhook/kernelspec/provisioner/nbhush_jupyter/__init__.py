"""Puts every kernel that Jupyter starts behind nbhush.

The block that `nbhush jupyter enable` adds to jupyter_config.py calls
configure(). Nothing here needs more than the standard library until Jupyter
itself is there.
"""

import os
import re
import sys

NAME = "nbhush"
TRAIT = "default_provisioner_name"
VARIABLE = "JUPYTER_DEFAULT_PROVISIONER_NAME"
ENTRY = "nbhush_jupyter.provisioner:NbhushProvisioner"
GROUP = "jupyter_client.kernel_provisioners"


def configure(config):
    """Make nbhush the default provisioner, unless somebody chose another one."""
    section = config.KernelProvisionerFactory
    if TRAIT in section or (os.environ.get(VARIABLE) or NAME) != NAME or chosen_elsewhere():
        return
    if "jupyter_client" in sys.modules:
        register()
    section[TRAIT] = NAME


def register():
    """Load the provisioner now, so that a server that runs outlives the removal of this folder."""
    from importlib.metadata import EntryPoint

    from jupyter_client.provisioning import KernelProvisionerFactory

    from . import provisioner  # noqa: F401

    KernelProvisionerFactory.provisioners.setdefault(NAME, EntryPoint(NAME, ENTRY, GROUP))


def chosen_elsewhere():
    """Report whether a configuration file of any level names a default of its own.

    The files are only searched: what an administrator wrote has a lower
    priority than the user's file that calls us, and would lose unseen.
    """
    from jupyter_core.paths import jupyter_config_path

    line = re.compile(rb"(?m)^[^#\r\n]*" + TRAIT.encode())
    for folder in jupyter_config_path():
        for name in ("jupyter_config.py", "jupyter_config.json"):
            try:
                with open(os.path.join(folder, name), "rb") as f:
                    if line.search(f.read(1 << 20).replace(b"\r", b"\n")):
                        return True
            except OSError:
                continue
    return False
