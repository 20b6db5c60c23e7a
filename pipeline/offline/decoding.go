package offline

import (
	"context"
	"errors"

	"detectd/pipeline"
	"detectd/pipeline/decode"
	"detectd/pipeline/frame"
	"detectd/pipeline/source/file"
	"detectd/render/pixel"
)

// decoding is a sink that decodes on the source's goroutine.
type decoding struct {
	pool      *frame.Pool
	maxPixels int64
	emit      func(*frame.Frame) // takes over the reference
	fail      context.CancelCauseFunc
	decoder   *decode.Decoder
	corrupt   int // units that could not be decoded
}

// Format implements pipeline.Sink.
func (d *decoding) Format(f pipeline.Format) {
	d.end()
	var err error
	if d.decoder, err = decode.New(f, d.pool, decode.Options{MaxPixels: int(d.maxPixels)}); err != nil {
		d.fail(err)
	}
}

// Unit implements pipeline.Sink.
func (d *decoding) Unit(u pipeline.Unit) {
	if d.decoder == nil {
		return
	}
	if err := d.decoder.Decode(u, d.upright); err != nil {
		d.corrupt++
	}
}

// upright emits a frame as players show it.
func (d *decoding) upright(f *frame.Frame) {
	if f.Orientation <= frame.Upright {
		d.emit(f)
		return
	}
	turned, err := pixel.Upright(f, d.pool)
	f.Release()
	if err != nil {
		d.fail(err)
		return
	}
	d.emit(turned)
}

// end hands out what the decoder holds and frees it.
func (d *decoding) end() {
	if d.decoder == nil {
		return
	}
	if err := d.decoder.Flush(d.upright); err != nil {
		d.corrupt++
	}
	d.decoder.Close()
	d.decoder = nil
}

// reason gives a source's error the words for people; a file that was played to
// its end has none.
func reason(err error) error {
	var broken *pipeline.SourceError
	switch {
	case err == nil, errors.As(err, &broken) && broken.State == pipeline.StateEnded:
		return nil
	case broken != nil:
		return sourceError{broken}
	}
	return err
}

// sourceError is a source's error without the name of its state.
type sourceError struct{ err *pipeline.SourceError }

// Error implements error.
func (e sourceError) Error() string { return e.err.Reason }

// Unwrap returns the source's error.
func (e sourceError) Unwrap() error { return e.err }

// Missing tells how many bytes a video lacks at least, as it was cut off; 0 where that
// cannot be told.
func Missing(path string) int64 {
	missing, err := file.Short(path)
	if err != nil {
		return 0
	}
	return missing
}
