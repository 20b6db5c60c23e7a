package model

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"detectd/detect"
	"detectd/detect/sniff"
)

// defaultMaxBoxes is used for contracts that do not say how many to keep.
const defaultMaxBoxes = 100

// check compares a contract with the signature of its model. It returns the
// family and the contract with defaults filled in.
func check(c detect.Contract, s detect.Signature) (detect.Family, detect.Contract, error) {
	f, ok := family(c.Family)
	if !ok {
		return f, c, refuse("unknown family %q; there are %s", c.Family, familyNames())
	}
	if err := checkInput(&c, s); err != nil {
		return f, c, err
	}
	if err := checkOutputs(f, c, s); err != nil {
		return f, c, err
	}
	if len(c.Labels) == 0 {
		return f, c, refuse("the contract has no labels; give them: --contract labels=@FILE")
	}
	for _, id := range c.LabelIDs {
		if id < -1 || id >= len(c.Labels) {
			return f, c, refuse("label id %d is outside of the %d labels", id, len(c.Labels))
		}
	}
	if !(c.MinScore >= 0 && c.MinScore <= 1 && c.NMSIoU >= 0 && c.NMSIoU <= 1) || c.MaxBoxes < 0 {
		return f, c, refuse("min_score and nms_iou must be from 0 to 1 and max_boxes not negative")
	}
	if c.MaxBoxes == 0 {
		c.MaxBoxes = defaultMaxBoxes
	}
	return f, c, nil
}

// graphTypes are the element types of outputs that can be read.
var graphTypes = [...]string{detect.Float32, detect.Float16, "float64", "bfloat16", "int64", "int32", "uint8"}

func checkOutputs(f detect.Family, c detect.Contract, s detect.Signature) error {
	for _, name := range f.Outputs {
		keys := c.Levels(name)
		if len(keys) == 0 || c.Outputs[keys[0]] == "" {
			return refuse("the contract names no output for %q", name)
		}
		for _, key := range keys {
			if t, ok := s.Output(c.Outputs[key]); !ok || !slices.Contains(graphTypes[:], t.Type) {
				return refuse("there is no numeric output %q, only %s", c.Outputs[key], describe(s.Outputs))
			}
		}
	}
	for _, word := range []struct {
		value any
		text  string
	}{{c.Box, string(c.Box)}, {c.BoxUnit, string(c.BoxUnit)}, {c.Activation, string(c.Activation)}} {
		if words := choices(reflect.TypeOf(word.value)); word.text != "" && !slices.Contains(words, word.text) {
			return refuse("%q is not one of %s", word.text, strings.Join(words, ", "))
		}
	}
	return nil
}

func checkInput(c *detect.Contract, s detect.Signature) error {
	in, ok := s.Input(c.Input.Name)
	if !ok || len(s.Inputs) != 1+len(c.Constants) {
		wanted := fmt.Sprintf("the one input %q", c.Input.Name)
		if len(c.Constants) > 0 {
			wanted += fmt.Sprintf(" and %d constants", len(c.Constants))
		}
		return refuse("the contract wants %s, the model has %s", wanted, describe(s.Inputs))
	}
	for name, values := range c.Constants {
		t, ok := s.Input(name)
		if !ok || name == c.Input.Name || !slices.Contains([]string{"int64", "int32", detect.Float32, "float64"}, t.Type) || len(values) == 0 {
			return refuse("the contract gives %d numbers for input %q, the model has %s", len(values), name, describe(s.Inputs))
		}
	}
	if c.Input.Type == "" && in.Type != detect.Float32 {
		c.Input.Type = in.Type
	}
	chooseSize(&c.Input, s)
	want := inputShape(c.Input)
	fits := in.Type == c.Input.ElementType() && len(in.Shape) == 4
	for i := 1; fits && i < 4; i++ {
		fits = in.Shape[i] == -1 || in.Shape[i] == want[i]
	}
	if !fits {
		return refuse("input %s does not take %s %s pictures of %dx%d",
			describe(s.Inputs), c.Input.ElementType(), c.Input.Layout, c.Input.Width, c.Input.Height)
	}
	if n := c.Input.Stride; n < 0 || n > 0 && (c.Input.Width%n != 0 || c.Input.Height%n != 0) {
		return refuse("an input of %dx%d is no multiple of the stride %d; change input.width and input.height, or input.stride",
			c.Input.Width, c.Input.Height, n)
	}
	if c.Input.Batch < 0 || in.Shape[0] > 0 && c.Input.Batch > 0 && int64(c.Input.Batch) != in.Shape[0] {
		return refuse("batch %d of the contract is not that of the model (%d)", c.Input.Batch, in.Shape[0])
	}
	if c.Input.Batch == 0 {
		c.Input.Batch = int(max(in.Shape[0], 0))
	}
	return nil
}

// chooseSize gives a contract with a free size the one of the model's metadata.
func chooseSize(in *detect.Input, s detect.Signature) {
	if in.Width != 0 && in.Height != 0 {
		return
	}
	if usual, ok := sniff.Picture(s); ok {
		in.Width, in.Height = cmp.Or(in.Width, usual.Width), cmp.Or(in.Height, usual.Height)
	}
}

// inputShape is the shape of the input, 0 for a free batch.
func inputShape(in detect.Input) []int64 {
	n, h, w := int64(in.Batch), int64(in.Height), int64(in.Width)
	if in.Layout == detect.NHWC {
		return []int64{n, h, w, 3}
	}
	return []int64{n, 3, h, w}
}

func refuse(format string, args ...any) error {
	return fmt.Errorf("%w: %w", detect.ErrNotDetector, fmt.Errorf(format, args...))
}

// describe names tensors the way people know them from model viewers.
func describe(list []detect.TensorInfo) string {
	const most = 8
	var parts []string
	for i, t := range list {
		if i == most {
			parts = append(parts, fmt.Sprintf("%d more", len(list)-most))
			break
		}
		dims := strings.ReplaceAll(strings.Join(strings.Fields(fmt.Sprint(t.Shape)), ","), "-1", "?")
		parts = append(parts, fmt.Sprintf("%.60q %s%s", t.Name, t.Type, dims))
	}
	if len(parts) == 0 {
		return "(none)"
	}
	return strings.Join(parts, ", ")
}
