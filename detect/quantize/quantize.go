// Package quantize makes smaller and faster variants of detectors: with 16-bit
// floats, or with 8-bit integers in the form that ONNX Runtime fuses, pairs of
// QuantizeLinear and DequantizeLinear around operators.
//
// Inputs, outputs and their names stay what they were, so that the contract of
// the model holds for its variants too.
package quantize

import (
	"errors"
	"fmt"
)

// ErrUnsuitable is returned for models that cannot be made into a variant; the
// reason says why.
var ErrUnsuitable = errors.New("the model cannot be quantized")

func unsuitable(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrUnsuitable, fmt.Errorf(format, args...))
}
