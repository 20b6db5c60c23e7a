package api

import (
	"detectd/pipeline"
	"detectd/store"
)

// Status is the present condition of a camera, counted since its worker started.
type Status struct {
	CameraID      string  `json:"camera_id" example:"door" doc:"The camera."`
	State         string  `json:"state" enum:"disabled,connecting,running,bad_url,refused,timeout,auth_failed,not_found,no_video,unsupported_codec,lost,ended,failed" doc:"What it is doing."`
	Reason        string  `json:"reason,omitempty" example:"no answer within 10 s" doc:"Why, in words."`
	Since         Time    `json:"since,omitzero" doc:"When the state began."`
	NextTry       Time    `json:"next_try,omitzero" doc:"When the next attempt to connect begins."`
	Codec         string  `json:"codec,omitempty" example:"h264" doc:"Video coding."`
	Width         int     `json:"width,omitempty" example:"1920" doc:"Stored pixels of the upright picture."`
	Height        int     `json:"height,omitempty" example:"1080" doc:"Pixels."`
	PixelAspect   float64 `json:"pixel_aspect,omitempty" example:"1.333" doc:"Width of a pixel by its height: the picture is shown this much wider than it is stored. 1 is square; not told before the first frame."`
	FPS           float64 `json:"fps" example:"25" doc:"Coded pictures per second that arrive."`
	DetectFPS     float64 `json:"detect_fps" example:"5" doc:"Detections per second that are made."`
	Units         uint64  `json:"units" doc:"Coded pictures received."`
	Frames        uint64  `json:"frames" doc:"Pictures decoded."`
	IdleFrames    uint64  `json:"idle_frames" doc:"Pictures left undecoded because nothing moved. They are annotated from the key pictures around them."`
	Selected      uint64  `json:"selected" doc:"Pictures that were handed to the detector."`
	Inferences    uint64  `json:"inferences" doc:"Pictures that went through the model."`
	Bytes         uint64  `json:"bytes" doc:"Bytes of video received."`
	Reconnects    uint64  `json:"reconnects" doc:"How often the connection was made again."`
	Drops         Drops   `json:"drops" doc:"What was given up, by reason."`
	LastFrame     Time    `json:"last_frame,omitzero" doc:"Capture time of the newest picture."`
	Model         string  `json:"model,omitempty" example:"default" doc:"The model that runs."`
	ModelVersion  int     `json:"model_version,omitempty" example:"1" doc:"Its version."`
	ModelRevision int64   `json:"model_revision,omitempty" doc:"Revision of the running-model record in use."`
	ModelError    string  `json:"model_error,omitempty" doc:"Why the wanted model does not run."`
	AudioCodec    string  `json:"audio_codec,omitempty" enum:"aac,opus,pcmu,pcma" doc:"Coding of the sound that comes with the video; absent when none is taken."`
	AudioReason   string  `json:"audio_reason,omitempty" doc:"Why none is taken although the camera has some."`
	Recording     bool    `json:"recording" doc:"Whether video is being recorded."`
	RecordError   string  `json:"record_error,omitempty" doc:"Why recording does not work."`
	Clock         string  `json:"clock,omitempty" enum:"rtcp,arrival,file" doc:"How capture times are obtained."`
	TimeErrorMS   float64 `json:"time_error_ms,omitempty" doc:"Half-width of the interval that capture times are known to lie in."`

	Decoder          string `json:"decoder,omitempty" enum:"cpu,nvdec" doc:"What decodes the video: the processors, or an NVIDIA card. Absent before the first picture and where no card was asked for."`
	DecoderReason    string `json:"decoder_reason,omitempty" doc:"Why the card does not decode it."`
	DecoderFallbacks uint64 `json:"decoder_fallbacks,omitempty" doc:"How often the processors took over from the card."`

	Idle           string `json:"idle,omitempty" enum:"auto,decode,off" doc:"What the camera is spared while nothing moves: what it says itself, else detect.idle of the settings. Absent while it is not being watched."`
	Activity       string `json:"activity,omitempty" enum:"learning,idle,active,unsure,still" doc:"Whether anything moves. Only while idle are pictures left undecoded; while still they are decoded and compared, and seldom detected. Absent where everything is decoded and detected (detect.idle: off)."`
	ActivityReason string `json:"activity_reason,omitempty" example:"nothing moves" doc:"Why, in words."`
	IdleAudits     uint64 `json:"idle_audits,omitempty" doc:"How often the camera was decoded at random while idle."`
	IdleMisses     uint64 `json:"idle_misses,omitempty" doc:"How many of these audits found movement that nobody had noticed."`
	IdleLate       uint64 `json:"idle_late,omitempty" doc:"How often one of the rare looks, while idle or still, found what had not shown in the video before: it was noticed late."`
}

