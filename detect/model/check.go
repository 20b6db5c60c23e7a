package model

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"detectd/detect"
	"detectd/pipeline/frame"
)

// Report says what a model did with pictures for a person to judge its contract.
type Report struct {
	Pictures int            `json:"pictures"`
	Found    int            `json:"found"`     // detections in all of them
	Labels   map[string]int `json:"labels"`    // detections by label
	Best     float32        `json:"best"`      // highest score
	PerFrame time.Duration  `json:"per_frame"` // time for one picture
	// Doubts are reasons to believe that the contract is wrong, one sentence each.
	Doubts []string `json:"doubts"`
}

// SelfCheck runs a detector on pictures and looks for the traces of a wrong
// contract. It returns the detections too, which are to be drawn over the pictures
// for a person to look at: what is found there is the real test. Frames stay owned
// by the caller.
func SelfCheck(ctx context.Context, d detect.Detector, frames []*frame.Frame) (Report, [][]detect.Detection, error) {
	if len(frames) == 0 {
		return Report{}, nil, errors.New("check model: there is no picture")
	}
	began := time.Now()
	found, err := d.Detect(ctx, frames, make([]detect.Options, len(frames)))
	if err != nil {
		return Report{}, nil, fmt.Errorf("check model: %w", err)
	}
	r := Report{
		Pictures: len(frames), Labels: map[string]int{}, Doubts: []string{},
		PerFrame: time.Since(began) / time.Duration(len(frames)),
	}
	for _, list := range found {
		for _, x := range list {
			r.Found++
			r.Labels[x.Label]++
			r.Best = max(r.Best, x.Score)
		}
	}
	r.Doubts = append(r.Doubts, doubts(d.Contract(), frames, found)...)
	return r, found, nil
}

// few is how many boxes are too few for a doubt about them.
const few = 3

// doubts looks for patterns that right contracts do not make.
func doubts(c detect.Contract, frames []*frame.Frame, found [][]detect.Detection) []string {
	var total, specks, whole, full, certain int
	same := len(found) > 1
	for i, list := range found {
		w, h := float32(frames[i].Width()), float32(frames[i].Height())
		full += count(len(list) >= c.MaxBoxes)
		same = same && len(list) > 0 && slices.Equal(list, found[0])
		for _, x := range list {
			total++
			specks += count(x.Box.W <= w/100 && x.Box.H <= h/100)
			whole += count(x.Box.W >= w*0.98 && x.Box.H >= h*0.98)
			certain += count(x.Score >= 1)
		}
	}
	var list []string
	add := func(doubt bool, format string, args ...any) {
		if doubt {
			list = append(list, fmt.Sprintf(format, args...))
		}
	}
	add(total == 0, "nothing was found: if there is something to find, the colours (input.colour), the scaling (input.scale, "+
		"input.mean, input.std) or the activation are wrong, or min_score %g is too high", c.MinScore)
	add(same, "the same was found in all %d pictures, as if the model did not see them", len(frames))
	add(full == len(found), "every picture has as many boxes as max_boxes allows (%d): are the scores what activation %q makes of them, and is nms_iou %g right?",
		c.MaxBoxes, c.Activation, c.NMSIoU)
	add(total >= few && 2*specks > total, "most boxes are smaller than a hundredth of the picture: is box_unit %q right?", c.BoxUnit)
	add(total >= few && 2*whole > total, "most boxes cover the whole picture: are box %q and box_unit %q right?", c.Box, c.BoxUnit)
	add(total >= few && 2*certain > total, "most scores are 1 or more: is activation %q right?", c.Activation)
	return list
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}
