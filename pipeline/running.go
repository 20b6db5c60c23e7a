package pipeline

// Running is what an open model runs on.
type Running struct {
	Model    string `json:"model"`
	Version  int    `json:"version"`
	Provider string `json:"provider"` // cpu, cuda, tensorrt or openvino
	// Degraded says that a provider somebody asked for, or one that had worked, does
	// not work; Reason says which and why.
	Degraded bool     `json:"degraded"`
	Reason   string   `json:"reason,omitempty"`
	Refused  []string `json:"refused,omitempty"` // providers that were passed over, each with the reason
	Failures uint64   `json:"failures"`          // runs that the runtime failed
	Moves    uint64   `json:"moves"`             // how often a broken provider was left
	Trial    string   `json:"trial,omitempty"`   // how OpenVINO and the CPU did when the choice was automatic
}
