// Package yolo reads detectors that answer with one table per picture.
//
// The families yolov5 and yolov8 have a row per grid cell, or per anchor of one:
// a box, for yolov5 an objectness, and a score per class. yolov8 (and 9, 11, 12)
// usually lays the table on its side, [4+C, A]; which way it lies follows from the
// number of classes. A score is the best class's times the objectness.
//
// The family end2end (YOLOv10, YOLO26, and exports with suppression inside) has
// rows of x0, y0, x1, y1, score, class number.
//
// The family rtdetrtable (RT-DETR as Ultralytics exports it) has a row for each of a
// few hundred queries: centre and size in 0..1 and a score per class.
//
// The layouts are facts about published files: Jocher et al., "YOLOv5" (2020) and
// "YOLOv8" (2023); Wang et al., "YOLOv10: Real-Time End-to-End Object Detection"
// (2024). They share a folder as only the columns differ.
package yolo

import (
	"slices"

	"detectd/detect"
	"detectd/detect/sniff"
)

const table = "output" // the families' name of their tensor

// V5 is the row of the family yolov5 in the table of detect/model.
func V5() detect.Family {
	return detect.Family{Name: "yolov5", Outputs: []string{table}, Sniff: sniffV5, Settle: settle, New: newDense}
}

// V8 is the row of the family yolov8 in the table of detect/model.
func V8() detect.Family {
	return detect.Family{Name: "yolov8", Outputs: []string{table}, Sniff: sniffV8, Settle: settle, New: newDense}
}

// EndToEnd is the row of the family end2end in the table of detect/model.
func EndToEnd() detect.Family {
	return detect.Family{Name: "end2end", Outputs: []string{table}, Sniff: sniffEndToEnd, Settle: settleEndToEnd, New: newEndToEnd}
}

// start makes the contract with what is usual in all three families.
func start(s detect.Signature, family string) (detect.Contract, bool) {
	in, ok := sniff.Picture(s)
	in.Colour, in.Resize, in.Pad = detect.RGB, detect.LetterboxCentre, 114
	sniff.Normal(&in, [3]float32{}, [3]float32{1, 1, 1})
	constants, known := sniff.Constants(s, in)
	name, _, _ := sniff.Single(s, 2)
	c := detect.Contract{
		Family: family, Input: in, Constants: constants, Outputs: map[string]string{table: name},
		BoxUnit: detect.Pixels, MinScore: 0.3, NMSIoU: 0.45, MaxBoxes: 100,
	}
	return c, ok && known && len(constants) == 0
}

// task tells whether the metadata allow a detector.
func task(s detect.Signature) bool {
	t, ok := s.Metadata["task"]
	return !ok || t == "detect"
}

func sniffV5(s detect.Signature) detect.Guess {
	c, ok := start(s, "yolov5")
	c.Box, c.Objectness = detect.CXCYWH, true
	name, shape, single := sniff.Single(s, 2)
	g := detect.Guess{Contract: c}
	if !single || shape[1] < 6 {
		return g
	}
	rows, classes := int(shape[0]), int(shape[1])-5
	g.Contract.Labels = sniff.Labels(s, classes)
	if ok && task(s) && grid(c.Input, rows, 3) {
		g.Fit = sniff.FitOf(s, classes, name == "output0" || name == "output")
	}
	return g
}

func sniffV8(s detect.Signature) detect.Guess {
	c, ok := start(s, "yolov8")
	c.Box = detect.CXCYWH
	name, shape, single := sniff.Single(s, 2)
	g := detect.Guess{Contract: c}
	if !single {
		return g
	}
	rows, columns := int(shape[1]), int(shape[0])
	if !grid(c.Input, rows, 1) && grid(c.Input, columns, 1) || rows < columns {
		rows, columns = columns, rows
	}
	if columns < 5 {
		return g
	}
	g.Contract.Labels = sniff.Labels(s, columns-4)
	if ok && task(s) && grid(c.Input, rows, 1) {
		g.Fit = sniff.FitOf(s, columns-4, name == "output0")
	}
	return g
}

// mostRows bounds the rows of an end2end table: they are the best few hundred.
const mostRows = 1000

func sniffEndToEnd(s detect.Signature) detect.Guess {
	c, ok := start(s, "end2end")
	c.Box, c.NMSIoU, c.MaxBoxes = detect.XYXY, 0, 300
	c.Labels = sniff.Names(s)
	_, shape, single := sniff.Single(s, 2)
	g := detect.Guess{Contract: c}
	if len(c.Labels) == 0 {
		g.Ask = []string{"labels"}
	}
	if !ok || !single || !task(s) || shape[1] != 6 || shape[0] > mostRows {
		return g
	}
	g.Fit = detect.Possible
	if s.Metadata["end2end"] == "True" || s.Metadata["nms"] == "True" {
		g.Fit = detect.Certain
	}
	return g
}

// grid tells whether a table has a row for each of k anchors of the cells of
// strides 8, 16 and 32, or with one more stride on either side.
func grid(in detect.Input, rows, k int) bool {
	return slices.Contains([]int{
		k * sniff.Cells(in, 8, 16, 32), k * sniff.Cells(in, 8, 16, 32, 64), k * sniff.Cells(in, 4, 8, 16, 32),
	}, rows)
}

// inUnits is the largest number that boxes in 0..1 may have, a little outside.
const inUnits = 2

// settle corrects unit and activation by what a grey picture gave: in pixels the
// centres of the last cells are large, and without a sigmoid the scores of
// nothing are far below 0.
func settle(c detect.Contract, shapes [][]int64, outputs [][]float32) detect.Contract {
	decoder, err := newDense(c, shapes)
	if err != nil {
		return c // it will be said when the contract is used
	}
	d := decoder.(*dense)
	largest, least := float32(0), float32(0)
	for row := range d.rows {
		for column := range d.first + d.classes {
			v := outputs[0][d.at(row, column)]
			if column < 4 {
				largest = max(largest, v)
			} else {
				least = min(least, v)
			}
		}
	}
	if largest <= inUnits {
		c.BoxUnit = detect.Unit
	}
	if least < -1 {
		c.Activation = detect.Sigmoid
	}
	return c
}

// settleEndToEnd looks at the boxes; the rows of exports with suppression inside are
// zero where there is nothing, which says nothing. Class numbers that are none are the
// scores of a table of queries with two classes.
func settleEndToEnd(c detect.Contract, _ [][]int64, outputs [][]float32) detect.Contract {
	largest := float32(0)
	for rows := outputs[0]; len(rows) >= endColumns; rows = rows[endColumns:] {
		largest = max(largest, slices.Max(rows[:4]))
	}
	if largest > 0 && largest <= inUnits {
		c.BoxUnit = detect.Unit
	}
	if len(c.Labels) == endColumns-4 && fractions(outputs[0]) {
		c.Family = queries
	}
	return c
}
