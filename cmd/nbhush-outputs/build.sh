#!/bin/sh
# build.sh OUT [LDFLAGS]: builds this program into the file OUT, an absolute path.
#
# On Linux with x86-64 the process begins in start, which start_linux_amd64.s has,
# and package unicode fills none of its tables before main. Both are flags of Go's
# linker and compiler: a Go that does not know them builds a slower program, not none.
set -eu
cd "$(dirname "$0")"
go=${GO:-go}
case $("$go" env GOOS GOARCH | tr '\n' /) in
linux/amd64/)
	"$go" build -trimpath -gcflags=unicode=-d=wrapglobalmapctl=2 -ldflags "${2-} -E=main.start" -o "$1" . 2>/dev/null && exit ;;
esac
exec "$go" build -trimpath -ldflags "${2-}" -o "$1" .
