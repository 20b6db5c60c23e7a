package bus

import (
	"context"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"golang.org/x/sync/errgroup"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		os.Exit(queueAndWork(dir, os.Getenv(childRound)))
	}
	goleak.VerifyTestMain(m)
}

func open(t *testing.T, folder string) *Bus {
	t.Helper()
	b, err := Open(t.Context(), Config{Folder: folder}, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Close()) })
	return b
}

func TestSubscribeGetsEverythingInOrder(t *testing.T) {
	b := open(t, t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	var got []Change
	ready, all := make(chan struct{}), make(chan struct{})
	g := errgroup.Group{}
	g.Go(func() error {
		return b.Subscribe(ctx, ready, func(m Message) {
			var c Change
			require.NoError(t, m.Decode(&c))
			if got = append(got, c); len(got) == 1000 {
				close(all)
			}
		}, Under(CameraChanged))
	})
	<-ready
	for i := range 1000 {
		b.Publish(Subject(CameraChanged, "door"), Change{CameraID: "door", Revision: int64(i)})
	}
	b.Publish(Subject(CameraState, "door"), Change{Action: "other subject"})
	<-all
	cancel()
	require.NoError(t, g.Wait())
	for i, c := range got {
		require.Equal(t, int64(i), c.Revision)
	}
	require.Zero(t, b.Dropped())
}

func TestWorkSurvivesRestart(t *testing.T) {
	folder := t.TempDir()
	b := open(t, folder)
	require.NoError(t, b.Enqueue(t.Context(), RenderWork, "a", RenderJob{ResultID: "a"}))
	require.NoError(t, b.Enqueue(t.Context(), RenderWork, "a", RenderJob{ResultID: "a"}), "same id is stored once")
	require.NoError(t, b.Enqueue(t.Context(), RenderWork, "b", RenderJob{ResultID: "b"}))

	// The first worker is interrupted in the middle of job a.
	ctx, cancel := context.WithCancel(t.Context())
	require.NoError(t, b.Work(ctx, RenderWork, "render", func(ctx context.Context, _ Message) error { cancel(); return ctx.Err() }))
	require.NoError(t, b.Close())

	b = open(t, folder)
	ctx, cancel = context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var got []string
	err := b.Work(ctx, RenderWork, "render", func(_ context.Context, m Message) error {
		var j RenderJob
		require.NoError(t, m.Decode(&j))
		if got = append(got, j.ResultID); len(got) == 2 {
			cancel()
		}
		return nil
	})
	require.NoError(t, err)
	require.ElementsMatch(t, []string{"a", "b"}, got)
}

func TestNoSocket(t *testing.T) {
	b := open(t, t.TempDir())
	require.Nil(t, b.server.Addr(), "the bus must not listen")
	require.Nil(t, b.queues.Load().server.Addr(), "nor may the work queues")
	require.NoError(t, b.Ping(t.Context()))
}

func TestWatchSumsUp(t *testing.T) {
	b := open(t, t.TempDir())
	changed, stop, err := b.Watch(Under(CameraChanged), ModelsChanged)
	require.NoError(t, err)
	for range 100 {
		b.Publish(Subject(CameraChanged, "door"), Change{})
	}
	<-changed
	require.NoError(t, b.Flush())
	require.Eventually(t, func() bool { // what came after the first look counts as one
		select {
		case <-changed:
			return false
		default:
			return true
		}
	}, 10*time.Second, time.Millisecond)
	b.Publish(ModelsChanged, Change{})
	<-changed
	stop()
	select { // what of the first hundred came after the second look
	case <-changed:
	default:
	}
	b.Publish(ModelsChanged, Change{})
	require.NoError(t, b.Flush())
	require.Empty(t, changed)
}

// The documentation names every subject.
func TestEventsAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/events.md")
	require.NoError(t, err)
	for _, subject := range []string{
		Under(CameraChanged), Under(CameraState), Under(Detections), Under(Tracks), Under(Inferences), Under(RunningModel),
		Under(Results), Under(Segments), Under(ZonesChanged), Under(ZoneEvents), ModelsChanged, Health, RenderWork,
	} {
		require.Contains(t, string(text), "`"+subject+"`")
	}
}
