package peer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"

	"gocv.io/x/gocv"
)

// ErrNoFFmpeg is returned where the ffmpeg command is not installed.
var ErrNoFFmpeg = errors.New("the peer decodes with the ffmpeg command, which is not installed: apt-get install ffmpeg")

// Available tells whether the peer can run here.
func Available() error {
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		return ErrNoFFmpeg
	}
	return nil
}

// pipe is an ffmpeg process that writes pictures.
type pipe struct {
	cmd     *exec.Cmd
	out     io.ReadCloser
	stderr  bytes.Buffer
	picture gocv.Mat // the newest, RGB
	pixels  []byte   // of picture
}

// open starts ffmpeg on an address or a file.
func open(ctx context.Context, url string, width, height int) (*pipe, error) {
	args := []string{"-nostdin", "-loglevel", "error"}
	if strings.HasPrefix(url, "rtsp://") {
		args = append(args, "-rtsp_transport", "tcp")
	}
	args = append(args, "-i", url, "-an", "-f", "rawvideo", "-pix_fmt", "rgb24", "pipe:1")
	p := &pipe{cmd: exec.CommandContext(ctx, "ffmpeg", args...)} //nolint:gosec // addresses of our own simulator
	p.cmd.Stderr = &p.stderr
	var err error
	if p.out, err = p.cmd.StdoutPipe(); err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		return nil, fmt.Errorf("start ffmpeg: %w", err)
	}
	p.picture = gocv.NewMatWithSize(height, width, gocv.MatTypeCV8UC3)
	if p.pixels, err = p.picture.DataPtrUint8(); err != nil {
		p.close()
		return nil, fmt.Errorf("make picture: %w", err)
	}
	return p, nil
}

// read waits for the next picture. At the end of a file it returns io.EOF.
func (p *pipe) read() error {
	_, err := io.ReadFull(p.out, p.pixels)
	if err == nil {
		return nil
	}
	_ = p.cmd.Wait() // until all that it had to say is there
	if text := strings.TrimSpace(p.stderr.String()); text != "" {
		return fmt.Errorf("read from ffmpeg: %s", text[strings.LastIndexByte(text, '\n')+1:])
	}
	if errors.Is(err, io.EOF) {
		return io.EOF
	}
	return fmt.Errorf("read from ffmpeg: %w", err)
}

func (p *pipe) close() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
	_ = p.picture.Close()
}
