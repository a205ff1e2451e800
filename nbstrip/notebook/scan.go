package notebook

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
)

// Scan finds everything in src, or returns a *NotNotebookError. It reads src
// once and keeps referring to it.
func Scan(src []byte) (*Notebook, error) { return ScanTexts(src, nil) }

// ScanTexts is Scan, and calls each for every text, with its index, as soon as
// that is complete. What comes later may show that src is no notebook.
func ScanTexts(src []byte, each func(i int, t Text)) (*Notebook, error) {
	// Real notebooks have about 120 bytes a string; those with many lines have fewer.
	nb := &Notebook{src: src, strings: make([]span, 0, len(src)/64), texts: make([]text, 0, len(src)/256)}
	s := scanner{lexer: lexer{src: src}, nb: nb, each: each, cell: -1, part: other}
	s.anyValue, s.anyMember = s.value, s.member
	if len(src) > maxSize {
		return nil, s.fail("it is larger than " + strconv.Itoa(maxSize) + " bytes")
	}
	if mark := []byte("\ufeff"); bytes.HasPrefix(src, mark) {
		s.pos = len(mark)
	}
	if err := s.notebook(); err != nil {
		return nil, err
	}
	s.complete()
	return nb, nil
}

// scanner fills nb. Its methods read what their names say and, where the
// source has something else in that place, any value.
type scanner struct {
	lexer
	nb   *Notebook
	each func(int, Text)
	cell int32
	part uint8

	anyValue, anyMember func() error // value and member, made once
}

// Names and words that nbformat prescribes, by where they stand. They are not
// texts. Lists and not maps: these need no work at every start of a program.
var (
	notebookNames = []string{"cells", "worksheets", "metadata", "nbformat", "nbformat_minor", "orig_nbformat", "orig_nbformat_minor"}
	cellNames     = []string{
		"cell_type", "id", "metadata", "source", "input", "outputs", "attachments", "execution_count", "prompt_number",
		"language", "collapsed", "level",
	}
	outputNames = []string{
		"output_type", "data", "metadata", "text", "name", "ename", "evalue", "traceback", "execution_count", "prompt_number",
		"stream", "etype", "png", "jpeg", "html", "svg", "latex", "json", "javascript", "pdf",
	}
	words = []string{
		"code", "markdown", "raw", "heading", "stream", "display_data", "execute_result", "error", "pyout", "pyerr", "stdout", "stderr",
	}
	mimes = []string{
		"text/plain", "text/html", "text/latex", "text/markdown", "image/png", "image/jpeg", "image/svg+xml",
		"application/json", "application/javascript",
	}
)

// common returns the name that b is if most notebooks have it, so that not each of them is allocated again.
func common(b []byte) (name string, ok bool) {
	for _, names := range [...][]string{cellNames, outputNames, words, notebookNames, mimes} {
		for _, name := range names {
			if string(b) == name {
				return name, true
			}
		}
	}
	return "", false
}

func (s *scanner) notebook() error {
	known := false
	if s.peek() != '{' {
		return s.unexpected("a JSON object")
	}
	err := s.members(notebookNames, func(name string, _ Range) error {
		known = known || name == "cells" || name == "worksheets" || name == "nbformat"
		switch name {
		case "cells":
			return s.cells()
		case "worksheets":
			return s.items('{', s.worksheet)
		case "metadata":
			return s.in(metadata, s.value)
		}
		return s.value()
	})
	if err != nil {
		return err
	}
	if s.peek() != 0 || s.pos < len(s.src) {
		return s.unexpected("the end of the file")
	}
	if !known {
		s.pos = 0
		return s.fail("it has no cells")
	}
	return nil
}

func (s *scanner) worksheet() error {
	return s.members(notebookNames, func(name string, _ Range) error {
		switch name {
		case "cells":
			return s.cells()
		case "metadata":
			return s.in(metadata, s.value)
		}
		return s.value()
	})
}

func (s *scanner) cells() error {
	defer func() { s.cell = -1 }()
	return s.items('{', func() error {
		s.cell = int32(len(s.nb.Cells))
		c, err := s.readCell()
		s.nb.Cells = append(s.nb.Cells, c)
		return err
	})
}

func (s *scanner) readCell() (c Cell, err error) {
	c.Start = s.pos
	err = s.members(cellNames, func(name string, _ Range) (err error) {
		switch name {
		case "cell_type":
			c.Type, err = s.word()
		case "id":
			c.ID, err = s.word()
		case "metadata":
			c.Metadata.Start = s.pos
			c.Tags, err = s.cellMetadata()
			c.Metadata.End = s.pos
		case "source", "input":
			c.Source.Start = s.pos
			err = s.in(source, func() error { return s.lines(joined) })
			c.Source.End = s.pos
		case "outputs":
			err = s.in(output, func() error {
				return s.items('{', func() error {
					out, err := s.readOutput()
					c.Outputs = append(c.Outputs, out)
					return err
				})
			})
		case "attachments":
			err = s.in(attachment, func() error {
				return s.members(nil, func(string, Range) error {
					b, err := s.bundle()
					c.Attachments = append(c.Attachments, b)
					return err
				})
			})
		default:
			err = s.value()
		}
		return err
	})
	c.End = s.pos
	return c, err
}

func (s *scanner) cellMetadata() (tags []string, err error) {
	err = s.in(metadata, func() error {
		return s.members(nil, func(name string, _ Range) error {
			if name != "tags" {
				return s.value()
			}
			tags = nil
			return s.items('"', func() error {
				tag, err := s.word()
				tags = append(tags, tag)
				return err
			})
		})
	})
	return tags, err
}

