// Package mot measures how well objects are followed: HOTA with its parts, the
// identity scores and the CLEAR scores, as TrackEval computes them.
//
// HOTA: Luiten et al., "HOTA: A Higher Order Metric for Evaluating Multi-Object
// Tracking", IJCV 129, 2021. IDF1: Ristani et al., "Performance Measures and a
// Data Set for Multi-Target, Multi-Camera Tracking", ECCV workshops 2016. CLEAR:
// Bernardin and Stiefelhagen, "Evaluating Multiple Object Tracking Performance:
// The CLEAR MOT Metrics", EURASIP JIVP 2008. The reference implementation is
// TrackEval (Luiten and Hoffhues, 2020); its choices are followed where the
// papers leave one, so that figures can be compared.
package mot

import (
	"fmt"

	"detectd/detect"
)

// Object is one box of one frame.
type Object struct {
	ID    string     `json:"id"`    // of the object, or of the track that follows it
	Class string     `json:"class"` // boxes of different classes never match; "" everywhere measures without classes
	Box   [4]float64 `json:"box"`   // x, y, width, height in pixels
}

// Frame is one picture: what is there and what was said to be there. No id may
// occur twice on one side.
type Frame struct {
	Truth []Object `json:"truth"`
	Found []Object `json:"found"`
}

// Alphas is the number of localisation thresholds of HOTA: 0.05, 0.10, … 0.95.
const Alphas = 19

// Alpha is the i-th localisation threshold of HOTA.
func Alpha(i int) float64 { return float64(i+1) * 0.05 }

// Threshold is the overlap from which the identity and the CLEAR scores take two
// boxes for the same object.
const Threshold = 0.5

// Result holds the scores of one sequence, or of several combined. Ratios are 0..1.
type Result struct {
	HOTA  float64 `json:"hota"`  // mean over the thresholds of HOTAs
	DetA  float64 `json:"deta"`  // how well objects are found, the same mean
	AssA  float64 `json:"assa"`  // how well they keep their ids
	DetRe float64 `json:"detre"` // recall of DetA
	DetPr float64 `json:"detpr"` // precision of DetA
	AssRe float64 `json:"assre"` // recall of AssA
	AssPr float64 `json:"asspr"` // precision of AssA
	LocA  float64 `json:"loca"`  // overlap of what was found

	IDF1 float64 `json:"idf1"`
	IDP  float64 `json:"idp"` // precision of the identities
	IDR  float64 `json:"idr"` // recall of the identities
	IDTP int     `json:"idtp"`
	IDFP int     `json:"idfp"`
	IDFN int     `json:"idfn"`

	MOTA float64 `json:"mota"`
	MOTP float64 `json:"motp"` // mean overlap of the matches
	TP   int     `json:"tp"`   // matches at an overlap of 0.5
	FP   int     `json:"fp"`
	FN   int     `json:"fn"`
	IDSW int     `json:"idsw"` // times an object was given another id than before
	Frag int     `json:"frag"` // times an object was lost and found again
	MT   int     `json:"mt"`   // objects followed for more than 80 % of their frames
	PT   int     `json:"pt"`   // for 20 % to 80 %
	ML   int     `json:"ml"`   // for less than 20 %

	// F1 is the harmonic mean of precision and recall at an overlap of 0.5: 2·TP
	// over the boxes of both sides.
	F1 float64 `json:"f1"`

	Thresholds [Alphas]AtAlpha `json:"thresholds"` // HOTA in full

	overlap float64 // sum behind MOTP
}

// AtAlpha is HOTA and its parts at one localisation threshold.
type AtAlpha struct {
	HOTA  float64 `json:"hota"`
	DetA  float64 `json:"deta"`
	AssA  float64 `json:"assa"`
	DetRe float64 `json:"detre"`
	DetPr float64 `json:"detpr"`
	AssRe float64 `json:"assre"`
	AssPr float64 `json:"asspr"`
	LocA  float64 `json:"loca"`
	TP    int     `json:"tp"`
	FP    int     `json:"fp"`
	FN    int     `json:"fn"`

	overlap, assA, assRe, assPr float64 // sums over the matches
}

