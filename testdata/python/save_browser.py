"""Types a literal into a cell in a real browser and saves, three times.

usage: save_browser.py BASE_URL NOTEBOOK SCREENSHOT [automatic] < literal

With automatic the server saves whatever is typed, as jupyter-collaboration does. Prints as JSON the notebook's file after each save and the dialogs that were seen.
"""

import json
import sys

import browser

BASE, PATH, SHOT = sys.argv[1:4]
LITERAL = sys.stdin.read()

with browser.notebook(BASE, PATH) as nb:
    nb.page.wait_for_timeout(1000)  # for a dialog that comes before any save
    dialogs, saved = nb.dialogs(), []
    nb.page.locator(".jp-Notebook .jp-Cell .cm-content").first.click()
    for text, marker in (("first = '%s'" % LITERAL, "first = "), ("\nsecond = 2", "second = 2"), ("\nthird = 3", "third = 3")):
        nb.page.keyboard.type(text)
        file, seen = nb.save(marker, sys.argv[4:] == ["automatic"])
        saved.append(file)
        dialogs += seen
    nb.page.screenshot(path=SHOT)
print(json.dumps({"saved": saved, "dialogs": dialogs}))
