package daemon

import (
	"testing"

	"github.com/stretchr/testify/require"

	"detectd/pipeline/decode"
	"detectd/store"
)

// TestGate tells what cameras are spared, with and without a card that decodes.
func TestGate(t *testing.T) {
	const auto, still, off = store.IdleAuto, store.IdleDecode, store.IdleOff
	for _, tc := range []struct{ settings, camera, here, card string }{
		{auto, "", auto, still},
		{auto, auto, auto, auto},
		{auto, off, off, off},
		{still, "", still, still},
		{still, auto, auto, auto},
		{off, "", off, off},
		{off, still, still, still},
	} {
		for card, want := range map[*decode.Card]string{nil: tc.here, new(decode.Card): tc.card} {
			d := &Daemon{card: card, cfg: Config{Detect: DetectConfig{Idle: tc.settings}}}
			got := off
			if gate := d.gate(store.Camera{Idle: tc.camera}); gate != nil {
				got = auto
				if gate.Decoding() {
					got = still
				}
			}
			require.Equal(t, want, got, "settings %s, camera %s, card %v", tc.settings, tc.camera, card != nil)
		}
	}
}
