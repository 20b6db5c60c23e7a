package simulate

import (
	"math/rand/v2"

	"github.com/asticode/go-astiav"
)

// Scene is what happens in front of a simulated camera that hangs still: a fixed
// view, in which upright bright figures come and go at known pictures. Everything
// is computed from the picture's number, so that the truth is known.
type Scene struct {
	Visits  []Visit
	Noise   int // of the sensor: standard deviation, in levels of luma
	Flicker int // of lamps beating with the shutter: levels up and down, over 12 pictures
	Step    int // picture from which the light is another; 0: never
	Leaves  int // levels by which a corner of the picture flutters all the time
	Rain    int // streaks in every picture
	Night   int // picture from which infrared light shows the view, darker, flatter and with more noise; 0: never
}

// Visit is a figure that walks through the picture.
type Visit struct {
	From, To int  // pictures in which it is visible: From up to To-1
	Width    int  // of the figure, pixels; its height is twice that. 0 takes an eighth of the picture's height
	Speed    int  // pixels per picture; 0: it stands where it appeared
	Luma     int  // of the figure; 0 takes 200
	Enters   bool // comes in at the left edge, instead of being there at once
}

// Visible tells the box of a visitor in picture i, in pixels.
func (v Visit) Visible(spec Spec, i int) (x, y, width, height int, ok bool) {
	spec = spec.withDefaults()
	if i < v.From || i >= v.To {
		return 0, 0, 0, 0, false
	}
	width = v.Width
	if width == 0 {
		width = spec.Height / 8
	}
	height = 2 * width
	y = min(spec.Height*2/5, spec.Height-height)
	if v.Enters {
		// Half of it shows in the first picture.
		if x = (i-v.From)*v.Speed - width/2; x < 0 {
			return 0, y, width + x, height, true
		}
		return min(x, spec.Width-width), y, width, height, true
	}
	x = (spec.Width/8 + (i-v.From)*v.Speed) % (spec.Width - width)
	return x, y, width, height, true
}

const (
	figure  = 200 // luma of a visitor; the view stays below viewTop
	viewTop = 150
	light   = 35 // levels of Scene.Step
)

func (s *Scene) paint(f *astiav.Frame, spec Spec, i int) {
	luma, stride := plane(f, 0, spec.Height)
	rng := rand.New(rand.NewPCG(uint64(i), 1)) //nolint:gosec // a picture, not a secret
	brighter := 0
	if s.Flicker > 0 {
		brighter = s.Flicker * (i%12 - 6) / 6
	}
	if s.Step > 0 && i >= s.Step {
		brighter -= light
	}
	for y := range spec.Height {
		row := luma[y*stride : y*stride+spec.Width]
		for x := range row {
			grain := (x/3*73 ^ y/3*151) * 2654435761 >> 7 & 31
			row[x] = byte(ground + grain + brighter + (x+y)*50/(spec.Width+spec.Height))
		}
	}
	s.flutter(luma, stride, spec, i)
	s.rain(luma, stride, spec, rng)
	for _, v := range s.Visits {
		if x, y, width, height, ok := v.Visible(spec, i); ok {
			shade := byte(figure)
			if v.Luma > 0 {
				shade = byte(v.Luma) //nolint:gosec // a luma
			}
			box(luma, stride, x, y, width, height, shade)
			box(luma, stride, x+width/4, y+height/8, width/2, height/8, ground/2)
		}
	}
	noise := s.Noise
	if s.Night > 0 && i >= s.Night {
		noise += 2
		dim(luma, stride, spec)
	}
	if noise > 0 {
		for y := range spec.Height {
			grain(luma[y*stride:y*stride+spec.Width], noise, rng)
		}
	}
	for p := 1; p <= 2; p++ {
		chroma, _ := plane(f, p, spec.Height/2)
		for k := range chroma {
			chroma[k] = 128
		}
	}
	if spec.Stamp {
		stamp(luma, stride, i)
	}
}

// flutter shifts the texture of the lower right corner to and fro.
func (s *Scene) flutter(luma []byte, stride int, spec Spec, i int) {
	if s.Leaves == 0 {
		return
	}
	for y := spec.Height * 3 / 4; y < spec.Height; y++ {
		for x := spec.Width * 3 / 4; x < spec.Width; x++ {
			wave := (x/8*31 ^ y/8*17 + i*7) * 40503 >> 5 & 15
			luma[y*stride+x] = byte(min(viewTop, int(luma[y*stride+x])+wave*s.Leaves/8))
		}
	}
}

// rain draws bright streaks at random places.
func (s *Scene) rain(luma []byte, stride int, spec Spec, rng *rand.Rand) {
	length := spec.Height / 16
	for range s.Rain {
		x, y := rng.IntN(spec.Width), rng.IntN(spec.Height-length)
		for k := range length {
			p := &luma[(y+k)*stride+x]
			*p = byte(min(viewTop+30, int(*p)+40))
		}
	}
}

// dim is what infrared light makes of a view.
func dim(luma []byte, stride int, spec Spec) {
	for y := range spec.Height {
		row := luma[y*stride : y*stride+spec.Width]
		for x, v := range row {
			row[x] = byte(30 + int(v)*2/3)
		}
	}
}

// grain adds noise that is nearly normal: the sum of four uniform bytes, whose
// standard deviation is 147.8.
func grain(row []byte, noise int, rng *rand.Rand) {
	scale := noise * 65536 / 148
	for x := 0; x < len(row); x += 2 {
		r := rng.Uint64()
		for k := range min(2, len(row)-x) {
			q := r >> (32 * k)
			sum := int(q&255) + int(q>>8&255) + int(q>>16&255) + int(q>>24&255) - 510
			row[x+k] = byte(min(255, max(0, int(row[x+k])+sum*scale/65536)))
		}
	}
}
