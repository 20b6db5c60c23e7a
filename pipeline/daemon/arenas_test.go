package daemon

import (
	"fmt"
	"os"
	"testing"

	"github.com/asticode/go-astiav"
	"github.com/stretchr/testify/require"
)

// TestTrim gives back what lies free between what is used.
func TestTrim(t *testing.T) {
	resident := func() (pages int) {
		text, err := os.ReadFile("/proc/self/statm")
		require.NoError(t, err)
		var size int
		_, err = fmt.Sscan(string(text), &size, &pages)
		require.NoError(t, err)
		return pages * os.Getpagesize()
	}
	const pictures, bytes = 4000, 160 * 120 // too small to lie apart from each other
	frames := make([]*astiav.Frame, pictures)
	for i := range frames {
		f := astiav.AllocFrame()
		f.SetWidth(160)
		f.SetHeight(120)
		f.SetPixelFormat(astiav.PixelFormatGray8)
		require.NoError(t, f.AllocBuffer(0))
		require.NoError(t, f.ImageFillBlack())
		frames[i] = f
	}
	for i, f := range frames {
		if i%100 == 99 {
			defer f.Free() // in use
		} else {
			f.Free()
		}
	}
	before := resident()
	trim()
	require.Less(t, resident(), before-pictures*bytes/2)
}
