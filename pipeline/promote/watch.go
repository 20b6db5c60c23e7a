package promote

import (
	"fmt"
	"time"

	"detectd/store"
)

// Evidence is what a candidate is judged by.
type Evidence struct {
	Bands     store.Bands
	Candidate Counts // on the cameras that run it, in the window
	Before    Counts // on the same cameras with the champion, before
	// Others are cameras that run the champion all along: before and now. They tell
	// what changes come from elsewhere, such as a busy machine or a busy street.
	OthersBefore, OthersNow Counts
	// Beside is the champion on a share of the candidate's own frames; nil for none.
	Beside *store.ShadowReport
	// Meanwhile is the time of its calls in the window: at the lowest priority, so
	// never shorter than they would be in the candidate's place.
	Meanwhile store.Histogram
	// Trouble says why the candidate does not run on a camera that it should run on.
	Trouble string
}

const (
	// latencySlack is by how much a p95 may differ whatever the band says: on small
	// times a busy moment is a large part.
	latencySlack = 20 * time.Millisecond
	// fewErrors may happen to anybody.
	fewErrors = 3
	// fewAnswers tell a time of inference where most frames come too late, or when
	// the champion looks at a share of them.
	fewAnswers = 10
	// mostSlower is by how much a busy machine may excuse a candidate.
	mostSlower = 10
	// minExpected is how many detections there should have been before it counts
	// that there are fewer, or more.
	minExpected = 30
)

// tooLittle ends what was measured where that is not enough to judge by.
const tooLittle = " (too little is known)"

// Judge says whether the candidate is within its bands. Bands that too little is
// known for are passed, and Enough is false.
func Judge(e Evidence) (rules []store.GateResult, enough bool, fault string) {
	enough = true
	for _, judge := range []func(Evidence) (store.GateResult, bool){running, finite, failing, dropping, latency, found} {
		r, known := judge(e)
		enough = enough && known
		if !known {
			r.Measured += tooLittle
		}
		r.Passed = r.Passed || !known
		if !r.Passed && fault == "" {
			fault = r.String()
		}
		rules = append(rules, r)
	}
	return rules, enough, fault
}

func running(e Evidence) (store.GateResult, bool) {
	r := store.GateResult{Rule: "loads", Wanted: "runs", Measured: "running", Passed: e.Trouble == ""}
	if !r.Passed {
		r.Measured = e.Trouble
	}
	return r, true
}

func finite(e Evidence) (store.GateResult, bool) {
	n := e.Candidate.NotFinite
	return store.GateResult{
		Rule: "outputs that are no numbers", Wanted: fmt.Sprintf("at most %d", e.Bands.MaxNotFinite), Measured: fmt.Sprint(n),
		Passed: n <= int64(e.Bands.MaxNotFinite),
	}, true
}

// share is a part of a whole; 0 of nothing.
func share(part, whole int64) float64 {
	if whole <= 0 {
		return 0
	}
	return float64(part) / float64(whole)
}

func (c Counts) errorShare() float64 { return share(c.Errors, c.Errors+c.Inferences) }
func (c Counts) dropShare() float64  { return share(c.Dropped, c.Dropped+c.Errors+c.Inferences) }
func (c Counts) perFrame() float64   { return share(c.Detections, c.Inferences) }

// usual is what the champion has at most: before, or on other cameras now.
func (e Evidence) usual(of func(Counts) float64) float64 { return max(of(e.Before), of(e.OthersNow)) }

func failing(e Evidence) (store.GateResult, bool) {
	c := e.Candidate
	most := e.usual(Counts.errorShare) + e.Bands.MaxErrors
	attempts := c.Errors + c.Inferences
	return store.GateResult{
		Rule: "failed inferences", Wanted: fmt.Sprintf("at most %.1f %%", 100*most),
		Measured: fmt.Sprintf("%.1f %% (%d of %d)", 100*c.errorShare(), c.Errors, attempts),
		Passed:   c.Errors < fewErrors || c.errorShare() <= most,
	}, attempts >= int64(min(e.Bands.MinSamples, minExpected))
}

// alone says whether too few frames of other cameras were answered by the champion
// in the window to tell a slow candidate from a busy machine.
func (e Evidence) alone() bool { return e.OthersNow.Inferences < int64(e.Bands.MinSamples) }

