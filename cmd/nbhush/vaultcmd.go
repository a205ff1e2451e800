package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/nbhush/nbhush/agent/api"
)

func newVaultCmd(a *app) *cobra.Command {
	cmd := asGroup(&cobra.Command{
		Use:   "vault",
		Short: "the encrypted file of secrets: its passphrase, and its previous state",
	})
	cmd.AddCommand(&cobra.Command{
		Use:   "passwd",
		Short: "set, change or take away the passphrase of the vault",
		Long: `Wraps the key of the vault with a passphrase (age, scrypt). An agent that starts is locked then until
nbhush agent unlock. Without a terminal the passphrases are lines of standard input: the new one,
or the old one and the new one. An empty new one takes the passphrase away.`,
		Args: argRange(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error { return runPasswd(cmd.Context(), a) },
	}, &cobra.Command{
		Use:   "rollback",
		Short: "put a damaged vault back to the state before its last change",
		Long: `Where the vault, or the history beside it, is gone or cannot be read, the generation before it takes
its place; what is damaged stays beside it with the ending .damaged. A file that can be read is
left alone.`,
		Args: argRange(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			res, err := a.client().Rollback(cmd.Context())
			if err != nil {
				return err
			}
			if len(res.Files) == 0 {
				a.say("nothing is damaged")
				return nil
			}
			a.say("put back to the previous state: %s", strings.Join(res.Files, ", "))
			return nil
		},
	})
	return cmd
}

func runPasswd(ctx context.Context, a *app) error {
	ask := a.passphrases(3)
	var old []byte
	first, err := ask("new passphrase of the vault (empty: none)")
	if err != nil {
		return err
	}
	next := first
	if second, err := ask("the same again"); err != nil {
		return err
	} else if !a.terminal(a.in) && second != nil {
		old, next = first, second // two lines
	} else if a.terminal(a.in) && !bytes.Equal(first, second) {
		return errors.New("the two passphrases differ; nothing was changed")
	}
	defer clear(next)
	_, err = a.client().Passphrase(ctx, old, next)
	if errors.Is(err, &api.Error{Code: api.CodeLocked}) && a.terminal(a.in) {
		if old, err = ask("passphrase until now"); err != nil {
			return err
		}
		_, err = a.client().Passphrase(ctx, old, next)
	}
	clear(old)
	if err != nil {
		return err
	}
	if len(next) == 0 {
		a.say("the vault has no passphrase")
		return nil
	}
	a.say("the vault has a passphrase; it is asked for by: nbhush agent unlock")
	return nil
}

// passphrases returns what asks for one passphrase after the other: on a
// terminal by a prompt, else it reads lines, and nil after the last of them.
func (a *app) passphrases(most int) func(prompt string) ([]byte, error) {
	if a.terminal(a.in) {
		return func(prompt string) ([]byte, error) { return a.readSecret(prompt, api.MaxValue) }
	}
	var lines [][]byte
	read := false
	return func(string) ([]byte, error) {
		if !read {
			all, err := a.readSecret("", api.MaxValue)
			if err != nil {
				return nil, err
			}
			lines, read = bytes.SplitN(all, []byte("\n"), most+1), true
		}
		if len(lines) == 0 {
			return nil, nil
		}
		line := bytes.TrimSuffix(lines[0], []byte("\r"))
		lines = lines[1:]
		return line, nil
	}
}

func newBackupCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "backup FILE",
		Short: "write all secrets into a file that a passphrase encrypts",
		Long: `Writes every secret, with its former values, into a new file that is encrypted with a passphrase (age,
scrypt; age -d opens it). The passphrase is asked for twice, or is a line of standard input.`,
		Example: `  nbhush backup ~/nbhush-2026-11.age
  nbhush restore-backup nbhush-2026-11.age     (on this machine or another)`,
		Args: argRange(1, 1, "the FILE to write"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := os.Lstat(args[0]); !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("%s is there already; a backup replaces no file", args[0])
			}
			res, err := a.sync(cmd.Context(), args[0], api.SyncRequest{Write: true})
			if err == nil {
				a.say("%s in %s", plural(res.Secrets, "secret"), args[0])
			}
			return err
		},
	}
}

func newRestoreBackupCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "restore-backup FILE",
		Short: "bring the secrets of a backup back, here or on another machine",
		Long: `Merges a backup into this machine's secrets. What is newer here stays, and the value of the backup
becomes a former one. A secret that was removed here and is in the backup comes back.`,
		Args: argRange(1, 1, "the FILE that nbhush backup wrote"),
		RunE: func(cmd *cobra.Command, args []string) error {
			res, err := a.sync(cmd.Context(), args[0], api.SyncRequest{Read: true, Revive: true})
			if err == nil {
				a.printSync(res)
			}
			return err
		},
	}
}

func newSyncCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "sync FILE",
		Short: "merge the secrets of two machines through an encrypted file",
		Long: `Merges what FILE holds into this machine's secrets and writes the result into FILE, which a passphrase
encrypts; the first time it is made. Run it on one machine, carry the file to the other, run it
there, and once more here.

Of each secret the last change counts, also a removal. Where both machines changed one, the other
value is the newest of its history: nbhush restore NAME takes that one. Which change was the last
is what the two clocks say.`,
		Args: argRange(1, 1, "the FILE that both machines use"),
		RunE: func(cmd *cobra.Command, args []string) error {
			res, err := a.sync(cmd.Context(), args[0], api.SyncRequest{Read: true, Write: true})
			if err == nil {
				a.printSync(res)
			}
			return err
		},
	}
}

// sync asks for the passphrase and then the agent.
func (a *app) sync(ctx context.Context, path string, q api.SyncRequest) (res api.SyncResult, err error) {
	if q.Path, err = filepath.Abs(path); err != nil {
		return res, err
	}
	ask := a.passphrases(1)
	if q.Passphrase, err = ask("passphrase of " + path); err != nil {
		return res, err
	}
	defer clear(q.Passphrase)
	if _, err := os.Stat(path); a.terminal(a.in) && errors.Is(err, fs.ErrNotExist) && q.Write {
		again, err := ask("the same again")
		if err != nil {
			return res, err
		}
		defer clear(again)
		if !bytes.Equal(again, q.Passphrase) {
			return res, errors.New("the two passphrases differ; nothing was written")
		}
	}
	if q.Read {
		if err := a.chooseStore(ctx); err != nil {
			return res, err
		}
	}
	return a.client().Sync(ctx, q)
}

func (a *app) printSync(res api.SyncResult) {
	for _, part := range []struct {
		word  string
		names []string
	}{{"added", res.Added}, {"changed", res.Changed}, {"removed", res.Removed}} {
		for _, name := range part.names {
			a.printf("%-8s %s\n", part.word, name)
		}
	}
	for _, name := range res.Kept {
		a.warningf("%s was changed on both sides; the last change counts, the other is kept: nbhush restore %s", name, name)
	}
	a.say("%s", plural(res.Secrets, "secret"))
}
