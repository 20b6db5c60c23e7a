package retain_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/pipeline/stage/retain"
)

// TestFilesMakeRoom: a disk without inodes loses as many files as it needs.
func TestFilesMakeRoom(t *testing.T) {
	s := newSite(t)
	s.film("door", 200, time.Hour)
	left := 130
	r := s.retention(retain.Config{MissingFiles: func() int { return max(0, left-(200-len(s.left("door")))) }})
	require.NoError(t, r.Sweep(t.Context()))
	require.Len(t, s.left("door"), 70)
}
