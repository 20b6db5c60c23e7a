package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"detectd/store"
)

// Measurement is what was measured of a model version.
type Measurement struct {
	Kind     string `json:"kind" enum:"accuracy,speed" doc:"accuracy: on pictures whose objects are known; speed: the time of one call with one picture."`
	Time     Time   `json:"time,omitzero" doc:"When it was measured."`
	Machine  string `json:"machine" maxLength:"200" example:"AMD EPYC 7B13, 2 cores" doc:"Where: processor and number of cores."`
	Provider string `json:"provider" maxLength:"40" example:"cpu" doc:"Execution provider of ONNX Runtime."`
	By       string `json:"by,omitempty" maxLength:"100" doc:"Who measured."`

	Dataset  string    `json:"dataset,omitempty" maxLength:"200" example:"street" doc:"Accuracy: what the pictures are called."`
	Digest   string    `json:"digest,omitempty" maxLength:"64" doc:"Accuracy: SHA-256 over annotations and pictures. Figures are compared only where it is the same."`
	Pictures int       `json:"pictures,omitempty" minimum:"0" example:"128" doc:"Accuracy: how many."`
	Figures  []float64 `json:"figures,omitempty" nullable:"false" minItems:"12" maxItems:"12" doc:"Accuracy: COCO's twelve figures in pycocotools' order, AP first, 0 to 1; -1 for none."`

	Samples int     `json:"samples,omitempty" minimum:"0" example:"60" doc:"Speed: calls that were timed."`
	P50     float64 `json:"p50_ms,omitempty" minimum:"0" example:"9.5" doc:"Speed: half of the calls took no longer."`
	P95     float64 `json:"p95_ms,omitempty" minimum:"0" example:"12.1" doc:"Speed: 95 of 100 calls took no longer."`
	P99     float64 `json:"p99_ms,omitempty" minimum:"0" example:"14.8" doc:"Speed: 99 of 100 calls took no longer."`
}

func newMeasurement(m store.Measurement) Measurement {
	out := Measurement{
		Kind: m.Kind, Time: Time{m.Time}, Machine: m.Machine, Provider: m.Provider, By: m.By,
		Dataset: m.Dataset, Digest: m.Digest, Pictures: m.Pictures, Samples: m.Samples, P50: ms(m.P50), P95: ms(m.P95), P99: ms(m.P99),
	}
	if m.Kind == store.Accuracy {
		out.Figures = m.Figures[:]
	}
	return out
}

// NewMeasurement is a measurement that somebody made.
type NewMeasurement struct {
	Kind     string    `json:"kind" enum:"accuracy,speed" doc:"accuracy or speed."`
	Machine  string    `json:"machine" minLength:"1" maxLength:"200" example:"AMD EPYC 7B13, 2 cores" doc:"Where: processor and number of cores."`
	Provider string    `json:"provider" maxLength:"40" example:"cpu" doc:"Execution provider of ONNX Runtime."`
	Dataset  string    `json:"dataset,omitempty" maxLength:"200" example:"street" doc:"Accuracy: what the pictures are called."`
	Digest   string    `json:"digest,omitempty" maxLength:"64" doc:"Accuracy: SHA-256 over annotations and pictures."`
	Pictures int       `json:"pictures,omitempty" minimum:"0" example:"128" doc:"Accuracy: how many."`
	Figures  []float64 `json:"figures,omitempty" nullable:"false" minItems:"12" maxItems:"12" doc:"Accuracy: COCO's twelve figures."`
	Samples  int       `json:"samples,omitempty" minimum:"0" example:"60" doc:"Speed: calls that were timed."`
	P50      float64   `json:"p50_ms,omitempty" minimum:"0" maximum:"3600000" example:"9.5" doc:"Speed: half of the calls took no longer."`
	P95      float64   `json:"p95_ms,omitempty" minimum:"0" maximum:"3600000" example:"12.1" doc:"Speed: 95 of 100 calls took no longer."`
	P99      float64   `json:"p99_ms,omitempty" minimum:"0" maximum:"3600000" example:"14.8" doc:"Speed: 99 of 100 calls took no longer."`
}

