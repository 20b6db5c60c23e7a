package pipeline

import "iter"

// Drops counts what was given up, by the place and the reason. Nothing on the way of a
// frame is given up without one of them:
//
//   - units = frames + idle frames + Decode + Late + NoKey + NoDecoder + Corrupt + Empty +
//     Closed + what is on its way,
//   - frames selected for detection = inferences + Stale + NoModel + Failed + what is on
//     its way.
//
// What sources, the recorder, the stores and the live view give up is counted in the
// units of each.
type Drops struct {
	Packets   uint64 `json:"packets"`    // packets that were lost or could not be read
	Source    uint64 `json:"source"`     // pictures that the source could not hand on, as before the first key picture
	Decode    uint64 `json:"decode"`     // units not decoded: the queue was full
	Late      uint64 `json:"late"`       // units too old when their turn came: to be decoded, or to be shown before a look at an idle camera
	NoKey     uint64 `json:"no_key"`     // units that need one before them that never came
	NoDecoder uint64 `json:"no_decoder"` // units that nothing can decode
	Corrupt   uint64 `json:"corrupt"`    // units that the decoder refused
	Empty     uint64 `json:"empty"`      // units taken by the decoder that gave no picture of their own
	Closed    uint64 `json:"closed"`     // units that the end of the camera's work came before
	Damaged   uint64 `json:"damaged"`    // frames not detected since parts of them are missing
	Stale     uint64 `json:"stale"`      // frames replaced by a newer one before detection
	NoModel   uint64 `json:"no_model"`   // frames for which no model was loaded
	Failed    uint64 `json:"failed"`     // frames whose detection failed
	Outrun    uint64 `json:"outrun"`     // detections that came after their frame had gone out without them
	Record    uint64 `json:"record"`     // units not recorded: the disk was behind or failed
	Store     uint64 `json:"store"`      // annotations, tracks or metrics not stored
	Live      uint64 `json:"live"`       // units that somebody watching did not get
}

// All goes through the reasons, named as in JSON.
func (d Drops) All() iter.Seq2[string, uint64] {
	return func(yield func(string, uint64) bool) {
		for _, r := range [...]struct {
			reason string
			n      uint64
		}{
			{"packets", d.Packets},
			{"source", d.Source},
			{"decode", d.Decode},
			{"late", d.Late},
			{"no_key", d.NoKey},
			{"no_decoder", d.NoDecoder},
			{"corrupt", d.Corrupt},
			{"empty", d.Empty},
			{"closed", d.Closed},
			{"damaged", d.Damaged},
			{"stale", d.Stale},
			{"no_model", d.NoModel},
			{"failed", d.Failed},
			{"outrun", d.Outrun},
			{"record", d.Record},
			{"store", d.Store},
			{"live", d.Live},
		} {
			if !yield(r.reason, r.n) {
				return
			}
		}
	}
}

// Undecoded is how many units gave no frame, for whatever reason.
func (d Drops) Undecoded() uint64 {
	return d.Decode + d.Late + d.NoKey + d.NoDecoder + d.Corrupt + d.Empty + d.Closed
}

// Undetected is how many frames were selected for detection and gave no detection.
func (d Drops) Undetected() uint64 { return d.Stale + d.NoModel + d.Failed }

// Losses is implemented by sinks that count what a source gives up by itself.
type Losses interface {
	// Lost says that packets never came or could not be read, and that pictures could
	// not be handed on. It must not block.
	Lost(packets, pictures int)
}
