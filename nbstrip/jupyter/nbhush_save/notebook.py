"""Finds the texts of a notebook's model, asks the agent about them and edits them in place.

A text is what package nbstrip/notebook calls one: the lines of a source, of a stream or of a
MIME entry joined, every other string, member names, and whole numbers of eight digits or more.
Text is UTF-8; a lone surrogate passes through as the bytes that it would have.
"""

import bisect

BATCH = WINDOW = 1 << 20  # bytes of short texts, and of a longer one, in one request
LOOKS_BATCH = 1 << 17  # the same where the agent searches for what looks like a secret, which takes it longer
ALONE = 256 << 10  # a text from this size on goes without others
LONGEST = (4 << 20) - 1
SHORTEST = 8  # bytes of the shortest value that anybody looks for
BETWEEN = b"\xff"  # stands between two texts of a batch, and in no UTF-8

PLAIN, NUMBER, BINARY = range(3)

JOINED = {"text", "html", "svg", "latex", "json", "javascript"}  # of an output, in nbformat 3 too
IMAGES = {"png", "jpeg", "pdf"}


class Clean:
    """Remembers, by their hash, texts in which nothing looked like a secret: searching for that takes a while.

    Of those that it does not know, `allowance` bytes a save are searched; the others come next time.
    """

    SHORTEST, MOST = 1 << 10, 1 << 17  # bytes of a text that is remembered, and number of texts

    def __init__(self, allowance=float("inf")):
        self.allowance, self.hashes = allowance, set()

    def add(self, hashes):
        if len(self.hashes) > self.MOST:
            self.hashes = set()
        self.hashes.update(hashes)


def strip(nb, link, clean=None, decide=None):
    """Take what the agent finds out of nb, a notebook as JSON has it; return the names of what it was.

    What decide(nb, names), if it is not None, returns for these names is what becomes of nb: there are exceptions and modes.
    """
    s = Search(link, clean or Clean())
    s.notebook(nb)
    hits = s.finish()
    if not hits:
        return set()
    names = {name for _, spans in hits for _, _, name in spans}
    decided = decide(nb, names) if decide else None
    if decided == nb:
        return set()
    if decided is not None:
        nb.clear()
        nb.update(decided)
        return names
    labels = s.labels(names)
    renamed = {}
    for (owner, key, kind), spans in hits:
        if owner is s.names:
            renamed[key] = edited([key], spans, labels)[0]
        elif kind == NUMBER:
            owner[key] = labels[spans[0][2]]
        elif kind == BINARY:
            drop(owner, key, labels[spans[0][2]])
        elif isinstance(owner[key], str):
            owner[key] = edited([owner[key]], spans, labels)[0]
        else:
            owner[key][:] = edited(owner[key], spans, labels)
    if renamed:
        rename(nb, unique(renamed, s.names))
    return names


def strip_text(text, link):
    """Return text, which is no readable notebook, without what the agent knows, and the names of what it was."""
    s = Search(link, Clean())
    s.add([text], 0, text, PLAIN)
    hits = s.finish()
    spans = [span for _, spans in hits for span in spans]
    names = {name for _, _, name in spans}
    return (edited([text], spans, s.labels(names))[0] if spans else text), names


class Batch:
    """Short texts of one request, with what stands between them."""

    def __init__(self):
        self.parts, self.members, self.size = [], [], 0

    def put(self, text):
        self.parts.append(text)
        self.size += len(text)


