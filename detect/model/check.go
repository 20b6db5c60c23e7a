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

// Verdict is what a self-check comes to.
type Verdict string

// The verdicts.
const (
	Pass   Verdict = "pass"   // what is found makes sense, and follows the picture
	Unsure Verdict = "unsure" // the pictures do not tell; Doubts say why
	Fail   Verdict = "fail"   // the contract is wrong, or the model is; Faults say how
)

// Report says what a model did with pictures for a person to judge its contract.
type Report struct {
	Verdict  Verdict        `json:"verdict"`
	Pictures int            `json:"pictures"`
	Found    int            `json:"found"`     // detections in all of them
	Labels   map[string]int `json:"labels"`    // detections by label
	Best     float32        `json:"best"`      // highest score
	PerFrame time.Duration  `json:"per_frame"` // time for one picture
	// Followed is the part, by score, of what is found that is found again, at its
	// new place, when the pictures are mirrored and shifted; -1 when nothing is.
	Followed float32 `json:"followed"`
	// Tried counts the other contracts that were compared with this one.
	Tried int `json:"tried"`
	// Faults and Doubts are reasons to believe that the contract is wrong, and
	// that nothing can be said, one sentence each.
	Faults []string `json:"faults"`
	Doubts []string `json:"doubts"`
	Notes  []string `json:"notes"` // what could not be told, and is no reason for a doubt
}

// SelfCheck runs a detector on pictures and looks for the traces of a wrong
// contract: numbers that boxes and scores do not have, boxes that do not go along
// when the picture is mirrored or shifted, and another contract, with red and blue
// changed over, another scaling or another box format, that finds clearly more. It
// returns the detections too, which are to be drawn over the pictures for a person
// to look at: what is found there is the real test. Frames stay owned by the
// caller. A model that answers with NaN or takes too long gives an error.
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
		Pictures: len(frames), Labels: map[string]int{}, Faults: []string{}, Doubts: []string{}, Notes: []string{}, Followed: -1,
		PerFrame: time.Since(began) / time.Duration(len(frames)),
	}
	for _, list := range found {
		for _, x := range list {
			r.Found++
			r.Labels[x.Label]++
			r.Best = max(r.Best, x.Score)
		}
	}
	r.judge(d.Contract(), frames, found)
	if own := unwrap(d); own != nil {
		if err := own.probe(ctx, frames, &r); err != nil {
			return Report{}, nil, fmt.Errorf("check model: %w", err)
		}
	}
	switch {
	case len(r.Faults) > 0:
		r.Verdict = Fail
	case len(r.Doubts) > 0:
		r.Verdict = Unsure
	default:
		r.Verdict = Pass
	}
	return r, found, nil
}

// unwrap finds the detector that Open has made; nil for another one.
func unwrap(d detect.Detector) *detector {
	for {
		switch v := d.(type) {
		case *detector:
			return v
		case interface{ Unwrap() detect.Detector }:
			d = v.Unwrap()
		default:
			return nil
		}
	}
}

// few is how many boxes are too few for a doubt about them.
const few = 3

// judge looks for patterns that right contracts do not make.
func (r *Report) judge(c detect.Contract, frames []*frame.Frame, found [][]detect.Detection) {
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
	add := func(list *[]string, holds bool, format string, args ...any) {
		if holds {
			*list = append(*list, fmt.Sprintf(format, args...))
		}
	}
	add(&r.Doubts, total == 0, "nothing was found: if there is something to find, the colours (input.colour), the scaling (input.scale, "+
		"input.mean, input.std) or the activation are wrong, or min_score %g is too high", c.MinScore)
	add(&r.Faults, same, "the same was found in all %d pictures, as if the model did not see them", len(frames))
	add(&r.Doubts, full == len(found), "every picture has as many boxes as max_boxes allows (%d): are the scores what activation %q makes of them, and is nms_iou %g right?",
		c.MaxBoxes, c.Activation, c.NMSIoU)
	add(&r.Faults, total >= few && 2*specks > total, "most boxes are smaller than a hundredth of the picture: is box_unit %q right?", c.BoxUnit)
	add(&r.Faults, total >= few && 2*whole > total, "most boxes cover the whole picture: are box %q and box_unit %q right?", c.Box, c.BoxUnit)
	add(&r.Faults, total >= few && 2*certain > total, "most scores are 1 or more: is activation %q right?", c.Activation)
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}
