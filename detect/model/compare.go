package model

import (
	"context"
	"fmt"
	"slices"
	"time"

	"detectd/detect"
	"detectd/pipeline/frame"
)

const (
	// enough is the sum of scores from which on the pictures tell anything.
	enough = 1.0
	// leastFollowed is the part that must be found again: small and hidden objects
	// are not always.
	leastFollowed = 0.4
	// clearlyMore is by how much a rival must find more, and colourMore when only
	// red and blue are changed over, which detectors bear well.
	clearlyMore, colourMore = 1.3, 1.15
	// maxProbes bounds the time for rivals that the model has to be run for.
	maxProbes = 20 * time.Second
)

// evidence is what speaks for a contract: sums of scores, of what is found and of
// what is found again in the views. odd counts the pictures where what is found does
// not look like objects.
type evidence struct {
	again, all    float32
	pictures, odd int
}

// certain is a score that detectors give to few of the objects that they find.
const certain = 0.99

// plausible tells whether what is found in a picture looks like objects. Numbers of
// another size than those that a model was trained with make it answer to every edge
// and spot, with the highest score, up to the limit or with the box of an untouched
// grid; and as it does so wherever the picture is moved to, that is found again.
func plausible(found []detect.Candidate, limit int) bool {
	if len(found) < few {
		return true
	}
	sure, sizes := 0, map[[2]int]bool{}
	for _, c := range found {
		sure += count(c.Score >= certain)
		sizes[[2]int{int(c.X1 - c.X0 + 0.5), int(c.Y1 - c.Y0 + 0.5)}] = true
	}
	return len(found) < limit && 2*sure <= len(found) && 2*len(sizes) >= len(found)
}

// probe looks whether boxes follow the pictures, and for a better contract.
func (d *detector) probe(ctx context.Context, frames []*frame.Frame, r *Report) error {
	own, err := d.reader(d.contract)
	if err != nil {
		return err
	}
	began := time.Now()
	views := [...]view{plain, mirrored, shifted}
	answers := make([][len(views)]answer, len(frames))
	blind := true
	for i, f := range frames {
		for k, v := range views {
			if answers[i][k], err = own.ask(ctx, f, v); err != nil {
				return err
			}
			blind = blind && slices.EqualFunc(answers[i][0].outputs, answers[i][k].outputs, slices.Equal)
		}
	}
	weigh := func(p *reader) (e evidence) {
		for _, a := range answers {
			e = e.plus(p, a[:], views[:])
		}
		return e
	}
	mine := weigh(own)
	if mine.all > 0 {
		r.Followed = mine.again / mine.all
	}
	if better, err := d.better(ctx, frames, mine, weigh, began, r); err != nil || better {
		return err
	}
	switch {
	case blind:
		r.Faults = append(r.Faults, "the model's outputs stay the same when the picture is mirrored or shifted, as if it did not see it")
	case mine.all >= enough && r.Followed < leastFollowed:
		r.Faults = append(r.Faults, fmt.Sprintf("only %.0f %% of what is found goes along when the picture is mirrored or shifted: "+
			"are box %q, box_unit %q and the family right?", 100*r.Followed, d.contract.Box, d.contract.BoxUnit))
	case mine.all > 0 && mine.all < enough:
		r.Doubts = append(r.Doubts, "too little was found to tell whether boxes follow the picture: give a picture with more of what the model is for")
	}
	return nil
}

func (e evidence) plus(p *reader, answers []answer, views []view) evidence {
	before := p.read(answers[0])
	e.pictures, e.odd = e.pictures+1, e.odd+count(!plausible(before, p.contract.MaxBoxes))
	for k, v := range views {
		if v != plain {
			again, all := follow(before, p.read(answers[k]), answers[k].geometry, v)
			e.again, e.all = e.again+again, e.all+all
		}
	}
	return e
}

// better compares with the rivals and tells whether one of them is clearly better.
func (d *detector) better(ctx context.Context, frames []*frame.Frame, mine evidence,
	weigh func(*reader) evidence, began time.Time, r *Report,
) (bool, error) {
	var best rival
	var strange []string
	top, ratio := evidence{}, float32(0)
	for _, other := range rivals(d.contract) {
		p, err := d.reader(other.contract)
		if err != nil {
			continue // it does not fit the model
		}
		var e evidence
		need := float32(clearlyMore)
		switch {
		case !other.input:
			e = weigh(p)
		case time.Since(began) > maxProbes:
			continue
		default:
			if e, err = p.run(ctx, frames); err != nil {
				return false, err
			}
			if other.colour {
				need = colourMore
			}
		}
		r.Tried++
		if other.colour && mine.again > 0 && e.again > mine.again/colourMore && e.again < mine.again*colourMore {
			r.Notes = append(r.Notes, "about as much is found with red and blue changed over: these pictures do not tell whether input.colour is right")
		}
		// What is found in rubbish is not found again.
		trusted := e.all >= enough && e.again >= leastFollowed*e.all
		if !trusted || e.again <= need*mine.again {
			continue
		}
		if 2*e.odd > e.pictures {
			strange = append(strange, other.change)
		} else if e.again/max(mine.again, 0.01) > ratio {
			best, top, ratio = other, e, e.again/max(mine.again, 0.01)
		}
	}
	if ratio == 0 {
		if mine.all == 0 && len(strange) > 0 {
			r.Notes = append(r.Notes, fmt.Sprintf("with %s something is found, but it does not look like objects: too much, too certain or all of one size", strange[0]))
		}
		return false, nil
	}
	r.Faults = append(r.Faults, fmt.Sprintf("with %s more is found and found again: scores of %.1f in all, here %.1f. Is that the right contract?",
		best.change, top.again, mine.again))
	return true, nil
}

// run is the evidence for a rival that the model has to be run for.
func (p *reader) run(ctx context.Context, frames []*frame.Frame) (e evidence, err error) {
	views := [...]view{plain, mirrored, shifted}
	for _, f := range frames {
		var answers [len(views)]answer
		for k, v := range views {
			if answers[k], err = p.ask(ctx, f, v); err != nil {
				return e, err
			}
		}
		e = e.plus(p, answers[:], views[:])
	}
	return e, nil
}
