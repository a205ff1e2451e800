package outputs

import (
	"errors"

	"github.com/nbhush/nbhush/nbstrip/notebook"
)

// Words returns nbstripout's words for an error of Strip, which follows them.
// where says where the notebook called file was.
func Words(err error, where, file string) string {
	var broken *notebook.NotNotebookError
	switch {
	case errors.As(err, &broken):
		return "No valid notebook detected " + where + ": "
	case errors.Is(err, ErrContradiction):
		return "Could not strip '" + file + "': MetadataError: "
	}
	return "Could not strip '" + file + "': "
}
