"""A notebook in a real JupyterLab in a real browser.

NBHUSH_TEST_CHROMIUM is the path of the browser, JUPYTER_TOKEN the server's token.
The server has LabApp.expose_app_in_browser.
"""

import contextlib
import os
import time

from playwright.sync_api import sync_playwright

FLAGS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-background-networking", "--no-first-run", "--disable-sync"]

# The page has the kernel, and that is idle: the sign in the page says so too early,
# and who runs a cell without a kernel is asked for one.
READY = """() => {
    const kernel = window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel;
    return kernel?.connectionStatus === 'connected' && kernel.status === 'idle';
}"""


class Notebook:
    """The page of one notebook, and its file."""

    def __init__(self, page, path):
        self.page, self.path = page, path

    def disk(self):
        try:
            with open(self.path) as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def until(self, what, condition):
        end = time.monotonic() + 90
        while not condition():
            if time.monotonic() > end:
                raise TimeoutError("%s; dialogs: %r; page: %r" % (what, self.dialogs(), self.page.inner_text("body")))
            self.page.wait_for_timeout(50)

    def dialogs(self):
        return [d.inner_text() for d in self.page.locator(".jp-Dialog").all() if d.is_visible()]

    def save(self, marker, automatic=False):
        """Save and wait until marker is on the disk; return the file and the dialogs.

        Where saves are automatic, the one by keyboard comes after: both at once meet in a
        dialog, with nbhush or without.
        """
        if automatic:
            self.until("an automatic save with %s" % marker, lambda: marker in self.disk() or self.dialogs())
            self.page.wait_for_timeout(1000)  # for the page to learn of it
        self.page.keyboard.press("Control+s")
        self.until("a save with %s" % marker, lambda: marker in self.disk() or self.dialogs())
        self.page.wait_for_timeout(500)  # for a dialog that comes after it
        return self.disk(), self.dialogs()

    def run(self):
        """Run the cell in focus and go to the next."""
        self.page.wait_for_function(READY, timeout=90_000)
        self.page.keyboard.press("Shift+Enter")


@contextlib.contextmanager
def pages(base, width=1200, height=700, scale=1, place="lab/tree"):
    """Start a browser; what is yielded opens the file at a path of the server at base, in a page of its own."""
    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=os.environ["NBHUSH_TEST_CHROMIUM"], args=FLAGS)
        context = browser.new_context(viewport={"width": width, "height": height}, device_scale_factor=scale)

        def notebook(path):
            page = context.new_page()
            # jupyter-collaboration asks so on a machine that is busy.
            page.add_locator_handler(
                page.locator(".jp-Dialog", has_text="taking some time to load").get_by_role("button", name="Continue waiting"),
                lambda button: button.click(),
            )
            page.goto("%s/%s/%s?token=%s" % (base, place, path, os.environ["JUPYTER_TOKEN"]))
            page.locator(".jp-Notebook .jp-Cell .cm-content").first.wait_for(timeout=90_000)
            return Notebook(page, path)

        yield notebook
        browser.close()


@contextlib.contextmanager
def notebook(base, path, **kw):
    """Open the file at path of the server at base."""
    with pages(base, **kw) as open_page:
        yield open_page(path)
