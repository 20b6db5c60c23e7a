package detect

import "strconv"

// Layout is the order of a model's input dimensions.
type Layout string

// The two layouts in use.
const (
	NCHW Layout = "nchw"
	NHWC Layout = "nhwc"
)

// Colour is the order of the colour channels of a model's input.
type Colour string

// The two orders in use.
const (
	RGB Colour = "rgb"
	BGR Colour = "bgr"
)

// Resize says how a picture is brought to the model's input size.
type Resize string

// The ways to resize.
const (
	Stretch         Resize = "stretch"          // both sides scaled on their own
	LetterboxTop    Resize = "letterbox_top"    // aspect kept, picture top left, padding right and below
	LetterboxCentre Resize = "letterbox_centre" // aspect kept, picture centred
)

// The element types of picture tensors, as TensorInfo.Type spells them.
const (
	Float32 = "float32"
	Float16 = "float16"
	Uint8   = "uint8"
)

// BoxFormat is the order of the four numbers of a box. Empty is the family's own.
type BoxFormat string

// The box formats.
const (
	CXCYWH BoxFormat = "cxcywh" // centre and size
	XYXY   BoxFormat = "xyxy"   // two corners
	YXYX   BoxFormat = "yxyx"   // two corners, as TensorFlow has them
)

// BoxUnit is what the numbers of a box count. Empty is the family's own.
type BoxUnit string

// The box units.
const (
	Pixels BoxUnit = "pixels" // of the model's input
	Unit   BoxUnit = "unit"   // 0..1 of the model's input
)

// Activation is what raw scores go through to become probabilities. Empty: the
// graph has done it.
type Activation string

// The activations.
const (
	Sigmoid Activation = "sigmoid"
	Softmax Activation = "softmax" // over all columns, the background too
)

// Contract is everything needed to feed a model and to read its answer. It is
// stored with each model version.
type Contract struct {
	Family string `json:"family"` // row in the family table: "ssd", "yolox", …
	Input  Input  `json:"input"`
	// Constants are the graph's inputs beside the picture, by name: the numbers
	// that each picture gets, such as its size.
	Constants map[string][]float64 `json:"constants,omitempty"`
	// Outputs maps the family's names for its tensors to the names in the graph.
	// A tensor that comes in levels has its number behind a dot: "boxes.0", ….
	Outputs    map[string]string `json:"outputs"`
	Box        BoxFormat         `json:"box,omitempty"`
	BoxUnit    BoxUnit           `json:"box_unit,omitempty"`
	Activation Activation        `json:"activation,omitempty"`
	// Objectness says that rows have an objectness between box and classes.
	Objectness bool `json:"objectness,omitempty"`
	// Anchors are the grids of boxes that box codes refer to, where the graph
	// does not give them.
	Anchors []AnchorGrid `json:"anchors,omitempty"`
	Labels  []string     `json:"labels"`
	// LabelOffset is the number of the first class in models that answer with
	// class numbers.
	LabelOffset int `json:"label_offset,omitempty"`
	// Background says that class column 0 of the scores is "no object".
	Background bool `json:"background,omitempty"`
	// LabelIDs maps a score column (after the background) to its index in
	// Labels, -1 for columns without a label; nil when they coincide.
	LabelIDs []int   `json:"label_ids,omitempty"`
	MinScore float32 `json:"min_score"` // default score threshold
	NMSIoU   float32 `json:"nms_iou"`   // overlap above which the weaker box goes; 0: the graph did it
	MaxBoxes int     `json:"max_boxes"` // kept per picture
	// Params are family-specific numbers, such as the anchors' scale factors.
	Params map[string]float64 `json:"params,omitempty"`
}

// Input describes a model's picture tensor.
type Input struct {
	Name   string     `json:"name"`
	Layout Layout     `json:"layout"`
	Type   string     `json:"type,omitempty"` // element type; empty is float32
	Width  int        `json:"width"`          // 0: free, see Stride
	Height int        `json:"height"`
	Stride int        `json:"stride,omitempty"` // width and height are multiples of it; 0: any
	Batch  int        `json:"batch"`            // fixed batch size; 0 when dynamic
	Colour Colour     `json:"colour"`
	Resize Resize     `json:"resize"`
	Pad    uint8      `json:"pad"`   // grey level of letterbox padding, 0..255
	Scale  float32    `json:"scale"` // see Mean
	Mean   [3]float32 `json:"mean"`  // value = (pixel·scale − mean) / std, per channel in Colour order
	Std    [3]float32 `json:"std"`
}

// AnchorGrid is one level of an SSD's anchors, all in 0..1 of the input: Rows by
// Cols cells, from left to right and then down, each with all Sizes around its
// centre.
type AnchorGrid struct {
	Cols  int          `json:"cols"`
	Rows  int          `json:"rows"`
	StepX float32      `json:"step_x,omitempty"` // from one centre to the next; 0: 1/Cols
	StepY float32      `json:"step_y,omitempty"` // 0: 1/Rows
	Sizes [][2]float32 `json:"sizes"`            // width and height
}

// ElementType is the element type of the picture tensor, never empty.
func (in Input) ElementType() string {
	if in.Type == "" {
		return Float32
	}
	return in.Type
}

// Levels returns the keys of Outputs under which a family's tensor is found: its
// name, or "name.0", "name.1", … of a tensor that comes in levels.
func (c Contract) Levels(name string) []string {
	if _, ok := c.Outputs[name]; ok {
		return []string{name}
	}
	var keys []string
	for i := 0; ; i++ {
		key := name + "." + strconv.Itoa(i)
		if _, ok := c.Outputs[key]; !ok {
			return keys
		}
		keys = append(keys, key)
	}
}

// Corners turns the four numbers of a box in this format into its corners, in
// the same unit.
func (f BoxFormat) Corners(a, b, c, d float32) (x0, y0, x1, y1 float32) {
	switch f {
	case CXCYWH:
		return a - c/2, b - d/2, a + c/2, b + d/2
	case YXYX:
		return b, a, d, c
	default:
		return a, b, c, d
	}
}

// UnitSize is what one unit of a box is in pixels of the input.
func (c Contract) UnitSize() (x, y float32) {
	if c.BoxUnit == Unit {
		return float32(c.Input.Width), float32(c.Input.Height)
	}
	return 1, 1
}
