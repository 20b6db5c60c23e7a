package camera

import "detectd/pipeline"

var _ pipeline.SoundSink = (*Worker)(nil)

// SoundFormat implements pipeline.SoundSink.
func (w *Worker) SoundFormat(f pipeline.SoundFormat) {
	w.update(func(s *pipeline.Status) { s.AudioCodec, s.AudioReason = f.Codec, f.Missing })
	for _, t := range w.taps {
		if listens, ok := t.(pipeline.SoundSink); ok {
			listens.SoundFormat(f)
		}
	}
}

// Sound implements pipeline.SoundSink.
func (w *Worker) Sound(s pipeline.Sound) {
	if !w.timeline.started {
		return // there is no picture of this run that it could belong to
	}
	s.PTS += w.timeline.offset
	s.Time = w.timeline.steady.At(s.PTS)
	w.bytes.Add(uint64(len(s.Data)))
	for _, t := range w.taps {
		if listens, ok := t.(pipeline.SoundSink); ok {
			listens.Sound(s)
		}
	}
}
