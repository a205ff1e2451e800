package kernelhook

import (
	"strings"
	"testing"
)

func TestNotebookIn(t *testing.T) {
	for line, want := range map[string]string{
		"/v/bin/python3 /v/bin/papermill in.ipynb out.ipynb":                           "in.ipynb",
		"papermill --report-mode in.ipynb out.ipynb -p file data.ipynb -r n 3":         "in.ipynb",
		"papermill -p file data.ipynb /n/in.ipynb out.ipynb --cwd /n":                  "/n/in.ipynb",
		"python -m papermill in.ipynb":                                                 "in.ipynb",
		"papermill in.ipynb out.ipynb third.ipynb":                                     "",
		"python /v/bin/jupyter-execute --timeout=60 a.ipynb":                           "a.ipynb",
		"python /v/bin/jupyter execute a.ipynb":                                        "a.ipynb",
		"jupyter-execute a.ipynb b.ipynb":                                              "",
		"python -m jupyter nbconvert --to notebook --execute a.ipynb --output b.ipynb": "a.ipynb",
		"python -m nbconvert --execute --output":                                       "",
		"papermill -p":                                                                 "",
		"python run.py papermill a.ipynb":                                              "",
		"python -m":                                                                    "",
		"jupyter":                                                                      "",
		"python run.py a.ipynb":                                                        "",
		"jupyter-lab a.ipynb":                                                          "",
		"papermill --kernel=x.ipynb":                                                   "",
		"":                                                                             "",
	} {
		if got := notebookIn(strings.Fields(line)); got != want {
			t.Errorf("%s: got %q, want %q", line, got, want)
		}
	}
}

func FuzzNotebookIn(f *testing.F) {
	f.Add("papermill -p file data.ipynb in.ipynb out.ipynb")
	f.Fuzz(func(t *testing.T, line string) {
		argv := strings.Fields(line)
		if got := notebookIn(argv); got != "" && !strings.Contains(line, got) {
			t.Errorf("%q is not in %q", got, line)
		}
	})
}
