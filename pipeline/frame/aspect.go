package frame

// maxAspect bounds the shapes of pixels that are believed, either way. Real ones
// are between a half (half the lines) and two (half the columns).
const maxAspect = 4

// Aspect is the width of a stored pixel by its height. It is 1 where the video says
// nothing, or nothing that can be believed.
func (f *Frame) Aspect() float64 {
	r := f.av.SampleAspectRatio()
	if r.Num() <= 0 || r.Den() <= 0 {
		return 1
	}
	if a := r.Float64(); a <= maxAspect && a >= 1.0/maxAspect {
		return a
	}
	return 1
}