func dropping(e Evidence) (store.GateResult, bool) {
	c := e.Candidate
	if e.alone() { // frames come too late for a slow model, which its inference shows, and on a busy machine
		return store.GateResult{
			Rule: "frames that came too late", Wanted: "any number, as no camera runs the champion beside it", Passed: true,
			Measured: fmt.Sprintf("%.0f %%", 100*c.dropShare()),
		}, true
	}
	most := min(e.usual(Counts.dropShare)+e.Bands.MaxDropped, 0.99)
	chosen := c.Dropped + c.Errors + c.Inferences
	return store.GateResult{
		Rule: "frames that came too late", Wanted: fmt.Sprintf("at most %.0f %%", 100*most),
		Measured: fmt.Sprintf("%.0f %% (%d of %d)", 100*c.dropShare(), c.Dropped, chosen),
		Passed:   c.dropShare() <= most,
	}, chosen >= int64(e.Bands.MinSamples)
}

// trend is by how much something changed on the other cameras meanwhile, within
// bounds; 1 when they do not tell.
func (e Evidence) trend(of func(Counts) float64, least, most float64) float64 {
	n := int64(e.Bands.MinSamples)
	before, now := of(e.OthersBefore), of(e.OthersNow)
	if e.OthersBefore.Inferences < n || e.OthersNow.Inferences < n || before <= 0 {
		return 1
	}
	return min(max(now/before, least), most)
}

func p95(c Counts) float64 { return c.Inference.Quantile(0.95).Seconds() }

// latency judges the time of inference and not that from arrival to result: waiting
// says how busy the machine is. A machine that is busy makes inference itself slower,
// too; what the champion takes at the same time tells by how much, on other cameras
// or else beside the candidate on its own frames.
func latency(e Evidence) (store.GateResult, bool) {
	c := e.Candidate
	r := store.GateResult{Rule: "p95 of inference", Wanted: "as the champion's", Measured: milliseconds(c.Inference.Quantile(0.95))}
	usual, note, known := e.championTakes()
	if !known {
		return r, false
	}
	most := max(usual*e.Bands.MaxSlowdown, usual+latencySlack.Seconds())
	r.Wanted = fmt.Sprintf("at most %.1f ms", most*1000) + note
	r.Passed = p95(c) <= most
	// So slow that most frames come too late is known sooner.
	n := int64(e.Bands.MinSamples)
	return r, c.Inferences >= n || c.Inferences >= fewAnswers && c.Inferences+c.Dropped >= n
}

// championTakes is the p95 of the champion's inference in the candidate's place, in
// seconds, and from what that is known.
func (e Evidence) championTakes() (usual float64, note string, known bool) {
	n := uint64(e.Bands.MinSamples) //nolint:gosec // not negative
	before, had := p95(e.Before), e.Before.Inference.Count() >= n
	now := p95(e.OthersNow)
	switch {
	case !e.alone() && had && e.OthersBefore.Inference.Count() >= n:
		return before * e.trend(p95, 1, mostSlower), "", true
	case !e.alone():
		return max(before, now), "", true
	case !had:
		return 0, "", false
	}
	note = " (no camera runs the champion beside it)"
	if e.Meanwhile.Count() >= fewAnswers {
		note = " (no camera runs the champion beside it; on its frames it took " + milliseconds(e.Meanwhile.Quantile(0.95)) + ")"
	}
	return max(before, min(e.Meanwhile.Quantile(0.95).Seconds(), mostSlower*before)), note, true
}

func found(e Evidence) (store.GateResult, bool) {
	if e.Beside != nil && e.Beside.Looked >= int64(e.Bands.MinSamples) {
		return foundOnSame(e)
	}
	n := int64(e.Bands.MinSamples)
	c := e.Candidate
	r := store.GateResult{Rule: "detections per frame", Wanted: "as the champion's", Measured: fmt.Sprintf("%.2f", c.perFrame())}
	if e.Before.Inferences < n || c.Inferences < n {
		return r, false
	}
	// A street that is busier now shows on the other cameras, too.
	usual := e.Before.perFrame() * e.trend(Counts.perFrame, 0.25, 4)
	return bounded(r, e.Bands, float64(c.Detections), usual*float64(c.Inferences), usual)
}

// foundOnSame compares what candidate and champion find in the same frames.
func foundOnSame(e Evidence) (store.GateResult, bool) {
	t := e.Beside.Total()
	mine, theirs := float64(t.Matched+t.Missing), float64(t.Matched+t.Extra)
	frames := float64(e.Beside.Looked)
	return bounded(store.GateResult{Rule: "detections per frame, in the same frames", Measured: fmt.Sprintf("%.2f", mine/frames)},
		e.Bands, mine, theirs, theirs/frames)
}

// bounded judges a number of detections by what was to be expected.
func bounded(r store.GateResult, b store.Bands, mine, expected, usual float64) (store.GateResult, bool) {
	r.Wanted = fmt.Sprintf("%.2f to %.2f", usual*b.MinFound, usual*b.MaxFound)
	few := mine < expected*b.MinFound && expected >= minExpected
	many := mine > expected*b.MaxFound && mine-expected >= minExpected
	r.Passed = !few && !many
	return r, true
}
