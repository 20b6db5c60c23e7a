package rtsp

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSkipped(t *testing.T) {
	for _, c := range []struct {
		before, now uint16
		want        int
	}{
		{7, 9, 1},
		{7, 20, 12},
		{65534, 1, 2}, // the numbers begin anew
		{7, 7, 1},     // the camera does
		{40000, 3, 25538},
		{20, 7, 1},
	} {
		require.Equal(t, c.want, skipped(c.before, c.now), "%d, %d", c.before, c.now)
	}
}
