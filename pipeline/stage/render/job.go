package render

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"detectd/pipeline/bus"
	"detectd/store"
)

// progressEvery is how often progress is stored and announced.
const progressEvery = 500 * time.Millisecond

// job is one result being made.
type job struct {
	stage *Stage
	store.Result
	temp string // folder of its own
	told time.Time
}

// handle does one job of the queue. Only an error that may pass is returned, for
// the queue to hand the job out again; all others end the result.
func (s *Stage) handle(ctx context.Context, m bus.Message) error {
	var message bus.RenderJob
	if err := m.Decode(&message); err != nil {
		s.deps.Log.Error("read render job", "error", err)
		return nil // it will not get better
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	w := &working{id: message.ResultID, cancel: cancel, done: make(chan struct{})}
	r, err := s.begin(ctx, w)
	defer s.end(w)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil // removed
	case err != nil:
		return err
	case r.State == store.ResultDone || r.State == store.ResultFailed:
		return nil // handed out twice
	}
	return s.do(ctx, &job{stage: s, Result: r})
}

func (s *Stage) begin(ctx context.Context, w *working) (store.Result, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.working = w
	return s.deps.Results.Result(ctx, w.id)
}

func (s *Stage) end(w *working) {
	s.mu.Lock()
	s.working = nil
	s.mu.Unlock()
	close(w.done)
}

// interrupted are the notes of a result whose job was being done when detectd
// broke down. It is not tried for ever: it may be what broke detectd.
var interrupted = [...]string{"", "interrupted once, tried again", "interrupted twice, tried again"}

// do makes the result and stores how it ended.
func (s *Stage) do(ctx context.Context, j *job) error {
	if j.State == store.ResultRunning {
		next := slices.Index(interrupted[:], j.Error) + 1
		if next >= len(interrupted) {
			return j.finish(ctx, errors.New("detectd broke down three times while working at it"))
		}
		j.Error = interrupted[next]
	}
	j.State, j.Progress = store.ResultRunning, 0
	if err := j.save(ctx); err != nil {
		return err
	}
	note, err := j.Error, j.render(ctx)
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, errRemoved):
		return s.drop(context.WithoutCancel(ctx), j.SHA256)
	case cause != nil && err != nil: // detectd stops in order: that is no interruption
		j.State, j.Progress, j.Error = store.ResultQueued, 0, note
		return errors.Join(cause, j.save(context.WithoutCancel(ctx)))
	}
	return j.finish(context.WithoutCancel(ctx), err)
}

// render makes the file in a folder of its own, and stores it.
func (j *job) render(ctx context.Context) (err error) {
	if j.temp, err = j.stage.temp(); err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(j.temp) }()
	path := filepath.Join(j.temp, "out")
	switch j.Kind {
	case "still":
		err = j.still(ctx, path)
	case "clip":
		err = j.clip(ctx, path)
	case "video":
		err = j.video(ctx, path)
	default:
		err = fmt.Errorf("results of kind %q are not rendered", j.Kind)
	}
	if err != nil {
		return err
	}
	f, err := os.Open(filepath.Clean(path))
	if err != nil {
		return fmt.Errorf("open rendered file: %w", err)
	}
	defer func() { _ = f.Close() }()
	j.SHA256, j.Bytes, err = j.stage.deps.Blobs.Put(ctx, f)
	return err
}

// finish stores the end of a job: done, or failed with err's words.
func (j *job) finish(ctx context.Context, err error) error {
	j.FinishedAt = time.Now().UTC().Truncate(time.Millisecond)
	j.State, j.Progress, j.Error = store.ResultDone, 1, ""
	if err != nil {
		j.stage.deps.Log.Warn("render", "result", j.ID, "kind", j.Kind, "error", err)
		j.State, j.Progress, j.Error = store.ResultFailed, 0, j.words(err)
		j.SHA256, j.Bytes, j.MIME, j.Detections = "", 0, "", nil
	}
	return j.save(ctx)
}

// words are those of err for people: without the names of internal folders.
func (j *job) words(err error) string {
	return strings.NewReplacer(j.stage.cfg.Temp, "temp", j.stage.cfg.Media, "media").Replace(err.Error())
}

// progress stores and announces how much is done, twice a second at most.
func (j *job) progress(ctx context.Context, share float64) error {
	if now := time.Now(); now.Sub(j.told) >= progressEvery {
		j.told, j.Progress = now, max(j.Progress, min(share, 0.99))
		return j.save(ctx)
	}
	return nil
}

func (j *job) save(ctx context.Context) error {
	if err := j.stage.deps.Results.PutResult(ctx, j.Result); err != nil {
		return err
	}
	j.stage.announce(j.Result)
	return nil
}
