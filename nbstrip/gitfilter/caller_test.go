package gitfilter

import (
	"strings"
	"testing"
)

func TestReadsOnly(t *testing.T) {
	aliases := map[string]string{
		"st": "status -sb", "s": "st", "ci": "commit", "loop": "loop", "sh": "!git add .", "q": `diff "--stat"`, "aa": "add -A",
	}
	for args, want := range map[string]bool{
		"status":                         true,
		"status --porcelain=v2 -uall -z": true,
		"-C dir status":                  true,
		"-c core.x=y --git-dir=.git --no-pager status": true,
		"--git-dir .git --work-tree . diff":            true,
		"--unknown status":                             false,
		"--git-dir":                                    false,
		"":                                             false,
		"diff":                                         true,
		"diff HEAD -- a.ipynb":                         true,
		"diff --stat=80 -U5 --color=always":            true,
		"diff --binary":                                false, // a patch that can be applied
		"diff --bin":                                   false,
		"diff --text":                                  false,
		"diff -a":                                      false,
		"diff -pa":                                     false,
		"diff -M --binary":                             false,
		"diff --no-ext-diff --binary":                  false,
		"diff -- --binary":                             true,
		"diff-files -q":                                false, // an option nobody listed
		"diff-index --quiet HEAD":                      true,
		"log -p":                                       true,
		"add a.ipynb":                                  false,
		"add -n .":                                     false,
		"stash":                                        false,
		"stash list":                                   false,
		"rebase main":                                  false,
		"merge main":                                   false,
		"pull":                                         false,
		"am x":                                         false,
		"apply --index x":                              false,
		"update-index -q --refresh":                    true,
		"update-index --add a.ipynb":                   false,
		"update-index --refresh a.ipynb":               false,
		"hash-object -w a.ipynb":                       false,
		"checkout main":                                true,
		"checkout -b new":                              true,
		"checkout -- a.ipynb":                          true,
		"checkout -m main":                             false, // stores the local changes
		"checkout -qm main":                            false,
		"checkout --merge main":                        false,
		"checkout --mer main":                          false,
		"checkout --conflict=diff3 a.ipynb":            false,
		"checkout -p":                                  false,
		"checkout -b -m":                               false,
		"switch -c new":                                true,
		"switch -m main":                               false,
		"restore --source=HEAD -SW a.ipynb":            true,
		"restore -Sp a.ipynb":                          false,
		"restore -m a.ipynb":                           false,
		"reset --hard HEAD~1":                          true,
		"reset -p":                                     false,
		"rm a.ipynb":                                   true,
		"commit -m words":                              true,
		"commit -qm -a":                                true, // the message is -a
		"commit -mwords -q --amend":                    true,
		"commit --message words --no-edit":             true,
		"commit -a -m words":                           false,
		"commit -am words":                             false,
		"commit -qam words":                            false,
		"commit -m words a.ipynb":                      false,
		"commit -m words -- a.ipynb":                   false,
		"commit --only a.ipynb -m words":               false,
		"commit -p":                                    false,
		"st":                                           true,
		"s --short":                                    true,
		"ci -m words":                                  true,
		"ci -am words":                                 false,
		"aa":                                           false,
		"sh":                                           false,
		"q":                                            false,
		"loop":                                         false,
		"nothing":                                      false,
	} {
		if got := readsOnly(strings.Fields(args), func(name string) string { return aliases[name] }); got != want {
			t.Errorf("git %s: reads only: %v, want %v", args, got, want)
		}
	}
}

func TestInspectSelf(t *testing.T) {
	if _, _, err := inspect(1 << 30); err == nil {
		t.Error("a process that is not there was inspected")
	}
	if callerReads(t.Context()) {
		t.Error("go test is no git command that only reads")
	}
}
