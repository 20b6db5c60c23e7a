package bench

import (
	"bytes"
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/stretchr/testify/require"

	"detectd/detect/ort"
	"detectd/pipeline/bench/floor"
	"detectd/pipeline/bench/proc"
	"detectd/pipeline/simulate"
)

func TestMetricsAgainstTheirBars(t *testing.T) {
	for _, c := range []struct {
		kind    kind
		samples []float64
		value   float64
		pass    bool
	}{
		{kind{id: "a", sense: most, bar: 1.15}, []float64{1.3, 1.15, 1.0}, 1.15, true},
		{kind{id: "a", sense: most, bar: 1.15}, []float64{1.16}, 1.16, false},
		{kind{id: "a", sense: least, bar: 0.95}, []float64{0.9, 1.2, 0.94}, 0.94, false},
		{kind{id: "a", sense: least, bar: 0.95}, []float64{0.95, 0.97}, 0.96, true},
	} {
		m := c.kind.metric(c.samples, "", "")
		require.InDelta(t, c.value, *m.Value, 1e-9)
		require.Equal(t, c.pass, *m.Pass, "%v", c.samples)
		require.LessOrEqual(t, m.Min, *m.Value)
		require.GreaterOrEqual(t, m.Max, *m.Value)
	}
	m := kind{id: "F1"}.metric([]float64{4}, "", "")
	require.Nil(t, m.Pass)
	require.Nil(t, m.Bar)
}

func TestTablesAgree(t *testing.T) {
	seen := map[string]bool{}
	for _, k := range kinds() {
		require.False(t, seen[k.id], "%s is there twice", k.id)
		seen[k.id] = true
		require.Equal(t, k.sense == "", k.bar == 0, "%s: a bar has a sense", k.id)
	}
	for _, name := range Names() {
		require.True(t, seen[name] || name == "capacity", "%s has no metric", name)
	}
}

func report() Report {
	l := &lab{
		samples: map[string][]float64{"F1": {4.4}, "C1": {1.2, 1.1, 1.3}, "C3": {0.96}},
		missing: map[string]string{"C2": "the ffmpeg command is not installed"},
		notes:   map[string]string{"C3": "eight streams"},
	}
	return Report{
		Machine:  Machine{Machine: proc.Machine{CPU: "EPYC", Cores: 2, MemoryBytes: 2 << 30}},
		Settings: Settings{Video: "v.mp4", Cameras: 4, Hz: 5, Rounds: 3, MeasureSeconds: 20},
		Metrics:  l.metrics(), Capacity: &Capacity{Cameras: 7, Limit: "decode", Sentence: "Seven of them."},
	}
}

// The form that programs outside read.
func TestJSON(t *testing.T) {
	text, err := json.Marshal(report())
	require.NoError(t, err)
	var got struct {
		Machine map[string]any
		Metrics []map[string]any
	}
	require.NoError(t, json.Unmarshal(text, &got))
	require.Equal(t, "EPYC", got.Machine["cpu"])
	require.InDelta(t, 2, got.Machine["cores"], 0)
	byID := map[string]map[string]any{}
	for _, m := range got.Metrics {
		byID[m["id"].(string)] = m
	}
	require.Len(t, byID, 4)
	require.InDelta(t, 1.2, byID["C1"]["value"], 0)
	require.InDelta(t, 1.15, byID["C1"]["bar"], 0)
	require.Equal(t, false, byID["C1"]["pass"])
	require.Len(t, byID["C1"]["samples"], 3)
	require.Equal(t, true, byID["C3"]["pass"])
	require.Nil(t, byID["C2"]["value"])
	require.NotContains(t, byID["C2"], "pass")
	require.Empty(t, byID["C2"]["samples"])
	require.Contains(t, byID["C2"]["reason"], "ffmpeg")
}

func TestTable(t *testing.T) {
	r := report()
	var b bytes.Buffer
	require.NoError(t, r.Write(&b))
	text := b.String()
	row := func(id string) string {
		for line := range strings.Lines(text) {
			if strings.HasPrefix(line, id+" ") {
				return strings.Join(strings.Fields(line), " ")
			}
		}
		return ""
	}
	require.Contains(t, row("C1"), "C1 1.20 ≤ 1.15 FAIL 1.10 … 1.30 (3)")
	require.Contains(t, row("C2"), "C2 not measured ≤ 0.65")
	require.Contains(t, row("C3"), "C3 0.960 ≥ 0.95 pass (1)")
	require.Contains(t, row("F1"), "F1 4.40 ms")
	require.Contains(t, text, "EPYC, 2 cores, 2.0 GiB")
	require.Contains(t, text, "C2: the ffmpeg command is not installed")
	require.Contains(t, text, "Seven of them.")
	require.NotContains(t, text, "short form")
	r.Settings.Short = true
	b.Reset()
	require.NoError(t, r.Write(&b))
	require.Contains(t, b.String(), "short form")
}

