package yolo

import (
	"fmt"
	"slices"

	"detectd/detect"
	"detectd/detect/scan"
	"detectd/detect/score"
)

// dense reads a table with one row per place where an object may be.
type dense struct {
	rows, classes int
	first         int  // column of the first class
	sideways      bool // columns first
	box           detect.BoxFormat
	unitX, unitY  float32
	activate      score.Function
}

func newDense(c detect.Contract, shapes [][]int64) (detect.Decoder, error) {
	shape := shapes[0]
	if len(shape) != 2 {
		return nil, fmt.Errorf("shape %v is not that of a table", shape)
	}
	if c.Background {
		return nil, fmt.Errorf("this family has no background column")
	}
	d := &dense{first: 4, classes: c.Classes(), box: c.Box}
	if c.Objectness {
		d.first = 5
	}
	if d.box == "" {
		d.box = detect.CXCYWH
	}
	d.unitX, d.unitY = c.UnitSize()
	var err error
	if d.activate, err = score.New(c.Activation); err != nil {
		return nil, err
	}
	columns := int64(d.first + d.classes)
	switch {
	case shape[0] == columns && (shape[1] != columns || !c.Objectness):
		d.sideways, d.rows = true, int(shape[1])
	case shape[1] == columns:
		d.rows = int(shape[0])
	default:
		have := min(shape[0], shape[1]) - int64(d.first)
		return nil, fmt.Errorf("%d score columns for %d classes (shape %v)", have, d.classes, shape)
	}
	return d, nil
}

// at is where a number of the table lies.
func (d *dense) at(row, column int) int {
	if d.sideways {
		return column*d.rows + row
	}
	return row*(d.first+d.classes) + column
}

// Decode implements detect.Decoder. Each row gives its best class only.
func (d *dense) Decode(dst []detect.Candidate, outputs [][]float32, minScore float32) []detect.Candidate {
	if d.sideways {
		return d.decodeSideways(dst, outputs[0], minScore)
	}
	least, columns := d.activate.Raw(minScore), d.first+d.classes
	for i := range d.rows {
		row := outputs[0][i*columns : (i+1)*columns]
		object := float32(1)
		if d.first == 5 {
			if row[4] < least { // class scores are at most 1
				continue
			}
			object = d.activate.Of(row[4])
		}
		scores := row[d.first:]
		best := slices.Max(scores)
		if best < least {
			continue
		}
		if s := object * d.activate.Of(best); s >= minScore {
			dst = append(dst, d.candidate(slices.Index(scores, best), s, row[0], row[1], row[2], row[3]))
		}
	}
	return dst
}

// decodeSideways scans the scores as they lie, class after class, as few of them
// are high enough.
func (d *dense) decodeSideways(dst []detect.Candidate, t []float32, minScore float32) []detect.Candidate {
	n, scores := d.rows, t[d.first*d.rows:]
	scan.Above(scores, d.activate.Raw(minScore), func(i int) {
		class, row := i/n, i%n
		for k := range d.classes {
			if v := scores[k*n+row]; v > scores[i] || v == scores[i] && k < class {
				return
			}
		}
		s := d.activate.Of(scores[i])
		if d.first == 5 {
			s *= d.activate.Of(t[4*n+row])
		}
		if s >= minScore {
			dst = append(dst, d.candidate(class, s, t[row], t[n+row], t[2*n+row], t[3*n+row]))
		}
	})
	return dst
}

func (d *dense) candidate(class int, s, a, b, c, e float32) detect.Candidate {
	x0, y0, x1, y1 := d.box.Corners(a, b, c, e)
	return detect.Candidate{
		Class: class, Score: s, X0: x0 * d.unitX, Y0: y0 * d.unitY, X1: x1 * d.unitX, Y1: y1 * d.unitY,
	}
}

var _ detect.Decoder = (*dense)(nil)
