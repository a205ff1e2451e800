package inject

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/nbhush/nbhush/agent/secret"
)

// Language is how code of one kernel language has a secret by its name. No code
// that it makes holds a value, and none leaves a name of its own behind but Go's.
type Language struct {
	Name string // as language_info.name of kernel_info_reply has it, in lower case

	also  []string                 // other names of the language
	quote func(text string) string // a string literal
	shell bool                     // code starts programs by a line for the shell
	set   string                   // statements; see expand
	drop  string                   // statements that take an empty one away; "" where the code of set does, or Python's own follows
	each  bool                     // each cell is a process of its own, and what set does is done anew in each
	put   string                   // statements that put the literal @text@ there
	read  string                   // an expression
	ask   string                   // an expression to write by hand
}

// Errors of the languages themselves may repeat what they refuse, so the code
// refuses it first. In the texts below, @name@ is the name itself, @lit@ the literal of it and
// @prog@ the literal of the program's path, or of the shell's word for it; @verb@ is its command,
// which for "follow" has to see what is there now.
var languages = []Language{
	{
		Name: "python", also: []string{"python3", "xpython"}, quote: quotePython,
		set: `(lambda os, sub: os.environ.__setitem__(@lit@, sub.run([@prog@, "get", @lit@], stdout=sub.PIPE, check=True).stdout.decode("utf-8", "surrogateescape")))` +
			`(__import__("os"), __import__("subprocess"))`,
		put:  `__import__("os").environ[@lit@] = @text@`,
		read: `__import__("os").environ[@lit@]`,
		ask:  `nbhush.get(@lit@)`,
	},
	{
		Name: "r", quote: quoteC, shell: true,
		set: `local({
  con <- pipe(paste(@prog@, "@verb@", @lit@), "rb")
  value <- raw()
  while (length(more <- readBin(con, "raw", 65536L)) > 0L) value <- c(value, more)
  status <- close(con)
  if (!is.null(status) && status != 0L) stop("nbhush get @name@ failed")
  if (any(value == as.raw(0L))) stop("@name@ has a zero byte, which no environment can hold")
  do.call(Sys.setenv, structure(list(rawToChar(value)), names = @lit@))
})
invisible()`,
		drop: `if (!nzchar(Sys.getenv(@lit@))) Sys.unsetenv(@lit@)
invisible()`,
		put:  `Sys.setenv(@name@ = @text@)`,
		read: `Sys.getenv(@lit@)`,
		ask:  `system2("nbhush", c("get", @lit@), stdout = TRUE)`,
	},
	{
		Name: "julia", quote: quoteJulia,
		set: `let value = read(Cmd([@prog@, "@verb@", @lit@]), String)
    '\0' in value && error("@name@ has a zero byte, which no environment can hold")
    ENV[@lit@] = value
    nothing
end`,
		drop: `isempty(get(ENV, @lit@, "x")) && delete!(ENV, @lit@);`,
		put:  `ENV[@lit@] = @text@;`,
		read: `ENV[@lit@]`,
		ask:  "read(`nbhush get @name@`, String)",
	},
	{
		Name: "typescript", also: []string{"javascript", "deno"}, quote: quoteJSON, // Deno; Node where a kernel runs on it
		set: `(() => {
  const g = globalThis, args = ["@verb@", @lit@];
  const keep = (put, bytes) => {
    if (bytes.includes(0)) throw new Error("@name@ has a zero byte, which no environment can hold");
    put(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes));
  };
  if (!g.Deno) {
    const run = (g.process.getBuiltinModule || require)("child_process").spawnSync(@prog@, args, { stdio: ["ignore", "pipe", "inherit"], maxBuffer: 1 << 24 });
    if (run.status !== 0) throw new Error("nbhush get @name@ failed");
    return keep((value) => { g.process.env[@lit@] = value; }, run.stdout);
  }
  const out = new g.Deno.Command(@prog@, { args, stderr: "inherit" }).outputSync();
  if (!out.success) throw new Error("nbhush get @name@ failed");
  keep((value) => g.Deno.env.set(@lit@, value), out.stdout);
})()`,
		drop: `;((g) => { if (g.Deno && g.Deno.env.get(@lit@) === "") g.Deno.env.delete(@lit@); })(globalThis)`,
		put:  `((g) => { if (g.Deno) g.Deno.env.set(@lit@, @text@); else g.process.env[@lit@] = @text@; })(globalThis)`,
		read: `Deno.env.get(@lit@)`,
		ask:  `new TextDecoder().decode(new Deno.Command("nbhush", { args: ["get", @lit@] }).outputSync().stdout)`,
	},
	{
		Name: "bash", also: []string{"zsh"}, quote: quoteBash,
		// An x behind it keeps the shell from taking away newlines at the end. What is there stays where nothing comes.
		set:  `if nbhush_value__=$(@prog@ @verb@ @name@ && printf x); then export @name@="${nbhush_value__%x}"; unset nbhush_value__; else unset nbhush_value__; false; fi`,
		drop: `test -n "$@name@" || unset @name@`,
		put:  `export @name@=@text@`,
		read: `"$@name@"`,
		ask:  `"$(nbhush get @name@)"`,
	},
	{
		// Each cell of gonb is a program of its own, made of it and of what the cells
		// before declared. So what is declared here is done before each of them, first
		// of all, since gonb sorts variables by their names; and an error that ended
		// the program would end all of them.
		Name: "go", quote: quoteGo,
		set: `import "os"
import "os/exec"
var A1_nbhush_@name@ = func() error {
	cmd := exec.Command(@prog@, "@verb@", @lit@)
	cmd.Stderr = os.Stderr
	value, err := cmd.Output()
	switch {
	case err == nil && len(value) == 0:
		err = os.Unsetenv(@lit@)
	case err == nil:
		err = os.Setenv(@lit@, string(value))
	}
	if err != nil {
		os.Stderr.WriteString("nbhush @verb@ @name@ failed: " + err.Error() + "\n")
	}
	return err
}()`,
		each: true,
		put: `import "os"
var A0_nbhush_@name@ = os.Setenv(@lit@, @text@)`,
		read: `os.Getenv(@lit@)`,
		ask:  `exec.Command("nbhush", "get", @lit@).Output()`,
	},
	{
		Name: "rust", quote: quoteRust,
		set: `{
    let out = std::process::Command::new(@prog@).args(["@verb@", @lit@]).stderr(std::process::Stdio::inherit()).output().expect("nbhush get @name@");
    assert!(out.status.success(), "nbhush get @name@ failed");
    assert!(!out.stdout.contains(&0), "@name@ has a zero byte, which no environment can hold");
    let value = String::from_utf8(out.stdout).ok().expect("@name@ is not UTF-8");
    #[allow(unused_unsafe)]
    unsafe { std::env::set_var(@lit@, value) };
};`, // without the last one the cell would show that it has no value
		drop: `if std::env::var_os(@lit@).map_or(false, |value| value.is_empty()) {
    #[allow(unused_unsafe)]
    unsafe { std::env::remove_var(@lit@) };
};`,
		put: `{
    #[allow(unused_unsafe)]
    unsafe { std::env::set_var(@lit@, @text@) };
};`,
		read: `std::env::var(@lit@).unwrap()`,
		ask:  `String::from_utf8(std::process::Command::new("nbhush").args(["get", @lit@]).output()?.stdout)?`,
	},
	{
		Name: "java", quote: quoteUTF16, // whose environment does not change: a property
		set: `{
    var start = new ProcessBuilder(@prog@, "@verb@", @lit@).redirectError(ProcessBuilder.Redirect.INHERIT);
    for (var k : new String[] {"NBHUSH_ENDPOINT", "NBHUSH_TOKEN", @lit@}) // the first two as Put has put them
        if (System.getProperty(k) != null) start.environment().put(k, System.getProperty(k));
    var run = start.start();
    var value = run.getInputStream().readAllBytes();
    if (run.waitFor() != 0) throw new RuntimeException("nbhush get @name@ failed");
    System.setProperty(@lit@, new String(value, java.nio.charset.StandardCharsets.UTF_8));
}`,
		// An empty property stands before a variable that cannot be taken away.
		drop: `if (System.getenv(@lit@) == null && System.getProperty(@lit@, "x").isEmpty()) System.clearProperty(@lit@);`,
		put:  `System.setProperty(@lit@, @text@);`,
		read: `System.getProperty(@lit@, System.getenv(@lit@))`,
		ask:  `new String(new ProcessBuilder("nbhush", "get", @lit@).start().getInputStream().readAllBytes())`,
	},
	{
		Name: "scala", quote: quoteUTF16,
		set: `locally {
  val start = new java.lang.ProcessBuilder(@prog@, "@verb@", @lit@).redirectError(java.lang.ProcessBuilder.Redirect.INHERIT)
  for (k <- Seq("NBHUSH_ENDPOINT", "NBHUSH_TOKEN", @lit@); v <- sys.props.get(k)) start.environment().put(k, v)
  val run = start.start()
  val value = run.getInputStream.readAllBytes()
  if (run.waitFor() != 0) throw new RuntimeException("nbhush get @name@ failed")
  System.setProperty(@lit@, new String(value, java.nio.charset.StandardCharsets.UTF_8))
  ()
}`,
		drop: `if (System.getenv(@lit@) == null && System.getProperty(@lit@, "x").isEmpty()) { System.clearProperty(@lit@); () }`,
		put:  `System.setProperty(@lit@, @text@); ()`,
		read: `sys.props.getOrElse(@lit@, sys.env(@lit@))`,
		ask:  `scala.sys.process.Process(Seq("nbhush", "get", @lit@)).!!`,
	},
	{
		Name: "octave", quote: quoteC, shell: true,
		set: `[nbhush_status__, nbhush_value__] = system([@prog@, " @verb@ @name@"]);
if (nbhush_status__ == 0)
  setenv(@lit@, nbhush_value__);
end
clear nbhush_value__
if (nbhush_status__ != 0)
  clear nbhush_status__
  error("nbhush get @name@ failed");
end
clear nbhush_status__`,
		drop: `if (isempty(getenv(@lit@)))
  unsetenv(@lit@);
end`,
		put:  `setenv(@lit@, @text@);`,
		read: `getenv(@lit@)`,
		ask:  `nthargout(2, @system, "nbhush get @name@")`,
	},
}

