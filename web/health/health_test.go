package health_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"detectd/pipeline"
	"detectd/web/health"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type statuses []pipeline.Status

func (s statuses) Statuses() []pipeline.Status { return s }

func get(t *testing.T, h http.Handler, path string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
	return w
}

func TestReady(t *testing.T) {
	fine := health.Check{Name: "store", Run: func(context.Context) error { return nil }}
	broken := health.Check{Name: "bus", Run: func(context.Context) error { return errors.New("not connected") }}
	for _, c := range []struct {
		checks []health.Check
		status int
		body   string
	}{
		{nil, 200, `{"ready":true,"checks":{}}`},
		{[]health.Check{fine}, 200, `{"ready":true,"checks":{"store":"ok"}}`},
		{[]health.Check{fine, {Name: "detector", Run: func(context.Context) error { return health.Degraded("default@1 runs on cpu") }}}, 200, `{"ready":true,"degraded":true,"checks":{"store":"ok","detector":"degraded: default@1 runs on cpu"}}`},
		{[]health.Check{fine, broken}, 503, `{"ready":false,"checks":{"store":"ok","bus":"not connected"}}`},
		{
			[]health.Check{fine, {Name: "space", Run: func(context.Context) error { return health.Degraded("nearly full") }}},
			200,
			`{"ready":true,"degraded":true,"checks":{"store":"ok","space":"degraded: nearly full"}}`,
		},
	} {
		h := health.New(prometheus.NewRegistry(), c.checks, slog.New(slog.DiscardHandler))
		w := get(t, h, "/readyz")
		require.Equal(t, c.status, w.Code)
		require.JSONEq(t, c.body, w.Body.String())
		require.Equal(t, "ok", get(t, h, "/healthz").Body.String()) // alive, ready or not
	}
}

func TestReadyChecksAreGivenATime(t *testing.T) {
	var limited bool
	h := health.New(prometheus.NewRegistry(), []health.Check{{Name: "slow", Run: func(ctx context.Context) error {
		_, limited = ctx.Deadline()
		return nil
	}}}, slog.New(slog.DiscardHandler))
	get(t, h, "/readyz")
	require.True(t, limited)
}

func TestMetrics(t *testing.T) {
	reg := prometheus.NewRegistry()
	cameras := statuses{{
		CameraID: "door", State: pipeline.StateRunning, FPS: 25, DetectFPS: 5, Units: 100, Frames: 90, IdleFrames: 70, IdleAudits: 4, IdleMisses: 1, IdleLate: 2, Inferences: 20, Bytes: 5000,
		Reconnects: 1, Drops: pipeline.Drops{Decode: 3, Stale: 4}, Recording: true, LastFrame: time.UnixMilli(1_700_000_000_500),
	}, {CameraID: "yard", State: pipeline.StateRefused}}
	require.NoError(t, reg.Register(health.CameraCollector(cameras)))
	require.NoError(t, testutil.GatherAndCompare(reg, strings.NewReader(`
# HELP detectd_camera_frames_total Pictures decoded.
# TYPE detectd_camera_frames_total counter
detectd_camera_frames_total{camera="door"} 90
detectd_camera_frames_total{camera="yard"} 0
# HELP detectd_camera_state 1 for the state that the camera is in.
# TYPE detectd_camera_state gauge
detectd_camera_state{camera="door",state="running"} 1
detectd_camera_state{camera="yard",state="refused"} 1
`), "detectd_camera_frames_total", "detectd_camera_state"))
	latency, err := health.NewLatency(reg)
	require.NoError(t, err)
	latency.Observe("door", 30*time.Millisecond)
	_, err = health.NewLatency(reg)
	require.Error(t, err)

	require.NoError(t, health.RegisterSpace(reg, func() health.SpaceFigures {
		return health.SpaceFigures{Level: 2, Free: 5, Total: 100, Refused: 7, Dropped: 9}
	}))
	problems, err := testutil.GatherAndLint(reg)
	require.NoError(t, err)
	require.Empty(t, problems)
	body := get(t, health.New(reg, nil, slog.New(slog.DiscardHandler)), "/metrics").Body.String()
	for _, line := range []string{
		`detectd_camera_drops_total{camera="door",reason="decode"} 3`,
		`detectd_camera_recording{camera="door"} 1`,
		`detectd_camera_idle_frames_total{camera="door"} 70`,
		`detectd_camera_idle_audits_total{camera="door"} 4`,
		`detectd_camera_idle_misses_total{camera="door"} 1`,
		`detectd_camera_idle_late_total{camera="door"} 2`,
		`detectd_camera_last_frame_timestamp_seconds{camera="door"} 1.7000000005e+09`,
		`detectd_inference_latency_seconds_count{camera="door"} 1`,
		"detectd_space_level 2", "detectd_space_refused_total 7", "detectd_space_dropped_writes_total 9",
	} {
		require.Contains(t, body, line)
	}
	latency.Forget("door")
	require.Zero(t, testutil.CollectAndCount(reg, "detectd_inference_latency_seconds"))
}

type running []pipeline.Running

func (r running) Running() []pipeline.Running { return r }

func TestProviderMetrics(t *testing.T) {
	reg := prometheus.NewRegistry()
	one := pipeline.Running{Model: "default", Version: 1, Provider: "cpu", Degraded: true, Reason: "cuda broke", Failures: 7, Moves: 1}
	other := pipeline.Running{Model: "yolox", Version: 2, Provider: "cuda"}
	require.NoError(t, reg.Register(health.ProviderCollector(running{one, one, other})))
	require.NoError(t, testutil.GatherAndCompare(reg, strings.NewReader(`
# HELP detectd_model_degraded 1 while the model runs on another provider than it should.
# TYPE detectd_model_degraded gauge
detectd_model_degraded{model="default",version="1"} 1
detectd_model_degraded{model="yolox",version="2"} 0
# HELP detectd_model_failed_runs_total Runs that ONNX Runtime or its provider failed.
# TYPE detectd_model_failed_runs_total counter
detectd_model_failed_runs_total{model="default",version="1"} 7
detectd_model_failed_runs_total{model="yolox",version="2"} 0
# HELP detectd_model_provider 1 for the execution provider that the model runs on.
# TYPE detectd_model_provider gauge
detectd_model_provider{model="default",provider="cpu",version="1"} 1
detectd_model_provider{model="yolox",provider="cuda",version="2"} 1
# HELP detectd_model_provider_moves_total How often a broken provider was left for the next one.
# TYPE detectd_model_provider_moves_total counter
detectd_model_provider_moves_total{model="default",version="1"} 1
detectd_model_provider_moves_total{model="yolox",version="2"} 0
`)))
	problems, err := testutil.GatherAndLint(reg)
	require.NoError(t, err)
	require.Empty(t, problems)
}
