package sqlite

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"detectd/store"
	"detectd/store/folder"
)

// crashDir in the environment makes the test binary the process that is killed.
const crashDir = "DETECTD_TEST_CRASH_DIR"

// crashChild stores rows of several kinds as fast as it can and names each on
// stdout once the store has said that it is kept. It never ends by itself.
func crashChild(dir string) int {
	ctx := context.Background()
	f, err := folder.Open(dir)
	if err != nil {
		return fail(err)
	}
	s, err := Open(ctx, f.DB(), slog.New(slog.DiscardHandler))
	if err != nil {
		return fail(err)
	}
	if _, err := s.CreateClient(ctx, store.Client{ID: "a"}); err != nil {
		return fail(err)
	}
	if _, err := s.CreateCamera(ctx, store.Camera{ID: "door", ClientID: "a"}); err != nil {
		return fail(err)
	}
	var group sync.WaitGroup
	for worker := range 4 {
		group.Go(func() {
			for i := 0; ; i++ {
				id := fmt.Sprintf("%d-%d", worker, i)
				_, err := s.AddSegment(ctx, store.Segment{CameraID: "door", Path: id})
				if err == nil {
					err = s.PutTrack(ctx, store.Track{ID: id, CameraID: "door"})
				}
				if err != nil {
					_, _ = fmt.Fprintln(os.Stderr, err)
					return
				}
				_, _ = fmt.Fprintln(os.Stdout, id) // one write, so lines stay whole
			}
		})
	}
	group.Wait()
	return 1
}

func fail(err error) int {
	_, _ = fmt.Fprintln(os.Stderr, err)
	return 1
}

func TestKillLosesNothingAcknowledged(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), crashDir+"="+dir)
	var complaints strings.Builder
	cmd.Stderr = &complaints
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())

	var acknowledged []string
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		acknowledged = append(acknowledged, lines.Text())
		switch len(acknowledged) {
		case 1:
			_, err := folder.Open(dir)
			require.ErrorIs(t, err, store.ErrLocked)
			require.ErrorContains(t, err, fmt.Sprintf("(process %d)", cmd.Process.Pid))
		case 200:
			require.NoError(t, cmd.Process.Kill()) // SIGKILL; what is in the pipe still counts
		}
	}
	require.ErrorContains(t, cmd.Wait(), "killed", "%s", &complaints)
	require.GreaterOrEqual(t, len(acknowledged), 200)

	f, err := folder.Open(dir)
	require.NoError(t, err, "the lock went with the process")
	defer func() { require.NoError(t, f.Close()) }()
	s := openTest(t, f.DB())
	var state string
	require.NoError(t, s.w.QueryRowContext(t.Context(), `PRAGMA integrity_check`).Scan(&state))
	require.Equal(t, "ok", state)

	paths := map[string]bool{}
	page := store.Page{Limit: 1000}
	for {
		all, next, err := s.ListSegments(t.Context(), "door", store.Range{}, page)
		require.NoError(t, err)
		for _, g := range all {
			paths[g.Path] = true
		}
		if page.Cursor = next; next == "" {
			break
		}
	}
	for _, id := range acknowledged {
		require.True(t, paths[id], "segment %s was acknowledged", id)
		_, err := s.Track(t.Context(), id)
		require.NoError(t, err)
	}
}
