// Package nanodet reads detectors of the NanoDet-Plus family (Lyu, "NanoDet-Plus",
// 2021): one output [A, C+4*(R+1)] with a row per grid cell of the strides 8, 16,
// 32 and 64. A row has C scores, already through the sigmoid, and for each of the
// left, top, right and lower side of the box a distribution over the distances 0
// to R in strides (generalised focal loss: Li et al., 2020), as logits; the
// distance is its mean. Distances count from the cell's upper left corner.
package nanodet

import (
	"fmt"
	"math"
	"slices"

	"detectd/detect"
	"detectd/detect/score"
	"detectd/detect/sniff"
)

const (
	output = "output" // the family's name of its tensor

	// Parameters of contracts.
	regMax = "reg_max" // largest distance in strides
	offset = "offset"  // where in its cell a box is measured from, in strides

	usualRegMax = 7
	mostRegMax  = 64
)

var strides = []int{8, 16, 32, 64}

// Family is this family's row in the table of detect/model.
func Family() detect.Family {
	return detect.Family{
		Name: "nanodet", Outputs: []string{output}, Sniff: sniffNanoDet, Settle: settle, New: newDecoder,
	}
}

func sniffNanoDet(s detect.Signature) detect.Guess {
	in, ok := sniff.Picture(s)
	in.Colour, in.Resize = detect.BGR, detect.Stretch
	if in.Type != detect.Uint8 {
		in.Mean, in.Std = [3]float32{103.53, 116.28, 123.675}, [3]float32{57.375, 57.12, 58.395}
	}
	name, shape, single := sniff.Single(s, 2)
	c := detect.Contract{
		Family: "nanodet", Input: in, Outputs: map[string]string{output: name},
		MinScore: 0.35, NMSIoU: 0.6, MaxBoxes: 100, Params: map[string]float64{regMax: usualRegMax},
	}
	g := detect.Guess{Contract: c}
	if !single {
		return g
	}
	classes := int(shape[1]) - 4*(usualRegMax+1)
	g.Contract.Labels = sniff.Labels(s, classes)
	if ok && len(s.Inputs) == 1 && len(grid(in.Width, in.Height)) == int(shape[0]) {
		g.Fit = sniff.FitOf(s, classes, in.Name == "data" && name == "output")
	}
	return g
}

// settle finds scores that are not yet through the sigmoid: those of nothing are
// far below 0.
func settle(c detect.Contract, _ [][]int64, outputs [][]float32) detect.Contract {
	columns := c.Classes() + 4*(usualRegMax+1)
	for rows := outputs[0]; len(rows) >= columns; rows = rows[columns:] {
		if slices.Min(rows[:c.Classes()]) < -1 {
			c.Activation = detect.Sigmoid
			break
		}
	}
	return c
}

// cell is the upper left corner of an output row's cell, in pixels.
type cell struct{ x, y, stride float32 }

// grid lists the cells, those over the right and lower edge included.
func grid(w, h int) []cell {
	var list []cell
	for _, s := range strides {
		for y := range (h + s - 1) / s {
			for x := range (w + s - 1) / s {
				list = append(list, cell{float32(x * s), float32(y * s), float32(s)})
			}
		}
	}
	return list
}

type decoder struct {
	grid     []cell
	classes  int
	bins     int
	offset   float32
	activate score.Function
}

func newDecoder(c detect.Contract, shapes [][]int64) (detect.Decoder, error) {
	shape := shapes[0]
	most := c.Params[regMax]
	if most == 0 {
		most = usualRegMax
	}
	if most < 1 || most > mostRegMax || most != math.Trunc(most) {
		return nil, fmt.Errorf("params.%s must be a whole number from 1 to %d (got %g)", regMax, mostRegMax, most)
	}
	d := &decoder{
		grid: grid(c.Input.Width, c.Input.Height), classes: c.Classes(), bins: int(most) + 1,
		offset: float32(c.Params[offset]),
	}
	if len(shape) != 2 || int(shape[0]) != len(d.grid) {
		return nil, fmt.Errorf("shape %v is not that of a row for each of the %d cells of a %dx%d input",
			shape, len(d.grid), c.Input.Width, c.Input.Height)
	}
	if n := int(shape[1]) - 4*d.bins; n != d.classes {
		return nil, fmt.Errorf("%d score columns for %d classes", n, d.classes)
	}
	if c.Background || c.Objectness {
		return nil, fmt.Errorf("this family has no background and no objectness")
	}
	var err error
	d.activate, err = score.New(c.Activation)
	return d, err
}

// Decode implements detect.Decoder. Each row gives its best class only.
func (d *decoder) Decode(dst []detect.Candidate, outputs [][]float32, minScore float32) []detect.Candidate {
	columns, least := d.classes+4*d.bins, d.activate.Raw(minScore)
	for i, g := range d.grid {
		row := outputs[0][i*columns : (i+1)*columns]
		scores := row[:d.classes]
		best := slices.Max(scores)
		s := d.activate.Of(best)
		if best < least || s < minScore {
			continue
		}
		var side [4]float32
		for k := range side {
			from := d.classes + k*d.bins
			side[k] = mean(row[from:from+d.bins]) * g.stride
		}
		x, y := g.x+d.offset*g.stride, g.y+d.offset*g.stride
		dst = append(dst, detect.Candidate{
			Class: slices.Index(scores, best), Score: s,
			X0: x - side[0], Y0: y - side[1], X1: x + side[2], Y1: y + side[3],
		})
	}
	return dst
}

// mean is the mean of the distribution over 0, 1, … whose logits are given.
func mean(logits []float32) float32 {
	top := slices.Max(logits)
	var sum, weighted float64
	for i, v := range logits {
		e := math.Exp(float64(v) - float64(top))
		sum += e
		weighted += e * float64(i)
	}
	return float32(weighted / sum)
}

var _ detect.Decoder = (*decoder)(nil)
