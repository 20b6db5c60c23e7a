// Package pipeline is the vocabulary of the moving parts: what a source delivers
// (formats and access units), how a source fails, and the states of a camera.
//
// The stages below this folder speak in these terms; pipeline/daemon wires them.
package pipeline

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"detectd/pipeline/frame"
)

// Codec names a video coding as the API and the store spell it.
type Codec string

// The codecs taken from a network. Files may bring any that libavcodec decodes.
const (
	H264  Codec = "h264"
	H265  Codec = "h265"
	MJPEG Codec = "mjpeg"
)

// Format describes the video of a source. A source announces it before the
// first unit and again whenever it changes.
type Format struct {
	Codec  Codec
	Width  int // pixels; 0 when not known before the first frame is decoded
	Height int
	// ParameterSets are the codec's out-of-band NAL units without start codes:
	// SPS, PPS for H.264; VPS, SPS, PPS for H.265. Empty when the stream brings
	// them in-band only.
	ParameterSets [][]byte
	// Extra is libav extradata for codecs other than the three above (files only).
	Extra []byte
	// Orientation and Aspect are how to turn the pictures, and the width of a stored
	// pixel by its height, as the container says (files only); a camera's worker adds
	// the camera's rotation. A zero Aspect leaves it to the coded video, a zero
	// Orientation means upright.
	Orientation frame.Orientation
	Aspect      [2]int
}

// Equal tells whether two formats are the same in everything.
func (f Format) Equal(g Format) bool {
	return f.Codec == g.Codec && f.Width == g.Width && f.Height == g.Height &&
		f.Orientation == g.Orientation && f.Aspect == g.Aspect && bytes.Equal(f.Extra, g.Extra) &&
		slices.EqualFunc(f.ParameterSets, g.ParameterSets, bytes.Equal)
}

// Unit is one access unit: one coded picture.
type Unit struct {
	PTS time.Duration // monotonic timeline of the source, from 0, across reconnects
	DTS time.Duration // decoding order; equals PTS without B-frames
	// Time is the capture time on the wall clock, known to within TimeError.
	Time      time.Time
	TimeError time.Duration
	Clock     frame.Clock
	Arrived   time.Time
	Key       bool // can be decoded without any earlier unit
	// Damaged says that packets of this unit, or of one it depends on, were lost.
	Damaged bool
	// NALs are the NAL units without start codes (H.264, H.265), or exactly one
	// whole picture (MJPEG and others). They must not be changed by receivers,
	// who may keep them.
	NALs [][]byte
}

// Bytes is the size of the coded picture.
func (u Unit) Bytes() int {
	n := 0
	for _, nal := range u.NALs {
		n += len(nal)
	}
	return n
}

// Sink receives what a source delivers, from one goroutine. It must not block:
// a sink that cannot keep up drops and counts.
type Sink interface {
	// Format announces the video's format.
	Format(Format)
	// Unit delivers one access unit.
	Unit(Unit)
}

// Source delivers the video of one camera. Run blocks until ctx ends (nil) or
// the source breaks (a *SourceError); it never retries: the camera worker does.
type Source interface {
	Run(ctx context.Context, sink Sink) error
}

// State is what a camera is doing, as shown to people.
type State string

// The states of a camera.
const (
	StateDisabled   State = "disabled"    // switched off by its operator
	StateConnecting State = "connecting"  // trying, nothing received yet
	StateRunning    State = "running"     // frames flow
	StateBadURL     State = "bad_url"     // the URL cannot be used as it is
	StateRefused    State = "refused"     // nothing listens there, or it said no
	StateTimeout    State = "timeout"     // no answer, or video stopped coming
	StateAuth       State = "auth_failed" // the camera wants another user or password
	StateNotFound   State = "not_found"   // the camera does not know this path, or the file is gone
	StateNoVideo    State = "no_video"    // the source has no video stream
	StateCodec      State = "unsupported_codec"
	StateLost       State = "lost"  // it worked and the connection broke
	StateEnded      State = "ended" // a file that does not loop has been played
	StateFailed     State = "failed"
)

