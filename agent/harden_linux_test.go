package agent

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"
)

type hardened struct {
	Dumpable int
	Core     uint64
	Umask    int
}

func playHarden() error {
	umask()
	if err := harden(); err != nil {
		return err
	}
	var core unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_CORE, &core); err != nil {
		return err
	}
	dumpable, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
	return report(hardened{dumpable, core.Max, unix.Umask(0o077)}, err)
}

func TestHarden(t *testing.T) {
	out, err := exec.Command(os.Args[0], "play", "harden").Output()
	if err != nil {
		t.Fatal(err)
	}
	got := hardened{-1, 1, -1}
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatal(err)
	}
	if want := (hardened{Umask: 0o077}); got != want {
		t.Errorf("%s, want %s", fmt.Sprint(got), fmt.Sprint(want))
	}
}
