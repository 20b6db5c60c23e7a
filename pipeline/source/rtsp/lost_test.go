package rtsp

import (
	"testing"

	"github.com/pion/rtp"
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

// TestLosses: what a camera's packets do not make pictures of is counted.
func TestLosses(t *testing.T) {
	sets := []*rtp.Packet{packet(1, 0, false, spsLarge...), packet(2, 0, false, pps...)}
	key := func(sequence uint16, picture uint32) *rtp.Packet {
		return packet(sequence, picture, true, 0x65, 0x88, 1, 2)
	}
	next := func(sequence uint16, picture uint32) *rtp.Packet {
		return packet(sequence, picture, true, 0x41, 0x9a, 1)
	}
	for name, c := range map[string]struct {
		pkts              []*rtp.Packet
		units             int
		packets, pictures int
	}{
		"none":                   {[]*rtp.Packet{key(3, 0), next(4, 1), next(5, 2)}, 3, 0, 0},
		"one packet is missing":  {[]*rtp.Packet{key(3, 0), next(5, 2)}, 2, 1, 0},
		"many are":               {[]*rtp.Packet{key(3, 0), next(40, 2), next(43, 3)}, 3, 36 + 2, 0},
		"one is broken":          {[]*rtp.Packet{key(3, 0), packet(4, 1, true, 0x1c), next(5, 2)}, 2, 1, 0},
		"no key picture before":  {[]*rtp.Packet{next(3, 0), next(4, 1), key(5, 2), next(6, 3)}, 2, 0, 2},
		"shown before the first": {[]*rtp.Packet{key(3, 9), next(4, 5), next(5, 10)}, 2, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			got := feed(t, h264Format(), append(sets[:2:2], c.pkts...))
			require.Len(t, got.units, c.units)
			require.Equal(t, [2]int{c.packets, c.pictures}, got.lost)
		})
	}
}
