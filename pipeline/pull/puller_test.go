package pull

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// run returns a puller at work; add takes the files in.
func run(t *testing.T, address string, add func(context.Context, Entry, io.Reader) (int, error)) *Puller {
	t.Helper()
	p := NewPuller(Config{
		Fetcher: fetcher(), Dir: t.TempDir(), MaxBytes: 10 << 20, Add: add, Changed: func() {},
		Entries: func() []Entry {
			return []Entry{
				{Name: "a", URL: address, SHA256: sumOf(content), Bytes: int64(len(content))},
				{Name: "b", URL: address + "?b", SHA256: sumOf(content), Bytes: int64(len(content))},
			}
		},
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- p.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
		left, err := os.ReadDir(p.cfg.Dir)
		require.NoError(t, err)
		for _, file := range left {
			require.Contains(t, []string{".part", ".json"}, file.Name()[len(file.Name())-5:])
		}
	})
	return p
}

func (p *Puller) ended(t *testing.T, name string) Job {
	t.Helper()
	var job Job
	require.Eventually(t, func() bool {
		for _, j := range p.Jobs() {
			if j.Name == name {
				job = j
			}
		}
		return job.State == Done || job.State == Failed
	}, 10*time.Second, time.Millisecond)
	return job
}

func TestPull(t *testing.T) {
	p := run(t, serve(t, plain), func(_ context.Context, e Entry, file io.Reader) (int, error) {
		data, err := io.ReadAll(file)
		if err == nil && sumOf(data) != e.SHA256 {
			err = errors.New("another file")
		}
		return 3, err
	})
	_, err := p.Start("c")
	require.ErrorIs(t, err, ErrUnknown)
	job, err := p.Start("a")
	require.NoError(t, err)
	require.Equal(t, Waiting, job.State)
	job = p.ended(t, "a")
	require.Empty(t, job.Error)
	require.Equal(t, 3, job.Version)
	require.EqualValues(t, len(content), job.Done)
	_, err = p.Start("a")
	require.NoError(t, err, "once more")
	require.Equal(t, Done, p.ended(t, "a").State)
	require.ErrorIs(t, p.Stop("a"), ErrUnknown, "it has ended")
}

func TestPullThatIsRefused(t *testing.T) {
	p := run(t, serve(t, plain), func(context.Context, Entry, io.Reader) (int, error) { return 0, errors.New("no detector") })
	_, err := p.Start("a")
	require.NoError(t, err)
	job := p.ended(t, "a")
	require.Equal(t, Failed, job.State)
	require.Equal(t, "no detector", job.Error)
}

// TestStopPull ends one that makes no progress; the next in the queue goes on.
func TestStopPull(t *testing.T) {
	began := make(chan bool)
	p := run(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RawQuery == "b" {
			plain(w, r)
			return
		}
		began <- true
		<-r.Context().Done()
	}), func(context.Context, Entry, io.Reader) (int, error) { return 1, nil })
	_, err := p.Start("a")
	require.NoError(t, err)
	_, err = p.Start("b")
	require.NoError(t, err)
	<-began
	_, err = p.Start("a")
	require.ErrorIs(t, err, ErrRunning)
	require.NoError(t, p.Stop("a"))
	require.Equal(t, "it was stopped", p.ended(t, "a").Error)
	require.Equal(t, Done, p.ended(t, "b").State)
}
