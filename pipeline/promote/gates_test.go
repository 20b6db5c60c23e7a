package promote

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/store"
)

func accuracy(dataset, digest string, ap float64) store.Measurement {
	return store.Measurement{Kind: store.Accuracy, Dataset: dataset, Digest: digest, Figures: [12]float64{ap}}
}

func speed(machine string, p95 time.Duration) store.Measurement {
	return store.Measurement{Kind: store.Speed, Machine: machine, P95: p95}
}

func TestCheckRules(t *testing.T) {
	good := Subject{
		Version:  store.ModelVersion{Model: "yard", Version: 4, Size: 9_000_000, Check: []byte(`{"verdict":"pass"}`)},
		Measured: []store.Measurement{accuracy("street", "d1", 0.31), speed("here", 12*time.Millisecond), speed("there", time.Second)},
	}
	holder := &Subject{
		Version:  store.ModelVersion{Model: "yard", Version: 3},
		Measured: []store.Measurement{accuracy("street", "d1", 0.32), speed("here", 10*time.Millisecond)},
	}
	with := func(change func(*Subject)) Subject {
		s := good
		s.Measured = append([]store.Measurement(nil), good.Measured...)
		change(&s)
		return s
	}
	strict := store.GateRules{SelfCheck: store.CheckPassed}
	street := func(least float64, loss *float64) store.GateRules {
		return store.GateRules{SelfCheck: store.CheckAny, Accuracy: []store.AccuracyGate{{Dataset: "street", MinAP: least, MaxLoss: loss}}}
	}
	for name, c := range map[string]struct {
		rules  store.GateRules
		s      Subject
		holder *Subject
		failed string // the rule that fails, in words; "" for none
	}{
		"nothing asked":   {store.GateRules{SelfCheck: store.CheckAny}, Subject{}, holder, ""},
		"check passed":    {strict, good, nil, ""},
		"check unsure":    {strict, with(func(s *Subject) { s.Version.Check = []byte(`{"verdict":"unsure","doubts":["nothing is found"]}`) }), nil, "self-check: pass is wanted, it is unsure, nothing is found"},
		"no check":        {strict, with(func(s *Subject) { s.Version.Check = nil }), nil, "self-check: pass is wanted, it is not there: the version had none"},
		"default, none":   {store.DefaultGates(), with(func(s *Subject) { s.Version.Check = nil }), nil, ""},
		"default, failed": {store.GateRules{}, with(func(s *Subject) { s.Version.Check = []byte(`{"verdict":"fail","faults":["red and blue"]}`) }), nil, "self-check: no failure is wanted, it is fail, red and blue"},
		"AP":              {street(0.31, nil), good, holder, ""},
		"AP too low":      {street(0.315, nil), good, holder, "AP on street: at least 0.315 is wanted, it is 0.310"},
		"AP unknown":      {street(0.1, nil), Subject{}, holder, "AP on street: at least 0.100 is wanted, it is not measured"},
		"newest counts": {street(0.31, nil), with(func(s *Subject) {
			s.Measured = append([]store.Measurement{accuracy("street", "d1", 0.1)}, s.Measured...)
		}), nil, "AP on street: at least 0.310 is wanted, it is 0.100"},
		"no AP at all":       {street(0.1, nil), with(func(s *Subject) { s.Measured[0].Figures[0] = -1 }), nil, "AP on street: at least 0.100 is wanted, it is -1.000"},
		"loss":               {street(0, new(0.011)), good, holder, ""},
		"too much loss":      {street(0, new(0.005)), good, holder, "AP on street against yard@3: at most 0.005 less is wanted, it is 0.310, yard@3 has 0.320"},
		"loss, no holder":    {street(0, new(0.0)), good, nil, ""},
		"loss, other set":    {street(0, new(0.5)), with(func(s *Subject) { s.Measured[0].Digest = "d2" }), holder, "AP on street against yard@3: at most 0.500 less is wanted, it is measured on other pictures than those of yard@3"},
		"loss, holder blank": {street(0, new(0.5)), good, &Subject{Version: holder.Version}, "AP on street against yard@3: at most 0.500 less is wanted, it is not measured of yard@3"},
		"p95":                {store.GateRules{MaxP95: 12 * time.Millisecond}, good, nil, ""},
		"p95 too long":       {store.GateRules{MaxP95: 11 * time.Millisecond}, good, nil, "p95 of a call: at most 11.0 ms is wanted, it is 12.0 ms"},
		"p95 of elsewhere":   {store.GateRules{MaxP95: time.Minute}, with(func(s *Subject) { s.Measured = s.Measured[2:] }), nil, "p95 of a call: at most 60000.0 ms is wanted, it is not measured on this machine (here)"},
		"slowdown":           {store.GateRules{MaxSlowdown: new(0.2)}, good, holder, ""},
		"too much slowdown":  {store.GateRules{MaxSlowdown: new(0.1)}, good, holder, "p95 against yard@3: at most 10 % more is wanted, it is 12.0 ms, yard@3 has 10.0 ms"},
		"size":               {store.GateRules{MaxBytes: 9_000_000}, good, nil, ""},
		"too large":          {store.GateRules{MaxBytes: 8_999_999}, good, nil, "size: at most 9.00 MB is wanted, it is 9.00 MB"},
	} {
		t.Run(name, func(t *testing.T) {
			results := CheckRules(c.rules, c.s, c.holder, "here")
			var failed []string
			for _, r := range results {
				if !r.Passed {
					failed = append(failed, r.String())
				}
			}
			require.Equal(t, c.failed == "", Passed(results))
			if c.failed != "" {
				require.Equal(t, []string{c.failed}, failed)
			}
		})
	}
}
