"""Types a literal into a cell in a real browser and saves, twice.

usage: save_browser.py BASE_URL NOTEBOOK SCREENSHOT < literal

JUPYTER_TOKEN holds the server's token. Prints as JSON the notebook's file after
each save, the dialogs that were seen and what the cell shows.
"""

import json
import os
import sys
import time

from playwright.sync_api import sync_playwright

BASE, PATH, SHOT = sys.argv[1:4]
LITERAL = sys.stdin.read()
FLAGS = ["--no-sandbox", "--disable-dev-shm-usage", "--headless", "--disable-background-networking", "--no-first-run", "--disable-sync"]


def disk():
    try:
        with open(PATH) as f:
            return f.read()
    except FileNotFoundError:
        return ""


def until(what, condition):
    end = time.monotonic() + 90
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(what)
        page.wait_for_timeout(100)


def dialogs():
    return [d.inner_text() for d in page.locator(".jp-Dialog").all() if d.is_visible()]


def save(marker):
    """Save by keyboard and wait until what was typed last is on the disk."""
    page.keyboard.press("Control+s")
    until("a save with %s; dialogs: %r" % (marker, dialogs()), lambda: marker in disk() or dialogs())
    page.wait_for_timeout(500)  # for a dialog that comes after it
    seen.extend(dialogs())
    return disk()


with sync_playwright() as p:
    browser = p.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
    page = browser.new_page(viewport={"width": 1200, "height": 700})
    page.goto("%s/lab/tree/%s?token=%s" % (BASE, PATH, os.environ["JUPYTER_TOKEN"]))
    cell = page.locator(".jp-Notebook .jp-Cell .cm-content").first
    cell.wait_for(timeout=90_000)
    page.wait_for_timeout(1000)
    result, seen = {"before": dialogs()}, []
    cell.click()
    page.keyboard.type("first = '%s'" % LITERAL)
    result["first"] = save("first = ")
    page.keyboard.type("\nsecond = 2")
    result["second"] = save("second = 2")
    page.keyboard.type("\nthird = 3")
    result["third"] = save("third = 3")
    result["shown"] = cell.inner_text()
    result["dialogs"] = seen
    page.screenshot(path=SHOT)
    browser.close()
print(json.dumps(result))
