package pipeline

import "time"

// How far what is wanted of a camera's detection has been brought about.
const (
	RunningApplied = "applied" // what is wanted runs
	RunningLoading = "loading" // the wanted model is being loaded; the one before goes on
	RunningFailed  = "failed"  // the wanted model does not run; the one before goes on
)

// RunningRef names what a camera runs: the revision of the record it comes from
// and the model version that this means at present.
type RunningRef struct {
	From     string `json:"from"` // camera, client or default: whose record decides
	Revision int64  `json:"revision"`
	Model    string `json:"model"`
	Alias    string `json:"alias,omitempty"` // that is followed
	Version  int    `json:"version"`         // 0: none that could be found
	Provider string `json:"provider,omitempty"`
}

// RunningState is what a camera is to run and what it does run.
type RunningState struct {
	CameraID string     `json:"camera_id"`
	ClientID string     `json:"client_id"`
	Wanted   RunningRef `json:"wanted"`
	Running  RunningRef `json:"running"` // its Model is "" where none runs
	State    string     `json:"state"`   // one of the Running constants
	Reason   string     `json:"reason,omitempty"`
	Since    time.Time  `json:"since"` // when Running came into force
}
