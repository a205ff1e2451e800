#!/bin/sh
# Installs nbhush for this user; ./install.sh --help says how.
# It asks nothing, needs no root, and can be run again at any time.
set -eu

usage() {
	cat <<'USAGE'
usage: ./install.sh [--prefix DIR] [--dry-run] [--no-git] [--no-jupyter] [--no-demo]
       ./install.sh --uninstall [--purge] [--prefix DIR] [--dry-run]

  --prefix DIR   put the program into DIR/bin (default: ~/.local)
  --dry-run      say what would be done, and do nothing
  --no-git       leave git's settings alone
  --no-jupyter   leave Jupyter's configuration alone
  --no-demo      do not run the demo at the end
  --uninstall    put every file back as it was; the secrets stay
  --purge        with --uninstall: remove the secrets and all state too
USAGE
}

prefix=$HOME/.local dry= git=1 jupyter=1 demo=1 uninstall= purge=
while [ $# -gt 0 ]; do
	case $1 in
	--prefix)
		[ $# -gt 1 ] || { usage >&2; exit 2; }
		prefix=$2
		shift
		;;
	--prefix=*) prefix=${1#--prefix=} ;;
	--dry-run) dry=1 ;;
	--no-git) git= ;;
	--no-jupyter) jupyter= ;;
	--no-demo) demo= ;;
	--uninstall) uninstall=1 ;;
	--purge) purge=1 ;;
	-h | --help)
		usage
		exit 0
		;;
	*)
		usage >&2
		exit 2
		;;
	esac
	shift
done
if [ -n "$purge" ] && [ -z "$uninstall" ]; then
	usage >&2
	exit 2
fi
case $prefix in
/*) ;;
*) prefix=$PWD/$prefix ;;
esac

bin=$prefix/bin
nbhush=$bin/nbhush
here=$(cd "$(dirname "$0")" && pwd)

say() { printf '%s\n' "$*"; }
fail() {
	printf 'install.sh: error: %s\n' "$1" >&2
	[ $# -lt 2 ] || printf 'install.sh: hint: %s\n' "$2" >&2
	exit 1
}

if [ -n "$uninstall" ]; then
	[ -x "$nbhush" ] || fail "there is no nbhush in $bin" "name the place it was installed to: ./install.sh --uninstall --prefix DIR"
	set -- uninstall
	[ -z "$purge" ] || set -- "$@" --purge
	[ -z "$dry" ] || set -- "$@" --dry-run
	"$nbhush" "$@"
	[ -n "$dry" ] || rm -f "$nbhush" "$bin/nbhush-hook" "$bin/nbhush-providers" "$bin/nbhush-outputs"
	say "${dry:+would have }removed $nbhush"
	exit 0
fi

go=${GO:-go}
command -v "$go" >/dev/null 2>&1 || fail "Go is not installed, and nbhush is built from source" "install Go 1.26 or newer, then run ./install.sh again"

version=$(cd "$here" && git describe --tags --always --dirty 2>/dev/null) || version=0.1.0

# compile NAME OUT LDFLAGS builds a program into the file OUT, where it has a
# build.sh with that.
compile() (
	export CGO_ENABLED=0 GO="$go"
	cd "$here/cmd/$1"
	if [ -f build.sh ]; then
		sh build.sh "$2" "$3"
	else
		"$go" build -trimpath -ldflags "$3" -o "$2" .
	fi
)

# program NAME builds it beside its place and renames it, so that a running one
# stays whole; it fails where the same is there already.
program() {
	new=$bin/.$1.new.$$
	trap 'rm -f "$new" "$new.copy"' EXIT
	compile "$1" "$new" "-s -w -X main.version=$version" ||
		fail "the build did not succeed" "the lines above are from the Go compiler"
	if [ -x "$bin/$1" ] && cmp -s "$new" "$bin/$1"; then
		rm -f "$new"
		say "$1 $version is already in $bin"
		return 1
	fi
	# A copy: what the linker wrote, here and there, lies in small pieces of the
	# page cache, and each start takes a fifth longer for them.
	cp "$new" "$new.copy" && mv -f "$new.copy" "$bin/$1" || fail "$1 cannot be put into $bin"
	rm -f "$new"
	say "built $1 $version into $bin"
}

if [ -n "$dry" ]; then
	say "would build nbhush, nbhush-hook, nbhush-providers and nbhush-outputs $version into $bin"
else
	mkdir -p "$bin"
	# A running agent of the old version ends; the new one starts on demand.
	changed=
	program nbhush && changed=1
	program nbhush-providers && changed=1
	program nbhush-hook || :
	program nbhush-outputs || :
	[ -z "$changed" ] || "$nbhush" agent stop >/dev/null 2>&1 || :
fi

set -- setup
[ -n "$git" ] || set -- "$@" --no-git
[ -n "$jupyter" ] || set -- "$@" --no-jupyter
[ -z "$dry" ] || set -- "$@" --dry-run
if [ -n "$dry" ] && [ ! -x "$nbhush" ]; then
	say "would choose the store: the keyring if one answers, else the vault"
	[ -z "$jupyter" ] || say "would run: nbhush jupyter enable"
	[ -z "$git" ] || say "would run: nbhush git install --global"
else
	"$nbhush" "$@"
fi

case :$PATH: in
*:"$bin":*) ;;
*) say "add $bin to PATH to call nbhush by its name: export PATH=\"$bin:\$PATH\"" ;;
esac

if [ -n "$demo" ]; then
	if [ -n "$dry" ]; then
		say "would run: nbhush demo"
	else
		"$nbhush" demo
	fi
fi
