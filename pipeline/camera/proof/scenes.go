package proof

import (
	"fmt"
	"math/rand/v2"

	"detectd/pipeline"
	"detectd/pipeline/simulate"
)

// Scene is what a camera in a proof sees, and how it codes it.
type Scene struct {
	Name string // its weather and its coding
	Spec simulate.Spec
}

const (
	width, height = 320, 192
	// calmFor is how many seconds lie before the first visit, so that a camera can
	// have learned what is calm, and between visits.
	calmFor = 12
	visits  = 5
)

// weathers are what happens in front of a camera all the time.
func weathers() []string {
	return []string{"clean", "noise 1", "noise 2", "noise 4", "flicker", "leaves", "rain", "light", "night"}
}

func weather(name string, first int) simulate.Scene {
	switch name {
	case "noise 1":
		return simulate.Scene{Noise: 1}
	case "noise 2":
		return simulate.Scene{Noise: 2}
	case "noise 4":
		return simulate.Scene{Noise: 4}
	case "flicker":
		return simulate.Scene{Noise: 2, Flicker: 5}
	case "leaves":
		return simulate.Scene{Noise: 2, Leaves: 10}
	case "rain":
		return simulate.Scene{Noise: 2, Rain: 12}
	case "light":
		return simulate.Scene{Noise: 2, Step: first}
	case "night":
		return simulate.Scene{Noise: 1, Night: first}
	}
	return simulate.Scene{}
}

// Hard is the first of the seeds whose scenes are the hardest to leave undecoded:
// small figures, hardly brighter than what is behind them, that stand or walk
// slowly before a quiet camera whose key pictures are far apart, half of them coded
// with B frames and a third of them at night.
const Hard = 1_000_000

// Make returns the scene of a seed: the weather and the coding go round, sizes,
// speeds and moments are drawn.
func Make(seed uint64) Scene {
	rng := rand.New(rand.NewPCG(seed, 0x1d1e)) //nolint:gosec // a scene, no secret
	if seed >= Hard {
		return hard(rng, seed)
	}
	kinds := weathers()
	kind := kinds[seed%uint64(len(kinds))]
	fps := []int{10, 10, 15, 15, 25, 25, 30, 60}[rng.IntN(8)]
	seconds := []int{1, 2, 4, 10}[rng.IntN(4)]
	calm := calmFor + 3*seconds
	spec := simulate.Spec{
		Codec: pipeline.H264, Width: width, Height: height, FPS: fps, GOP: fps * seconds,
		Frames: (calm + visits*(calmFor+seconds+6)) * fps,
	}
	coding := "quality"
	switch rng.IntN(5) {
	case 0:
		coding, spec.Bitrate = "rate", 300_000+rng.IntN(700_000)
	case 1:
		coding, spec.Bitrate, spec.Padded = "padded", 300_000+rng.IntN(500_000), true
	case 2:
		coding, spec.Codec = "h265", pipeline.H265
	case 3:
		coding, spec.BFrames = "b frames", 2
	}
	name := fmt.Sprintf("%s, %s, %d fps, keys %d s", kind, coding, fps, seconds)
	return populate(rng, name, spec, weather(kind, calm*fps/2), calm, func() simulate.Visit { return visit(rng, fps) })
}

// populate lets visitors come and go, the first of them after calm seconds.
func populate(rng *rand.Rand, name string, spec simulate.Spec, scene simulate.Scene, calm int, draw func() simulate.Visit) Scene {
	fps, seconds := spec.FPS, spec.GOP/spec.FPS
	from := calm * fps
	for range visits {
		v := draw()
		v.From = from + rng.IntN(seconds*fps)
		v.To += v.From
		scene.Visits = append(scene.Visits, v)
		from = v.To + (calmFor+rng.IntN(3))*fps
	}
	spec.Scene, spec.Frames = &scene, min(spec.Frames, from)
	return Scene{Name: name, Spec: spec}
}

func hard(rng *rand.Rand, seed uint64) Scene {
	kind := []string{"night", "clean", "noise 1"}[seed%3]
	fps, seconds := []int{10, 15, 25}[rng.IntN(3)], []int{2, 4, 4, 10}[rng.IntN(4)]
	calm := calmFor + 3*seconds
	spec := simulate.Spec{
		Codec: pipeline.H264, Width: width, Height: height, FPS: fps, GOP: fps * seconds, BFrames: 2 * rng.IntN(2),
		Frames: (calm + visits*(calmFor+seconds+6)) * fps,
	}
	name := fmt.Sprintf("hard: %s, %d b frames, %d fps, keys %d s", kind, spec.BFrames, fps, seconds)
	return populate(rng, name, spec, weather(kind, calm*fps/2), calm, func() simulate.Visit {
		v := simulate.Visit{Width: height/24 + rng.IntN(height/32), Luma: 125 + rng.IntN(35), Enters: rng.IntN(2) == 0, To: (1 + rng.IntN(4)) * fps}
		if v.Enters || rng.IntN(3) == 0 {
			v.Speed = 1
		}
		return v
	})
}

// visit draws a visitor. To is how long it stays.
func visit(rng *rand.Rand, fps int) simulate.Visit {
	v := simulate.Visit{Width: height/20 + rng.IntN(height/10), Luma: 170 + rng.IntN(60), Enters: rng.IntN(2) == 0}
	speed := 0.0 // of its own widths a second
	switch rng.IntN(5) {
	case 0: // slow
		v.To, speed = 4*fps, 0.5
	case 1: // walks
		v.To, speed = 3*fps, 1.5
	case 2: // fast
		v.To, speed = fps, 5
	case 3: // very short
		v.To, speed = max(2, fps/5), 3
	case 4: // stands
		v.To = 3 * fps
	}
	v.Speed = int(speed*float64(v.Width)/float64(fps) + 0.5)
	if speed > 0 {
		v.Speed = max(1, v.Speed)
	}
	return v
}
