package yolo

import (
	"fmt"

	"detectd/detect"
)

// endColumns are x0, y0, x1, y1, score and class number.
const endColumns = 6

// endToEnd reads rows that are detections already.
type endToEnd struct {
	classes, offset int
	box             detect.BoxFormat
	unitX, unitY    float32
}

func newEndToEnd(c detect.Contract, shapes [][]int64) (detect.Decoder, error) {
	shape := shapes[0]
	if len(shape) != 2 || shape[1] != endColumns {
		return nil, fmt.Errorf("shape %v is not that of rows with a box, a score and a class", shape)
	}
	if c.Activation != "" || c.Objectness || c.Background {
		return nil, fmt.Errorf("this family has final scores: no activation, objectness or background")
	}
	d := &endToEnd{classes: c.Classes(), offset: c.LabelOffset, box: c.Box}
	d.unitX, d.unitY = c.UnitSize()
	return d, nil
}

// Decode implements detect.Decoder. Class numbers without a label are left out.
func (d *endToEnd) Decode(dst []detect.Candidate, outputs [][]float32, minScore float32) []detect.Candidate {
	for rows := outputs[0]; len(rows) >= endColumns; rows = rows[endColumns:] {
		class := rows[5] - float32(d.offset)
		if rows[4] < minScore || !(class >= 0 && class < float32(d.classes)) {
			continue
		}
		x0, y0, x1, y1 := d.box.Corners(rows[0], rows[1], rows[2], rows[3])
		dst = append(dst, detect.Candidate{
			Class: int(class), Score: rows[4],
			X0: x0 * d.unitX, Y0: y0 * d.unitY, X1: x1 * d.unitX, Y1: y1 * d.unitY,
		})
	}
	return dst
}

var _ detect.Decoder = (*endToEnd)(nil)
