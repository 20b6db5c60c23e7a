package activity

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// scenario is a camera at 10 pictures per second whose sizes and pictures a test
// makes up by the number of the unit.
type scenario struct {
	group   int // units
	key     int // bytes of key units
	bytes   func(i int) int
	shade   func(i int) int // how much brighter a part of the picture is, in levels; may be nil
	square  func(i int) int // where a bright square is, in pixels from the left; below 0: nowhere
	reorder bool            // the last unit of a group is shown before the key unit
	padded  bool

	gate   *Gate
	states []State // by unit
	looks  []int
	asks   []int // looks that the model sees
	rng    *rand.Rand
}

const rate = 10

func newScenario() *scenario {
	rng := rand.New(rand.NewPCG(1, 1))
	return &scenario{
		group: 20, key: 20_000, gate: New(nil), rng: rng,
		bytes:  func(int) int { return 600 + rng.IntN(60) },
		square: func(int) int { return -1 },
	}
}

// run plays the units up to n. Decoded pictures go to the gate like a worker's.
func (s *scenario) run(n int) *scenario {
	for i := len(s.states); i < n; i++ {
		pts := time.Duration(i) * time.Second / rate
		u := Unit{PTS: pts, Key: i%s.group == 0, Bytes: s.bytes(i), Padded: s.padded}
		if u.Key {
			u.Bytes = s.key
		}
		if s.reorder && i%s.group == 1 {
			u.PTS -= 200 * time.Millisecond
		}
		state := s.gate.Unit(u)
		switch {
		case state != Idle:
			if i%2 == 0 || u.Key {
				s.gate.Picture(pts, s.picture(i))
			}
		case s.gate.Due(u):
			s.looks = append(s.looks, i)
			s.gate.Picture(pts, s.picture(i))
			if s.gate.Idle() && s.gate.Asks() {
				s.asks = append(s.asks, i)
			}
		}
		s.states = append(s.states, s.gate.Report().State)
	}
	return s
}

func (s *scenario) picture(i int) *Picture {
	const width, height = 320, 160
	luma := make([]byte, width*height)
	for k := range luma {
		luma[k] = byte(60 + (k*7^k/width*13)%40)
	}
	if s.shade != nil {
		for y := 40; y < 80; y++ {
			for x := 100; x < 140; x++ {
				luma[y*width+x] += byte(s.shade(i)) //nolint:gosec // a few levels
			}
		}
	}
	if x := s.square(i); x >= 0 {
		for y := 40; y < 80; y++ {
			for dx := range 40 {
				luma[y*width+(x+dx)%width] = 220
			}
		}
	}
	var p Picture
	p.Reduce(luma, width, width, height)
	return &p
}

func (s *scenario) reason() string { return s.gate.Report().Reason }

func TestCalmCameraBecomesIdleAndIsLookedAt(t *testing.T) {
	s := newScenario().run(400)
	require.Equal(t, Learning, s.states[19])
	require.Equal(t, Idle, s.states[60], "three groups are enough")
	require.Equal(t, Idle, s.states[399])
	require.Equal(t, ReasonCalm, s.reason())
	for k := 1; k < len(s.looks); k++ {
		require.Equal(t, 40, s.looks[k]-s.looks[k-1], "one look in four seconds")
	}
	require.Zero(t, s.gate.Report().Wakes)
}

// TestLooksAreTwoSecondsApart: where objects are known, whose boxes would come late.
func TestLooksAreTwoSecondsApart(t *testing.T) {
	s := newScenario().run(200)
	s.gate.Objects(19900*time.Millisecond, []Box{{X: 10, Y: 10, W: 40, H: 20, Score: 0.3}})
	s.looks = nil
	s.run(300)
	require.Equal(t, []int{200, 220, 240, 260, 280}, s.looks)
	require.Equal(t, Idle, s.states[299])
}

