package camera

import "detectd/pipeline"

// where shows in the camera's status what decodes its video.
func (v *video) where() {
	d, ok := v.decoder.(interface {
		Where() (decoder, why string)
	})
	if !ok {
		return
	}
	decoder, why := d.Where()
	if decoder == "" || decoder == v.decodes && why == v.decodesWhy {
		return
	}
	if why != "" && v.decodes != "" {
		v.w.log.Warn("video is decoded on the CPU from here on", "reason", why)
	} else {
		v.w.log.Debug("video is decoded", "on", decoder, "reason", why)
	}
	v.decodes, v.decodesWhy = decoder, why
	v.w.update(func(s *pipeline.Status) {
		s.Decoder, s.DecoderReason = decoder, why
		if why != "" {
			s.DecoderFallbacks++
		}
	})
}
