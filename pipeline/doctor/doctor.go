// Package doctor looks at the machine, the libraries and the settings and says whether
// detectd can run here, on what, and what to do about what is wrong.
package doctor

import (
	"context"
	"fmt"
	"io"
	"strings"

	"detectd/detect/provider"
)

// Level is how bad a line is.
type Level string

// The levels. Only problems keep detectd from running.
const (
	OK      Level = "ok"
	Warning Level = "warning"
	Problem Level = "problem"
)

// Line is one finding.
type Line struct {
	Group string `json:"group"` // machine, data, libraries, onnxruntime, nvidia, network
	Name  string `json:"name"`
	Level Level  `json:"level"`
	Text  string `json:"text"`
	Hint  string `json:"hint,omitempty"` // the way out
}

// Report is everything that was found.
type Report struct {
	CanRun bool   `json:"can_run"`
	Lines  []Line `json:"lines"`
}

// Config says what to look at.
type Config struct {
	Data    string // data folder, which need not exist yet
	Listen  string // address of the page
	Library string // libonnxruntime of the user's own, or empty
	Choice  provider.Choice
	Workers int
	// Hardware is decode.hardware of the settings.
	Hardware string
	// Model returns the file of the default model.
	Model func() (string, error)
	// Root is put before /proc and /sys, for tests; empty otherwise.
	Root string
}

// doctor collects lines.
type doctor struct {
	cfg   Config
	group string
	lines []Line

	driver bool // NVIDIA's is there
}

// Examine looks at everything. It changes nothing but a temporary file in the data
// folder, and takes a few seconds.
func Examine(ctx context.Context, cfg Config) Report {
	d := &doctor{cfg: cfg}
	for _, part := range []struct {
		name string
		look func(context.Context)
	}{
		{"machine", d.machine},
		{"data", d.data},
		{"libraries", d.libraries},
		{"nvidia", d.nvidia},
		{"onnxruntime", d.onnxruntime},
		{"network", d.network},
	} {
		d.group = part.name
		part.look(ctx)
	}
	r := Report{CanRun: true, Lines: d.lines}
	for _, l := range d.lines {
		r.CanRun = r.CanRun && l.Level != Problem
	}
	return r
}

func (d *doctor) add(level Level, name, hint, format string, args ...any) {
	d.lines = append(d.lines, Line{Group: d.group, Name: name, Level: level, Hint: hint, Text: fmt.Sprintf(format, args...)})
}

func (d *doctor) ok(name, format string, args ...any) { d.add(OK, name, "", format, args...) }

// Write prints the report for people: a line per finding, and below a bad one what to
// do about it.
func (r Report) Write(w io.Writer) error {
	marks := map[Level]string{OK: "ok  ", Warning: "warn", Problem: "BAD "}
	var b strings.Builder
	group := ""
	for _, l := range r.Lines {
		if l.Group != group {
			group = l.Group
			fmt.Fprintf(&b, "%s\n", group)
		}
		fmt.Fprintf(&b, "  %s  %-11s %s\n", marks[l.Level], l.Name, l.Text)
		if l.Hint != "" {
			fmt.Fprintf(&b, "        %-11s -> %s\n", "", l.Hint)
		}
	}
	if r.CanRun {
		b.WriteString("detectd can run here\n")
	} else {
		b.WriteString("detectd cannot run here: see the lines marked BAD\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}