// TestModelNeedNotSeeEachLook: where it finds nothing, it sees one in eight seconds,
// and what differs from what it saw last, however slowly that came about.
func TestModelNeedNotSeeEachLook(t *testing.T) {
	every := func(asks []int) (all []int) {
		for k := 1; k < len(asks); k++ {
			all = append(all, asks[k]-asks[k-1])
		}
		return all
	}
	s := newScenario().run(400)
	require.Equal(t, []int{80, 80, 80}, every(s.asks[:4]))

	s = newScenario().run(200)
	s.gate.Objects(19900*time.Millisecond, []Box{{X: 10, Y: 10, W: 40, H: 20, Score: 0.3}})
	s.run(300)
	require.Equal(t, s.looks[len(s.looks)-5:], s.asks[len(s.asks)-5:], "each, where something stands")

	s = newScenario()
	s.shade = func(i int) int { return max(0, i-200) / 9 } // too little for a look to differ from the one before
	s.run(400)
	require.Equal(t, Idle, s.states[399])
	require.Zero(t, s.gate.Report().Wakes)
	require.Equal(t, s.looks[len(s.looks)-3:], s.asks[len(s.asks)-3:])
}

func TestShortGroupsAreNotLookedAtMoreOften(t *testing.T) {
	s := newScenario()
	s.group = 5
	s.run(400)
	require.Equal(t, Idle, s.states[399])
	require.Equal(t, 40, s.looks[len(s.looks)-1]-s.looks[len(s.looks)-2])
}

// TestKeyUnitsTellOfWhatStands: a look is due where a key unit has another size than
// the last look.
func TestKeyUnitsTellOfWhatStands(t *testing.T) {
	s := newScenario().run(305)
	s.square = func(int) int { return 100 }
	s.key -= 200 // a hundredth
	s.run(321)
	require.Equal(t, Active, s.states[320])
	require.Equal(t, ReasonPicture, s.reason())
}

func TestSizesWake(t *testing.T) {
	for name, more := range map[string]int{"at once": 3000, "little by little": 150} {
		t.Run(name, func(t *testing.T) {
			s := newScenario().run(305)
			calm := s.bytes
			s.bytes = func(i int) int { return calm(i) + more }
			s.run(320)
			require.Equal(t, Active, s.states[319])
			require.Equal(t, ReasonSizes, s.reason())
			require.Equal(t, uint64(1), s.gate.Report().Wakes)
		})
	}
}

func TestPictureWakes(t *testing.T) {
	s := newScenario().run(305)
	s.square = func(int) int { return 100 }
	s.run(341)
	require.Equal(t, Active, s.states[s.looks[len(s.looks)-1]])
	require.Equal(t, ReasonPicture, s.reason())
}

func TestObjectWakes(t *testing.T) {
	s := newScenario().run(305)
	at := func(i int) time.Duration { return time.Duration(i) * time.Second / rate }
	car := []Box{{X: 10, Y: 10, W: 40, H: 20, Score: 0.9}}
	for i := range 4 {
		s.gate.Objects(at(301+i), car)
	}
	require.True(t, s.gate.Idle(), "it was there from the beginning")
	s.gate.Objects(at(306), nil)
	s.gate.Objects(at(307), []Box{{X: 12, Y: 11, W: 40, H: 20, Score: 0.6}})
	require.True(t, s.gate.Idle(), "a model that flickers is no news")
	s.gate.Objects(at(308), append(car, Box{X: 200, Y: 10, W: 20, H: 40, Score: 0.3}))
	require.True(t, s.gate.Idle(), "too uncertain")
	s.gate.Objects(at(309), append(car, Box{X: 100, Y: 50, W: 20, H: 40, Score: 0.7}))
	require.Equal(t, Active, s.gate.Report().State)
	require.Equal(t, ReasonObject, s.reason())
}

func TestMovementKeepsActive(t *testing.T) {
	s := newScenario()
	s.square = func(i int) int { return i * 4 }
	s.run(400)
	require.NotContains(t, s.states, Idle)
	s.square = func(int) int { return 100 }
	s.run(600)
	require.Equal(t, Idle, s.states[599], "it stands still")
}

