package main

// The rules of the terminal:
//
//   - stdout is for results, stderr for words. Only the functions below write words.
//   - An error is one line: nbhush: error: what happened, to what. A hint follows
//     on a line of its own and holds the next command.
//   - Colours, ticks and progress only on a terminal; NO_COLOR is kept.
//   - A prompt reads from the terminal, never echoes a secret, and is never shown
//     where there is no terminal.
//   - Nothing here ever gets a secret.Value to print, and text from outside is
//     stripped of control characters, so that a notebook's name cannot paint the
//     terminal.

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode"

	"golang.org/x/term"
)

// stdio is what a run reads and writes.
type stdio struct {
	in       io.Reader
	out, err io.Writer
}

// ui speaks with the user.
type ui struct {
	stdio
	getenv func(string) string
}

func (u *ui) terminal(f any) bool {
	file, ok := f.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// color reports whether words may be coloured.
func (u *ui) color() bool {
	return u.terminal(u.err) && u.getenv("NO_COLOR") == "" && u.getenv("TERM") != "dumb"
}

// printf writes a result to stdout.
func (u *ui) printf(format string, args ...any) { fmt.Fprintf(u.out, format, args...) }

// say writes a word of progress to stderr.
func (u *ui) say(format string, args ...any) { u.line("", "", format, args...) }

func (u *ui) warningf(format string, args ...any) { u.line("33", "warning: ", format, args...) }
func (u *ui) errorf(format string, args ...any)   { u.line("31", "error: ", format, args...) }
func (u *ui) hintf(format string, args ...any)    { u.line("36", "hint: ", format, args...) }

func (u *ui) line(color, label, format string, args ...any) {
	if label != "" && u.color() {
		label = "\x1b[" + color + "m" + label + "\x1b[0m"
	}
	fmt.Fprintf(u.err, "nbhush: %s%s\n", label, printable(fmt.Sprintf(format, args...)))
}

// tick says that a step is done; on a terminal with a tick before it.
func (u *ui) tick(format string, args ...any) { u.mark("✓ ", "32", "ok: ", format, args...) }

// cross says that a step failed.
func (u *ui) cross(format string, args ...any) { u.mark("✗ ", "31", "failed: ", format, args...) }

func (u *ui) mark(sign, color, word, format string, args ...any) {
	switch {
	case u.color():
		sign = "\x1b[" + color + "m" + sign + "\x1b[0m"
	case !u.terminal(u.err):
		sign = word
	}
	fmt.Fprintf(u.err, "%s%s\n", sign, printable(fmt.Sprintf(format, args...)))
}

// fail writes err and its hint.
func (u *ui) fail(err error) { u.failOr(err, "") }

// failOr is fail with a hint for an err that has none of its own.
func (u *ui) failOr(err error, hint string) {
	u.errorf("%s", err)
	if hint = cmp.Or(hintOf(err), hint); hint != "" {
		u.hintf("%s", hint)
	}
}

// hintOf is what err says that mends it, or "".
func hintOf(err error) string {
	var h interface{ Hint() string }
	if errors.As(err, &h) {
		return h.Hint()
	}
	return ""
}

// printable replaces what could steer a terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || unicode.IsPrint(r) {
			return r
		}
		return '\uFFFD'
	}, s)
}

// cell is printable for a cell of a table, which has one line.
func cell(s string) string {
	return strings.NewReplacer("\n", "\uFFFD", "\t", "\uFFFD").Replace(printable(s))
}

// readSecret reads a value: from a prompt without echo where stdin is a
// terminal, else all of standard input less one final newline. max is in bytes.
func (u *ui) readSecret(prompt string, max int) ([]byte, error) {
	if u.terminal(u.in) {
		fd := int(u.in.(*os.File).Fd())
		fmt.Fprintf(u.err, "%s: ", prompt)
		b, err := term.ReadPassword(fd)
		fmt.Fprintln(u.err)
		return b, err
	}
	b, err := io.ReadAll(io.LimitReader(u.in, int64(max)+3))
	if err != nil {
		return nil, fmt.Errorf("read standard input: %w", err)
	}
	b = bytes.TrimSuffix(b, []byte("\n"))
	b = bytes.TrimSuffix(b, []byte("\r"))
	if len(b) > max {
		clear(b)
		return nil, fmt.Errorf("the value on standard input is longer than %d bytes", max)
	}
	return b, nil
}
