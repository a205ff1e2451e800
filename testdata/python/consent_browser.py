"""Consent in a real browser: cells ask for names, and the questions are answered in the page.

usage: consent_browser.py BASE_URL NOTEBOOK PICTURES OTHER_NOTEBOOK

Prints as JSON, in the order of the cells, what each was asked and showed.
"""

import json
import os
import sys

import browser

BASE, FIRST, PICTURES, SECOND = sys.argv[1:]
told = []


class Asked:
    """A notebook whose cells may ask something."""

    def __init__(self, nb):
        self.nb, self.page, self.cells = nb, nb.page, 0
        self.question = self.page.locator(".jp-Stdin-input")
        self.page.on("dialog", lambda d: d.accept())  # of a page that is left unsaved

    def start(self, source):
        """Run source in the last cell."""
        self.page.locator(".jp-Notebook .jp-Cell .cm-content").last.click()
        self.page.keyboard.insert_text(source)
        self.nb.run()
        self.cells += 1

    def asked(self, what):
        """Wait for a question and return it. It has the focus: nobody has to click."""
        self.nb.until("a question (%s)" % what, self.question.count)
        self.nb.until("the focus", lambda: self.question.evaluate("e => e === document.activeElement"))
        self.picture(what)
        return self.page.locator(".jp-Stdin-prompt").inner_text()

    def answer(self, text):
        self.page.bring_to_front()
        self.page.keyboard.type(text)
        self.page.keyboard.press("Enter")

    def shown(self):
        """Return what the last cell that ran shows, when it has ended."""
        n = "[%d]:" % self.cells
        self.nb.until("cell %s" % n, lambda: self.page.get_by_text(n, exact=True).count())
        outputs = self.page.locator(".jp-CodeCell").nth(self.cells - 1).locator(".jp-OutputArea-output")
        self.nb.until("an output", lambda: "\n" in "".join(outputs.all_inner_texts()) or outputs.count() > 1)
        self.nb.until("the question to be gone", lambda: not self.question.count())
        return "".join(outputs.all_inner_texts())

    def ask(self, what, source, answer):
        self.start(source)
        prompt = self.asked(what)
        self.answer(answer)
        self.tell(what, prompt)

    def tell(self, what, prompt="", **more):
        shown = self.shown()
        self.picture(what + " (answered)")
        told.append(dict(more, what=what, prompt=prompt, shown=shown))

    def picture(self, what):
        if PICTURES:
            self.page.screenshot(path=os.path.join(PICTURES, what + ".png"))


GET = "import nbhush; print('got', len(nbhush.get(%r)))"

with browser.pages(BASE, width=1000, height=560, place="doc/tree") as notebook:
    a = Asked(notebook(FIRST))
    a.ask("no", GET % "API_TOKEN", "")
    a.ask("once", GET % "API_TOKEN", "o")
    a.ask("kernel", GET % "API_TOKEN", "k")
    a.start(GET % "API_TOKEN")
    a.tell("kernel again")
    a.ask("always", GET % "DB_PASSWORD", "a")
    a.ask("program", "!nbhush get PROGRAMS_OWN | wc -c", "o")

    # Two notebooks at once, each with a question of its own; the second one is answered first.
    b = Asked(notebook(SECOND))
    a.page.bring_to_front()
    a.start(GET % "OTHER_TOKEN")
    one = a.asked("at once, first")
    b.page.bring_to_front()
    b.start(GET % "API_TOKEN")
    two = b.asked("at once, second")
    b.answer("k")
    b.tell("at once, second", two, OtherWaits=a.question.count())
    a.answer("n")
    a.tell("at once, first", one)

    # The page is loaded anew while it is asked: nobody can answer any more.
    b.start(GET % "OTHER_TOKEN")
    b.asked("reload")
    b.page.reload()
    b.page.locator(".jp-Notebook .jp-Cell .cm-content").first.wait_for(timeout=90_000)
    b.picture("reload (loaded)")
    told.append({"what": "reloaded", "questions": b.question.count()})
    b.start("print('runs\\n')")
    b.nb.until("the next cell", lambda: b.page.get_by_text("runs", exact=True).count())
    b.picture("reload (next)")

    # The page is closed while it is asked. The server keeps the question for a page that
    # comes back; who opens the notebook anew is asked nothing, and its cells run.
    b.start(GET % "OTHER_TOKEN")
    b.asked("close")
    b.page.close()
    c = Asked(notebook(SECOND))
    told.append({"what": "opened again", "questions": c.question.count()})
    c.start("print('runs again\\n')")
    c.nb.until("the next cell", lambda: c.page.get_by_text("runs again", exact=True).count())
    c.picture("close (opened again)")
print(json.dumps(told))
