package render_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/pipeline/bus"
	"detectd/pipeline/frame"
	"detectd/pipeline/playback"
	"detectd/pipeline/stage/render"
	"detectd/store"
	"detectd/web/api"
)

func TestStill(t *testing.T) {
	r := newRig(t)
	r.record(t, "a.mp4", start, 50)
	s, _ := r.run(t)
	at := start.Add(17*tick + 15*time.Millisecond)
	require.NoError(t, s.Request(t.Context(), store.Result{ID: "s", Kind: "still", CameraID: "door", From: at, To: at}))
	res := r.wait(t, "s")
	require.Equal(t, []any{store.ResultDone, "image/jpeg", "", 1.0}, []any{res.State, res.MIME, res.Error, res.Progress})
	require.False(t, res.FinishedAt.IsZero())
	require.Equal(t, shown{number: 17, boxed: true}, look(t, r.content(t, res.SHA256)))
	r.tidy(t)
}

func TestClip(t *testing.T) {
	r := newRig(t)
	r.record(t, "a.mp4", start, 50)
	r.record(t, "b.mp4", start.Add(50*tick), 20)           // goes on at once
	r.record(t, "gone.mp4", start.Add(20*time.Second), 10) // deleted meanwhile
	r.record(t, "c.mp4", start.Add(time.Minute), 10)       // after a gap
	require.NoError(t, os.Remove(filepath.Join(r.cfg.Media, "gone.mp4")))
	s, _ := r.run(t)
	require.NoError(t, s.Request(t.Context(), store.Result{
		ID: "c", Kind: "clip", CameraID: "door", From: start.Add(30 * tick), To: start.Add(time.Minute + 5*tick),
	}))
	res := r.wait(t, "c")
	require.Equal(t, []any{store.ResultDone, "video/mp4", ""}, []any{res.State, res.MIME, res.Error})
	var want []int
	for _, span := range [][2]int{{30, 50}, {0, 20}, {0, 5}} {
		for n := span[0]; n < span[1]; n++ {
			want = append(want, n)
		}
	}
	frames := watch(t, r.content(t, res.SHA256))
	require.Len(t, frames, len(want))
	for i, f := range frames {
		require.Equal(t, want[i], f.number)
		require.InDelta(t, time.Duration(i)*tick, f.at, float64(2*time.Millisecond), "the gap is cut out")
		require.True(t, f.boxed, "frame %d", i)
	}
	r.tidy(t)
}

func TestClipWithoutAnnotations(t *testing.T) {
	r := newRig(t)
	r.record(t, "a.mp4", start, 30)
	require.NoError(t, r.series.DropCamera(t.Context(), "door"))
	s, _ := r.run(t)
	require.NoError(t, s.Request(t.Context(), store.Result{ID: "c", Kind: "clip", CameraID: "door", From: start, To: start.Add(time.Minute)}))
	frames := watch(t, r.content(t, r.wait(t, "c").SHA256))
	require.Len(t, frames, 30)
	require.False(t, frames[10].boxed)
}

func TestClipWhoseRecordingsAreGone(t *testing.T) {
	r := newRig(t)
	r.record(t, "a.mp4", start, 10)
	require.NoError(t, os.Remove(filepath.Join(r.cfg.Media, "a.mp4")))
	s, _ := r.run(t)
	require.NoError(t, s.Request(t.Context(), store.Result{ID: "c", Kind: "clip", CameraID: "door", From: start, To: start.Add(time.Minute)}))
	res := r.wait(t, "c")
	require.Equal(t, []any{store.ResultFailed, "there is no recording of this time"}, []any{res.State, res.Error})
	r.tidy(t)
}

func TestVideo(t *testing.T) {
	r := newRig(t)
	ctx, cancel := context.WithCancel(t.Context())
	ready, ended := make(chan struct{}), make(chan error, 1)
	var heard []bus.Result
	go func() {
		ended <- r.deps.Bus.SubscribeAll(ctx, ready, func(m bus.Message) {
			var e bus.Result
			if m.Decode(&e) == nil {
				heard = append(heard, e)
			}
		}, bus.Under(bus.Results))
	}()
	<-ready
	r.submit(t, "v", video(t, 50))
	_, stop := r.run(t)
	res := r.wait(t, "v")
	require.Equal(t, []any{store.ResultDone, "video/mp4", "", 1.0}, []any{res.State, res.MIME, res.Error, res.Progress})

	var found []api.FrameDetections
	require.NoError(t, json.Unmarshal(res.Detections, &found), "in the API's shape")
	require.Len(t, found, 50)
	var tracks []struct {
		Detections []struct {
			Box     [4]float32 `json:"box"`
			TrackID string     `json:"track_id"`
		} `json:"detections"`
	}
	require.NoError(t, json.Unmarshal(res.Detections, &tracks))
	for i, f := range found {
		require.Equal(t, i, f.Frame)
		require.InDelta(t, 40*i, f.PTSMS, 1)
		require.Equal(t, boxOf(i).X, f.Detections[0].Box[0])
		require.Equal(t, "1", tracks[i].Detections[0].TrackID, "frame %d", i)
	}
	frames := watch(t, r.content(t, res.SHA256))
	require.Len(t, frames, 50)
	for i, f := range frames {
		require.Equal(t, i, f.number)
		require.InDelta(t, time.Duration(i)*tick, f.at, float64(2*time.Millisecond))
		require.True(t, f.boxed, "frame %d", i)
	}
	r.tidy(t)
	stop()
	cancel()
	require.NoError(t, <-ended)
	require.Equal(t, bus.Result{ID: "v", Kind: "video", Name: "yard.mp4", State: store.ResultRunning}, heard[0])
	require.Equal(t, bus.Result{ID: "v", Kind: "video", Name: "yard.mp4", State: store.ResultDone, Progress: 1}, heard[len(heard)-1])
}

func TestVideoFails(t *testing.T) {
	r := newRig(t)
	r.cfg.MaxFrames = 20
	r.submit(t, "long", video(t, 21))
	r.submit(t, "text", []byte("this was never a video"))
	whole := video(t, 10)
	r.submit(t, "cut", whole[:len(whole)/2])
	r.submit(t, "lost", []byte("lost"))
	lost, err := r.records.Result(t.Context(), "lost")
	require.NoError(t, err)
	require.NoError(t, r.blobs.Delete(t.Context(), lost.Input))
	r.submit(t, "model", video(t, 5))
	other, err := r.records.Result(t.Context(), "model")
	require.NoError(t, err)
	other.Model = "none"
	require.NoError(t, r.records.PutResult(t.Context(), other))
	r.run(t)
	for id, words := range map[string]string{
		"long": "too many frames: at most 20 are taken", "text": "not a video", "cut": "damaged",
		"lost": "the uploaded file is gone", "model": "not found",
	} {
		res := r.wait(t, id)
		require.Equal(t, store.ResultFailed, res.State, id)
		require.Contains(t, res.Error, words)
		require.NotContains(t, res.Error, r.cfg.Temp)
		require.Empty(t, res.SHA256)
		require.Empty(t, res.Detections)
		require.False(t, res.FinishedAt.IsZero())
	}
	r.tidy(t)
}

