"""Runs the README's first minute in a real browser and takes its picture.

usage: first_minute.py BASE_URL NOTEBOOK PICTURE

Prints as JSON what the page shows as output, and the notebook's file after a save.
"""

import json
import sys

import browser

BASE, PATH, PICTURE = sys.argv[1:4]
CELLS = (
    'import nbhush\nkey = nbhush.get("OPENAI_API_KEY")',
    'print(key)',
    'key.startswith("sk-"), len(key)',
)

with browser.notebook(BASE, PATH, width=860, height=385, scale=1.5, place="doc/tree") as nb:
    nb.page.locator(".jp-Notebook .jp-Cell .cm-content").first.click()
    for n, source in enumerate(CELLS, 1):
        nb.page.keyboard.insert_text(source)
        nb.run()
        nb.until("cell %d to end" % n, lambda: nb.page.get_by_text("[%d]:" % n, exact=True).count())
    outputs = nb.page.locator(".jp-OutputArea-output")
    nb.until("two outputs", lambda: outputs.count() == 2)
    shown = [text.strip() for text in outputs.all_inner_texts()]
    saved, dialogs = nb.save("startswith")
    nb.page.screenshot(path=PICTURE)
print(json.dumps({"shown": shown, "saved": saved, "dialogs": dialogs}))
