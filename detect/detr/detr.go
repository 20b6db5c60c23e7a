// Package detr reads detectors of the DETR kind, which answer with a few hundred
// boxes and need no suppression.
//
// The family rtdetr (RT-DETR: Zhao et al., "DETRs Beat YOLOs on Real-time Object
// Detection", 2024; D-FINE and DEIM alike) has chosen the best inside: labels [Q],
// boxes [Q,4] as corners and scores [Q]. It takes the size to which its boxes
// refer as a second input, which is set to that of the model's input.
//
// The family rfdetr (RF-DETR, 2025, and LW-DETR) gives the raw heads: boxes [Q,4]
// as centre and size in 0..1 and logits [Q,C]. Each class of a query is a
// candidate of its own. They share a folder as both are boxes by query.
package detr

import (
	"fmt"
	"slices"

	"detectd/detect"
	"detectd/detect/scan"
	"detectd/detect/score"
	"detectd/detect/sniff"
)

// maxQueries bounds the queries of known models.
const maxQueries = 1000

// maxBoxes is how many boxes these models are trained to give.
const maxBoxes = 300

// RTDETR is the row of the family rtdetr in the table of detect/model.
func RTDETR() detect.Family {
	return detect.Family{
		Name: "rtdetr", Outputs: []string{"labels", "boxes", "scores"}, Sniff: sniffRTDETR, New: newChosen,
	}
}

// RFDETR is the row of the family rfdetr in the table of detect/model.
func RFDETR() detect.Family {
	return detect.Family{Name: "rfdetr", Outputs: []string{"boxes", "logits"}, Sniff: sniffRFDETR, New: newQueries}
}

func start(s detect.Signature, family string, mean, std [3]float32) (detect.Contract, bool) {
	in, ok := sniff.Picture(s)
	in.Colour, in.Resize = detect.RGB, detect.Stretch
	sniff.Normal(&in, mean, std)
	constants, known := sniff.Constants(s, in)
	return detect.Contract{
		Family: family, Input: in, Constants: constants, Outputs: map[string]string{},
		MinScore: 0.3, MaxBoxes: maxBoxes,
	}, ok && known
}

// sniffRTDETR recognises three outputs by name, or by shape: corners, and two
// lists of which the one with whole numbers are the labels.
func sniffRTDETR(s detect.Signature) detect.Guess {
	c, ok := start(s, "rtdetr", [3]float32{}, [3]float32{1, 1, 1})
	c.Box, c.BoxUnit = detect.XYXY, detect.Pixels
	c.Labels = sniff.Names(s)
	named := 0
	for _, t := range s.Outputs {
		shape, known := sniff.Shape(t)
		if !known || shape[0] > maxQueries {
			continue
		}
		var key string
		switch {
		case len(shape) == 2 && shape[1] == 4:
			key = "boxes"
		case len(shape) == 1 && (t.Type == "int64" || t.Type == "int32"):
			key = "labels"
		case len(shape) == 1:
			key = "scores"
		default:
			continue
		}
		c.Outputs[key] = t.Name
		if t.Name == key {
			named++
		}
	}
	g := detect.Guess{Contract: c}
	if len(c.Labels) == 0 {
		g.Ask = []string{"labels"}
	}
	if !ok || len(s.Outputs) != 3 || len(c.Outputs) != 3 {
		return g
	}
	g.Fit = detect.Possible
	if named == 3 && len(c.Constants) == 1 {
		g.Fit = detect.Likely
	}
	return g
}

// sniffRFDETR recognises boxes and logits of the same few queries. Their official
// names tell how pictures are to be normalised; other models of this shape are
// normalised in different ways.
func sniffRFDETR(s detect.Signature) detect.Guess {
	c, ok := start(s, "rfdetr", [3]float32{0.485, 0.456, 0.406}, [3]float32{0.229, 0.224, 0.225})
	c.Box, c.BoxUnit, c.Activation = detect.CXCYWH, detect.Unit, detect.Sigmoid
	var queries, columns int64
	official := 0
	for _, t := range s.Outputs {
		shape, known := sniff.Shape(t)
		if !known || len(shape) != 2 || shape[0] > maxQueries {
			continue
		}
		if _, taken := c.Outputs["boxes"]; shape[1] == 4 && t.Name != "labels" && !taken {
			c.Outputs["boxes"], queries = t.Name, queries+shape[0]
			official += count(t.Name == "dets")
		} else {
			c.Outputs["logits"], queries, columns = t.Name, queries-shape[0], shape[1]
			official += count(t.Name == "labels")
		}
	}
	c.Labels, c.LabelIDs = labels(s, int(columns), official == 2)
	g := detect.Guess{Contract: c}
	if !ok || len(c.Outputs) != 2 || queries != 0 || columns < 1 || len(s.Outputs) > 3 || len(c.Constants) > 0 {
		return g
	}
	g.Fit = detect.Possible
	if official == 2 {
		g.Fit = detect.Likely
	} else {
		g.Ask = []string{"input.mean", "input.std", "activation"}
	}
	return g
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}

