package yolo

import (
	"math"
	"strings"

	"detectd/detect"
	"detectd/detect/sniff"
)

// Queries is the row of the family rtdetrtable in the table of detect/model.
func Queries() detect.Family {
	return detect.Family{Name: queries, Outputs: []string{table}, Sniff: sniffQueries, Settle: settle, New: newQueries}
}

const queries = "rtdetrtable"

// sniffQueries recognises a table of a few hundred rows with a box and a score per
// class. Rows of six are rather those of the family end2end unless the metadata say
// what made them.
func sniffQueries(s detect.Signature) detect.Guess {
	c, ok := start(s, queries)
	c.Input.Resize, c.Input.Pad = detect.Stretch, 0
	c.Box, c.BoxUnit, c.NMSIoU, c.MaxBoxes = detect.CXCYWH, detect.Unit, 0, 300
	name, shape, single := sniff.Single(s, 2)
	g := detect.Guess{Contract: c}
	if !single || shape[1] < 5 {
		return g
	}
	rows, columns := int(shape[0]), int(shape[1])
	classes := columns - 4
	g.Contract.Labels = sniff.Labels(s, classes)
	told := s.Metadata["head"] == "RTDETRDecoder" || strings.Contains(strings.ToLower(s.Metadata["description"]), "rtdetr")
	final := s.Metadata["end2end"] == "True" || s.Metadata["nms"] == "True"
	cells := grid(c.Input, rows, 1) || grid(c.Input, rows, 3) || columns > rows
	if !ok || !task(s) || rows > mostRows || !told && (final || cells || columns == endColumns) {
		return g
	}
	g.Fit = sniff.FitOf(s, classes, told)
	if !told {
		g.Fit = min(g.Fit, detect.Likely)
		if g.Fit == detect.Possible || name != "output0" && len(sniff.Names(s)) == 0 {
			g.Ask = []string{"labels"}
		}
	}
	return g
}

// newQueries never takes the table to lie on its side, as many classes as there may be.
func newQueries(c detect.Contract, shapes [][]int64) (detect.Decoder, error) {
	decoder, err := newDense(c, shapes)
	if err != nil {
		return nil, err
	}
	d := decoder.(*dense)
	if columns := d.first + d.classes; int(shapes[0][1]) == columns {
		d.sideways, d.rows = false, int(shapes[0][0])
	}
	return d, nil
}

// fractions tells whether there are class numbers that are no whole ones, as in rows
// that have the scores of two classes in the last columns.
func fractions(rows []float32) bool {
	for ; len(rows) >= endColumns; rows = rows[endColumns:] {
		if class := float64(rows[endColumns-1]); class != math.Trunc(class) {
			return true
		}
	}
	return false
}
