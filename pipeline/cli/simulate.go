package cli

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"

	"detectd/pipeline/decode"
	"detectd/pipeline/simulate"
)

type simulateCommand struct {
	Files    []string `arg:"" name:"file" help:"Videos or pictures; each becomes rtsp://ADDR/NAME."`
	Listen   string   `default:"127.0.0.1:8554" placeholder:"ADDR" help:"Address to serve at; port 0 takes a free one (${default})."`
	FPS      float64  `placeholder:"N" help:"Frames per second, instead of each file's own."`
	User     string   `placeholder:"NAME" help:"Ask clients for this user…"`
	Password string   `placeholder:"WORD" help:"…and this password."`
	Auth     string   `enum:"basic,digest" default:"digest" help:"How to ask for them: basic or digest (${default})."`
}

// Help implements kong.HelpProvider.
func (simulateCommand) Help() string {
	return `Files are looped with continuous timestamps, to several clients at once, over TCP
and UDP. H.264, H.265 and MJPEG go out as they are; other codecs are converted to
H.264 at the start. Prints one line per camera when they can be opened.`
}

// Run serves until a signal ends it.
func (c simulateCommand) Run(ctx context.Context, e *env) error {
	decode.Quiet()
	cfg := simulate.Config{
		Listen: c.Listen, Files: c.Files, FPS: c.FPS, Username: c.User, Password: c.Password,
		Logger: e.logger("info", "text"),
	}
	if c.User != "" || c.Password != "" {
		cfg.Auth = c.Auth
	}
	server, err := simulate.New(cfg)
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return server.Run(ctx) })
	g.Go(func() error {
		select {
		case <-ctx.Done():
		case <-server.Ready():
			for _, url := range server.URLs() {
				fmt.Fprintln(e.stdout, url)
			}
		}
		return nil
	})
	return g.Wait()
}
