"""Types a literal into a cell in a real browser and saves, three times.

usage: save_browser.py BASE_URL NOTEBOOK SCREENSHOT [automatic|PLACE] < literal

With automatic the server saves whatever is typed, as jupyter-collaboration does. PLACE is where the page is, lab/tree if it is not said. Prints as JSON the notebook's file after each save, the dialogs that
were seen, and how many notes the page showed in all, with their text.
"""

import json
import sys

import browser

BASE, PATH, SHOT = sys.argv[1:4]
AUTOMATIC = sys.argv[4:] == ["automatic"]
PLACE = "lab/tree" if AUTOMATIC or not sys.argv[4:] else sys.argv[4]
LITERAL = sys.stdin.read()
NOTE = ".Toastify__toast-body:has-text('nbhush')"

with browser.notebook(BASE, PATH, place=PLACE) as nb:
    nb.page.wait_for_timeout(1000)  # for a dialog that comes before any save
    dialogs, saved = nb.dialogs(), []
    nb.page.locator(".jp-Notebook .jp-Cell .cm-content").first.click()
    for text, marker in (("first = '%s'" % LITERAL, "first = "), ("\nsecond = 2", "second = 2"), ("\nthird = 3", "third = 3")):
        nb.page.keyboard.type(text)
        file, seen = nb.save(marker, AUTOMATIC)
        saved.append(file)
        dialogs += seen
        if len(saved) == 1:
            if not AUTOMATIC:
                nb.page.locator(NOTE).first.wait_for(timeout=30_000)
            nb.page.screenshot(path=SHOT)
            notes = nb.page.locator(NOTE).all_inner_texts()
    after = nb.page.locator(NOTE).count()  # the later saves took the same
print(json.dumps({"saved": saved, "dialogs": dialogs, "notes": notes, "after": after}))
