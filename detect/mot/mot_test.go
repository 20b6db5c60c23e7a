package mot

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"detectd/detect"
)

// asProgram makes the test binary read sequences from standard input and write
// their scores to standard output, so that they can be compared with those of
// other programs.
const asProgram = "DETECTD_MOT"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		if err := Run(os.Stdin, os.Stdout); err != nil {
			_, _ = io.WriteString(os.Stderr, err.Error()+"\n")
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// box is a square of 10 pixels that does not touch those with other numbers.
func box(n int) [4]float64 { return [4]float64{float64(20 * n), 0, 10, 10} }

// frames writes a sequence in short: one string per frame, "truth/found", where
// each side lists boxes as id and place, "a1 b2".
func frames(t *testing.T, short ...string) []Frame {
	t.Helper()
	var out []Frame
	for _, line := range short {
		truth, found, ok := strings.Cut(line, "/")
		require.True(t, ok, line)
		side := func(text string) (objects []Object) {
			for word := range strings.FieldsSeq(text) {
				objects = append(objects, Object{ID: word[:1], Box: box(int(word[1] - '0'))})
			}
			return objects
		}
		out = append(out, Frame{Truth: side(truth), Found: side(found)})
	}
	return out
}

func repeat(n int, line string) (lines []string) {
	for range n {
		lines = append(lines, line)
	}
	return lines
}

func evaluate(t *testing.T, f []Frame) Result {
	t.Helper()
	r, err := Evaluate(f)
	require.NoError(t, err)
	return r
}

func TestPerfect(t *testing.T) {
	r := evaluate(t, frames(t, "a1 b2/x1 y2", "a1/x1", "/", "b3/y3"))
	for name, got := range map[string]float64{
		"HOTA": r.HOTA, "DetA": r.DetA, "AssA": r.AssA, "LocA": r.LocA, "DetRe": r.DetRe, "DetPr": r.DetPr, "AssRe": r.AssRe,
		"AssPr": r.AssPr, "IDF1": r.IDF1, "IDP": r.IDP, "IDR": r.IDR, "MOTA": r.MOTA, "MOTP": r.MOTP, "F1": r.F1,
	} {
		require.InDelta(t, 1, got, 1e-12, name)
	}
	require.Equal(t, [6]int{4, 0, 0, 0, 2, 0}, [6]int{r.TP, r.FP, r.FN, r.IDSW, r.MT, r.ML})
}

// An object followed under one id for half of its frames and under another for
// the rest: worked out by hand from the papers.
func TestSplitInHalves(t *testing.T) {
	r := evaluate(t, frames(t, append(repeat(5, "a1/x1"), repeat(5, "a1/y1")...)...))
	// All boxes are found, so DetA is 1. Each match has TPA 5, FNA 5, FPA 0: A = 1/2.
	require.InDelta(t, 1, r.DetA, 1e-12)
	require.InDelta(t, 0.5, r.AssA, 1e-12)
	require.InDelta(t, math.Sqrt(0.5), r.HOTA, 1e-12)
	require.InDelta(t, 0.5, r.AssRe, 1e-12)
	require.InDelta(t, 1, r.AssPr, 1e-12)
	// One track explains 5 of 10 boxes on both sides.
	require.Equal(t, [3]int{5, 5, 5}, [3]int{r.IDTP, r.IDFP, r.IDFN})
	require.InDelta(t, 0.5, r.IDF1, 1e-12)
	require.Equal(t, [2]int{1, 0}, [2]int{r.IDSW, r.Frag})
	require.InDelta(t, 0.9, r.MOTA, 1e-12)
}

// Two objects whose ids are swapped half-way.
func TestSwappedHalfway(t *testing.T) {
	r := evaluate(t, frames(t, append(repeat(5, "a1 b2/x1 y2"), repeat(5, "a1 b2/y1 x2")...)...))
	// Each match: TPA 5, FNA 5, FPA 5, so A = 1/3.
	require.InDelta(t, 1, r.DetA, 1e-12)
	require.InDelta(t, 1.0/3, r.AssA, 1e-12)
	require.InDelta(t, math.Sqrt(1.0/3), r.HOTA, 1e-12)
	require.InDelta(t, 0.5, r.IDF1, 1e-12)
	require.Equal(t, 2, r.IDSW)
	require.InDelta(t, 0.9, r.MOTA, 1e-12)
}

func TestMissesAndFalseAlarms(t *testing.T) {
	r := evaluate(t, frames(t, "a1/x1", "a1/", "a1/x1 z9", "a1/x1"))
	require.Equal(t, [3]int{3, 1, 1}, [3]int{r.TP, r.FP, r.FN})
	require.InDelta(t, 3.0/5, r.DetA, 1e-12)
	require.InDelta(t, 3.0/4, r.AssA, 1e-12, "the missed box counts against the association, the false alarm does not")
	require.InDelta(t, 0.5, r.MOTA, 1e-12)
	require.InDelta(t, 0.75, r.F1, 1e-12)
	require.InDelta(t, 0.75, r.IDF1, 1e-12)
	require.Equal(t, [3]int{0, 1, 0}, [3]int{r.MT, r.PT, r.ML}, "3 of 4 frames")
	require.Zero(t, r.Frag, "no frame said that nothing is there: the frame without tracks is passed over, as TrackEval does")

	r = evaluate(t, frames(t, "a1 b2/x1 y2", "a1 b2/y2", "a1 b2/x1 y2"))
	require.Equal(t, 1, r.Frag)
}

// A box that overlaps by half counts up to the threshold of a half.
func TestThresholds(t *testing.T) {
	f := []Frame{{
		Truth: []Object{{ID: "a", Box: [4]float64{0, 0, 10, 10}}},
		Found: []Object{{ID: "x", Box: [4]float64{0, 0, 10, 5}}},
	}}
	r := evaluate(t, f)
	require.InDelta(t, 10.0/19, r.HOTA, 1e-12, "0.05 to 0.50")
	require.InDelta(t, (10*0.5+9)/19, r.LocA, 1e-12, "where nothing matches LocA is 1")
	require.Equal(t, 1, r.TP)
	f[0].Found[0].Box[3] = 4.9
	require.Zero(t, evaluate(t, f).TP)
}

func TestClassesDoNotMatch(t *testing.T) {
	f := frames(t, "a1/x1")
	f[0].Found[0].Class = "car"
	r := evaluate(t, f)
	require.Equal(t, [3]int{0, 1, 1}, [3]int{r.TP, r.FP, r.FN})
	require.Zero(t, r.HOTA)
}

func TestNothing(t *testing.T) {
	for name, c := range map[string]struct {
		short  []string
		fp, fn int
	}{
		"no frames": {nil, 0, 0}, "empty frames": {[]string{"/", "/"}, 0, 0},
		"no truth": {[]string{"/x1 y2"}, 2, 0}, "nothing found": {[]string{"a1 b2/"}, 0, 2},
	} {
		t.Run(name, func(t *testing.T) {
			r := evaluate(t, frames(t, c.short...))
			require.Equal(t, [2]int{c.fp, c.fn}, [2]int{r.FP, r.FN})
			require.Equal(t, [2]int{c.fp, c.fn}, [2]int{r.IDFP, r.IDFN})
			require.Zero(t, r.HOTA)
			require.InDelta(t, 1, r.LocA, 1e-12)
			require.False(t, math.IsNaN(r.HOTA+r.IDF1+r.MOTA+r.MOTP+r.F1))
		})
	}
}

func TestIDTwiceInAFrame(t *testing.T) {
	_, err := Evaluate(frames(t, "a1/x1", "a1/x1 x2"))
	require.EqualError(t, err, `frame 1, found: id "x" occurs twice`)
	_, err = Evaluate(frames(t, "a1 a2/x1"))
	require.EqualError(t, err, `frame 0, truth: id "a" occurs twice`)
}

// random is a sequence of walking boxes, found with misses, noise, false alarms
// and changing ids.
func random(seed uint64) (out []Frame) {
	r := rand.New(rand.NewPCG(seed, 7))
	names := map[int]string{}
	for i := range 60 {
		var f Frame
		for o := range 5 {
			if i < 4*o || i > 40+5*o {
				continue
			}
			b := [4]float64{float64(30*o + i*(o-2)), float64(10 * o), 30, 60}
			f.Truth = append(f.Truth, Object{ID: fmt.Sprint(o), Box: b})
			if names[o] == "" || r.IntN(20) == 0 {
				names[o] = fmt.Sprint("t", o, "-", i)
			}
			if r.IntN(6) > 0 {
				for k := range b {
					b[k] += 4 * r.NormFloat64()
				}
				f.Found = append(f.Found, Object{ID: names[o], Box: b})
			}
		}
		if r.IntN(3) == 0 {
			f.Found = append(f.Found, Object{ID: fmt.Sprint("false", i), Box: [4]float64{300 * r.Float64(), 50, 30, 60}})
		}
		out = append(out, f)
	}
	return out
}

func TestInvariants(t *testing.T) {
	for seed := range uint64(10) {
		f := random(seed)
		want := evaluate(t, f)
		for i, a := range want.Thresholds {
			require.InDelta(t, a.DetRe*a.DetPr/max(1e-9, a.DetRe+a.DetPr-a.DetRe*a.DetPr), a.DetA, 1e-9, "DetA follows from recall and precision")
			require.True(t, i == 0 || a.TP <= want.Thresholds[i-1].TP, "a higher threshold never finds more")
		}
		for _, v := range []float64{want.HOTA, want.DetA, want.AssA, want.IDF1, want.F1, want.LocA} {
			require.True(t, v > 0 && v < 1)
		}
		// New names and another order of the boxes change nothing.
		for i := range f {
			for j := range f[i].Found {
				f[i].Found[j].ID = "new-" + f[i].Found[j].ID
			}
			for j, k := 0, len(f[i].Found)-1; j < k; j, k = j+1, k-1 {
				f[i].Found[j], f[i].Found[k] = f[i].Found[k], f[i].Found[j]
			}
		}
		got := evaluate(t, f)
		require.InDelta(t, want.HOTA, got.HOTA, 1e-9)
		require.Equal(t, [6]int{want.IDTP, want.IDFP, want.TP, want.FP, want.IDSW, want.Frag}, [6]int{got.IDTP, got.IDFP, got.TP, got.FP, got.IDSW, got.Frag})
		// What was found exchanged for what is there exchanges precision and recall.
		for i := range f {
			f[i].Truth, f[i].Found = f[i].Found, f[i].Truth
		}
		got = evaluate(t, f)
		require.InDelta(t, want.HOTA, got.HOTA, 1e-9)
		require.InDelta(t, want.AssRe, got.AssPr, 1e-9)
		require.InDelta(t, want.DetRe, got.DetPr, 1e-9)
		require.InDelta(t, want.IDF1, got.IDF1, 1e-9)
	}
}

// Combined sequences score as one sequence that has all their frames.
func TestCombine(t *testing.T) {
	a, b := random(100), random(101)
	joined := append([]Frame(nil), a...)
	for _, f := range b {
		var g Frame
		for _, o := range f.Truth {
			g.Truth = append(g.Truth, Object{ID: "b" + o.ID, Box: o.Box})
		}
		for _, o := range f.Found {
			g.Found = append(g.Found, Object{ID: "b" + o.ID, Box: o.Box})
		}
		joined = append(joined, g)
	}
	want, got := evaluate(t, joined), Combine(evaluate(t, a), evaluate(t, b))
	require.InDelta(t, want.HOTA, got.HOTA, 1e-9)
	require.InDelta(t, want.AssA, got.AssA, 1e-9)
	require.InDelta(t, want.LocA, got.LocA, 1e-9)
	require.InDelta(t, want.MOTP, got.MOTP, 1e-9)
	require.Equal(t, [5]int{want.IDTP, want.IDSW, want.Frag, want.MT, want.FN}, [5]int{got.IDTP, got.IDSW, got.Frag, got.MT, got.FN})
	require.Equal(t, evaluate(t, a).IDF1, Combine(evaluate(t, a)).IDF1)
}

func TestRun(t *testing.T) {
	var in, out bytes.Buffer
	require.NoError(t, json.NewEncoder(&in).Encode(map[string]any{"sequences": []Sequence{{Name: "s", Frames: random(1)}}}))
	require.NoError(t, Run(&in, &out))
	var report Report
	require.NoError(t, json.Unmarshal(out.Bytes(), &report))
	require.InDelta(t, evaluate(t, random(1)).HOTA, report.Sequences["s"].HOTA, 1e-12)
	require.InDelta(t, report.Combined.HOTA, report.Sequences["s"].HOTA, 1e-12)

	for text, want := range map[string]string{
		`{}`:              "read sequences: there are none",
		`{"sequence":[]}`: `unknown field "sequence"`,
		`{"sequences":[{"name":"a","frames":[]},{"name":"a","frames":[]}]}`:                                         `sequence 1: the name "a" occurs twice`,
		`{"sequences":[{"name":"a","frames":[{"truth":[{"id":"1","box":[0,0,1,1]},{"id":"1","box":[0,0,1,1]}]}]}]}`: `sequence "a": frame 0, truth: id "1" occurs twice`,
	} {
		require.ErrorContains(t, Run(strings.NewReader(text), io.Discard), want)
	}
}

// The figures of TrackEval 1.3.0 for random(seed), seeds 0 to 3; the program that
// compares any sequences is packaging/client.
func TestAgreesWithTrackEval(t *testing.T) {
	data, err := os.ReadFile("testdata/trackeval.json")
	require.NoError(t, err)
	var golden map[string]map[string]float64
	require.NoError(t, json.Unmarshal(data, &golden))
	require.Len(t, golden, 4)
	for seed := range uint64(4) {
		g, r := golden[fmt.Sprint(seed)], evaluate(t, random(seed))
		for name, got := range map[string]float64{
			"HOTA": r.HOTA, "DetA": r.DetA, "AssA": r.AssA, "DetRe": r.DetRe, "DetPr": r.DetPr, "AssRe": r.AssRe, "AssPr": r.AssPr,
			"LocA": r.LocA, "IDF1": r.IDF1, "IDP": r.IDP, "IDR": r.IDR, "MOTA": r.MOTA, "MOTP": r.MOTP, "IDSW": float64(r.IDSW),
			"Frag": float64(r.Frag), "MT": float64(r.MT), "PT": float64(r.PT), "ML": float64(r.ML),
			"CLR_TP": float64(r.TP), "CLR_FP": float64(r.FP), "CLR_FN": float64(r.FN), "CLR_F1": r.F1,
		} {
			require.Contains(t, g, name)
			require.InDelta(t, g[name], got, 1e-9, "%s of %d", name, seed)
		}
	}
}

func TestBoxes(t *testing.T) {
	require.Equal(t, [4]float64{1, 2, 3, 4}, BoxOf(detect.Box{X: 1, Y: 2, W: 3, H: 4}))
	require.Zero(t, IoU([4]float64{0, 0, 1, 1}, [4]float64{1, 0, 1, 1}))
	require.InDelta(t, 1.0/3, IoU([4]float64{0, 0, 2, 2}, [4]float64{1, 0, 2, 2}), 1e-12)
}

// TestWriteSequences writes random sequences where DETECTD_MOT_WRITE says, for the
// comparison with other programs.
func TestWriteSequences(t *testing.T) {
	path := os.Getenv("DETECTD_MOT_WRITE")
	if path == "" {
		path = t.TempDir() + "/sequences.json"
	}
	var all []Sequence
	for seed := range uint64(20) {
		all = append(all, Sequence{Name: fmt.Sprint(seed), Frames: random(seed)})
	}
	data, err := json.Marshal(map[string]any{"sequences": all})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, data, 0o600))
}
