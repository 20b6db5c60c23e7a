package ui

import (
	"io/fs"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFSHoldsTheBuiltFolder(t *testing.T) {
	_, err := fs.Stat(FS(), ".gitkeep")
	require.NoError(t, err, "a build must keep the marker: it comes from public/")
}
