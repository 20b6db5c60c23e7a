package bench

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// child is a process of our own program.
type child struct {
	cmd    *exec.Cmd
	lines  *bufio.Scanner
	stderr bytes.Buffer
}

func start(ctx context.Context, args ...string) (*child, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find own program: %w", err)
	}
	c := &child{cmd: exec.CommandContext(ctx, exe, args...)}
	c.cmd.Cancel = func() error { return c.cmd.Process.Signal(os.Interrupt) }
	c.cmd.WaitDelay = 20 * time.Second
	c.cmd.Stderr = &c.stderr
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", args[0], err)
	}
	c.lines = bufio.NewScanner(out)
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", args[0], err)
	}
	return c, nil
}

// line waits for the next line of standard output.
func (c *child) line() (string, error) {
	if c.lines.Scan() {
		return c.lines.Text(), nil
	}
	_ = c.cmd.Wait()
	return "", fmt.Errorf("%s ended early: %s", c.cmd.Args[1], strings.TrimSpace(c.stderr.String()))
}

// stop asks the process to end and waits for it.
func (c *child) stop() {
	_ = c.cmd.Process.Signal(os.Interrupt)
	for c.lines.Scan() { //nolint:revive // nobody reads what it still says
	}
	_ = c.cmd.Wait()
}

// usage is the CPU time and resident memory of the process.
func (c *child) usage() (cpu time.Duration, rss int64, err error) {
	dir := filepath.Join("/proc", strconv.Itoa(c.cmd.Process.Pid))
	stat, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		return 0, 0, fmt.Errorf("read CPU time: %w", err)
	}
	// Fields after the program's name in parentheses: utime and stime are 14 and
	// 15 of proc(5), rss 24, counted from 1.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	var values [3]int64
	for i, field := range []int{14, 15, 24} {
		if values[i], err = strconv.ParseInt(fields[field-3], 10, 64); err != nil {
			return 0, 0, fmt.Errorf("read CPU time: %w", err)
		}
	}
	const ticksPerSecond = 100 // USER_HZ, the same on all Linux machines
	return time.Duration(values[0]+values[1]) * time.Second / ticksPerSecond, values[2] * int64(os.Getpagesize()), nil
}

// Load is what a daemon did during a measurement.
type Load struct {
	CPU        time.Duration
	Wall       time.Duration
	Frames     uint64
	Inferences uint64
	Drops      uint64
	RSS        int64         // bytes at the end
	Ready      time.Duration // from the start of the process to its line "ready"
	P50, P95   time.Duration // arrival of a frame to its result
}

// RunDaemon runs a daemon on simulated cameras that show video, in processes of
// their own, and measures the daemon for a while after a time of warming up.
func RunDaemon(ctx context.Context, video string, cameras int, warm, measure time.Duration) (l Load, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	simulator, err := start(ctx, append([]string{"simulate", "--listen", "127.0.0.1:0"}, slices.Repeat([]string{video}, cameras)...)...)
	if err != nil {
		return l, err
	}
	defer simulator.stop()
	data, err := os.MkdirTemp("", "detectd-bench-*")
	if err != nil {
		return l, fmt.Errorf("make data folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(data)) }()
	args := []string{"run", "--no-demo", "--data", data, "--listen", "127.0.0.1:0"}
	for range cameras {
		url, err := simulator.line()
		if err != nil {
			return l, err
		}
		args = append(args, url)
	}
	began := time.Now()
	daemon, err := start(ctx, args...)
	if err != nil {
		return l, err
	}
	defer daemon.stop()
	ready, err := daemon.line()
	if err != nil {
		return l, err
	}
	l.Ready = time.Since(began)
	base := strings.TrimPrefix(ready, "ready ")
	if err := pause(ctx, warm); err != nil {
		return l, err
	}
	before, err := sample(ctx, daemon, base)
	if err != nil {
		return l, err
	}
	if err := pause(ctx, measure); err != nil {
		return l, err
	}
	after, err := sample(ctx, daemon, base)
	if err != nil {
		return l, err
	}
	l.CPU, l.Wall = after.CPU-before.CPU, after.Wall-before.Wall
	l.Frames, l.Inferences, l.Drops = after.Frames-before.Frames, after.Inferences-before.Inferences, after.Drops-before.Drops
	l.RSS = after.RSS
	l.P50, l.P95, err = latencies(ctx, base, int(l.Inferences)) //nolint:gosec // a few thousand
	return l, err
}

// sample reads counters; Wall is the moment.
func sample(ctx context.Context, daemon *child, base string) (l Load, err error) {
	var answer struct {
		Items []struct {
			Status struct {
				State      string            `json:"state"`
				Frames     uint64            `json:"frames"`
				Inferences uint64            `json:"inferences"`
				Drops      map[string]uint64 `json:"drops"`
			} `json:"status"`
		} `json:"items"`
	}
	if err := get(ctx, base+"api/v1/cameras", &answer); err != nil {
		return l, err
	}
	l.Wall = time.Duration(time.Now().UnixNano())
	for _, c := range answer.Items {
		if c.Status.State != "running" {
			return l, fmt.Errorf("a simulated camera is %s", c.Status.State)
		}
		l.Frames += c.Status.Frames
		l.Inferences += c.Status.Inferences
		for _, n := range c.Status.Drops {
			l.Drops += n
		}
	}
	l.CPU, l.RSS, err = daemon.usage()
	return l, err
}

// latencies reads the newest n inferences.
func latencies(ctx context.Context, base string, n int) (p50, p95 time.Duration, err error) {
	var answer struct {
		Items []struct {
			Latency float64 `json:"latency_ms"`
		} `json:"items"`
	}
	if err := get(ctx, fmt.Sprintf("%sapi/v1/inferences?limit=%d", base, max(1, min(n, 1000))), &answer); err != nil {
		return 0, 0, err
	}
	if len(answer.Items) == 0 {
		return 0, 0, errors.New("no inference was recorded")
	}
	ms := make([]float64, len(answer.Items))
	for i, item := range answer.Items {
		ms[i] = item.Latency
	}
	slices.Sort(ms)
	at := func(q float64) time.Duration {
		return time.Duration(ms[int(q*float64(len(ms)-1))] * float64(time.Millisecond))
	}
	return at(0.50), at(0.95), nil
}

func get(ctx context.Context, url string, into any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fmt.Errorf("ask daemon: %w", err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("ask daemon: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("daemon answers %s", response.Status)
	}
	return json.NewDecoder(response.Body).Decode(into)
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
