package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"detectd/store/crashtest"
)

// In the environment these make the test binary a process that queues and works.
const (
	childDir   = "DETECTD_TEST_QUEUE_DIR"
	childRound = "DETECTD_TEST_QUEUE_ROUND" // makes the ids of its jobs its own
)

// queueAndWork queues jobs as fast as it can and names each on stdout once it is
// acknowledged, and those that it has worked on. It never ends by itself.
func queueAndWork(dir, round string) int {
	ctx := context.Background()
	b, err := Open(ctx, Config{Folder: dir}, slog.New(slog.DiscardHandler))
	if err == nil {
		go func() {
			_ = b.Work(ctx, RenderWork, "render", func(_ context.Context, m Message) error {
				var j RenderJob
				if err := m.Decode(&j); err != nil {
					panic("a job cannot be read: " + err.Error())
				}
				_, _ = fmt.Fprintln(os.Stdout, "worked", j.ResultID)
				time.Sleep(3 * time.Millisecond) // queueing is to be quicker
				return nil
			})
		}()
	}
	for i := 0; err == nil; i++ {
		id := fmt.Sprintf("%s-%d", round, i)
		if err = b.Enqueue(ctx, RenderWork, id, RenderJob{ResultID: id}); err == nil {
			_, _ = fmt.Fprintln(os.Stdout, "queued", id)
		}
	}
	_, _ = fmt.Fprintln(os.Stderr, err)
	return 1
}

// requireQueued expects each job that was acknowledged to be there, or to have been
// worked on, and every job that is there to be readable. It returns how many are there.
func requireQueued(t *testing.T, dir string, acks, later []string) (there int) {
	t.Helper()
	b := open(t, dir)
	known := map[string]bool{}
	work := b.queues.Load().work
	info, err := work.Info(t.Context())
	require.NoError(t, err)
	for n := info.State.FirstSeq; n <= info.State.LastSeq; n++ {
		m, err := work.GetMsg(t.Context(), n)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue // done
		}
		require.NoError(t, err)
		var j RenderJob
		require.NoError(t, Message{Data: m.Data}.Decode(&j), "%q", m.Data)
		known[j.ResultID] = true
		there++
	}
	require.EqualValues(t, info.State.Msgs, there)
	for _, line := range later {
		if id, worked := strings.CutPrefix(line, "worked "); worked {
			known[id] = true
		}
	}
	for _, line := range acks {
		if id, queued := strings.CutPrefix(line, "queued "); queued {
			require.True(t, known[id], "job %s was acknowledged", id)
		}
	}
	require.NoError(t, b.Close())
	return there
}

// TestQueueIsKilled kills a process that queues jobs and works on them, again and again
// on the same files: each job that was acknowledged is there or was worked on.
func TestQueueIsKilled(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "bus")
	chance := rand.New(rand.NewPCG(5, 6))
	var told []string
	there := 0
	points := crashtest.Points(t, 6)
	for round := range points {
		w := crashtest.Start(t, childDir+"="+dir, fmt.Sprintf("%s=%d", childRound, round))
		w.Running(t, 1+chance.IntN(100), time.Duration(chance.IntN(3000))*time.Microsecond)
		w.Kill(t)
		told = append(told, w.Told()...)
		there = requireQueued(t, dir, told, told)
	}
	t.Logf("%d points: of what was told in %d lines nothing is lost, %d jobs wait", points, len(told), there)
	requireWorks(t, dir)
}

// TestQueueLosesItsPower takes the power from the disk of a process that queues jobs
// and works on them: each job that was acknowledged is there or was worked on, each one
// can be read, and the queue takes more.
func TestQueueLosesItsPower(t *testing.T) {
	disk, dir := crashtest.MountDisk(t, 256<<20)
	w := crashtest.Start(t, childDir+"="+filepath.Join(dir, "bus"), childRound+"=0")
	defer w.Kill(t)
	chance := rand.New(rand.NewPCG(7, 8))
	for range crashtest.Points(t, 6) {
		w.Running(t, len(w.Told())+1+chance.IntN(60), time.Duration(chance.IntN(3000))*time.Microsecond)
		acks := w.Told()
		left := disk.PowerCut(t, chance)
		w.Halted(t, func() {
			left.Look(t, func(dir string) {
				there := requireQueued(t, filepath.Join(dir, "bus"), acks, w.Told())
				t.Logf("%d lines told, none lost; %d jobs wait", len(acks), there)
				requireWorks(t, filepath.Join(dir, "bus"))
			})
		})
	}
}