// LanguageOf returns the language that language_info.name of a kernel names.
func LanguageOf(name string) (Language, bool) {
	name = strings.ToLower(name)
	for _, l := range languages {
		if l.Name == name {
			return l, true
		}
		for _, n := range l.also {
			if n == name {
				return l, true
			}
		}
	}
	return Language{}, false
}

// Set returns the code that puts the value of a secret, as the output of the
// program at path (nbhush) has it, into the environment of the running kernel
// under its own name. In Java and Scala it becomes a system property.
func (l Language) Set(path string, name secret.Name) string { return l.call(path, "get", name) }

// Hold is Set, and the program (nbhush hold) notes that the kernel has the value
// in its environment, for Follow. Where each cell is a process of its own it is Set.
func (l Language) Hold(path string, name secret.Name) string {
	if l.each {
		return l.Set(path, name)
	}
	return l.call(path, "hold", name)
}

// Follows reports whether Follow has code for the language. Python has code of its own for that.
func (l Language) Follows() bool { return l.drop != "" || l.each }

// Each reports whether each cell is a process of its own, which Follow's code
// has ask again.
func (l Language) Each() bool { return l.each }

// Follow returns the code that has the program (nbhush follow) say what has to
// stand in the place of the kernel's environment variable of this name, and puts
// that there, or takes the variable away.
func (l Language) Follow(path string, name secret.Name) string {
	code := l.call(path, "follow", name)
	if l.drop != "" {
		code += "\n" + l.expand(l.drop, "", name)
	}
	return code
}

