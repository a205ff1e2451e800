# Written by nbhush ipython enable. To take it out again: nbhush ipython disable
def _nbhush(program):
    import os
    import sys

    if "NBHUSH_ENDPOINT" in os.environ or os.environ.get("NBHUSH", "").lower() == "off" or not os.access(program, os.X_OK):
        return
    shell, folder = get_ipython(), os.getcwd()

    def serve():
        """Have a process of nbhush answer this session, from its first question to its end."""
        if "NBHUSH_ENDPOINT" in os.environ:
            return
        import json
        import subprocess

        argv = [program, "attach", "--until-eof", "--dir", folder, "--program", sys.executable, "--pid", str(os.getpid())]
        kernel = getattr(getattr(shell, "kernel", None), "parent", None)
        argv += ["--file", getattr(kernel, "abs_connection_file", "")]
        try:
            serve.process = subprocess.Popen(
                argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=os.sep, start_new_session=True)
            told = json.loads(serve.process.stdout.readline())
        except (OSError, ValueError) as why:
            raise ImportError("%s does not answer: %s; see: nbhush doctor" % (program, why)) from None
        if "error" in told:
            raise ImportError("%(message)s; %(hint)s" % dict({"hint": "see: nbhush doctor"}, **told["error"]))
        os.environ["NBHUSH_ENDPOINT"], os.environ["NBHUSH_TOKEN"] = told["endpoint"], told["token"]
        os.environ["NBHUSH_EPOCH"] = told.get("epoch", "")
        exec(told["code"], {})

    class NbhushLater:
        """Is asked last, so that an installed nbhush wins, and leaves the answer to the finder that is there then."""

        @staticmethod
        def find_spec(name, path=None, target=None):
            if name == "nbhush":
                serve()

    def hush(line):
        """%hush A B: the secrets A and B become variables and environment variables."""
        serve()
        shell.run_line_magic("hush", line)

    def hush_cell(line, cell):
        """%%hush A B: the secrets A and B are variables and environment variables while this cell runs."""
        serve()
        shell.run_cell("%%hush " + line + "\n" + cell)

    sys.meta_path.append(NbhushLater)
    shell.register_magic_function(hush, "line", "hush")
    shell.register_magic_function(hush_cell, "cell", "hush")


try:
    _nbhush(PROGRAM)
except Exception:
    pass  # a session without it is better than none
finally:
    del _nbhush
