package detect

// TensorInfo describes an input or output of a model's graph.
type TensorInfo struct {
	Name  string
	Type  string  // element type as ONNX spells it in lower case: "float32", "uint8", "int64", …
	Shape []int64 // -1 for a symbolic or unknown dimension; nil when the file does not say
}

// Signature is what a model file tells about itself without being run.
type Signature struct {
	Inputs   []TensorInfo
	Outputs  []TensorInfo
	Metadata map[string]string // the file's own key-value pairs
}

// Input returns the input called name.
func (s Signature) Input(name string) (TensorInfo, bool) { return find(s.Inputs, name) }

// Output returns the output called name.
func (s Signature) Output(name string) (TensorInfo, bool) { return find(s.Outputs, name) }

func find(list []TensorInfo, name string) (TensorInfo, bool) {
	for _, t := range list {
		if t.Name == name {
			return t, true
		}
	}
	return TensorInfo{}, false
}

// Candidate is one box as a family reads it from a model's outputs, before
// non-maximum suppression. Corners are in pixels of the model's input.
type Candidate struct {
	Class          int // score column, after the background column
	Score          float32
	X0, Y0, X1, Y1 float32
}

// Decoder reads the raw outputs of one picture. It is safe for concurrent use.
type Decoder interface {
	// Decode appends the candidates with at least minScore to dst. The outputs
	// are in the order of Family.Outputs, one picture each, without the batch
	// dimension. They are only valid during the call.
	Decode(dst []Candidate, outputs [][]float32, minScore float32) []Candidate
}

// Family is a way of laying out a detector's outputs. One folder implements it,
// one row of the table in detect/model makes it known.
type Family struct {
	Name    string   // as in Contract.Family
	Outputs []string // the family's own names of its tensors, the keys of Contract.Outputs
	// Sniff judges from its signature how well a model without a contract of its
	// own fits the family, and makes the contract it would have.
	Sniff func(Signature) Guess
	// Settle corrects a sniffed contract by what the model answered to a grey
	// picture (shapes and numbers for one picture, in the order of Outputs, levels
	// one after the other). It may be nil.
	Settle func(c Contract, shapes [][]int64, outputs [][]float32) Contract
	// New checks a contract against the shapes of the family's outputs for one
	// picture (without batch dimension, in the order of Outputs, levels one after
	// the other).
	New func(c Contract, shapes [][]int64) (Decoder, error)
}

// Fit is how well a model's signature suits a family.
type Fit int

// The degrees of fit.
const (
	NoFit    Fit = iota
	Possible     // the shapes agree
	Likely       // and so do names, or the usual number of classes
	Certain      // the file's metadata says so
)

// Guess is what a family makes of a model's signature.
type Guess struct {
	Fit Fit
	// Contract is as complete as the signature allows. Even without a fit it has
	// what is usual in the family, as a start for somebody who knows better.
	Contract Contract
	// Ask names the contract's keys that could not be told and matter.
	Ask []string
}

// MetadataKey is the key of a model file's metadata under which its contract
// is kept, as JSON.
const MetadataKey = "detectd.contract"

// COCOLabels returns the 80 names of the COCO detection classes in their usual order.
func COCOLabels() []string {
	return []string{
		"person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat",
		"traffic light", "fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat",
		"dog", "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe", "backpack",
		"umbrella", "handbag", "tie", "suitcase", "frisbee", "skis", "snowboard", "sports ball",
		"kite", "baseball bat", "baseball glove", "skateboard", "surfboard", "tennis racket",
		"bottle", "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple",
		"sandwich", "orange", "broccoli", "carrot", "hot dog", "pizza", "donut", "cake", "chair",
		"couch", "potted plant", "bed", "dining table", "toilet", "tv", "laptop", "mouse",
		"remote", "keyboard", "cell phone", "microwave", "oven", "toaster", "sink",
		"refrigerator", "book", "clock", "vase", "scissors", "teddy bear", "hair drier",
		"toothbrush",
	}
}

// COCOCategories returns COCO's category ids (1 to 90, with gaps) of the names
// of COCOLabels.
func COCOCategories() []int {
	ids := make([]int, 0, 80)
	for id := 1; id <= 90; id++ {
		switch id {
		case 12, 26, 29, 30, 45, 66, 68, 69, 71, 83: // never annotated
		default:
			ids = append(ids, id)
		}
	}
	return ids
}

// Classes is the number of score columns after the background.
func (c Contract) Classes() int {
	if c.LabelIDs != nil {
		return len(c.LabelIDs)
	}
	return len(c.Labels)
}