func TestNumber(t *testing.T) {
	for v, want := range map[float64]string{1234.5: "1234", 12.34: "12.3", 1.234: "1.23", 0.1234: "0.123", -0.5: "-0.500", 0: "0.000"} {
		require.Equal(t, want, number(v))
	}
}

func TestCarry(t *testing.T) {
	for name, c := range map[string]struct {
		need    need
		have    have
		cameras int
		limit   string
	}{
		"decoding":  {need{decode: 0.13, inference: 0.05, memory: 20 << 20}, have{2, 16 << 30}, 8, "decode"},
		"inference": {need{decode: 0.01, inference: 0.09, memory: 20 << 20}, have{2, 16 << 30}, 14, "inference"},
		"memory":    {need{decode: 0.01, inference: 0.01, memory: 100 << 20}, have{64, 1 << 30}, 8, "memory"},
		"unknown":   {need{decode: 0.1, memory: 20 << 20}, have{1, 0}, 7, "decode"},
		"none":      {need{decode: 3}, have{2, 16 << 30}, 0, "decode"},
	} {
		cameras, limit := carry(c.need, c.have, 1.15)
		require.Equal(t, c.cameras, cameras, name)
		require.Equal(t, c.limit, limit, name)
	}
}

func TestCarried(t *testing.T) {
	for most := 1; most <= 12; most++ {
		for real := 0; real <= most; real++ {
			tried := 0
			got, err := carried(most, func(cameras int) (bool, error) {
				tried++
				require.LessOrEqual(t, cameras, most)
				require.Positive(t, cameras)
				return cameras <= real, nil
			})
			require.NoError(t, err)
			require.Equal(t, real, got, "of %d", most)
			require.LessOrEqual(t, tried, 5)
		}
	}
	_, err := carried(3, func(int) (bool, error) { return false, errors.New("no daemon") })
	require.ErrorContains(t, err, "no daemon")
}

func TestCapacitySentence(t *testing.T) {
	v := video{width: 1920, height: 1080, fps: 30}
	a := Capacity{Cameras: 7, Calculated: 8, Limit: "decode", FreshShare: 1}
	s := a.sentence(v, 5, need{decode: 0.15, inference: 0.05})
	require.Contains(t, s, "7 such cameras (1920x1080 at 30 fps, 5 detections per second each)")
	require.Contains(t, s, "decode (75 % of the work is decoding, 25 % inference)")
	a.Cameras = 0
	require.Contains(t, a.sentence(v, 5, need{decode: 1}), "does not keep up with one such camera")
}

const frame, inference = 4400 * time.Microsecond, 9 * time.Millisecond

// The load that is chosen makes the share of the processors that it should.
func TestRateAt(t *testing.T) {
	for _, cores := range []float64{2, 4, 64} {
		fps, err := rateAt(0.7, cores, 8, 5, frame, inference)
		require.NoError(t, err)
		load := 8 * (fps*frame.Seconds() + 5*inference.Seconds()) * allowance / cores
		require.InDelta(t, 0.7, load, 0.01)
	}
	_, err := rateAt(0.7, 0.5, 8, 5, frame, inference)
	require.ErrorContains(t, err, "more than 70 %")
}

func TestDetectorLoad(t *testing.T) {
	for _, cores := range []float64{2, 16} {
		cameras, hz, err := detectorLoad(cores, 60, frame/10, inference)
		require.NoError(t, err)
		require.GreaterOrEqual(t, cameras, 8)
		require.LessOrEqual(t, 2*hz, 60.0)
		load := float64(cameras) * (60*frame.Seconds()/10 + hz*inference.Seconds()) * allowance / cores
		require.InDelta(t, 1, load, 0.02)
	}
	_, _, err := detectorLoad(1, 60, 20*frame, inference)
	require.Error(t, err)
}

func TestSaturation(t *testing.T) {
	fps, hz := saturation(floor.Decoding{CPU: frame}, floor.Inferring{CPU: inference})
	require.InDelta(t, 1.5, fps*frame.Seconds()+hz*inference.Seconds(), 1e-9)
	fps, hz = saturation(floor.Decoding{CPU: frame}, floor.Inferring{CPU: time.Millisecond})
	require.InDelta(t, 60, hz, 0, "no camera may ask for more")
	require.InDelta(t, 1.44, fps*frame.Seconds(), 1e-9)
}

func TestFreshAndRatio(t *testing.T) {
	l := load{wall: 2 * time.Second, latencies: []time.Duration{10 * time.Millisecond, freshAge, freshAge + 1, time.Second}}
	require.Equal(t, 2, l.fresh())
	require.InDelta(t, 0.5, ratio(l, load{wall: time.Second, latencies: make([]time.Duration, 2)}), 1e-9)
}