// labels names the columns: 91 are COCO's category numbers; else the last one of
// official exports is the background, as is one more than there are names.
func labels(s detect.Signature, columns int, official bool) ([]string, []int) {
	names, coco := sniff.Names(s), detect.COCOLabels()
	if columns == 91 && (names == nil || slices.Equal(names, coco)) {
		ids := slices.Repeat([]int{-1}, columns)
		for i, id := range detect.COCOCategories() {
			ids[id] = i
		}
		return coco, ids
	}
	if names == nil && official && columns > 1 {
		names = sniff.Labels(s, columns-1)
	}
	if len(names) > 0 && len(names) == columns-1 {
		ids := make([]int, columns)
		for i := range ids {
			ids[i] = i
		}
		ids[columns-1] = -1
		return names, ids
	}
	return sniff.Labels(s, columns), nil
}

// chosen reads detections that were selected inside the graph.
type chosen struct {
	classes, offset int
	box             detect.BoxFormat
	unitX, unitY    float32
}

func newChosen(c detect.Contract, shapes [][]int64) (detect.Decoder, error) {
	labels, boxes, scores := shapes[0], shapes[1], shapes[2]
	if len(labels) != 1 || len(scores) != 1 || len(boxes) != 2 || boxes[1] != 4 ||
		boxes[0] != labels[0] || boxes[0] != scores[0] {
		return nil, fmt.Errorf("shapes %v, %v and %v are not those of labels, boxes and scores", labels, boxes, scores)
	}
	if c.Activation != "" || c.Objectness || c.Background {
		return nil, fmt.Errorf("this family has final scores: no activation, objectness or background")
	}
	d := &chosen{classes: c.Classes(), offset: c.LabelOffset, box: c.Box}
	d.unitX, d.unitY = c.UnitSize()
	return d, nil
}

// Decode implements detect.Decoder. Class numbers without a label are left out.
func (d *chosen) Decode(dst []detect.Candidate, outputs [][]float32, minScore float32) []detect.Candidate {
	labels, boxes, scores := outputs[0], outputs[1], outputs[2]
	for i, s := range scores {
		class := labels[i] - float32(d.offset)
		if s < minScore || !(class >= 0 && class < float32(d.classes)) {
			continue
		}
		b := boxes[4*i : 4*i+4]
		x0, y0, x1, y1 := d.box.Corners(b[0], b[1], b[2], b[3])
		dst = append(dst, detect.Candidate{
			Class: int(class), Score: s, X0: x0 * d.unitX, Y0: y0 * d.unitY, X1: x1 * d.unitX, Y1: y1 * d.unitY,
		})
	}
	return dst
}

// queries reads the raw heads.
type queries struct {
	columns, first int
	box            detect.BoxFormat
	unitX, unitY   float32
	activate       score.Function
}

func newQueries(c detect.Contract, shapes [][]int64) (detect.Decoder, error) {
	boxes, logits := shapes[0], shapes[1]
	if len(boxes) != 2 || len(logits) != 2 || boxes[1] != 4 || boxes[0] != logits[0] {
		return nil, fmt.Errorf("shapes %v and %v are not those of boxes and logits", boxes, logits)
	}
	d := &queries{columns: int(logits[1]), box: c.Box}
	if c.Background {
		d.first = 1
	}
	if n := d.columns - d.first; n != c.Classes() {
		return nil, fmt.Errorf("%d score columns for %d classes", n, c.Classes())
	}
	d.unitX, d.unitY = c.UnitSize()
	var err error
	d.activate, err = score.New(c.Activation)
	return d, err
}

// Decode implements detect.Decoder.
func (d *queries) Decode(dst []detect.Candidate, outputs [][]float32, minScore float32) []detect.Candidate {
	boxes, logits := outputs[0], outputs[1]
	scan.Above(logits, d.activate.Raw(minScore), func(i int) {
		row, column := i/d.columns, i%d.columns
		s := d.activate.Of(logits[i])
		if column < d.first || s < minScore {
			return
		}
		b := boxes[4*row : 4*row+4]
		x0, y0, x1, y1 := d.box.Corners(b[0], b[1], b[2], b[3])
		dst = append(dst, detect.Candidate{
			Class: column - d.first, Score: s,
			X0: x0 * d.unitX, Y0: y0 * d.unitY, X1: x1 * d.unitX, Y1: y1 * d.unitY,
		})
	})
	return dst
}

var (
	_ detect.Decoder = (*chosen)(nil)
	_ detect.Decoder = (*queries)(nil)
)