// Evaluate scores one sequence. It refuses an id that occurs twice in a frame.
func Evaluate(frames []Frame) (Result, error) {
	s, err := index(frames)
	if err != nil {
		return Result{}, err
	}
	var r Result
	s.hota(&r)
	s.identity(&r)
	s.clear(&r)
	r.finish()
	return r, nil
}

// Combine adds up sequences whose ids have nothing to do with each other, as
// TrackEval's COMBINED_SEQ does: counts are summed, means are weighted by matches.
func Combine(results ...Result) Result {
	var sum Result
	for _, r := range results {
		for i := range sum.Thresholds {
			s, t := &sum.Thresholds[i], r.Thresholds[i]
			s.TP, s.FP, s.FN = s.TP+t.TP, s.FP+t.FP, s.FN+t.FN
			s.overlap, s.assA, s.assRe, s.assPr = s.overlap+t.overlap, s.assA+t.assA, s.assRe+t.assRe, s.assPr+t.assPr
		}
		sum.IDTP, sum.IDFP, sum.IDFN = sum.IDTP+r.IDTP, sum.IDFP+r.IDFP, sum.IDFN+r.IDFN
		sum.TP, sum.FP, sum.FN = sum.TP+r.TP, sum.FP+r.FP, sum.FN+r.FN
		sum.IDSW, sum.Frag, sum.overlap = sum.IDSW+r.IDSW, sum.Frag+r.Frag, sum.overlap+r.overlap
		sum.MT, sum.PT, sum.ML = sum.MT+r.MT, sum.PT+r.PT, sum.ML+r.ML
	}
	sum.finish()
	return sum
}

// sequence is a sequence with its ids as numbers and its overlaps computed.
type sequence struct {
	steps        []step
	truths       []int // frames of each true object
	founds       []int // frames of each track
	nTrue, nSaid int   // boxes
}

type step struct {
	truth, found []int // ids
	overlap      [][]float64
}

func index(frames []Frame) (*sequence, error) {
	s := &sequence{steps: make([]step, len(frames))}
	truths, founds := map[string]int{}, map[string]int{}
	for i, f := range frames {
		st := &s.steps[i]
		var err error
		if st.truth, s.truths, err = number(f.Truth, truths, s.truths); err != nil {
			return nil, fmt.Errorf("frame %d, truth: %w", i, err)
		}
		if st.found, s.founds, err = number(f.Found, founds, s.founds); err != nil {
			return nil, fmt.Errorf("frame %d, found: %w", i, err)
		}
		s.nTrue, s.nSaid = s.nTrue+len(f.Truth), s.nSaid+len(f.Found)
		st.overlap = make([][]float64, len(f.Truth))
		for j, t := range f.Truth {
			st.overlap[j] = make([]float64, len(f.Found))
			for k, d := range f.Found {
				if t.Class == d.Class {
					st.overlap[j][k] = IoU(t.Box, d.Box)
				}
			}
		}
	}
	return s, nil
}

// number gives the ids of one side of a frame their numbers and counts them.
func number(objects []Object, known map[string]int, counts []int) (ids, newCounts []int, err error) {
	seen := make(map[string]bool, len(objects))
	for _, o := range objects {
		if seen[o.ID] {
			return nil, nil, fmt.Errorf("id %q occurs twice", o.ID)
		}
		seen[o.ID] = true
		n, ok := known[o.ID]
		if !ok {
			n = len(counts)
			known[o.ID], counts = n, append(counts, 0)
		}
		counts[n]++
		ids = append(ids, n)
	}
	return ids, counts, nil
}

// IoU is the intersection of two boxes (x, y, width, height) over their union.
func IoU(a, b [4]float64) float64 {
	w := min(a[0]+a[2], b[0]+b[2]) - max(a[0], b[0])
	h := min(a[1]+a[3], b[1]+b[3]) - max(a[1], b[1])
	if w <= 0 || h <= 0 {
		return 0
	}
	return w * h / (a[2]*a[3] + b[2]*b[3] - w*h)
}

// BoxOf is a box in the form of this package.
func BoxOf(b detect.Box) [4]float64 {
	return [4]float64{float64(b.X), float64(b.Y), float64(b.W), float64(b.H)}
}