func (l Language) call(path, verb string, name secret.Name) string {
	if l.shell {
		path = quoteShell(path)
	}
	return strings.ReplaceAll(l.expand(l.set, l.quote(path), name), "@verb@", verb)
}

// Put returns the code that puts a text, which is no secret, where Set puts values.
func (l Language) Put(name secret.Name, text string) string {
	return strings.ReplaceAll(l.expand(l.put, "", name), "@text@", l.quote(text))
}

// Read returns the expression whose value is what Set, or the kernel's start, has put there.
func (l Language) Read(name secret.Name) string { return l.expand(l.read, "", name) }

// Ask returns the expression that a user writes to have the value from nbhush, now.
func (l Language) Ask(name secret.Name) string { return l.expand(l.ask, "", name) }

// Quote returns the literal of a text, in ASCII, in which every character is
// what it is. Text that is not UTF-8 keeps its bytes where strings of the
// language have bytes; a zero byte is for R, Octave and the shell to refuse.
func (l Language) Quote(text string) string { return l.quote(text) }

func (l Language) expand(code, prog string, name secret.Name) string {
	return strings.NewReplacer("@name@", string(name), "@lit@", l.quote(string(name)), "@prog@", prog).Replace(code)
}

// quoted writes text between quotes: characters that are no trouble as they
// are, backslash and quote behind a backslash, everything else as escape says.
// A byte that belongs to no character of UTF-8 goes to escape as -1 less itself.
func quoted(text, special string, escape func(b *strings.Builder, r rune)) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRuneInString(text[i:])
		if r == utf8.RuneError && n == 1 {
			r = -1 - rune(text[i])
		}
		i += n
		switch {
		case r >= ' ' && r < 0x7f && strings.ContainsRune(special, r):
			b.WriteByte('\\')
			b.WriteRune(r)
		case r >= ' ' && r < 0x7f:
			b.WriteRune(r)
		default:
			escape(&b, r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// bytes3 writes the bytes of a character in octal, three digits each, so that
// no digit that follows belongs to it.
func bytes3(b *strings.Builder, r rune) {
	if r < 0 {
		fmt.Fprintf(b, `\%03o`, -1-r)
		return
	}
	for _, c := range []byte(string(r)) {
		fmt.Fprintf(b, `\%03o`, c)
	}
}

// quoteC is for R and Octave, whose strings are bytes.
func quoteC(text string) string { return quoted(text, `\"`, bytes3) }

// quoteGo: in Go octal escapes are bytes, too.
func quoteGo(text string) string { return quoted(text, `\"`, bytes3) }

// quoteJulia: the same, and a $ would begin an expression.
func quoteJulia(text string) string { return quoted(text, `\"$`, bytes3) }

// quotePython writes bytes that are no characters as os.fsdecode has them.
func quotePython(text string) string {
	return quoted(text, `\"`, func(b *strings.Builder, r rune) {
		if r < 0 {
			r = 0xdc00 + (-1 - r)
		}
		fmt.Fprintf(b, `\U%08x`, r)
	})
}

// quoteUTF16 is for languages whose strings are UTF-16. Java reads \u before it
// looks for the end of a literal's line, so line ends have escapes of their own.
func quoteUTF16(text string) string {
	return quoted(text, `\"`, func(b *strings.Builder, r rune) {
		switch r {
		case '\n':
			b.WriteString(`\n`)
		case '\r':
			b.WriteString(`\r`)
		default:
			utf16Escapes(b, r)
		}
	})
}

// quoteJSON is for JavaScript and TypeScript.
func quoteJSON(text string) string { return quoted(text, `\"`, utf16Escapes) }

func utf16Escapes(b *strings.Builder, r rune) {
	switch {
	case r < 0:
		b.WriteString(`\ufffd`)
	case r > 0xffff:
		r -= 0x10000
		fmt.Fprintf(b, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
	default:
		fmt.Fprintf(b, `\u%04x`, r)
	}
}

// quoteRust: its strings are UTF-8.
func quoteRust(text string) string {
	return quoted(text, `\"`, func(b *strings.Builder, r rune) {
		if r < 0 {
			r = utf8.RuneError
		}
		fmt.Fprintf(b, `\u{%x}`, r)
	})
}

// quoteBash writes a word; $'…' is of bash and zsh alone.
func quoteBash(text string) string {
	word := quoted(text, `\'`, bytes3)
	word = word[1 : len(word)-1]
	if word == text {
		return "'" + text + "'"
	}
	return "$'" + word + "'"
}

// quoteShell writes a word for any shell.
func quoteShell(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }
