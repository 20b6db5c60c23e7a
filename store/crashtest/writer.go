package crashtest

import (
	"bufio"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Writer is a process that writes and names on stdout, a line each, what it has been
// told is kept: the test binary itself, whose TestMain sees by the environment that it
// is one. A line has to be one write.
type Writer struct {
	cmd   *exec.Cmd
	said  strings.Builder
	mu    sync.Mutex
	lines []string
	ended chan struct{} // when its output has ended
}

// Start starts the test binary with more in its environment.
func Start(t *testing.T, env ...string) *Writer {
	t.Helper()
	w := &Writer{cmd: exec.CommandContext(t.Context(), os.Args[0]), ended: make(chan struct{})}
	w.cmd.Env = append(append(os.Environ(), env...), "GORACE=atexit_sleep_ms=0")
	w.cmd.Stderr = &w.said
	out, err := w.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, w.cmd.Start())
	go func() {
		defer close(w.ended)
		for r := bufio.NewReader(out); ; {
			line, err := r.ReadString('\n')
			if err != nil {
				return // what was cut in the middle was told to nobody
			}
			w.mu.Lock()
			w.lines = append(w.lines, strings.TrimSuffix(line, "\n"))
			w.mu.Unlock()
		}
	}()
	return w
}

// Told returns what the process has said so far.
func (w *Writer) Told() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.lines)
}

// Running waits until the process has said n things, and a moment more.
func (w *Writer) Running(t *testing.T, n int, moment time.Duration) {
	t.Helper()
	require.Eventually(t, func() bool {
		select {
		case <-w.ended:
			return true
		default:
			return len(w.Told()) >= n
		}
	}, time.Minute, 500*time.Microsecond)
	require.GreaterOrEqual(t, len(w.Told()), n, "the writer ended: %s", &w.said)
	<-time.After(moment)
}

// Kill ends the process by SIGKILL. What it had said by then still counts.
func (w *Writer) Kill(t *testing.T) {
	t.Helper()
	require.NoError(t, w.cmd.Process.Kill())
	<-w.ended
	require.ErrorContains(t, w.cmd.Wait(), "killed", "%s", &w.said)
}

// Halted keeps the process from running while look does.
func (w *Writer) Halted(t *testing.T, look func()) {
	t.Helper()
	require.NoError(t, w.cmd.Process.Signal(syscall.SIGSTOP))
	look()
	require.NoError(t, w.cmd.Process.Signal(syscall.SIGCONT))
}