// Drops counts what was given up, by place and reason.
type Drops struct {
	Packets   uint64 `json:"packets" doc:"Packets from the camera that were lost or could not be read."`
	Source    uint64 `json:"source" doc:"Pictures that the source could not hand on, as those before the first key picture."`
	Decode    uint64 `json:"decode" doc:"Coded pictures not decoded: the queue was full."`
	Late      uint64 `json:"late" doc:"Coded pictures not decoded: they were too old when their turn came."`
	NoKey     uint64 `json:"no_key" doc:"Coded pictures that need one before them that never came."`
	NoDecoder uint64 `json:"no_decoder" doc:"Coded pictures that nothing can decode."`
	Corrupt   uint64 `json:"corrupt" doc:"Coded pictures that the decoder refused."`
	Empty     uint64 `json:"empty" doc:"Coded pictures taken by the decoder that gave no picture of their own."`
	Closed    uint64 `json:"closed" doc:"Coded pictures that the end of the camera's work came before."`
	Damaged   uint64 `json:"damaged" doc:"Pictures not detected since parts of them are missing."`
	Stale     uint64 `json:"stale" doc:"Pictures replaced by a newer one before detection."`
	NoModel   uint64 `json:"no_model" doc:"Pictures for which no model was loaded."`
	Failed    uint64 `json:"failed" doc:"Pictures whose detection failed."`
	Outrun    uint64 `json:"outrun" doc:"Detections that came after their picture had gone out without them."`
	Record    uint64 `json:"record" doc:"Coded pictures not recorded: the disk was behind or failed."`
	Store     uint64 `json:"store" doc:"Annotations, tracks or metrics not stored."`
	Live      uint64 `json:"live" doc:"Coded pictures that somebody watching did not get."`
}

// status is the camera's condition, also while no worker has one.
func (s *server) status(c store.Camera) Status {
	if st, ok := s.Cameras.Status(c.ID); ok {
		return newStatus(st)
	}
	state := pipeline.StateConnecting
	if !c.Enabled {
		state = pipeline.StateDisabled
	}
	return newStatus(pipeline.Status{CameraID: c.ID, State: state, Since: c.UpdatedAt})
}

func newStatus(s pipeline.Status) Status {
	return Status{
		CameraID: s.CameraID, State: string(s.State), Reason: s.Reason, Since: Time{s.Since}, NextTry: Time{s.NextTry},
		Codec: string(s.Codec), Width: s.Width, Height: s.Height, PixelAspect: s.PixelAspect, FPS: s.FPS, DetectFPS: s.DetectFPS,
		Units: s.Units, Frames: s.Frames, IdleFrames: s.IdleFrames, Selected: s.Selected, Inferences: s.Inferences, Bytes: s.Bytes, Reconnects: s.Reconnects,
		Drops: Drops(s.Drops), LastFrame: Time{s.LastFrame},
		Model: s.Model, ModelVersion: s.ModelVersion, ModelRevision: s.ModelRevision, ModelError: s.ModelError,
		AudioCodec: string(s.AudioCodec), AudioReason: s.AudioReason,
		Recording: s.Recording, RecordError: s.RecordError, Clock: s.Clock, TimeErrorMS: s.TimeErrorMS,
		Decoder: s.Decoder, DecoderReason: s.DecoderReason, DecoderFallbacks: s.DecoderFallbacks,
		Idle: s.Idle, Activity: s.Activity, ActivityReason: s.ActivityReason, IdleAudits: s.IdleAudits, IdleMisses: s.IdleMisses, IdleLate: s.IdleLate,
	}
}
