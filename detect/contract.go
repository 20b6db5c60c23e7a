package detect

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

// Contract is everything needed to feed a model and to read its answer. It is
// stored with each model version.
type Contract struct {
	Family string `json:"family"` // row in the family table: "ssd", "yolox", …
	Input  Input  `json:"input"`
	// Outputs maps the family's names for its tensors to the names in the graph.
	Outputs map[string]string `json:"outputs"`
	Labels  []string          `json:"labels"`
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
	Width  int        `json:"width"`
	Height int        `json:"height"`
	Batch  int        `json:"batch"` // fixed batch size; 0 when dynamic
	Colour Colour     `json:"colour"`
	Resize Resize     `json:"resize"`
	Pad    uint8      `json:"pad"`   // grey level of letterbox padding, 0..255
	Scale  float32    `json:"scale"` // see Mean
	Mean   [3]float32 `json:"mean"`  // value = (pixel·scale − mean) / std, per channel in Colour order
	Std    [3]float32 `json:"std"`
}