func TestGrowth(t *testing.T) {
	require.InDelta(t, 0.1, growth([]float64{100, 100, 900, 0, 104, 105, 106, 107, 110, 110}), 1e-9)
	require.Zero(t, growth([]float64{5}))
}

func TestPictureBuffer(t *testing.T) {
	sps := h264.SPS{LevelIdc: 40, PicWidthInMbsMinus1: 119, PicHeightInMapUnitsMinus1: 67, FrameMbsOnlyFlag: true}
	require.Equal(t, 4, pictureBuffer(sps), "1080p of level 4")
	sps.VUI = &h264.SPS_VUI{BitstreamRestriction: &h264.SPS_BitstreamRestriction{MaxDecFrameBuffering: 1}}
	require.Equal(t, 1, pictureBuffer(sps))
	require.Equal(t, 16, pictureBuffer(h264.SPS{}))
}

func TestCounter(t *testing.T) {
	const text = "# HELP a_total x\n# TYPE a_total counter\na_total_more 7\na_total 1.5e+09\n"
	v, err := counter(strings.NewReader(text), "a_total")
	require.NoError(t, err)
	require.InDelta(t, 1.5e9, v, 0)
	_, err = counter(strings.NewReader(text), "b_total")
	require.ErrorContains(t, err, "b_total")
}

func TestWork(t *testing.T) {
	a := work{10, 9, 3, 2, 1}
	require.Equal(t, work{}, a.minus(a))
	require.Equal(t, a, a.plus(work{}))
	require.Equal(t, work{20, 18, 6, 4, 2}, a.plus(a))
}

// Every scenery can be painted: sizes and rates are ones that the generator takes.
func TestSceneries(t *testing.T) {
	for s := street; s <= stillCBR; s++ {
		spec := s.spec()
		require.Equal(t, 10*spec.FPS, spec.Frames, "ten seconds")
		require.Zero(t, spec.Frames%spec.GOP, "the loop keeps the rhythm of key frames")
		require.NotNil(t, spec.Scene)
		spec.Frames = 2
		path := t.TempDir() + "/v.mp4"
		require.NoError(t, simulate.Generate(path, spec))
		surfaces, err := decoderSurfaces(video{path: path})
		require.NoError(t, err)
		require.GreaterOrEqual(t, surfaces, 3)
	}
}

func TestUnknownFigure(t *testing.T) {
	_, err := Run(t.Context(), Config{Only: []string{"C10"}, Rounds: 1}, func(string) {})
	require.ErrorContains(t, err, `no figure "C10"`)
}

// One figure that cannot be measured does not take the others with it.
func TestFigureGivenUp(t *testing.T) {
	l := &lab{samples: map[string][]float64{"C1": {1.1}, "C5": {0.9}}, missing: map[string]string{}, notes: map[string]string{}, failed: map[string]bool{}}
	l.fail("C5", 1, errNotRunning)
	l.fail("C6", 0, errNotRunning)
	l.fail("capacity", 0, errNotRunning)
	byID := map[string]Metric{}
	for _, m := range l.metrics() {
		byID[m.ID] = m
	}
	require.Len(t, byID, 3)
	require.NotNil(t, byID["C5"].Value)
	require.Contains(t, byID["C5"].Reason, "round 2")
	require.Nil(t, byID["C6"].Value)
	require.Contains(t, l.answer.Sentence, "does not run")
	require.True(t, l.failed["C6"])
}

// TestNoGPU has the figures of a GPU say why they are missing, and settings that name
// the library and what a model is to run on.
func TestNoGPU(t *testing.T) {
	library, err := ort.FindLibrary("")
	require.NoError(t, err)
	model := filepath.Join(filepath.Dir(filepath.Dir(library)), "share", "default.onnx")
	l := &lab{cfg: Config{Library: library, Model: model}, samples: map[string][]float64{}, missing: map[string]string{}, notes: map[string]string{}}
	require.NoError(t, l.gpuPool(t.Context(), 0))
	require.NoError(t, l.gpuStreams(t.Context(), 0))
	require.Empty(t, l.samples)
	for _, id := range []string{"G2", "G4"} {
		require.Contains(t, l.missing[id], "no GPU that this ONNX Runtime can use")
	}
	for provider, line := range map[string]string{"": "provider: cpu\n", "cuda": "provider: cuda\n"} {
		text := setup{hz: 5, provider: provider}.settings("/a b/libonnxruntime.so")
		require.Contains(t, text, line)
		require.Contains(t, text, `library: "/a b/libonnxruntime.so"`)
	}
}
