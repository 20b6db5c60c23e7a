package detect

// LineageKey is the key of a model file's metadata under which its Lineage is
// kept, as JSON.
const LineageKey = "detectd.lineage"

// Lineage says from which version a model was derived, and how. It travels in the
// file, so that it is kept with the model wherever that goes.
type Lineage struct {
	Parent       string `json:"parent"`        // NAME@VERSION
	ParentSHA256 string `json:"parent_sha256"` // of the parent's file
	Method       string `json:"method"`        // "fp16", or "int8" with its settings
	Pictures     int    `json:"pictures,omitempty"`
	// Calibration is the SHA-256 over the SHA-256 of each calibration picture, in
	// the order of their names; empty when the method needs none.
	Calibration string `json:"calibration_sha256,omitempty"`
}
