package store

import (
	"context"
	"time"
)

// Tracking is what clients of MLflow keep: experiments, runs with parameters and
// metrics, logged models, and the files of both.
type Tracking interface {
	// CreateExperiment numbers a new experiment; ErrExists for a name that is taken.
	CreateExperiment(ctx context.Context, e Experiment) (Experiment, error)
	// Experiment finds one by id.
	Experiment(ctx context.Context, id int64) (Experiment, error)
	// UpdateExperiment writes name and Deleted.
	UpdateExperiment(ctx context.Context, e Experiment) error
	// SearchExperiments has the fields name, created, updated, deleted ("0" or "1"), tag.
	SearchExperiments(ctx context.Context, q Search) ([]Experiment, error)

	CreateRun(ctx context.Context, r Run) error
	Run(ctx context.Context, id string) (Run, error)
	// UpdateRun writes name, status, end and Deleted.
	UpdateRun(ctx context.Context, r Run) error
	// SearchRuns has the fields id, experiment, name, user, status, start, end,
	// deleted, tag, param and metric.
	SearchRuns(ctx context.Context, q Search) ([]Run, error)
	// LogRun adds metrics, parameters and tags to a run. A parameter keeps its first
	// value: another one is ErrExists, and nothing is added then.
	LogRun(ctx context.Context, runID string, metrics []Metric, params, tags []Text) error
	// MetricHistory returns all values of a metric as they came.
	MetricHistory(ctx context.Context, runID, key string, limit, offset int) ([]Metric, error)
	// AddInputs notes data sets and logged models as inputs of a run; one of the same
	// name and digest replaces the tags.
	AddInputs(ctx context.Context, runID string, inputs []Input) error
	// AddOutputs notes logged models as outputs of a run.
	AddOutputs(ctx context.Context, runID string, outputs []Output) error

	CreateLoggedModel(ctx context.Context, m LoggedModel) (LoggedModel, error)
	LoggedModel(ctx context.Context, id string) (LoggedModel, error)
	// FinishLoggedModel writes the status.
	FinishLoggedModel(ctx context.Context, id, status, message string) error
	// DeleteLoggedModel deletes it with its files below the folder.
	DeleteLoggedModel(ctx context.Context, id, folder string) error
	// SearchLoggedModels has the fields id, experiment, name, type, run, status,
	// created, updated, tag, param and metric.
	SearchLoggedModels(ctx context.Context, q Search) ([]LoggedModel, error)

	// PutTexts sets tags or parameters of an owner: ExperimentOwner, or the id of a run or logged model.
	PutTexts(ctx context.Context, owner, kind string, texts []Text) error
	// DeleteText removes one; ErrNotFound when there is none.
	DeleteText(ctx context.Context, owner, kind, key string) error

	// PutArtifact names a blob by a path, in place of what the path named before.
	PutArtifact(ctx context.Context, a Artifact) error
	Artifact(ctx context.Context, path string) (Artifact, error)
	// ListArtifacts lists all files below a folder ("" for all), by path.
	ListArtifacts(ctx context.Context, folder string) ([]Artifact, error)
	// DeleteArtifacts deletes a file, or all below a folder, and says how many.
	DeleteArtifacts(ctx context.Context, path string) (int, error)
}

// Kinds of Text.
const (
	TextTag   = "tag"
	TextParam = "param"
)

// Text is a tag or a parameter.
type Text struct{ Key, Value string }

// Experiment groups runs and logged models.
type Experiment struct {
	ID        int64
	Name      string
	Root      string // folder of its artifacts; "" for the usual one
	Deleted   bool
	CreatedAt time.Time
	UpdatedAt time.Time
	Tags      []Text
}

// Run is one run of a client's program.
type Run struct {
	ID           string
	ExperimentID int64
	Name         string
	User         string
	Status       string // RUNNING, FINISHED, FAILED, KILLED, SCHEDULED
	Start, End   int64  // milliseconds since 1970, as the client says; 0 for none
	Deleted      bool
	Tags         []Text
	Params       []Text
	Metrics      []Metric // the newest value of each
	Inputs       []Input
	Outputs      []Output
}

// Input is a data set that a run was given, or a logged model.
type Input struct {
	ModelID string // of a logged model; then the rest is empty

	Name, Digest       string
	SourceType, Source string // where the data is, in MLflow's words
	Schema, Profile    string // JSON, as the client says
	Tags               []Text
}

// Output is a logged model that a run made.
type Output struct {
	ModelID string
	Step    int64
}

// Metric is one value of a metric.
type Metric struct {
	Key     string
	Value   float64 // may be NaN or infinite
	Time    int64   // milliseconds since 1970, as the client says
	Step    int64
	RunID   string
	ModelID string // logged model it belongs to, "" for none
	Dataset string
	Digest  string // of the dataset
}

// LoggedModel is a model that a client has logged. It becomes a version when it is registered.
type LoggedModel struct {
	ID           string
	ExperimentID int64
	Name         string
	Type         string
	RunID        string
	Status       string
	Message      string
	CreatedAt    time.Time
	UpdatedAt    time.Time
	Tags         []Text
	Params       []Text
	Metrics      []Metric // the newest value of each
}

// Artifact is a file under a slash-separated path without "..".
type Artifact struct {
	Path   string
	SHA256 string // of the blob
	Size   int64  // bytes
}