class Search:
    """Gathers texts, each as its owner and the key or index that it has there, while the agent searches."""

    def __init__(self, link, clean):
        self.link, self.clean, self.allowance = link, clean, clean.allowance
        self.names, self.hits, self.again, self.asked = {}, [], [], []
        self.batches = {False: Batch(), True: Batch()}  # True: for what looks like a secret too

    def notebook(self, nb):
        self.names.update(nb)
        for key in nb:
            if key == "cells":
                self.each(nb, key, self.cell)
            elif key == "worksheets":
                self.each(nb, key, self.notebook)
            else:
                self.value(nb, key)

    def cell(self, cell):
        self.names.update(cell)
        for key in cell:
            if key in ("source", "input"):
                self.lines(cell, key, PLAIN)
            elif key == "outputs":
                self.each(cell, key, self.output)
            elif key == "attachments" and isinstance(cell[key], dict):
                self.names.update(cell[key])
                for name in cell[key]:
                    self.bundle(cell[key], name)
            else:
                self.value(cell, key)

    def output(self, output):
        self.names.update(output)
        for key in output:
            if key == "data":
                self.bundle(output, key)
            elif key in JOINED:
                self.lines(output, key, PLAIN)
            elif key in IMAGES:
                self.lines(output, key, BINARY)
            else:
                self.value(output, key)

    def bundle(self, owner, key):
        bundle = owner[key]
        if not isinstance(bundle, dict):
            return self.value(owner, key)
        self.names.update(bundle)
        for mime in bundle:
            if mime == "application/json" or mime.endswith("+json"):
                self.value(bundle, mime)
            else:
                self.lines(bundle, mime, BINARY if is_binary(mime) else PLAIN)

    def each(self, owner, key, read):
        if not isinstance(owner[key], list):
            return self.value(owner, key)
        for i, item in enumerate(owner[key]):
            if isinstance(item, dict):
                read(item)
            else:
                self.value(owner[key], i)

    def value(self, owner, key):
        x = owner[key]
        if isinstance(x, str):
            self.add(owner, key, x, PLAIN)
        elif isinstance(x, dict):
            self.members(x)
        elif isinstance(x, list):
            for i in range(len(x)):
                self.value(x, i)
        elif type(x) is int and x >= 10 ** (SHORTEST - 1):
            self.add(owner, key, str(x), NUMBER)

    def lines(self, owner, key, kind):
        """Add what nbformat calls a multi-line string: a string or a list of strings."""
        x = owner[key]
        if isinstance(x, list):
            try:
                x = "".join(x)
            except TypeError:
                return self.value(owner, key)
        if not isinstance(x, str):
            return self.value(owner, key)
        if kind == BINARY:
            x = x.strip("\r\n")  # the usual one at the end; a look for others is quick
            if "\n" in x or "\r" in x:
                x = x.replace("\n", "").replace("\r", "")
        self.add(owner, key, x, kind)

    def members(self, x):
        """Add the values of x. Each stands behind its name: that one belongs to "password" says what it is."""
        self.names.update(x)
        for name in x:
            if self.link.looks and len(name) < LOOKS_BATCH:
                if self.batches[True].size > LOOKS_BATCH:
                    self.flush(True)
                self.batches[True].put(b'"%s": ' % encode(name))
            if isinstance(x[name], str):
                self.add(x, name, x[name], PLAIN, b'"', b'", ')
            else:
                self.value(x, name)

    def add(self, owner, key, text, kind, before=b"", after=BETWEEN):
        if len(text) * 4 < SHORTEST:
            return
        place, text = (owner, key, kind), encode(text)
        looks = self.looks(place, text)
        if len(text) > ALONE:
            return self.alone(place, text, looks)
        if self.batches[looks].size + len(text) > (LOOKS_BATCH if looks else BATCH):
            self.flush(looks)
        batch = self.batches[looks]
        batch.put(before)
        batch.members.append((batch.size, batch.size + len(text), place, text))
        batch.put(text)
        batch.put(after if looks else BETWEEN)

    def looks(self, place, text):
        """Say whether to search text also for what looks like a secret."""
        if not self.link.looks or place[2] == BINARY:
            return False
        if len(text) >= Clean.SHORTEST:
            known = hash(text)
            if known in self.clean.hashes or self.allowance <= 0:
                return False
            self.asked.append((place, known))
        self.allowance -= len(text)
        return True

    def flush(self, looks):
        batch = self.batches[looks]
        if batch.members:
            self.link.ask(b"".join(batch.parts), lambda spans, _: spans and self.assign(batch.members, spans), looks)
        self.batches[looks] = Batch()

    def assign(self, members, spans):
        """Give each span to the text that it is in; a text which one reaches into is searched on its own."""
        starts = [m[0] for m in members]
        own, crossed = {}, set()
        for start, end, name in spans:
            first = max(bisect.bisect_right(starts, start) - 1, 0)
            last = bisect.bisect_left(starts, end) - 1
            if first == last and end <= members[first][1]:
                own.setdefault(first, []).append((start - starts[first], end - starts[first], name))
            else:
                crossed.update(range(first, last + 1))
        self.hits += [(members[i][2], own[i]) for i in own if i not in crossed]
        self.again += [members[i][2:] for i in crossed]

    def alone(self, place, text, looks):
        """Search a text window by window, each of which begins where a match could reach over the end of the one before."""
        found, view, at, size = [], memoryview(text), 0, LOOKS_BATCH if looks else WINDOW
        while at < len(view):
            window = view[at : at + size]
            spans, tail = self.link.find(window, looks)
            done = len(window) if at + len(window) == len(view) else len(window) - tail
            if done == 0:
                if size < LONGEST:
                    size = min(2 * size, LONGEST)
                    continue
                done = len(window)  # longer than any value: what was found stands
            found += [(at + s, at + e, name) for s, e, name in spans if e <= done]
            at += done
        if found:
            self.hits.append((place, found))

    def finish(self):
        for name in self.names:
            self.add(self.names, name, name, PLAIN)
        self.flush(True)
        self.flush(False)
        self.link.wait()
        for place, text in self.again:
            self.alone(place, text, self.link.looks and place[2] != BINARY)
        found = {id(place) for place, _ in self.hits}
        self.clean.add(known for place, known in self.asked if id(place) not in found)
        return self.hits

    def labels(self, names):
        """Return the placeholder for each name; one that would itself hold a value is replaced by ***."""
        labels = {}
        for name in names:
            label = "[nbhush:%s]" % name
            labels[name] = label

            def answered(spans, _, name=name):
                if spans:
                    labels[name] = "***"

            self.link.ask(encode(label), answered)
        self.link.wait()
        return labels


