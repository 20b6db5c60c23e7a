// Package score turns raw numbers of a network into probabilities, and thresholds
// back, so that rows below a threshold cost no exponential.
package score

import (
	"fmt"
	"math"

	"detectd/detect"
)

// Sigmoid is 1/(1+e^-x).
func Sigmoid(x float32) float32 { return float32(1 / (1 + math.Exp(-float64(x)))) }

// Logit is the inverse of Sigmoid: from -Inf at 0 to +Inf at 1.
func Logit(p float32) float32 { return float32(math.Log(float64(p) / (1 - float64(p)))) }

// Function is an activation that looks at one number alone.
type Function struct{ sigmoid bool }

// New returns the function for an activation, which may not be softmax.
func New(a detect.Activation) (Function, error) {
	switch a {
	case "":
		return Function{}, nil
	case detect.Sigmoid:
		return Function{sigmoid: true}, nil
	default:
		return Function{}, fmt.Errorf("activation %q is not one of this family", a)
	}
}

// Of is the probability for a raw number.
func (f Function) Of(raw float32) float32 {
	if f.sigmoid {
		return Sigmoid(raw)
	}
	return raw
}

// Raw is the raw number from which on probabilities are at least p.
func (f Function) Raw(p float32) float32 {
	if !f.sigmoid {
		return p
	}
	if p >= 1 {
		return float32(math.Inf(1))
	}
	// A hair below, as Of rounds: callers compare the probability again.
	raw := Logit(p)
	return raw - 1e-5*max(1, float32(math.Abs(float64(raw))))
}
