package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/nbhush/nbhush/agent/secret"
)

type exportOptions struct{ format, name, profile string }

func newExportCmd(a *app) *cobra.Command {
	var o exportOptions
	cmd := &cobra.Command{
		Use:   "export --format FORMAT",
		Short: "print the secrets of nbhush.toml for another program",
		Long: `Prints every secret that the approved nbhush.toml of this folder (or one above it) lists, values
included, in a form that another program reads:

  dotenv     NAME='value', for python-dotenv and the like
  direnv     export NAME='value', for a shell or an .envrc: eval "$(nbhush export --format direnv)"
  docker     NAME=value, for docker run --env-file
  k8s        a Secret, for kubectl apply -f -
  github     tells GitHub Actions to mask the values, then puts them into the environment of the steps that follow
  gitlab     as direnv; GitLab masks its own variables only
  circleci   as direnv, for >>"$BASH_ENV"; CircleCI masks its own variables only

nbhush run needs no file and shows no value to anybody: where it can be used, use it.`,
		Example: `  eval "$(nbhush export --format direnv)"
  nbhush export --format k8s --name train-secrets | kubectl apply -f -`,
		Args: argRange(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			write := exports[o.format]
			if write == nil {
				formats := slices.Sorted(maps.Keys(exports))
				return &usageError{cmd, fmt.Sprintf("there is no format %q: %s", o.format, strings.Join(formats, ", "))}
			}
			return runExport(cmd.Context(), a, o, write)
		},
	}
	cmd.Flags().StringVar(&o.format, "format", "", "the `format`: dotenv, direnv, docker, k8s, github, gitlab or circleci")
	profileFlag(cmd, &o.profile)
	cmd.Flags().StringVar(&o.name, "name", "", "k8s: the `name` of the Secret, else the folder's")
	return cmd
}

// exported is one secret. Its bytes are wiped after the export.
type exported struct {
	name  secret.Name
	value []byte
}

// exports write all secrets to out in one form.
var exports = map[string]func(a *app, o exportOptions, out io.Writer, all []exported) error{
	"dotenv":   exportDotenv,
	"direnv":   exportShell,
	"gitlab":   exportUnmasked,
	"circleci": exportUnmasked,
	"docker":   exportDocker,
	"k8s":      exportKubernetes,
	"github":   exportGitHub,
}

func runExport(ctx context.Context, a *app, o exportOptions, write func(*app, exportOptions, io.Writer, []exported) error) error {
	dir, err := os.Getwd()
	if err != nil {
		return err
	}
	if o.name == "" {
		o.name = strings.ToLower(filepath.Base(dir))
	}
	values, err := a.clientIn(o.profile).GetAll(ctx, dir)
	if err != nil {
		return err
	}
	defer func() {
		for _, v := range values {
			v.Wipe()
		}
	}()
	var all []exported
	for _, name := range slices.Sorted(maps.Keys(values)) {
		value := values[name].Reveal()
		if bytes.IndexByte(value, 0) >= 0 && o.format != "k8s" {
			return fmt.Errorf("%s has a zero byte, which no environment variable can hold", name)
		}
		all = append(all, exported{name, value})
	}
	var out bytes.Buffer // all of it or nothing
	defer func() { clear(out.Bytes()) }()
	if err := write(a, o, &out, all); err != nil {
		return err
	}
	_, err = a.out.Write(out.Bytes())
	return err
}

// exportShell writes what every POSIX shell reads as the same bytes.
func exportShell(_ *app, _ exportOptions, out io.Writer, all []exported) error {
	for _, s := range all {
		fmt.Fprintf(out, "export %s='%s'\n", s.name, bytes.ReplaceAll(s.value, []byte("'"), []byte(`'\''`)))
	}
	return nil
}

func exportUnmasked(a *app, o exportOptions, out io.Writer, all []exported) error {
	a.warningf("%s does not mask these values in its log; pipe what may print one through nbhush mask", o.format)
	return exportShell(a, o, out, all)
}

// exportDotenv quotes as python-dotenv, godotenv and Docker Compose all read it.
// They agree on no escape for a dollar sign between double quotes.
func exportDotenv(_ *app, _ exportOptions, out io.Writer, all []exported) error {
	for _, s := range all {
		if err := isText(s, "a .env file"); err != nil {
			return err
		}
		switch {
		case !bytes.ContainsAny(s.value, "'\\\r") && !bytes.Contains(s.value, []byte("${")):
			fmt.Fprintf(out, "%s='%s'\n", s.name, s.value)
		case bytes.IndexByte(s.value, '$') >= 0:
			return fmt.Errorf("%s holds a dollar sign that readers of .env files do not agree on; use --format direnv or nbhush run", s.name)
		default:
			fmt.Fprintf(out, "%s=\"%s\"\n", s.name, strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\r", `\r`).Replace(string(s.value)))
		}
	}
	return nil
}

// isText refuses what readers of a file of text would make other bytes of.
func isText(s exported, what string) error {
	if !utf8.Valid(s.value) {
		return fmt.Errorf("%s is no UTF-8, which %s has to be; use --format k8s or nbhush run", s.name, what)
	}
	return nil
}

// exportDocker writes what docker reads without any quoting.
func exportDocker(_ *app, _ exportOptions, out io.Writer, all []exported) error {
	for _, s := range all {
		if err := isText(s, "an --env-file of docker"); err != nil {
			return err
		}
		if len(s.name)+1+len(s.value) >= bufio.MaxScanTokenSize {
			return fmt.Errorf("%s is longer than docker reads a line of an --env-file; use nbhush run", s.name)
		}
		if bytes.ContainsAny(s.value, "\r\n") {
			return fmt.Errorf("%s has more than one line, which an --env-file of docker cannot hold; use nbhush run", s.name)
		}
		fmt.Fprintf(out, "%s=%s\n", s.name, s.value)
	}
	return nil
}

func exportKubernetes(_ *app, o exportOptions, out io.Writer, all []exported) error {
	data := map[string]string{}
	for _, s := range all {
		data[string(s.name)] = base64.StdEncoding.EncodeToString(s.value)
	}
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return e.Encode(map[string]any{
		"apiVersion": "v1", "kind": "Secret", "type": "Opaque",
		"metadata": map[string]string{"name": o.name}, "data": data,
	})
}

// exportGitHub has each line of each value masked and appends the variables to
// the file that GITHUB_ENV names, which the steps after this one read: see
// "Workflow commands for GitHub Actions".
func exportGitHub(a *app, _ exportOptions, out io.Writer, all []exported) error {
	path := a.getenv("GITHUB_ENV")
	if path == "" {
		return fmt.Errorf("GITHUB_ENV is not set: this is no step of a GitHub workflow")
	}
	var env bytes.Buffer
	defer func() { clear(env.Bytes()) }()
	for _, s := range all {
		if err := isText(s, "the file of GITHUB_ENV"); err != nil {
			return err
		}
		for line := range bytes.Lines(s.value) {
			if line = bytes.TrimSpace(line); len(line) > 0 {
				fmt.Fprintf(out, "::add-mask::%s\n", strings.NewReplacer("%", "%25", "\r", "%0D").Replace(string(line)))
			}
		}
		end := "nbhush-" + rand.Text()
		fmt.Fprintf(&env, "%s<<%s\n%s\n%s\n", s.name, end, s.value, end)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return fmt.Errorf("the file of GITHUB_ENV: %w", err)
	}
	if _, err := f.Write(env.Bytes()); err != nil {
		_ = f.Close()
		return fmt.Errorf("the file of GITHUB_ENV: %w", err)
	}
	return f.Close()
}
