package provider

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
)

func fieldsOf(t *testing.T, text string) (map[string]string, error) {
	t.Helper()
	doc, err := readDotenv([]byte(text))
	if err != nil {
		return nil, err
	}
	got := map[string]string{}
	for key, v := range doc.Fields {
		got[key] = string(v.Reveal())
	}
	return got, nil
}

func TestDotenv(t *testing.T) {
	for _, c := range []struct{ text, key, want string }{
		{"A=x", "A", "x"},
		{"A = x # c", "A", "x"},
		{"A=x#y", "A", "x#y"},
		{"A= # c", "A", ""},
		{"A=#x", "A", "#x"},
		{"FOO\nA=x\n", "A", "x"},
		{"\nexport\tA=x\r\nB=y\r\n", "A", "x"},
		{"my-key=x", "my-key", "x"},
		{"a.b-c='x'  # c", "a.b-c", "x"},
		{`A="C:\\dir\\"` + "\nB=y", "A", `C:\dir\`},
		{`A='it\'s'`, "A", "it's"},
		{`A='a\b\\c'`, "A", `a\b\c`},
		{`A="uni\u00e9 \d"`, "A", `uni\u00e9 \d`},
		{`A="a\n\tb\"c\""`, "A", "a\n\tb\"c\""},
		{"A='two\r\nlines'", "A", "two\nlines"},
		{"A=\"${B:-x y}z\"", "A", "x yz"},
		{"B=b\nA=${B}-${C}-$B-${B:x}", "A", "b--$B-${B:x}"},
		{"B=b\nA='${B}'", "A", "${B}"},
		{`B=b` + "\n" + `A="\${B}$"`, "A", "${B}$"},
		{"A=x\nA=y", "A", "y"},
		{"A=\"${B\"\nC=\"}\"", "A", "${B"},
		{"A=a'b\"c", "A", "a'b\"c"},
	} {
		got, err := fieldsOf(t, c.text)
		if v, ok := got[c.key]; err != nil || !ok || v != c.want {
			t.Errorf("%q: %q, %v", c.text, got, err)
		}
	}
	v := random()
	for _, text := range []string{"A='" + v, "B=x\nA=\"" + v + "\n", "A='x'" + v, "=" + v, "''=" + v, v + " " + v, "'" + v + "=x"} {
		if got, err := fieldsOf(t, text); err == nil || strings.Contains(err.Error(), v) || !strings.Contains(err.Error(), "from line ") {
			t.Errorf("%.3q: %d names, %v", text, len(got), err != nil)
		}
	}
}

// A large file takes no longer for each line or brace than a small one, and values
// that hold each other do not grow without end.
func TestDotenvLarge(t *testing.T) {
	for name, text := range map[string]string{
		"lines": strings.Repeat("A=b\n", MaxAnswer/4), "quoted": strings.Repeat("A=\"b\"\n", MaxAnswer/6),
		"open": `A="` + strings.Repeat("${", MaxAnswer/2-2) + `"`, "default": `A="` + strings.Repeat("${A:-", MaxAnswer/5-2) + `"`,
		"no default": `A="` + strings.Repeat("${A:x", MaxAnswer/5-2) + `}"`, "plain": "A=" + strings.Repeat("x", MaxAnswer-2),
	} {
		if _, err := fieldsOf(t, text); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	grows := "A=xxxxxxxx\n"
	for range 30 {
		grows += "A=${A}${A}\n"
	}
	if _, err := fieldsOf(t, grows); err == nil {
		t.Error("a value of eight gigabytes was made")
	}
}

// What python-dotenv makes of a file, readDotenv does, but for a $ between single quotes
// and \$ between double ones, and where it passes lines over that it does not understand.
func TestDotenvBesidePython(t *testing.T) {
	python := os.Getenv("NBHUSH_TEST_PYTHON")
	if python == "" {
		if os.Getenv("CI") == "true" {
			t.Fatal("NBHUSH_TEST_PYTHON is not set")
		}
		t.Skip("NBHUSH_TEST_PYTHON is not set")
	}
	pieces := []string{"A", "B", "=", "=", "=", "'", "'", `"`, `"`, `\`, `\\`, "#", " ", " #", "\n", "\n", "${A}", "${B:-d}", "${", "$", "x", "é", "\t", "export ", "n", "-", ":", "}"}
	var texts []string
	for len(texts) < 4000 {
		var b strings.Builder
		for range 3 + rand.IntN(20) {
			b.WriteString(pieces[rand.IntN(len(pieces))])
		}
		text := b.String()
		open := strings.Contains(strings.NewReplacer("${A}", "", "${B:-d}", "").Replace(text), "${")
		if open && strings.Contains(text, `\`) {
			continue // escapes between braces are no escapes here
		}
		if !strings.Contains(text, `\$`) && (!strings.Contains(text, "'") || !strings.Contains(text, "${")) {
			texts = append(texts, text)
		}
	}
	in, err := json.Marshal(texts)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(python, "-c", `
import io, json, sys
from dotenv import dotenv_values
from dotenv.parser import parse_stream
print(json.dumps([
    None if any(b.error for b in parse_stream(io.StringIO(t))) else
    {"bare": ""} if any(b.key and b.value is None for b in parse_stream(io.StringIO(t))) else
    dotenv_values(stream=io.StringIO(t))
    for t in json.load(sys.stdin)
]))`)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	cmd.Stdin = strings.NewReader(string(in))
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var all []map[string]string
	if err := json.Unmarshal(out, &all); err != nil || len(all) != len(texts) {
		t.Fatal(err)
	}
	good := 0
	for i, want := range all {
		got, err := fieldsOf(t, texts[i])
		if want == nil {
			if err == nil {
				t.Errorf("%q is %q, and python-dotenv passes some of it over", texts[i], got)
			}
			continue
		}
		if _, bare := want["bare"]; bare { // whose default never counts there
			continue
		}
		good++
		same := err == nil && len(got) == len(want)
		for key, v := range want {
			same = same && got[key] == v
		}
		if !same {
			t.Errorf("%q: %q, %v; python-dotenv has %q", texts[i], got, err, want)
		}
	}
	if good < 100 {
		t.Errorf("only %d of the texts are .env files", good)
	}
}
