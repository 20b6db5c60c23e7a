// Package provider runs a model on the best execution provider that works: it tries
// them in order, holds each against the CPU on test pictures, and goes on to the next
// one when the one in use breaks. What it passed over, and why, is never lost.
package provider

import (
	"fmt"
	"slices"
	"strings"

	"detectd/detect/ort"
)

// Auto is the choice of whatever works best.
const Auto = "auto"

// Choice says which providers are tried.
type Choice struct {
	// Order are the providers wanted, the first that works is used. The CPU is
	// always the last resort, listed or not. Empty is automatic.
	Order  []ort.Provider
	Device int // number of the GPU
	// MaxBatch bounds the pictures of a call on a GPU; 0 is the model package's own bound.
	MaxBatch int
	Callers  int    // calls that will run at the same time; 0 means 1
	Engines  string // folder in which TensorRT keeps what it has compiled; "" keeps nothing
	// Compile lets an automatic choice take TensorRT, which compiles a new model for
	// minutes.
	Compile bool
}

// Parse reads a choice as people write it: auto, a provider, or several with commas.
// TensorRT is followed by CUDA, which needs a part of the same libraries.
func Parse(text string) ([]ort.Provider, error) {
	text = strings.ToLower(strings.TrimSpace(text))
	if text == Auto || text == "" {
		return nil, nil
	}
	var order []ort.Provider
	for word := range strings.SplitSeq(text, ",") {
		p := ort.Provider(strings.TrimSpace(word))
		if !slices.Contains(ort.Providers(), p) {
			return nil, fmt.Errorf("provider %q is not one of auto, cpu, cuda, tensorrt and openvino, or several of these with commas", word)
		}
		if !slices.Contains(order, p) {
			order = append(order, p)
		}
	}
	if len(order) == 1 && order[0] == ort.TensorRT {
		order = append(order, ort.CUDA)
	}
	return order, nil
}

// asked tells whether somebody named a provider; what was only tried by itself is no
// loss when it does not work.
func (c Choice) asked(p ort.Provider) bool { return slices.Contains(c.Order, p) }

// order are the providers to try, the CPU last.
func (c Choice) order() []ort.Provider {
	order := slices.Clone(c.Order)
	if len(order) == 0 {
		for _, p := range ort.Providers() {
			if p != ort.TensorRT || c.Compile {
				order = append(order, p)
			}
		}
	}
	if i := slices.Index(order, ort.CPU); i >= 0 {
		return order[:i+1] // it always works
	}
	return append(order, ort.CPU)
}

// Refusal is a provider that was passed over.
type Refusal struct {
	Provider ort.Provider
	Reason   string // in words
}

// State is what a model runs on.
type State struct {
	Provider ort.Provider
	// Degraded says that a provider somebody asked for, or one that was in use, does
	// not work; Reason says which and why.
	Degraded bool
	Reason   string
	Refused  []Refusal // all that were passed over, in order
	Failures uint64    // runs that the runtime failed
	Moves    uint64    // how often a broken provider was left for the next
	Trial    string    // how OpenVINO and the CPU did in an automatic choice, in words; "" without
}

// String is the state in short, for people.
func (s State) String() string {
	if s.Degraded {
		return fmt.Sprintf("runs on %s: %s", s.Provider, s.Reason)
	}
	return "runs on " + string(s.Provider)
}
