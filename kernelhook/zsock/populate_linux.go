package zsock

import (
	"os"
	"reflect"

	"golang.org/x/sys/unix"
)

// populate has the system give b its pages, without a change of what is in them. Where
// it cannot, they come one by one when they are written to.
func populate(b []byte) {
	page := os.Getpagesize()
	skip := -int(reflect.ValueOf(b).Pointer()) & (page - 1)
	if n := (len(b) - skip) &^ (page - 1); n > 0 {
		_ = unix.Madvise(b[skip:skip+n], unix.MADV_POPULATE_WRITE)
	}
}