// SourceError is how a source ends: the state to show and the reason in words.
// Neither holds credentials.
type SourceError struct {
	State  State
	Reason string
	Err    error // the cause, for errors.Is; its text is never shown
}

// Error implements error.
func (e *SourceError) Error() string { return fmt.Sprintf("%s: %s", e.State, e.Reason) }

// Unwrap returns the cause.
func (e *SourceError) Unwrap() error { return e.Err }

// StateOf returns the state and the reason that err stands for.
func StateOf(err error) (State, string) {
	if se, ok := errors.AsType[*SourceError](err); ok {
		return se.State, se.Reason
	}
	return StateFailed, err.Error()
}

// Status is the present condition of a camera, counted since its worker started.
type Status struct {
	CameraID      string    `json:"camera_id"`
	State         State     `json:"state"`
	Reason        string    `json:"reason,omitempty"`
	Since         time.Time `json:"since"`
	NextTry       time.Time `json:"next_try,omitzero"`
	Codec         Codec     `json:"codec,omitempty"`
	Width         int       `json:"width,omitempty"` // of the upright picture, in stored pixels
	Height        int       `json:"height,omitempty"`
	PixelAspect   float64   `json:"pixel_aspect,omitempty"` // width of a pixel by its height; 0 before the first frame
	FPS           float64   `json:"fps"`
	DetectFPS     float64   `json:"detect_fps"`
	Units         uint64    `json:"units"`
	Frames        uint64    `json:"frames"`
	IdleFrames    uint64    `json:"idle_frames"` // not decoded: nothing moved
	Selected      uint64    `json:"selected"`    // frames that went to the detector
	Inferences    uint64    `json:"inferences"`
	Bytes         uint64    `json:"bytes"`
	Reconnects    uint64    `json:"reconnects"`
	Drops         Drops     `json:"drops"`
	LastFrame     time.Time `json:"last_frame,omitzero"`
	Model         string    `json:"model,omitempty"`
	ModelVersion  int       `json:"model_version,omitempty"`
	ModelRevision int64     `json:"model_revision,omitempty"`
	ModelError    string    `json:"model_error,omitempty"`
	AudioCodec    Codec     `json:"audio_codec,omitempty"`
	AudioReason   string    `json:"audio_reason,omitempty"` // why no sound is taken of a camera that has some
	Recording     bool      `json:"recording"`
	RecordError   string    `json:"record_error,omitempty"`
	Clock         string    `json:"clock,omitempty"`
	TimeErrorMS   float64   `json:"time_error_ms,omitempty"`
	// Decoder is OnCPU or OnCard; empty where no card was asked for. The
	// reason says why it is not the card. Fallbacks count how often the CPU took over.
	Decoder          string `json:"decoder,omitempty"`
	DecoderReason    string `json:"decoder_reason,omitempty"`
	DecoderFallbacks uint64 `json:"decoder_fallbacks,omitempty"`
	// Activity is what pipeline/activity makes of the video: learning, idle, active,
	// unsure or still, and why; empty when everything is decoded and detected. Audits
	// decode an idle camera at random; misses are those that found movement nobody
	// had noticed. Late counts looks that found what had not shown before.
	Idle           string `json:"idle,omitempty"` // what it is spared then: store.IdleAuto, IdleDecode or IdleOff
	Activity       string `json:"activity,omitempty"`
	ActivityReason string `json:"activity_reason,omitempty"`
	IdleAudits     uint64 `json:"idle_audits,omitempty"`
	IdleMisses     uint64 `json:"idle_misses,omitempty"`
	IdleLate       uint64 `json:"idle_late,omitempty"`
}

// What decodes a camera's video, for Status.Decoder.
const (
	OnCPU  = "cpu"
	OnCard = "nvdec"
)

// DiskFull is Status.RecordError when no space is left for recordings.
const DiskFull = "the disk is full"
