// Command detect runs gitleaks' library over the corpus of nbstrip/detect and
// prints, a line for each sample, its kind, its place and what was found:
// whole, more, partly or missed. gitleaks gets the decoded texts one by one; in
// a file as it stands it finds less.
//
// It is a module of its own so that go.mod lists only what ships.
package main

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"os"

	"github.com/rs/zerolog"
	gitleaks "github.com/zricethezav/gitleaks/v8/detect"
	"github.com/zricethezav/gitleaks/v8/logging"

	"github.com/nbhush/nbhush/nbstrip/detect/corpus"
	"github.com/nbhush/nbhush/nbstrip/notebook"
)

func main() {
	seed := flag.Uint64("seed", 1, "seed of the corpus")
	flag.Parse()
	if err := run(*seed); err != nil {
		fmt.Fprintln(os.Stderr, "detect:", err)
		os.Exit(1)
	}
}

func run(seed uint64) error {
	logging.Logger = logging.Logger.Level(zerolog.Disabled)
	d, err := gitleaks.NewDetectorDefaultConfig()
	if err != nil {
		return err
	}
	out := bufio.NewWriter(os.Stdout)
	for s := range corpus.Samples(seed) {
		found, err := try(s, d)
		if err != nil {
			return err
		}
		fmt.Fprintln(out, s.Kind, s.Place, found)
	}
	return out.Flush()
}

var outcomes = [...]string{"missed", "partly", "more", "whole"}

func try(s corpus.Sample, d *gitleaks.Detector) (string, error) {
	nb, err := notebook.Scan(s.Notebook)
	if err != nil {
		return "", err
	}
	best := 0
	for _, text := range nb.Texts() {
		decoded := text.AppendTo(nil)
		if !bytes.Contains(decoded, []byte(s.Want)) {
			continue
		}
		for _, f := range d.DetectString(string(decoded)) {
			switch {
			case f.Secret == s.Want:
				best = 3
			case bytes.Contains([]byte(f.Secret), []byte(s.Want)):
				best = max(best, 2)
			default:
				best = max(best, 1)
			}
		}
	}
	return outcomes[best], nil
}
