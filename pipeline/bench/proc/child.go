// Package proc starts programs to be measured and reads what they use of the
// machine from Linux's /proc.
package proc

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Child is a running process of our own program.
type Child struct {
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	lines  *bufio.Scanner
	stderr bytes.Buffer
}

// Start runs our own program with the arguments. With cores above 0 it may use
// that many processors only, the first ones of those that this process may use; with
// cores below 0 all but as many, where there are others.
// It is interrupted when ctx ends.
func Start(ctx context.Context, cores int, args ...string) (*Child, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find own program: %w", err)
	}
	c := &Child{cmd: exec.CommandContext(ctx, exe, args...)}
	c.cmd.Cancel = func() error { return c.cmd.Process.Signal(os.Interrupt) }
	c.cmd.WaitDelay = stopTime
	c.cmd.Stderr = &c.stderr
	out, err := c.cmd.StdoutPipe()
	if err == nil {
		c.stdin, err = c.cmd.StdinPipe()
	}
	if err == nil {
		err = onCores(cores, c.cmd.Start)
	}
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", args[0], err)
	}
	c.lines = bufio.NewScanner(out)
	return c, nil
}

// onCores calls f on a thread that may use the first n processors only, or with n below
// 0 none of the first -n; a process that f starts inherits that. 0 is no limit.
func onCores(n int, f func() error) error {
	if n == 0 {
		return f()
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var all, some unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		return fmt.Errorf("read the processors of this process: %w", err)
	}
	for cpu, seen := 0, 0; cpu < 64*len(all); cpu++ {
		if !all.IsSet(cpu) {
			continue
		}
		if seen++; n > 0 && seen <= n || n < 0 && seen > -n {
			some.Set(cpu)
		}
	}
	if some.Count() == 0 {
		return f()
	}
	if err := unix.SchedSetaffinity(0, &some); err != nil {
		return fmt.Errorf("limit the processors of a process: %w", err)
	}
	return errors.Join(f(), unix.SchedSetaffinity(0, &all))
}

// Line waits for the next line of standard output.
func (c *Child) Line() (string, error) {
	if c.lines.Scan() {
		return c.lines.Text(), nil
	}
	_ = c.cmd.Wait()
	return "", fmt.Errorf("%s ended early: %s", c.cmd.Args[1], lastLine(c.stderr.String()))
}

// Ask writes an empty line to standard input and waits for the line that answers.
func (c *Child) Ask() (string, error) {
	_, err := c.stdin.Write([]byte{'\n'})
	line, early := c.Line()
	if early != nil {
		return "", early
	}
	return line, err
}

func lastLine(text string) string {
	text = strings.TrimSpace(text)
	return text[strings.LastIndexByte(text, '\n')+1:]
}

// stopTime is how long a process may take to end.
const stopTime = 20 * time.Second

// Stop asks the process to end and waits for it.
func (c *Child) Stop() {
	_ = c.cmd.Process.Signal(os.Interrupt)
	kill := time.AfterFunc(stopTime, func() { _ = c.cmd.Process.Kill() })
	defer kill.Stop()
	for c.lines.Scan() { //nolint:revive // nobody reads what it still says
	}
	_ = c.cmd.Wait()
}

// Usage is what the process uses.
func (c *Child) Usage() (Usage, error) { return Of(c.cmd.Process.Pid) }

// FamilyUsage is the same together with its own children that are running.
func (c *Child) FamilyUsage() (Usage, error) { return OfFamily(c.cmd.Process.Pid) }
