// Package detect is the vocabulary of detection: boxes, detections, the contract
// that says how a model's tensors are to be fed and read, and the interfaces a
// detector family and a loaded model implement.
package detect

import (
	"context"
	"errors"
	"fmt"

	"detectd/pipeline/frame"
)

// Box is a rectangle in pixels of the source picture, origin top left.
type Box struct {
	X, Y, W, H float32
}

// Detection is one object found in one picture.
type Detection struct {
	ClassID int     // counts the model's labels from 0
	Label   string  // the model's label for ClassID
	Score   float32 // 0..1
	Box     Box     // clipped to the picture
}

// Options select which detections of a picture are wanted.
type Options struct {
	MinScore float32         // detections below it are dropped; 0 takes the contract's default
	Classes  map[string]bool // labels wanted; nil or empty means all
	MaxBoxes int             // most detections kept; 0 takes the contract's number

	MinScores map[string]float32 // by label, instead of MinScore
	NMSIoU    float32            // overlap above which the worse of two boxes of a class is dropped; 0 takes the contract's, 1 drops none
	NMSIoUs   map[string]float32 // by label, instead of NMSIoU
}

// Detector finds objects in pictures. It is safe for concurrent use.
type Detector interface {
	// Detect runs one batch; opts has one entry per frame. The result has one
	// slice per frame, best score first. Frames stay owned by the caller.
	Detect(ctx context.Context, frames []*frame.Frame, opts []Options) ([][]Detection, error)
	// MaxBatch is how many frames one call may hold (at least 1).
	MaxBatch() int
	// Contract tells how the model is fed and read.
	Contract() Contract
	// Close frees the session. No Detect may be running or follow.
	Close() error
}

// Errors a model file is refused with. They are wrapped with the reason.
var (
	// ErrNotONNX is returned when a file is not an ONNX model.
	ErrNotONNX = errors.New("not an ONNX model")
	// ErrExternalData is returned when a model refers to files beside it.
	ErrExternalData = errors.New("model uses external data")
	// ErrNotDetector is returned when no detector family fits a model's inputs and outputs.
	ErrNotDetector = errors.New("not a detector this version understands")
	// ErrNotFinite is returned when a model answers with NaN or infinite numbers.
	ErrNotFinite = errors.New("model output is not finite")
	// ErrAmbiguous is an ErrNotDetector that a family's name or single keys of
	// the contract would resolve; the reason says which.
	ErrAmbiguous = fmt.Errorf("%w without being told more", ErrNotDetector)
)