func TestRequestRefuses(t *testing.T) {
	r := newRig(t)
	r.record(t, "a.mp4", start, 10)
	s := render.New(r.cfg, r.deps)
	for name, tc := range map[string]struct {
		res  store.Result
		want error
	}{
		"kind":        {store.Result{Kind: "film", CameraID: "door"}, render.ErrInvalid},
		"backwards":   {store.Result{Kind: "clip", CameraID: "door", From: start, To: start.Add(-1)}, render.ErrInvalid},
		"too long":    {store.Result{Kind: "clip", CameraID: "door", From: start, To: start.Add(render.MaxClip + 1)}, render.ErrInvalid},
		"no clip":     {store.Result{Kind: "clip", CameraID: "door", From: start.Add(time.Hour), To: start.Add(time.Hour + 1)}, store.ErrNotFound},
		"no still":    {store.Result{Kind: "still", CameraID: "door", From: start.Add(10 * time.Second)}, store.ErrNotFound},
		"other":       {store.Result{Kind: "still", CameraID: "gate", From: start}, store.ErrNotFound},
		"other, clip": {store.Result{Kind: "clip", CameraID: "gate", From: start, To: start.Add(1)}, store.ErrNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			tc.res.ID = "x"
			require.ErrorIs(t, s.Request(t.Context(), tc.res), tc.want)
			_, err := r.records.Result(t.Context(), "x")
			require.ErrorIs(t, err, store.ErrNotFound)
		})
	}
}

func TestJPEG(t *testing.T) {
	r := newRig(t)
	s := render.New(r.cfg, r.deps)
	_, _, _, err := s.JPEG(t.Context(), "door", time.Time{}, false)
	require.ErrorIs(t, err, store.ErrNotFound, "nothing there")
	segment := r.record(t, "a.mp4", start, 50)
	check := func(at time.Time, boxes bool, number int, captured time.Time, clock string) {
		t.Helper()
		data, when, how, err := s.JPEG(t.Context(), "door", at, boxes)
		require.NoError(t, err)
		require.Equal(t, shown{number: number, boxed: boxes}, look(t, data))
		require.WithinDuration(t, captured, when, 2*time.Millisecond)
		require.Equal(t, clock, how)
	}
	check(start, true, 0, start, "rtcp")
	check(start.Add(-time.Second), false, 0, start, "rtcp")
	check(start.Add(20*tick+10*time.Millisecond), true, 20, start.Add(20*tick), "rtcp")
	check(start.Add(3*time.Second), true, 49, start.Add(49*tick), "rtcp")
	check(time.Time{}, true, 49, start.Add(49*tick), "rtcp")
	for _, at := range []time.Time{start.Add(-3 * time.Second), start.Add(5 * time.Second)} {
		_, _, _, err = s.JPEG(t.Context(), "door", at, false)
		require.ErrorIs(t, err, store.ErrNotFound)
	}

	// The live frame is number 5, captured 2.5 s after the last recorded one began.
	f, _, err := playback.FrameAt(t.Context(), filepath.Join(r.cfg.Media, segment.Path), 5*tick, &r.pool)
	require.NoError(t, err)
	now := start.Add(4 * time.Second)
	f.Time, f.Clock = now, frame.ClockArrival
	r.setLive(f)
	b := boxOf(5)
	require.NoError(t, r.series.PutAnnotations(t.Context(), []store.Annotation{{
		CameraID: "door", Time: now.Add(-200 * time.Millisecond), Width: 640, Height: 480, // looked at larger
		Objects: []store.Object{{Label: "car", Score: 0.5, Box: store.Box{2 * b.X, 2 * b.Y, 2 * b.W, 2 * b.H}}},
	}}))
	check(time.Time{}, true, 5, now, "arrival")
	check(now.Add(-time.Second/2), false, 5, now, "arrival")
	check(now.Add(-1500*time.Millisecond), false, 49, start.Add(49*tick), "rtcp")
	check(start.Add(10*tick), false, 10, start.Add(10*tick), "rtcp")
	_, _, _, err = s.JPEG(t.Context(), "door", now.Add(3*time.Second), false)
	require.ErrorIs(t, err, store.ErrNotFound)

	small, err := s.Draw(f, store.Annotation{}, 160)
	require.NoError(t, err)
	require.Less(t, len(small), 20000)

	require.NoError(t, os.Remove(filepath.Join(r.cfg.Media, segment.Path)))
	_, _, _, err = s.JPEG(t.Context(), "door", start, false)
	require.ErrorIs(t, err, store.ErrNotFound, "deleted by retention")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, _, err = s.JPEG(ctx, "door", start, false)
	require.ErrorIs(t, err, context.Canceled)
}