func (n NewMeasurement) record(model string, version int) (store.Measurement, error) {
	m := store.Measurement{
		Model: model, Version: version, Kind: n.Kind, Machine: n.Machine, Provider: n.Provider, By: "api",
		Dataset: n.Dataset, Digest: n.Digest, Pictures: n.Pictures, Samples: n.Samples, P50: duration(n.P50), P95: duration(n.P95), P99: duration(n.P99),
	}
	switch n.Kind {
	case store.Accuracy:
		if n.Dataset == "" || len(n.Figures) != len(m.Figures) {
			return m, invalid("body", "accuracy has a dataset and twelve figures")
		}
		for i, f := range n.Figures {
			if f != -1 && (f < 0 || f > 1) {
				return m, invalid("body.figures", "a figure is from 0 to 1, or -1 for none")
			}
			m.Figures[i] = f
		}
	default:
		if n.Dataset != "" || n.Figures != nil || n.Samples == 0 || n.P95 <= 0 {
			return m, invalid("body", "speed has samples, p50_ms, p95_ms and p99_ms, and neither dataset nor figures")
		}
	}
	return m, nil
}

func (s *server) routeMeasurements() {
	const tag, path = "Models", "/models/{model_name}/versions/{version}"
	huma.Register(s.huma, operation(http.MethodGet, path+"/measurements", "list-measurements", tag,
		"List what was measured of a version", "Accuracy on data sets and speed on machines, the newest first.", 404), s.listMeasurements)
	add := operation(http.MethodPost, path+"/measurements", "add-measurement", tag,
		"Keep a measurement with a version", "For tools that measure elsewhere, such as detectd eval --store. Measurements never change.", 400, 404, 413)
	add.DefaultStatus = http.StatusCreated
	huma.Register(s.huma, add, s.addMeasurement)
	speed := operation(http.MethodPost, path+"/speed", "measure-speed", tag,
		"Measure a version's speed", "Times calls with pictures of the demo video on this machine, for at most a minute, and keeps the result with the version.", 404)
	speed.DefaultStatus = http.StatusCreated
	huma.Register(s.huma, speed, s.measureSpeed)
}

func (s *server) listMeasurements(ctx context.Context, in *VersionPath) (*listed[Measurement], error) {
	list, err := s.Records.ListMeasurements(ctx, in.ModelName, in.Version)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	return newList(list, "", newMeasurement), nil
}

func (s *server) addMeasurement(ctx context.Context, in *struct {
	VersionPath
	Body NewMeasurement
},
) (*answered[Measurement], error) {
	m, err := in.Body.record(in.ModelName, in.Version)
	if err != nil {
		return nil, err
	}
	if m, err = s.Records.AddMeasurement(ctx, m); err != nil {
		return nil, s.fail(ctx, err)
	}
	s.Announcer.ModelsChanged()
	return &answered[Measurement]{Body: newMeasurement(m)}, nil
}

func (s *server) measureSpeed(ctx context.Context, in *VersionPath) (*answered[Measurement], error) {
	m, err := s.Models.MeasureSpeed(ctx, in.ModelName, in.Version)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	s.Announcer.ModelsChanged()
	return &answered[Measurement]{Body: newMeasurement(m)}, nil
}

// measured returns the newest measurements of versions.
func (s *server) measured(ctx context.Context, versions ...store.ModelVersion) (map[store.VersionKey][]Measurement, error) {
	keys := make([]store.VersionKey, len(versions))
	for i, v := range versions {
		keys[i] = store.VersionKey{Model: v.Model, Version: v.Version}
	}
	list, err := s.Records.NewestMeasurements(ctx, keys...)
	if err != nil {
		return nil, err
	}
	out := map[store.VersionKey][]Measurement{}
	for _, m := range list {
		key := store.VersionKey{Model: m.Model, Version: m.Version}
		out[key] = append(out[key], newMeasurement(m))
	}
	return out, nil
}
