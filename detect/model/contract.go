package model

import (
	"encoding/json"
	"fmt"
	"strings"

	"detectd/detect"
	"detectd/detect/onnx"
)

// Sniff reads the contract of a model file: the one it carries in its metadata,
// or the one a family recognises. The error wraps detect.ErrNotONNX,
// detect.ErrExternalData or detect.ErrNotDetector.
func Sniff(data []byte) (detect.Contract, error) {
	m, err := onnx.Parse(data)
	if err != nil {
		return detect.Contract{}, err
	}
	c, err := sniff(m.Signature())
	if err != nil {
		return detect.Contract{}, err
	}
	_, c, err = check(c, m.Signature())
	return c, err
}

func sniff(s detect.Signature) (detect.Contract, error) {
	var c detect.Contract
	if text, ok := s.Metadata[detect.MetadataKey]; ok {
		if err := json.Unmarshal([]byte(text), &c); err != nil {
			return c, refuse("its contract in %q is damaged: %v", detect.MetadataKey, err)
		}
		return c, nil
	}
	for _, f := range Families() {
		if f.Sniff == nil {
			continue
		}
		if c, ok := f.Sniff(s); ok {
			return c, nil
		}
	}
	return c, refuse("no family fits inputs %s and outputs %s; give a contract with the model",
		describe(s.Inputs), describe(s.Outputs))
}

// defaultMaxBoxes is used for contracts that do not say how many to keep.
const defaultMaxBoxes = 100

// check compares a contract with the signature of its model. It returns the
// family and the contract with defaults filled in.
func check(c detect.Contract, s detect.Signature) (detect.Family, detect.Contract, error) {
	f, ok := family(c.Family)
	if !ok {
		return f, c, refuse("unknown family %q", c.Family)
	}
	if err := checkInput(&c, s); err != nil {
		return f, c, err
	}
	for _, name := range f.Outputs {
		if c.Outputs[name] == "" {
			return f, c, refuse("the contract names no output for %q", name)
		}
		if t, ok := s.Output(c.Outputs[name]); !ok || t.Type != "float32" {
			return f, c, refuse("there is no float32 output %q, only %s", c.Outputs[name], describe(s.Outputs))
		}
	}
	if len(c.Labels) == 0 {
		return f, c, refuse("the contract has no labels")
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

func checkInput(c *detect.Contract, s detect.Signature) error {
	if len(s.Inputs) != 1 || s.Inputs[0].Name != c.Input.Name {
		return refuse("the contract wants the one input %q, the model has %s", c.Input.Name, describe(s.Inputs))
	}
	in := s.Inputs[0]
	want := inputShape(c.Input)
	fits := in.Type == "float32" && len(in.Shape) == 4
	for i := 1; fits && i < 4; i++ {
		fits = in.Shape[i] == -1 || in.Shape[i] == want[i]
	}
	if !fits {
		return refuse("input %s does not take float32 %s pictures of %dx%d",
			describe(s.Inputs), c.Input.Layout, c.Input.Width, c.Input.Height)
	}
	if c.Input.Batch < 0 || in.Shape[0] > 0 && c.Input.Batch > 0 && int64(c.Input.Batch) != in.Shape[0] {
		return refuse("batch %d of the contract is not that of the model (%d)", c.Input.Batch, in.Shape[0])
	}
	if c.Input.Batch == 0 {
		c.Input.Batch = int(max(in.Shape[0], 0))
	}
	return nil
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
