package tfjs

import (
	"encoding/json"
	"fmt"
	"io"

	"detectd/detect"
	"detectd/detect/onnx"
)

// Names of the tensors in the SSDLite MobileNet-v2 graph of the TensorFlow
// object detection API, and their shapes.
const (
	srcInput   = "Preprocessor/sub" // pictures scaled to [-1,1]
	srcBoxes   = "Squeeze"
	srcScores  = "Postprocessor/convert_scores"
	srcAnchors = "Postprocessor/ExpandDims"

	side    = 300
	columns = 91 // background and COCO's category ids 1 to 90
)

// Convert reads the default model, the TensorFlow.js graph of SSDLite MobileNet
// v2 trained on COCO, from a folder and writes it as an ONNX model with a
// dynamic batch. The file carries its contract in its metadata.
//
// Inputs and outputs: image [N,3,300,300]; boxes [N,A,4], the box codes; scores
// [N,A,91] after the sigmoid; anchors [A,4] as ymin, xmin, ymax, xmax in 0..1.
func Convert(dir string, w io.Writer) error {
	g, err := load(dir)
	if err != nil {
		return err
	}
	anchors, ok := g.values[srcAnchors]
	if !ok || len(anchors.shape) != 3 || anchors.shape[2] != 4 || len(anchors.floats) == 0 {
		return fmt.Errorf("the graph has no anchors %q", srcAnchors)
	}
	rows := anchors.shape[1]
	contract, err := json.Marshal(DefaultContract())
	if err != nil {
		return fmt.Errorf("encode contract: %w", err)
	}
	b := &onnx.Builder{
		Name:     "ssdlite_mobilenet_v2_coco",
		Producer: "detectd",
		Metadata: map[string]string{
			detect.MetadataKey: string(contract),
			"license":          "Apache-2.0",
			"source":           "SSDLite MobileNet v2, COCO, TensorFlow object detection API",
		},
		Inputs: []onnx.Value{{Name: "image", Dims: onnx.BatchDims(3, side, side)}},
		Outputs: []onnx.Value{
			{Name: "boxes", Dims: onnx.BatchDims(rows, 4)},
			{Name: "scores", Dims: onnx.BatchDims(rows, columns)},
			{Name: "anchors", Dims: onnx.Dims(rows, 4)},
		},
	}
	c := newConverter(g, b)
	c.done[srcInput] = value{name: "image", picture: true}
	for _, src := range []string{srcBoxes, srcScores} {
		if _, err := c.convert(src); err != nil {
			return err
		}
	}
	c.emit("Identity", "boxes", []string{srcBoxes}, nil)
	c.emit("Identity", "scores", []string{srcScores}, nil)
	table := onnx.Tensor{Name: srcAnchors, Dims: []int64{rows, 4}, Floats: anchors.floats}
	c.emit("Identity", "anchors", []string{c.tensor(table)}, nil)
	if _, err := b.WriteTo(w); err != nil {
		return fmt.Errorf("write model: %w", err)
	}
	return nil
}

// DefaultContract returns the contract of the model that Convert writes.
func DefaultContract() detect.Contract {
	ids := make([]int, columns-1)
	for i := range ids {
		ids[i] = -1
	}
	for index, id := range detect.COCOCategories() {
		ids[id-1] = index
	}
	return detect.Contract{
		Family: "ssd",
		Input: detect.Input{
			Name: "image", Layout: detect.NCHW, Width: side, Height: side,
			Colour: detect.RGB, Resize: detect.Stretch,
			Scale: 2.0 / 255, Mean: [3]float32{1, 1, 1}, Std: [3]float32{1, 1, 1},
		},
		Outputs:    map[string]string{"boxes": "boxes", "scores": "scores", "anchors": "anchors"},
		Labels:     detect.COCOLabels(),
		Background: true,
		LabelIDs:   ids,
		MinScore:   0.4,
		NMSIoU:     0.6,
		MaxBoxes:   100,
		// The box coder of the TensorFlow object detection API.
		Params: map[string]float64{"scale_xy": 10, "scale_wh": 5, "yx_order": 1},
	}
}
