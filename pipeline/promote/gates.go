// Package promote moves model versions to the cameras with proof: rules that a
// version must meet before an alias names it, a look beside the champion, a few
// cameras first, and the way back when figures leave their bands.
//
// What is decided is pure and in gates.go, watch.go and plan.go; the Manager feeds
// it from the bus and makes the decisions durable.
package promote

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"detectd/store"
)

// Subject is a version with what was measured of it.
type Subject struct {
	Version  store.ModelVersion
	Measured []store.Measurement // the newest first
}

// CheckRules says whether a version meets the rules of an alias. holder is the
// version that the alias names now, nil for none: comparisons with it pass then.
// Speed counts only where it was measured on this machine.
func CheckRules(rules store.GateRules, s Subject, holder *Subject, machine string) []store.GateResult {
	results := []store.GateResult{}
	if r, asked := checkVerdict(rules.SelfCheck, s.Version); asked {
		results = append(results, r)
	}
	for _, g := range rules.Accuracy {
		if g.MinAP > 0 {
			results = append(results, checkAP(g, s))
		}
		if g.MaxLoss != nil && holder != nil {
			results = append(results, checkLoss(g, s, holder))
		}
	}
	if rules.MaxP95 > 0 {
		results = append(results, checkP95(rules.MaxP95, s, machine))
	}
	if rules.MaxSlowdown != nil && holder != nil {
		results = append(results, checkSlowdown(*rules.MaxSlowdown, s, holder, machine))
	}
	if rules.MaxBytes > 0 {
		results = append(results, store.GateResult{
			Rule: "size", Wanted: "at most " + megabytes(rules.MaxBytes), Measured: megabytes(s.Version.Size), Passed: s.Version.Size <= rules.MaxBytes,
		})
	}
	return results
}

// Passed says whether all rules are met.
func Passed(results []store.GateResult) bool {
	return !slices.ContainsFunc(results, func(r store.GateResult) bool { return !r.Passed })
}

func checkVerdict(wanted string, v store.ModelVersion) (store.GateResult, bool) {
	var check struct {
		Verdict string   `json:"verdict"`
		Faults  []string `json:"faults"`
		Doubts  []string `json:"doubts"`
	}
	r := store.GateResult{Rule: "self-check", Wanted: "pass", Measured: "not there: the version had none"}
	if len(v.Check) > 0 && json.Unmarshal(v.Check, &check) == nil { // written by this program
		r.Measured = check.Verdict
		for _, reason := range append(check.Faults, check.Doubts...) {
			r.Measured += ", " + reason
		}
	}
	switch cmp.Or(wanted, store.CheckNotFailed) {
	case store.CheckPassed:
		r.Passed = check.Verdict == "pass"
	case store.CheckNotFailed:
		r.Wanted, r.Passed = "no failure", check.Verdict != "fail"
	default:
		return r, false
	}
	return r, true
}

// accuracy is the newest on a data set.
func (s Subject) accuracy(dataset string) (store.Measurement, bool) {
	return s.find(func(m store.Measurement) bool { return m.Kind == store.Accuracy && m.Dataset == dataset })
}

// speed is the newest on a machine.
func (s Subject) speed(machine string) (store.Measurement, bool) {
	return s.find(func(m store.Measurement) bool { return m.Kind == store.Speed && m.Machine == machine })
}

func (s Subject) find(fits func(store.Measurement) bool) (store.Measurement, bool) {
	i := slices.IndexFunc(s.Measured, fits)
	if i < 0 {
		return store.Measurement{}, false
	}
	return s.Measured[i], true
}

func checkAP(g store.AccuracyGate, s Subject) store.GateResult {
	r := store.GateResult{Rule: "AP on " + g.Dataset, Wanted: fmt.Sprintf("at least %.3f", g.MinAP), Measured: "not measured"}
	if m, ok := s.accuracy(g.Dataset); ok {
		r.Measured, r.Passed = fmt.Sprintf("%.3f", m.AP()), m.AP() >= g.MinAP
	}
	return r
}

func checkLoss(g store.AccuracyGate, s Subject, holder *Subject) store.GateResult {
	name := fmt.Sprintf("%s@%d", holder.Version.Model, holder.Version.Version)
	r := store.GateResult{Rule: "AP on " + g.Dataset + " against " + name, Wanted: fmt.Sprintf("at most %.3f less", *g.MaxLoss)}
	mine, ok := s.accuracy(g.Dataset)
	theirs, known := holder.accuracy(g.Dataset)
	switch {
	case !ok:
		r.Measured = "not measured"
	case !known:
		r.Measured = "not measured of " + name
	case mine.Digest != theirs.Digest:
		r.Measured = "measured on other pictures than those of " + name
	default:
		r.Measured = fmt.Sprintf("%.3f, %s has %.3f", mine.AP(), name, theirs.AP())
		r.Passed = mine.AP() >= theirs.AP()-*g.MaxLoss
	}
	return r
}

func checkP95(most time.Duration, s Subject, machine string) store.GateResult {
	r := store.GateResult{Rule: "p95 of a call", Wanted: "at most " + milliseconds(most), Measured: "not measured on this machine (" + machine + ")"}
	if m, ok := s.speed(machine); ok {
		r.Measured, r.Passed = milliseconds(m.P95), m.P95 <= most
	}
	return r
}

func checkSlowdown(most float64, s Subject, holder *Subject, machine string) store.GateResult {
	name := fmt.Sprintf("%s@%d", holder.Version.Model, holder.Version.Version)
	r := store.GateResult{Rule: "p95 against " + name, Wanted: fmt.Sprintf("at most %.0f %% more", 100*most)}
	mine, ok := s.speed(machine)
	theirs, known := holder.speed(machine)
	switch {
	case !ok:
		r.Measured = "not measured on this machine (" + machine + ")"
	case !known:
		r.Measured = "not measured of " + name + " on this machine (" + machine + ")"
	default:
		r.Measured = fmt.Sprintf("%s, %s has %s", milliseconds(mine.P95), name, milliseconds(theirs.P95))
		r.Passed = mine.P95.Seconds() <= theirs.P95.Seconds()*(1+most)
	}
	return r
}

func milliseconds(d time.Duration) string { return fmt.Sprintf("%.1f ms", d.Seconds()*1000) }

func megabytes(n int64) string { return fmt.Sprintf("%.2f MB", float64(n)/1e6) }