func TestUnsure(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(s *scenario)
		reason string
	}{
		"far keys":    {func(s *scenario) { s.group = 120 }, ReasonFarKeys},
		"all keys":    {func(s *scenario) { s.group = 1 }, ReasonAllKeys},
		"open groups": {func(s *scenario) { s.reorder = true }, ReasonOpenGroups},
		"padded":      {func(s *scenario) { s.padded = true }, ReasonPadded},
		"constant":    {func(s *scenario) { s.bytes = func(int) int { return 1200 } }, ReasonConstant},
		"noise": {func(s *scenario) {
			s.bytes = func(int) int { return 6000 + s.rng.IntN(3000) }
		}, ReasonDeaf},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScenario()
			tc.change(s)
			s.run(400)
			require.Equal(t, Unsure, s.states[399])
			require.Equal(t, tc.reason, s.reason())
			require.NotContains(t, s.states, Idle)
		})
	}
}

func TestGroupsThatGrowWakeAnIdleCamera(t *testing.T) {
	s := newScenario().run(305)
	s.group = 1000
	s.run(450)
	require.Equal(t, Unsure, s.states[449])
	require.Equal(t, ReasonFarKeys, s.reason())
}

func TestNewLevelIsLearned(t *testing.T) {
	s := newScenario().run(305)
	s.bytes = func(int) int { return 1100 + s.rng.IntN(60) }
	s.run(340)
	require.NotEqual(t, Idle, s.states[310], "it may be movement")
	s.run(700)
	require.Equal(t, Idle, s.states[699])
	require.LessOrEqual(t, s.gate.Report().Wakes, uint64(2))
}

// TestBlindSizes: movement that does not show in the sizes is found by a look,
// and ends the trust in them for a while.
func TestBlindSizes(t *testing.T) {
	s := newScenario().run(305)
	s.square = func(i int) int {
		if i < 360 {
			return i * 4
		}
		return -1
	}
	s.run(600)
	require.Equal(t, Unsure, s.states[599])
	require.Equal(t, ReasonBlind, s.reason())
	s.run(8000)
	require.Equal(t, Idle, s.states[7999], "it is tried again")
}

func TestAuditsCountMisses(t *testing.T) {
	s := newScenario()
	s.gate = New(rand.New(rand.NewPCG(7, 7)))
	s.run(400)
	audits := 0
	for range 2000 {
		if s.gate.Audit() {
			audits++
		}
	}
	require.InDelta(t, 2000*unprovedShare, audits, 30)
	for i := 360; i < 380; i++ {
		s.gate.Audited(time.Duration(i)*time.Second/rate, s.picture(i))
	}
	require.True(t, s.gate.Idle(), "nothing moved")
	s.square = func(i int) int { return i * 4 % 280 }
	for i := 380; i < 400; i++ {
		s.gate.Audited(time.Duration(i)*time.Second/rate, s.picture(i))
	}
	r := s.gate.Report()
	require.Equal(t, uint64(1), r.Misses)
	require.Equal(t, uint64(audits), r.Audits) //nolint:gosec // not negative
	require.Equal(t, Active, r.State)
	require.Equal(t, ReasonAudit, r.Reason)
	require.False(t, New(nil).Audit())
}

func TestTheSameCallsGiveTheSameDecisions(t *testing.T) {
	play := func() []State {
		s := newScenario()
		s.gate = New(rand.New(rand.NewPCG(3, 4)))
		s.square = func(i int) int { return max(-1, i%300*4-1000) }
		return s.run(3000).states
	}
	first, second := play(), play()
	require.Equal(t, first, second)
}

func TestRestartAndWake(t *testing.T) {
	s := newScenario().run(305)
	s.gate.Wake("somebody is watching")
	require.Equal(t, Report{State: Active, Reason: "somebody is watching"}, s.gate.Report())
	s.run(400)
	require.Equal(t, Idle, s.states[399])
	s.gate.Restart()
	require.Equal(t, Learning, s.gate.Report().State)
}

func TestPicturesThatCannotBeCompared(t *testing.T) {
	g := New(nil)
	for i := range 400 {
		g.Unit(Unit{PTS: time.Duration(i) * time.Second / rate, Key: i%20 == 0, Bytes: 500})
		g.Picture(time.Duration(i)*time.Second/rate, nil)
	}
	require.Equal(t, Unsure, g.Report().State)
	require.Equal(t, ReasonNoPicture, g.Report().Reason)
}
