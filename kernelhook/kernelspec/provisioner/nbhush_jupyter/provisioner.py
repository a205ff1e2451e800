"""The kernel provisioner: Jupyter's local one, with nbhush before the kernel's argv."""

import os

from jupyter_client.provisioning import LocalProvisioner

from . import VARIABLE
from .place import NBHUSH

MEND = "to start kernels without nbhush and without this message: nbhush jupyter disable"


class NbhushProvisioner(LocalProvisioner):
    """Starts `nbhush kernel -f CONNECTION_FILE -- ARGV` where Jupyter would start ARGV.

    Only the argv changes. Signals go to the process group, which holds nbhush
    and the kernel; all else is LocalProvisioner's.
    """

    bare = None

    async def pre_launch(self, **kwargs):
        kwargs = await super().pre_launch(**kwargs)
        kwargs["env"].pop(VARIABLE, None)
        self.bare = unhook(kwargs["cmd"])
        kwargs["cmd"] = self.hook(kwargs["cmd"], kwargs["env"])
        if kwargs["cmd"] != self.bare:  # for nbhush's rules; it does not hand them on
            kwargs["env"]["NBHUSH_KERNEL_SPEC"] = str(getattr(self.parent, "kernel_name", "") or "")
            kwargs["env"]["NBHUSH_KERNEL_LANGUAGE"] = str(getattr(self.kernel_spec, "language", "") or "")
        return kwargs

    async def launch_kernel(self, cmd, **kwargs):
        try:
            return await super().launch_kernel(cmd, **kwargs)
        except OSError as why:
            if cmd == self.bare:
                raise
            info = await super().launch_kernel(self.bare, **kwargs)
            self.say(cmd[0], "does not start (%s)" % why)
            return info

    def hook(self, cmd, env):
        """Return the argv to start: hooked, or bare with a line in the log that says why."""
        connection_file = getattr(self.parent, "connection_file", "")
        if not connection_file or env.get("NBHUSH", "").lower() == "off":
            return self.bare
        if is_nbhush(cmd) and runs(cmd[0]):
            return cmd
        if is_nbhush(self.bare):
            return self.bare
        if not runs(NBHUSH):
            self.say(NBHUSH, "is not there")
            return self.bare
        return [NBHUSH, "kernel", "-f", os.path.realpath(connection_file), "--"] + self.bare

    def say(self, path, what):
        self.log.warning("nbhush: %s %s: this kernel runs without it; %s", path, what, MEND)


def is_nbhush(cmd):
    return bool(cmd) and os.path.basename(cmd[0]).lower() in ("nbhush", "nbhush.exe")


def unhook(cmd):
    """Return the kernel's own argv from that of a spec that `nbhush kernels enable` wrapped."""
    if is_nbhush(cmd) and cmd[1:3] == ["kernel", "-f"] and cmd[4:5] == ["--"] and cmd[5:]:
        return cmd[5:]
    return cmd


def runs(path):
    return os.path.isfile(path) and os.access(path, os.X_OK)
