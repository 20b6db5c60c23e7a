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
	Bytes     int64             `json:"bytes"` // of the model
}

// outcome is what it answers.
type outcome struct {
	Examined
	Error string `json:"error,omitempty"`
	Kinds []int  `json:"kinds,omitempty"` // in kinds
}

// Examined is what is found out about a new model file.
type Examined struct {
	Contract detect.Contract `json:"contract"`
	Lineage  json.RawMessage `json:"lineage,omitempty"` // what the file says that it was derived from
	Check    json.RawMessage `json:"check,omitempty"`   // the Report of its self-check
	Overlay  []byte          `json:"overlay,omitempty"` // JPEG of what that found
}

// Check runs a detector's self-check. It returns the report and a JPEG of the
// picture with what was found.
type Check func(ctx context.Context, d detect.Detector) (report Report, overlay []byte, err error)

// Examine opens a model, and has it checked unless check is nil.
func Examine(ctx context.Context, rt *ort.Runtime, data []byte, o Options, check Check) (e Examined, err error) {
	d, err := Open(rt, data, o)
	if err != nil {
		return Examined{}, err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	e = Examined{Contract: d.Contract(), Lineage: Lineage(data)}
	if check == nil {
		return e, nil
	}
	report, overlay, err := check(ctx, d)
	if err != nil {
		return Examined{}, err
	}
	if e.Check, err = json.Marshal(report); err != nil {
		return Examined{}, fmt.Errorf("encode self-check: %w", err)
	}
	e.Overlay = overlay
	return e, nil
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

// Try examines a model as Examine does, but in a process of its own: a model that
// crashes or blocks the runtime takes only that one with it, and this one's memory
// does not grow with the file, of which there are size bytes. The command is not yet
// started; it is this program, with arguments on which it calls ServeTrial. Of the
// options, those of the session other than Trial do not count: the trial runs on
// the CPU.
func Try(ctx context.Context, command *exec.Cmd, file io.Reader, size int64, o Options) (Examined, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, maxTrial,
		refuse("%w: its trial was stopped after %v", ort.ErrSlow, maxTrial))
	defer cancel()
	head, err := json.Marshal(request{
		Family: o.Family, Overrides: o.Overrides, Contract: o.Contract, Trial: o.Session.Trial, Bytes: size,
	})
	if err != nil {
		return Examined{}, fmt.Errorf("try model: %w", err)
	}
	var out bytes.Buffer
	command.Stdin = io.MultiReader(bytes.NewReader(append(head, '\n')), file)
	command.Stdout = &out
	if err := command.Start(); err != nil {
		return Examined{}, fmt.Errorf("try model: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = command.Process.Kill() }) // it may have ended
	defer stop()
	ended := command.Wait()
	if err := context.Cause(ctx); err != nil {
		return Examined{}, err
	}
	var a outcome
	if err := json.Unmarshal(out.Bytes(), &a); err != nil || ended != nil {
		return Examined{}, fmt.Errorf("%w (its trial ended with %q)", ErrCrash, command.ProcessState)
	}
	if a.Error == "" {
		return a.Examined, nil
	}
	e := &told{text: a.Error}
	for i, kind := range kinds() {
		if slices.Contains(a.Kinds, i) {
			e.kinds = append(e.kinds, kind)
		}
	}
	return Examined{}, e
}

// ServeTrial is the other side of Try: it reads a request and a model from in,
// examines it, and writes what came of it to out.
func ServeTrial(ctx context.Context, rt *ort.Runtime, check Check, in io.Reader, out io.Writer) error {
	buffered := bufio.NewReader(in)
	line, err := buffered.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("read trial: %w", err)
	}
	var r request
	if err := json.Unmarshal(line, &r); err != nil {
		return fmt.Errorf("read trial: %w", err)
	}
	data := make([]byte, r.Bytes)
	if _, err := io.ReadFull(buffered, data); err != nil {
		return fmt.Errorf("read model: %w", err)
	}
	var a outcome
	a.Examined, err = Examine(ctx, rt, data, Options{
		Family: r.Family, Overrides: r.Overrides, Contract: r.Contract, Session: ort.Options{Trial: r.Trial},
	}, check)
	if err != nil {
		a.Error = err.Error()
		for i, kind := range kinds() {
			if errors.Is(err, kind) {
				a.Kinds = append(a.Kinds, i)
			}
		}
	}
	if err := json.NewEncoder(out).Encode(a); err != nil {
		return fmt.Errorf("answer trial: %w", err)
	}
	return nil
}
