package peer

import (
	"fmt"
	"image"
	"maps"
	"slices"

	"gocv.io/x/gocv"

	"detectd/detect"
	"detectd/detect/model"
	"detectd/detect/nms"
	"detectd/pipeline/bench/floor"
)

// Detector runs a model on RGB pictures with ONNX Runtime's default settings. It
// is safe for concurrent use.
type Detector struct {
	contract detect.Contract
	session  *floor.Session
	order    []int // outputs as the decoder takes them, by their place among the names
	decoder  detect.Decoder
	labels   []int // by score column: index in contract.Labels or -1
}

// NewDetector loads the model. It knows models that take 32-bit floats of a
// picture stretched to a fixed size, such as the default model.
func NewDetector(m *floor.Model) (*Detector, error) {
	c := m.Contract()
	if c.Input.Resize != detect.Stretch && c.Input.Resize != "" {
		return nil, fmt.Errorf("the peer stretches pictures, and the model takes %s", c.Input.Resize)
	}
	families := model.Families()
	k := slices.IndexFunc(families, func(f detect.Family) bool { return f.Name == c.Family })
	if k < 0 {
		return nil, fmt.Errorf("the model is of the family %q, which nobody knows", c.Family)
	}
	family := families[k]
	d := &Detector{contract: c, labels: c.LabelIDs}
	if d.labels == nil {
		for i := range c.Labels {
			d.labels = append(d.labels, i)
		}
	}
	names := slices.Sorted(maps.Values(c.Outputs))
	for _, name := range family.Outputs {
		for _, key := range c.Levels(name) {
			d.order = append(d.order, slices.Index(names, c.Outputs[key]))
		}
	}
	var err error
	if d.session, err = floor.NewSession(m.Data(), c, nil); err != nil {
		return nil, err
	}
	call, err := d.session.NewCall()
	if err != nil {
		d.session.Close()
		return nil, err
	}
	defer call.Close()
	all, shapes := call.Shapes(), make([][]int64, len(d.order))
	for i, place := range d.order {
		if shapes[i] = all[place]; len(shapes[i]) > 0 && shapes[i][0] == 1 {
			shapes[i] = shapes[i][1:] // without the batch, which constants lack
		}
	}
	if d.decoder, err = family.New(c, shapes); err != nil {
		d.session.Close()
		return nil, fmt.Errorf("read outputs of the model: %w", err)
	}
	return d, nil
}

// Close frees the session.
func (d *Detector) Close() { d.session.Close() }

// call is what one thread needs.
type call struct {
	d          *Detector
	call       *floor.Call
	small      gocv.Mat // RGB in the model's size
	candidates []detect.Candidate
}

func (d *Detector) newCall() (*call, error) {
	c, err := d.session.NewCall()
	if err != nil {
		return nil, err
	}
	return &call{d: d, call: c, small: gocv.NewMat()}, nil
}

func (c *call) close() {
	c.call.Close()
	_ = c.small.Close()
}

// detect finds objects in an RGB picture.
func (c *call) detect(picture gocv.Mat) ([]detect.Detection, error) {
	in := c.d.contract.Input
	gocv.Resize(picture, &c.small, image.Pt(in.Width, in.Height), 0, 0, gocv.InterpolationLinear)
	pixels, err := c.small.DataPtrUint8()
	if err != nil {
		return nil, fmt.Errorf("resize picture: %w", err)
	}
	fill(c.call.Input(), pixels, in)
	if err := c.call.Run(); err != nil {
		return nil, err
	}
	outputs := make([][]float32, len(c.d.order))
	for i, place := range c.d.order {
		if outputs[i], err = c.call.Output(place); err != nil {
			return nil, err
		}
	}
	return c.read(outputs, float32(picture.Cols())/float32(in.Width), float32(picture.Rows())/float32(in.Height)), nil
}

// fill makes the tensor from RGB bytes.
func fill(dst []float32, pixels []byte, in detect.Input) {
	var mul, add [3]float32
	for ch := range 3 {
		mul[ch], add[ch] = in.Scale/in.Std[ch], -in.Mean[ch]/in.Std[ch]
	}
	plane := in.Width * in.Height
	for i := range plane {
		for ch := range 3 {
			from := ch
			if in.Colour == detect.BGR {
				from = 2 - ch
			}
			v := float32(pixels[3*i+from])*mul[ch] + add[ch]
			if in.Layout == detect.NHWC {
				dst[3*i+ch] = v
			} else {
				dst[ch*plane+i] = v
			}
		}
	}
}

// read makes detections from the outputs; sx and sy are source pixels per pixel
// of the input.
func (c *call) read(outputs [][]float32, sx, sy float32) []detect.Detection {
	k := c.d.contract
	c.candidates = c.d.decoder.Decode(c.candidates[:0], outputs, k.MinScore)
	wanted := c.candidates[:0]
	for _, x := range c.candidates {
		if x.Class = c.d.labels[x.Class]; x.Class >= 0 {
			wanted = append(wanted, x)
		}
	}
	var found []detect.Detection
	for _, x := range nms.Suppress(wanted, k.NMSIoU, k.MaxBoxes) {
		x0, y0 := max(0, x.X0)*sx, max(0, x.Y0)*sy
		x1, y1 := min(float32(k.Input.Width), x.X1)*sx, min(float32(k.Input.Height), x.Y1)*sy
		if x1 > x0 && y1 > y0 {
			found = append(found, detect.Detection{
				ClassID: x.Class, Label: k.Labels[x.Class], Score: x.Score, Box: detect.Box{X: x0, Y: y0, W: x1 - x0, H: y1 - y0},
			})
		}
	}
	return found
}