func (s *scanner) readOutput() (out Output, err error) {
	var all Bundle
	out.Start = s.pos
	err = s.members(outputNames, func(name string, at Range) (err error) {
		e := Entry{Mime: name, Name: at, Value: Range{Start: s.pos}}
		switch name {
		case "output_type":
			out.Type, err = s.word()
		case "name", "stream":
			_, err = s.word()
		case "data":
			out.Data, err = s.bundle()
		case "text", "html", "svg", "latex", "json", "javascript":
			err = s.lines(joined)
		case "png", "jpeg", "pdf":
			err = s.lines(base64)
		default:
			err = s.value()
		}
		e.Value.End = s.pos
		all = append(all, e)
		return err
	})
	out.End = s.pos
	if out.Data == nil {
		out.Data = all
	}
	return out, err
}

// bundle reads an object that maps MIME types to data.
func (s *scanner) bundle() (b Bundle, err error) {
	err = s.members(nil, func(name string, at Range) (err error) {
		e := Entry{Mime: name, Name: at, Value: Range{Start: s.pos}}
		switch {
		case name == "application/json" || strings.HasSuffix(name, "+json"):
			err = s.value()
		case isBinary(name):
			err = s.lines(base64)
		default:
			err = s.lines(joined)
		}
		e.Value.End = s.pos
		b = append(b, e)
		return err
	})
	return b, err
}

// isBinary reports whether Jupyter keeps data of the MIME type in base64.
func isBinary(mime string) bool {
	class, form, _ := strings.Cut(mime, "/")
	switch class {
	case "image", "audio", "video", "font":
		return !strings.HasSuffix(form, "+xml")
	case "application":
		return form == "pdf" || form == "octet-stream" || form == "zip" || form == "gzip"
	}
	return false
}

// in reads with read what belongs to the part.
func (s *scanner) in(part uint8, read func() error) error {
	old := s.part
	s.part = part
	err := read()
	s.part = old
	return err
}

// word reads a string that nbformat gives a meaning. It is a text unless it is one of words.
func (s *scanner) word() (string, error) {
	if s.peek() != '"' {
		return "", s.value()
	}
	at, err := s.str()
	if err != nil {
		return "", err
	}
	word := at.word(s.src)
	if !slices.Contains(words, word) {
		s.add(at, plain, true)
	}
	return word, nil
}

// lines reads what nbformat calls a multi-line string: a string or a list of
// strings, which is one text.
func (s *scanner) lines(kind uint8) error {
	switch s.peek() {
	case '"':
		return s.text(kind, true)
	case '[':
		begin := true
		return s.array(func() error {
			if s.peek() != '"' {
				begin = true
				return s.value()
			}
			err := s.text(kind, begin)
			begin = false
			return err
		})
	}
	return s.value()
}

// text reads a string, which begins a text or continues the last one.
func (s *scanner) text(kind uint8, begin bool) error {
	at, err := s.str()
	if err == nil {
		s.add(at, kind, begin)
	}
	return err
}

func (s *scanner) add(at span, kind uint8, begin bool) {
	if begin {
		s.complete()
		s.nb.texts = append(s.nb.texts, text{first: uint32(len(s.nb.strings)), cell: s.cell, part: s.part, kind: kind})
	}
	s.nb.strings = append(s.nb.strings, at)
}

// complete hands out the last text.
func (s *scanner) complete() {
	if last := len(s.nb.texts) - 1; last >= 0 && s.each != nil {
		s.each(last, s.nb.Text(last))
	}
}

// value reads any value; every string, name and long number in it is a text of its own.
func (s *scanner) value() error {
	switch s.peek() {
	case '"':
		return s.text(plain, true)
	case '{':
		return s.object(s.anyMember)
	case '[':
		return s.array(s.anyValue)
	}
	start := s.pos
	err := s.scalar()
	if digits := s.src[start:s.pos]; err == nil && len(digits) >= minDigits && skipDigits(digits, 0) == len(digits) {
		s.add(span{uint32(start), uint32(s.pos)}, number, true)
	}
	return err
}

// minDigits is how many digits a whole number has that may be a secret. Finders know nothing shorter.
const minDigits = 8

// items reads an array, with read the values in it that begin with open, which is { or ".
func (s *scanner) items(open byte, read func() error) error {
	if s.peek() != '[' {
		return s.value()
	}
	return s.array(func() error {
		if s.peek() != open {
			return s.value()
		}
		return read()
	})
}

// members reads an object. Where its names are not known they are texts. For
// each member it calls member with its name, and where that is, at the value, which member reads.
func (s *scanner) members(known []string, member func(name string, at Range) error) error {
	if s.peek() != '{' {
		return s.value()
	}
	return s.object(func() error {
		start := s.pos
		name, err := s.str()
		if err != nil {
			return err
		}
		end, word := s.pos, name.word(s.src)
		if !slices.Contains(known, word) {
			s.add(name, key, true)
		}
		if err := s.expect(':'); err != nil {
			return err
		}
		s.peek()
		return member(word, Range{start, end})
	})
}

// member reads any member of an object, at its name.
func (s *scanner) member() error {
	if err := s.text(key, true); err != nil {
		return err
	}
	if err := s.expect(':'); err != nil {
		return err
	}
	return s.value()
}
