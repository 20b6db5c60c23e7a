package model

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"time"

	"detectd/detect"
	"detectd/detect/ort"
)

// ErrCrash is returned by Try for a model that takes its process down.
var ErrCrash = fmt.Errorf("%w: it crashes the runtime", detect.ErrNotDetector)

// maxTrial bounds a trial with everything: reading, optimising and running.
const maxTrial = 3 * time.Minute

// request is what the process of a trial is told, on one line before the model.
type request struct {
	Family    string            `json:"family,omitempty"`
	Overrides map[string]string `json:"overrides,omitempty"`
	Contract  *detect.Contract  `json:"contract,omitempty"`
	Trial     time.Duration     `json:"trial,omitempty"`
}

// outcome is what it answers.
type outcome struct {
	Contract detect.Contract `json:"contract"`
	Error    string          `json:"error,omitempty"`
	Kinds    []int           `json:"kinds,omitempty"` // in kinds
}

// kinds are the errors that callers tell apart.
func kinds() []error {
	return []error{
		ort.ErrSlow, ort.ErrNotFinite, detect.ErrAmbiguous, detect.ErrNotONNX, detect.ErrExternalData, detect.ErrNotDetector,
	}
}

// told is an error of another process.
type told struct {
	text  string
	kinds []error
}

func (e *told) Error() string   { return e.text }
func (e *told) Unwrap() []error { return e.kinds }

// Try opens a model as Open does, but in a process of its own, and returns the
// contract: a model that crashes or blocks the runtime takes only that one with
// it. The command is not yet started; it is this program, with arguments on which
// it calls ServeTrial. Of the options, those of the session other than Trial do
// not count: the trial runs on the CPU.
func Try(ctx context.Context, command *exec.Cmd, data []byte, o Options) (detect.Contract, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, maxTrial,
		refuse("%w: its trial was stopped after %v", ort.ErrSlow, maxTrial))
	defer cancel()
	head, err := json.Marshal(request{Family: o.Family, Overrides: o.Overrides, Contract: o.Contract, Trial: o.Session.Trial})
	if err != nil {
		return detect.Contract{}, fmt.Errorf("try model: %w", err)
	}
	var out bytes.Buffer
	command.Stdin = io.MultiReader(bytes.NewReader(append(head, '\n')), bytes.NewReader(data))
	command.Stdout = &out
	if err := command.Start(); err != nil {
		return detect.Contract{}, fmt.Errorf("try model: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = command.Process.Kill() }) // it may have ended
	defer stop()
	ended := command.Wait()
	if err := context.Cause(ctx); err != nil {
		return detect.Contract{}, err
	}
	var a outcome
	if err := json.Unmarshal(out.Bytes(), &a); err != nil || ended != nil {
		return detect.Contract{}, fmt.Errorf("%w (its trial ended with %q)", ErrCrash, command.ProcessState)
	}
	if a.Error == "" {
		return a.Contract, nil
	}
	e := &told{text: a.Error}
	for i, kind := range kinds() {
		if slices.Contains(a.Kinds, i) {
			e.kinds = append(e.kinds, kind)
		}
	}
	return detect.Contract{}, e
}

// ServeTrial is the other side of Try: it reads a request and a model from in,
// opens it, and writes what came of it to out.
func ServeTrial(rt *ort.Runtime, in io.Reader, out io.Writer) error {
	buffered := bufio.NewReader(in)
	line, err := buffered.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("read trial: %w", err)
	}
	var r request
	if err := json.Unmarshal(line, &r); err != nil {
		return fmt.Errorf("read trial: %w", err)
	}
	data, err := io.ReadAll(buffered)
	if err != nil {
		return fmt.Errorf("read model: %w", err)
	}
	var a outcome
	d, err := Open(rt, data, Options{
		Family: r.Family, Overrides: r.Overrides, Contract: r.Contract, Session: ort.Options{Trial: r.Trial},
	})
	if err != nil {
		a.Error = err.Error()
		for i, kind := range kinds() {
			if errors.Is(err, kind) {
				a.Kinds = append(a.Kinds, i)
			}
		}
	} else {
		a.Contract = d.Contract()
		if err := d.Close(); err != nil {
			return fmt.Errorf("close model: %w", err)
		}
	}
	if err := json.NewEncoder(out).Encode(a); err != nil {
		return fmt.Errorf("answer trial: %w", err)
	}
	return nil
}
