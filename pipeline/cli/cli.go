// Package cli is the command line: one file per command. Results go to standard
// output, everything else to standard error; errors are one line that says what
// to do. Exit codes: 0 done, 1 failed, 2 usage or bad settings.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/alecthomas/kong"
	"golang.org/x/term"

	"detectd/pipeline/config"
)

// Exit codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

// usageError is an error of the user's input that ends with exit code 2.
type usageError struct{ err error }

// Error implements error.
func (e usageError) Error() string { return e.err.Error() }

// Unwrap returns the cause.
func (e usageError) Unwrap() error { return e.err }

// errTold ends a command with exit code 1 whose errors were all printed already.
var errTold = errors.New("failed")

// Process is what a command line runs in.
type Process struct {
	Args    []string // without the program's name
	Stdin   io.Reader
	Stdout  io.Writer
	Stderr  io.Writer
	Version string
	Self    string // path of this program, which new models are tried in; "" tries them here
}

// env is what commands work with.
type env struct {
	stdin   io.Reader
	stdout  io.Writer
	stderr  io.Writer
	version string
	self    string
}

// commands is the table of commands.
type commands struct {
	Run         runCommand         `cmd:"" help:"Run the daemon: cameras, detection, recording, the page and the API."`
	Detect      detectCommand      `cmd:"" help:"Detect objects in files, folders or streams, without a daemon."`
	Eval        evalCommand        `cmd:"" help:"Measure a model on pictures whose objects are known: the figures of COCO."`
	Simulate    simulateCommand    `cmd:"" help:"Serve files as RTSP cameras."`
	Models      modelsCommand      `cmd:"" help:"List, show, add, check, quantize and remove models."`
	Running     runningCommand     `cmd:"" help:"Say and set what the cameras of a running detectd run: models, limits, rates."`
	Promotions  promotionsCommand  `cmd:"" help:"Look after versions on their way to the cameras of a running detectd."`
	Backup      backupCommand      `cmd:"" help:"Write all that must last into one file, also while the daemon runs."`
	Restore     restoreCommand     `cmd:"" help:"Make a data folder of a backup."`
	Check       checkCommand       `cmd:"" help:"Compare records with files, and say or repair what is wrong."`
	Gc          gcCommand          `cmd:"" help:"Delete files that no record names."`
	Moved       movedCommand       `cmd:"" help:"Say that a data folder was moved, not copied."`
	CheckConfig checkConfigCommand `cmd:"" help:"Check a settings file and show every mistake."`
	Doctor      doctorCommand      `cmd:"" help:"Say what this machine has and what keeps detectd from running."`
	Openapi     openapiCommand     `cmd:"" help:"Print the OpenAPI description of the HTTP API."`
	Bench       benchCommand       `cmd:"" help:"Measure what this machine can carry."`
	BenchPeer   benchPeerCommand   `cmd:"" hidden:"" help:"What bench measures against."`
	BenchCard   benchCardCommand   `cmd:"" hidden:"" help:"Measure decoding on a graphics card against bare loops."`
	Version     versionCommand     `cmd:"" help:"Print the version."`
}

// exitRequest is how kong's --help ends a run without ending the process.
type exitRequest struct{ code int }

// Main runs one command line and returns the exit code.
func Main(ctx context.Context, p Process) (code int) {
	defer func() {
		if r := recover(); r != nil {
			request, ok := r.(exitRequest)
			if !ok {
				panic(r)
			}
			code = request.code
		}
	}()
	e := &env{stdin: p.Stdin, stdout: p.Stdout, stderr: p.Stderr, version: p.Version, self: p.Self}
	parser, err := kong.New(&commands{},
		kong.Name("detectd"),
		kong.Description("Object detection on cameras, video files and pictures."),
		kong.Writers(p.Stdout, p.Stderr),
		kong.Exit(func(code int) { panic(exitRequest{code}) }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.Bind(e),
		kong.BindTo(ctx, (*context.Context)(nil)),
	)
	if err != nil {
		fmt.Fprintln(p.Stderr, "detectd:", err)
		return exitFailed
	}
	args := p.Args
	if len(args) == 0 {
		args = []string{"--help"}
	}
	command, err := parser.Parse(args)
	if err != nil {
		fmt.Fprintf(p.Stderr, "detectd: %s (see detectd --help)\n", err)
		return exitUsage
	}
	err = command.Run()
	var faults config.Errors
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &faults):
		for _, f := range faults {
			fmt.Fprintln(p.Stderr, f) // file:line:col first, as editors read it
		}
		return exitUsage
	case errors.As(err, &usageError{}):
		fmt.Fprintln(p.Stderr, "detectd:", err)
		return exitUsage
	case errors.Is(err, errTold), ctx.Err() != nil && errors.Is(err, context.Canceled):
		return exitFailed
	default:
		fmt.Fprintln(p.Stderr, "detectd:", err)
		return exitFailed
	}
}

// logger makes the process's logger. Log lines go to standard error.
func (e *env) logger(level, format string) *slog.Logger {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		l = slog.LevelInfo
	}
	options := &slog.HandlerOptions{Level: l}
	if format == "json" {
		return slog.New(slog.NewJSONHandler(e.stderr, options))
	}
	return slog.New(slog.NewTextHandler(e.stderr, options))
}

// isTerminal tells whether w is a terminal that a person looks at.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) //nolint:gosec // file descriptors are small
}

type versionCommand struct{}

// Run prints the version.
func (versionCommand) Run(e *env) error {
	_, err := fmt.Fprintln(e.stdout, "detectd", e.version)
	return err
}
