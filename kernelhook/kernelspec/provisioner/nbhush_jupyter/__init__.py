"""Puts every kernel that Jupyter starts behind nbhush.

The block that `nbhush jupyter enable` adds to jupyter_config.py calls
configure(). Importing this needs nothing but the standard library.
"""

import os

NAME = "nbhush"
ENTRY = "nbhush_jupyter.provisioner:NbhushProvisioner"
GROUP = "jupyter_client.kernel_provisioners"
CHOICE = "JUPYTER_DEFAULT_PROVISIONER_NAME"
VARIABLE = "NBHUSH_PROVISIONER"


def configure(config):
    """Make nbhush the default provisioner of this process.

    A default of the trait, not a value: whatever a configuration file of any
    level or the command line says wins, as it should, and applications whose
    factory gets no configuration (nbconvert, execute, run) have it too. The
    factory takes its default from a variable; it gets one that no process
    below this one knows, since those may not have this folder on their path.
    """
    if os.environ.get(CHOICE):
        return
    try:
        from jupyter_client.provisioning import KernelProvisionerFactory
    except ModuleNotFoundError as why:
        if why.name == "jupyter_client":
            return  # a Jupyter that starts no kernels
        raise
    register(KernelProvisionerFactory)
    os.environ[VARIABLE] = NAME
    KernelProvisionerFactory.default_provisioner_name_env = VARIABLE
    if KernelProvisionerFactory().default_provisioner_name != NAME:
        config.KernelProvisionerFactory.default_provisioner_name = NAME


def register(factory):
    """Load the provisioner now, so that a server that runs outlives the removal of this folder."""
    from importlib.metadata import EntryPoint

    from . import provisioner  # noqa: F401

    factory.provisioners.setdefault(NAME, EntryPoint(NAME, ENTRY, GROUP))
