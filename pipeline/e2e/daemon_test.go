package e2e

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// patience is how long tests wait for what should come soon. It is no bar.
const patience = time.Minute

// settings are what the daemons under test run with: all they can log, short
// recorded files, and quick to give a camera up.
const settings = `
demo: false
log: {level: debug, format: json}
record: {segment: 1s, reserve: 0}
sources: {dial_timeout: 2s, read_timeout: 2s}
`

// buffer keeps what a process writes.
type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// daemon is a running `detectd run`.
type daemon struct {
	*client
	t       *testing.T
	dir     string // its data folder
	command *exec.Cmd
	log     *buffer
	exited  chan struct{}
}

// start runs a daemon on a new data folder until the test ends.
func start(t *testing.T, args ...string) *daemon {
	t.Helper()
	return startIn(t, filepath.Join(t.TempDir(), "data"), args...)
}

// startIn runs a daemon on the data folder dir until the test ends.
func startIn(t *testing.T, dir string, args ...string) *daemon {
	t.Helper()
	require.NoError(t, watchSources())
	args = append([]string{"run", "--data", dir, "--listen", "127.0.0.1:0", "--config", write(t, "config.yaml", settings)}, args...)
	d := &daemon{t: t, dir: dir, command: exec.Command(program, args...), log: &buffer{}, exited: make(chan struct{})}
	d.command.Stderr = d.log
	d.command.Dir = t.TempDir()
	stdout, err := d.command.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, d.command.Start())
	ready := make(chan string, 1)
	go func() {
		defer close(d.exited)
		lines := bufio.NewReader(stdout)
		if line, err := lines.ReadString('\n'); err == nil {
			ready <- strings.TrimSpace(line)
		}
		_, _ = io.Copy(io.Discard, lines)
		_ = d.command.Wait()
	}()
	t.Cleanup(d.cleanUp)
	select {
	case line := <-ready:
		address, ok := strings.CutPrefix(line, "ready ")
		require.True(t, ok, line)
		d.client = newClient(t, address)
	case <-d.exited:
		require.Fail(t, "the daemon ended", d.log.String())
	case <-time.After(patience):
		require.Fail(t, "the daemon is not ready", d.log.String())
	}
	return d
}

// stop ends the daemon as service managers do and expects that it is fine.
func (d *daemon) stop() {
	d.t.Helper()
	d.signal(syscall.SIGTERM)
	require.Zero(d.t, d.command.ProcessState.ExitCode(), "exit code; log:\n%s", d.log)
	require.NotContains(d.t, d.log.String(), "DATA RACE")
	require.NotContains(d.t, d.log.String(), "panic")
}

// kill ends the daemon as a power cut does.
func (d *daemon) kill() {
	d.t.Helper()
	d.signal(syscall.SIGKILL)
}

func (d *daemon) signal(s syscall.Signal) {
	d.t.Helper()
	_ = d.command.Process.Signal(s)
	select {
	case <-d.exited:
	case <-time.After(patience):
		require.Fail(d.t, "the daemon does not end", d.log.String())
	}
}

func (d *daemon) cleanUp() {
	select {
	case <-d.exited:
	default:
		d.stop()
	}
	if d.t.Failed() {
		log := d.log.String()
		for _, word := range []string{"fatal error:", "panic:", "unexpected fault"} { // how it ended, before its many goroutines
			if at := strings.Index(log, "\n"+word); at >= 0 {
				d.t.Logf("how the daemon ended:\n%s", log[max(0, at-1000):min(len(log), at+6000)])
				break
			}
		}
		d.t.Logf("log of the daemon:\n%s", tail(log, 6000))
	}
}

func tail(text string, n int) string { return text[max(0, len(text)-n):] }

// ended is what a command left that ended by itself.
type ended struct {
	Code           int
	Stdout, Stderr string
}

// command runs detectd to its end.
func command(t *testing.T, args ...string) ended {
	t.Helper()
	return finish(t, exec.Command(program, args...))
}

func finish(t *testing.T, c *exec.Cmd) ended {
	t.Helper()
	require.NoError(t, watchSources())
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	if c.Dir == "" {
		c.Dir = t.TempDir()
	}
	require.NoError(t, c.Start())
	timer := time.AfterFunc(2*patience, func() { _ = c.Process.Kill() })
	defer timer.Stop()
	if err := c.Wait(); err != nil {
		require.ErrorAs(t, err, new(*exec.ExitError))
	}
	return ended{c.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// succeeds runs detectd to its end, which has to be good, and returns what it printed.
func succeeds(t *testing.T, args ...string) string {
	t.Helper()
	e := command(t, args...)
	require.Zero(t, e.Code, e.Stderr)
	return e.Stdout
}

// write puts a file into a folder of its own.
func write(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(content), 0o644))
	return path
}

// soon repeats check until it finds nothing wrong. Its last complaints are the
// test's when that does not happen.
func soon(t *testing.T, check func(t require.TestingT), about ...any) {
	t.Helper()
	require.EventuallyWithT(t, func(c *assert.CollectT) { check(c) }, patience, 50*time.Millisecond, about...)
}

// stream reads server-sent events until the test ends.
type stream struct {
	mu     sync.Mutex
	events []event
}

type event struct{ Name, Data string }

func (d *daemon) stream(query string) *stream {
	d.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, d.base+"/api/v1/events/stream"+query, nil)
	require.NoError(d.t, err)
	response, err := d.http.Do(request)
	require.NoError(d.t, err)
	require.Equal(d.t, http.StatusOK, response.StatusCode)
	s := &stream{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer response.Body.Close()
		s.read(response.Body)
	}()
	d.t.Cleanup(func() { cancel(); <-done })
	return s
}

func (s *stream) read(body io.Reader) {
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, 4<<20)
	var e event
	for lines.Scan() {
		key, value, _ := strings.Cut(lines.Text(), ": ")
		switch key {
		case "event":
			e.Name = value
		case "data":
			e.Data = value
		case "":
			if e.Name != "" {
				s.mu.Lock()
				s.events = append(s.events, e)
				s.mu.Unlock()
			}
			e = event{}
		}
	}
}

// seen are the data of all events of one name up to now, of all without a name.
func (s *stream) seen(name string) (data []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.events {
		if name == "" || e.Name == name {
			data = append(data, e.Data)
		}
	}
	return data
}
