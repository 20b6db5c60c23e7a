package floor

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/pipeline/decode"
	"detectd/pipeline/simulate"
)

// TestNoCard says in one clear error that there is none.
func TestNoCard(t *testing.T) {
	if _, err := os.Stat("/dev/nvidiactl"); err == nil {
		t.Skip("this machine has a card")
	}
	path := filepath.Join(t.TempDir(), "v.mp4")
	require.NoError(t, simulate.Generate(path, simulate.Spec{Frames: 5}))
	_, err := BareCard(t.Context(), path, 0, 3, time.Millisecond)
	require.ErrorContains(t, err, "open card 0")
	_, err = OurCard(t.Context(), path, 0, 3, 5, time.Millisecond)
	require.ErrorContains(t, err, "open card 0")
}

// TestCardFloor runs streams on a card, bare and ours, and says what they gave.
// DETECTD_CARD_VIDEO may name another video, DETECTD_CARD_STREAMS how many streams.
func TestCardFloor(t *testing.T) {
	card, err := decode.OpenCard(0)
	if err != nil {
		t.Skip("NOT TESTED: ", err)
	}
	card.Close()
	path, streams := os.Getenv("DETECTD_CARD_VIDEO"), 8
	if path == "" {
		path = filepath.Join(t.TempDir(), "v.mp4")
		require.NoError(t, simulate.Generate(path, simulate.Spec{Width: 1920, Height: 1080, Frames: 50}))
	}
	if n, err := strconv.Atoi(os.Getenv("DETECTD_CARD_STREAMS")); err == nil {
		streams = n
	}
	for range 3 {
		bare, err := BareCard(t.Context(), path, 0, streams, 2*time.Second)
		require.NoError(t, err)
		t.Logf("bare: %.0f pictures/s, %v CPU each", bare.FPS, bare.CPU)
		for _, hz := range []float64{0, 5} {
			ours, err := OurCard(t.Context(), path, 0, streams, hz, 2*time.Second)
			require.NoError(t, err)
			t.Logf("ours, %v read per second: %.0f pictures/s (%.3f of bare), %v CPU each, %d of %d fetched", hz, ours.FPS, ours.FPS/bare.FPS, ours.CPU, ours.Card.Fetched, ours.Frames)
			require.Equal(t, hz > 0, ours.Card.Fetched > 0)
		}
	}
}