def is_look(name):
    """Say whether a span's name is of what looks like a secret, a rule and some digits, and not a secret's."""
    return "-" in name


def is_binary(mime):
    """Say whether Jupyter keeps data of the MIME type in base64."""
    kind, _, form = mime.partition("/")
    if kind in ("image", "audio", "video", "font"):
        return not form.endswith("+xml")
    return kind == "application" and form in ("pdf", "octet-stream", "zip", "gzip")


def encode(text):
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def edited(items, spans, labels):
    """Return items, which are one text, with each span replaced: the first string that a
    span touches gets the placeholder, the others lose their part of the value."""
    result, begin, i = [], 0, 0
    labelled = set()
    for item in items:
        raw = encode(item)
        end, out, at = begin + len(raw), [], 0
        while i < len(spans) and spans[i][1] <= begin:
            i += 1
        for n in range(i, len(spans)):
            start, stop, name = spans[n]
            if start >= end:
                break
            start, stop = boundary(raw, max(start - begin, 0), -1), boundary(raw, min(stop - begin, len(raw)), 1)
            out.append(raw[at : max(start, at)])
            if n not in labelled:
                out.append(encode(labels[name]))
                labelled.add(n)
            at = max(stop, at)
        result.append(b"".join([*out, raw[at:]]).decode("utf-8", "surrogatepass") if out else item)
        begin = end
    return result


def boundary(raw, at, step):
    """Return the nearest offset from `at` on, in the direction of step, that is not inside a character."""
    while 0 < at < len(raw) and raw[at] & 0xC0 == 0x80:
        at += step
    return at


def drop(bundle, key, label):
    """Take a binary entry out whole. Where no text would be left, the placeholder becomes it."""
    if "text/plain" in bundle or "text" in bundle:
        del bundle[key]
        return
    text = "text/plain" if "/" in key else "text"
    entries = [(text, label) if name == key else (name, value) for name, value in bundle.items()]
    bundle.clear()
    bundle.update(entries)


def unique(renamed, names):
    """Make the new names differ from one another and from all that stay: equal ones would lose data."""
    taken = {name for name in names if name not in renamed}
    for old, new in renamed.items():
        base, n = new, 2
        while new in taken:
            new, n = "%s~%d" % (base, n), n + 1
        taken.add(new)
        renamed[old] = new
    return renamed


def rename(x, names):
    """Give the members of every object in x their new names, in the order in which they are."""
    if isinstance(x, dict):
        if any(name in names for name in x):
            entries = [(names.get(name, name), value) for name, value in x.items()]
            x.clear()
            x.update(entries)
        x = x.values()
    elif not isinstance(x, list):
        return
    for item in x:
        rename(item, names)
