package kernelhook

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"
	"time"
)

var realTime = flag.Duration("real", 40*time.Second, "how long the notebooks of NBHUSH_TEST_NOTEBOOKS are executed; what is left after it is not")

// Notebooks are executed behind the hook while 200 values are known that have
// nothing to do with them: nothing is taken out. They are those of
// NBHUSH_TEST_NOTEBOOKS that can run here, and one that is made up. Without a
// network of their own for them, which needs root, only that one runs.
func TestRealNotebooks(t *testing.T) {
	if testing.Short() {
		t.Skip("executes notebooks")
	}
	t.Parallel()
	r := newRig(t)
	random := func(n int) []byte {
		b := make([]byte, n)
		_, _ = rand.Read(b)
		return b
	}
	shapes := []func() string{
		rand.Text,
		func() string { return hex.EncodeToString(random(16)) },
		func() string { return "sk-" + base64.RawURLEncoding.EncodeToString(random(30)) },
		func() string { return "postgres://u:" + rand.Text() + "@localhost:5432/db" },
		func() string { return rand.Text()[:8] },
	}
	for i := range 200 {
		r.values["UNRELATED_"+strconv.Itoa(i)] = testValue{Value: shapes[i%len(shapes)]()}
	}
	r.save()
	folder := filepath.Join(filepath.Dir(r.run), "made-up")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	cells := []any{}
	for _, source := range []string{
		"import pandas as pd, numpy as np\n%matplotlib inline\ndf = pd.DataFrame(np.random.rand(100, 8), columns=list('abcdefgh')); df",
		"df.describe(), df.style", "import matplotlib.pyplot as plt; plt.plot(df.a); plt.show()",
		"print(*'abcdefghijklmnopqrstuvwxyz')\nprint(list('token password secret'))", "1/0",
		"import ipywidgets as w; w.VBox([w.Text(), w.Password(), w.IntSlider()])", "help(pd.DataFrame.merge)",
		"import uuid, hashlib, secrets, base64\nfor i in range(2000): print(uuid.uuid4(), hashlib.sha256(bytes(i)).hexdigest(), secrets.token_urlsafe(), base64.b64encode(secrets.token_bytes(30)).decode())",
	} {
		cells = append(cells, map[string]any{"cell_type": "code", "source": source, "metadata": map[string]any{}, "outputs": []any{}, "execution_count": nil})
	}
	nb, _ := json.Marshal(map[string]any{"nbformat": 4, "nbformat_minor": 4, "metadata": map[string]any{}, "cells": cells})
	if err := os.WriteFile(filepath.Join(folder, "made-up.ipynb"), nb, 0o600); err != nil {
		t.Fatal(err)
	}
	r.executed(folder, 7, 120, 300) // it is to run to its end on any machine
	dir := os.Getenv("NBHUSH_TEST_NOTEBOOKS")
	if dir == "" {
		return
	}
	if runtime.GOOS != "linux" || exec.Command("unshare", "--net", "true").Run() != nil {
		t.Log("only root executes other people's notebooks, without a network")
		return
	}
	r.prefix = []string{"unshare", "--net", "sh", "-c", `ip link set lo up 2>/dev/null || ifconfig lo up; exec "$@"`, "sh"}
	r.executed(dir, 20, 4, 12)
}

// executed fails if notebooks of dir lost something, or fewer cells than least have outputs. cell and whole are
// the seconds that a cell and a notebook have.
func (r *rig) executed(dir string, least, cell, whole int) {
	r.t.Helper()
	told := r.script("real.py", dir, strconv.FormatFloat(realTime.Seconds(), 'f', 0, 64), strconv.Itoa(cell), strconv.Itoa(whole))[0]
	r.t.Logf("%v", told)
	if told["placeholders"] != 0. {
		r.t.Errorf("%v placeholders, in %v", told["placeholders"], told["taken"])
	}
	if cells, _ := told["cells"].(float64); int(cells) < least {
		r.t.Errorf("only %v cells have outputs", told["cells"])
	}
}
