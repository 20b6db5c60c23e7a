package bus

import (
	"encoding/json"
	"strings"
	"time"
)

// Subjects of the bus. A * in docs/events.md stands for the camera's, client's
// or result's id, which are single NATS tokens.
const (
	subjectRoot = "detectd."

	// CameraChanged announces that a camera was created, updated or deleted.
	CameraChanged = subjectRoot + "camera.changed"
	// CameraState announces a new state of a camera; payload pipeline.Status.
	CameraState = subjectRoot + "camera.state"
	// Detections announces completed frames of a camera.
	Detections = subjectRoot + "detections"
	// Tracks announces a track that began, got better or ended; payload store.Track.
	Tracks = subjectRoot + "tracks"
	// Inferences announces one run of a frame through a model.
	Inferences = subjectRoot + "inferences"
	// ModelsChanged announces a change of the registry.
	ModelsChanged = subjectRoot + "models.changed"
	// Providers announces that a model runs on another execution provider than it
	// should; payload pipeline.Running.
	Providers = subjectRoot + "providers"
	// RunningModel announces a new revision of a running-model record.
	RunningModel = subjectRoot + "running-model"
	// RunningState announces that what a camera is to run, or what it runs, has
	// changed; payload pipeline.RunningState.
	RunningState = subjectRoot + "running-state"
	// Promotions announces a decision about a promotion; payload Change.
	Promotions = subjectRoot + "promotions"
	// Results announces a new state of a rendered result.
	Results = subjectRoot + "results"
	// Health announces every second what all cameras are doing.
	Health = subjectRoot + "health"
	// Segments announces a recorded segment that is durable and indexed.
	Segments = subjectRoot + "segments"
	// Gaps announces a long time without a recording of a camera; payload Gap.
	Gaps = subjectRoot + "gaps"
	// Space announces how full the disk is, when that changes; payload SpaceState.
	Space = subjectRoot + "space"
	// ZonesChanged announces a new revision of a camera's zones; payload Change.
	ZonesChanged = subjectRoot + "zones.changed"
	// ZoneEvents announces what happened at a zone or a line; payload ZoneEvent.
	ZoneEvents = subjectRoot + "zones.events"
	// RenderWork is the durable work queue of renders.
	RenderWork = subjectRoot + "work.render"
)

// Subject is base with the id as its last token: Subject(CameraState, "door").
func Subject(base, id string) string { return base + "." + id }

// Under is the wildcard for all ids of base.
func Under(base string) string { return base + ".*" }

// Change says what happened to a record.
type Change struct {
	ID       string `json:"id,omitempty"`
	ClientID string `json:"client_id,omitempty"`
	CameraID string `json:"camera_id,omitempty"`
	Action   string `json:"action"` // created, updated or deleted
	Revision int64  `json:"revision,omitempty"`
}

// RenderJob names a result to make.
type RenderJob struct {
	ResultID string `json:"result_id"`
}

// Message is one message as a subscriber gets it.
type Message struct {
	Subject string
	Data    []byte
}

// Decode reads the payload into v.
func (m Message) Decode(v any) error { return json.Unmarshal(m.Data, v) }

// ackWait is how long the queue waits for a worker's sign of life before it
// hands the job to the next worker; workers extend it while they work.
const ackWait = 5 * time.Second

// Split takes the subject apart: what Subject put together, or a subject
// without an id.
func (m Message) Split() (base, id string) {
	switch m.Subject {
	case ModelsChanged, Providers, Health, RenderWork, Space:
		return m.Subject, ""
	}
	i := strings.LastIndexByte(m.Subject, '.')
	return m.Subject[:i], m.Subject[i+1:]
}
