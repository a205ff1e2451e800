package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/nbhush/nbhush/"

type listed struct {
	ImportPath string
	Dir        string
	Standard   bool
	Imports    []string
	GoFiles    []string
	Deps       []string
	Name       string
}

func goList(t *testing.T, args ...string) []listed {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"list", "-json=ImportPath,Dir,Standard,Imports,GoFiles,Deps,Name"}, args...)...)
	cmd.Dir = "../.."
	cmd.Env = append(os.Environ(), "GOOS=linux", "CGO_ENABLED=0")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var all []listed
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// TestImports holds the graph of DESIGN: leaves import nothing of the project
// but what stands here, kernelhook and nbstrip never meet, and only cmd joins them.
func TestImports(t *testing.T) {
	leaves := map[string][]string{
		"agent/secret":       {},
		"agent/home":         {"agent/socket"},
		"agent/savefile":     {},
		"agent/socket":       {},
		"agent/match":        {"agent/secret"},
		"agent/ambient":      {"agent/match", "agent/secret"},
		"agent/api":          {"agent/match"},
		"kernelhook/wire":    {},
		"kernelhook/zsock":   {},
		"nbstrip/notebook":   {},
		"nbstrip/gitfilter":  {"agent/match", "agent/savefile", "nbstrip", "nbstrip/notebook"},
		"nbstrip/jupyter":    {"agent/savefile"},
		"nbstrip/outputs":    {"nbstrip/notebook"},
		"nbstrip/rules":      {"agent/match", "nbstrip", "nbstrip/notebook", "nbstrip/outputs"},
		"nbstrip/watch":      {"agent/match", "agent/savefile", "nbstrip", "nbstrip/notebook"},
		"agent/policy":       {"agent/secret", "agent/savefile"},
		"agent/provider":     {"agent/secret"},
		"agent/audit":        {"agent/secret", "agent/savefile"},
		"agent/store":        {"agent/secret", "agent/savefile"},
		"agent/store/vault":  {"agent/secret", "agent/savefile", "agent/store"},
		"kernelhook/redact":  {"agent/match", "kernelhook/wire"},
		"kernelhook/inject":  {"agent/api", "agent/secret", "kernelhook/wire", "kernelhook/zsock"},
		"kernelhook/startup": {"agent/savefile"},
		"kernelhook/attach":  {"agent/api", "agent/secret", "kernelhook", "kernelhook/inject", "kernelhook/proxy", "kernelhook/wire", "kernelhook/zsock"},
		"nbstrip":            {"agent/match", "agent/savefile", "nbstrip/notebook", "nbstrip/detect"},
		"nbstrip/detect":     {"agent/match"},
		"nbstrip/wandb":      {},
	}
	seen := map[string]bool{}
	for _, p := range goList(t, "./...") {
		path := strings.TrimPrefix(p.ImportPath, module)
		seen[path] = true
		for _, imp := range p.Imports {
			imp, ours := strings.CutPrefix(imp, module)
			if !ours {
				continue
			}
			if may, ok := leaves[path]; ok && !slices.Contains(may, imp) {
				t.Errorf("%s imports %s; it may import %v only", path, imp, may)
			}
			if strings.HasPrefix(path, "nbstrip") && (strings.HasPrefix(imp, "kernelhook") || imp == "agent/client" || imp == "agent") {
				t.Errorf("%s imports %s", path, imp)
			}
			if strings.HasPrefix(path, "kernelhook") && (strings.HasPrefix(imp, "nbstrip") || imp == "agent/client" || imp == "agent") {
				t.Errorf("%s imports %s", path, imp)
			}
		}
	}
	for path := range leaves {
		if !seen[path] {
			t.Errorf("the table names %s, which does not exist", path)
		}
	}
}

// TestPackageDocs: every package says what it is, and draws what flows through it.
func TestPackageDocs(t *testing.T) {
	for _, p := range goList(t, "./agent/...", "./kernelhook/...", "./nbstrip/...") {
		doc := ""
		for _, name := range p.GoFiles {
			f, err := parser.ParseFile(token.NewFileSet(), p.Dir+"/"+name, nil, parser.PackageClauseOnly|parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			doc += comment(f.Doc)
		}
		if !strings.HasPrefix(doc, "Package "+p.Name+" ") {
			t.Errorf("%s has no package comment", p.ImportPath)
		}
	}
}

func comment(doc *ast.CommentGroup) string {
	if doc == nil {
		return ""
	}
	return doc.Text()
}

var update = flag.Bool("update", false, "rewrite golden files")

// TestDependencies compares the packages that are linked into each program with a
// checked-in list, so that growth shows in review.
func TestDependencies(t *testing.T) {
	for program, golden := range map[string]string{
		"nbhush":           "testdata/packages.txt",
		"nbhush-hook":      "../nbhush-hook/testdata/packages.txt",
		"nbhush-providers": "../nbhush-providers/testdata/packages.txt",
		"nbhush-outputs":   "../nbhush-outputs/testdata/packages.txt",
	} {
		var got []string
		for _, p := range goList(t, "-deps", "./cmd/"+program) {
			// What nbhush-outputs is made for is a short list, the standard library included.
			if program == "nbhush-outputs" && !strings.HasPrefix(p.ImportPath, "internal/") ||
				!p.Standard && !strings.HasPrefix(p.ImportPath, module) {
				got = append(got, p.ImportPath)
			}
		}
		slices.Sort(got)
		text := strings.Join(got, "\n") + "\n"
		if *update {
			if err := os.WriteFile(golden, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if text != string(want) {
			t.Errorf("the packages in %s are not those of %s; see what came and why, then run: go test ./cmd/nbhush -run TestDependencies -update", program, golden)
		}
		if program == "nbhush" {
			for _, p := range got {
				if strings.Contains(p, "aws") || strings.Contains(strings.ToLower(p), "azure") || strings.Contains(p, "oauth2") {
					t.Errorf("%s is in nbhush; the SDKs live in nbhush-providers", p)
				}
			}
		}
	}
}
