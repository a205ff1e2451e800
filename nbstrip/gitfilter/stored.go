package gitfilter

import (
	"bytes"
	"context"
	"crypto/sha1" //nolint:gosec // the name of a blob, as git makes it
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"
)

// stored reports whether content is, as it is, what the index or HEAD already
// holds at path: to store it once more adds nothing. An object that merely
// exists would not do, since nobody may have decided to share it.
func stored(ctx context.Context, path string, content []byte) bool {
	if strings.ContainsAny(path, "\n\x00") {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "git", "cat-file", "--batch-check=%(objectname)")
	cmd.Env = append(os.Environ(), "GIT_NO_LAZY_FETCH=1")
	var ask strings.Builder
	for _, rev := range []string{":0:", ":1:", ":2:", ":3:", "HEAD:"} {
		ask.WriteString(rev + path + "\n")
	}
	cmd.Stdin = strings.NewReader(ask.String())
	out, err := cmd.Output()
	if err != nil {
		return false
	}
	ids := []string{blobID(sha1.New(), content), blobID(sha256.New(), content)} //nolint:gosec // as git does
	for line := range bytes.Lines(out) {
		if slices.Contains(ids, string(bytes.TrimSpace(line))) {
			return true
		}
	}
	return false
}

// blobID is the name that git gives to content, gitformat-pack(5).
func blobID(h hash.Hash, content []byte) string {
	h.Write([]byte("blob " + strconv.Itoa(len(content)) + "\x00"))
	h.Write(content)
	return hex.EncodeToString(h.Sum(nil))
}
