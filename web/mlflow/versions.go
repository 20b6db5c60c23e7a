package mlflow

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/go-chi/chi/v5"

	"detectd/detect"
	"detectd/store"
	"detectd/web/api"
)

func (s *server) routeVersions(r chi.Router) {
	r.Post("/model-versions/create", s.handle(s.createVersion))
	r.Get("/model-versions/get", s.handle(s.getVersion))
	r.Patch("/model-versions/update", s.handle(s.updateVersion))
	r.Delete("/model-versions/delete", s.handle(s.deleteVersion))
	r.Get("/model-versions/search", s.handle(s.searchVersions))
	r.Get("/model-versions/get-download-uri", s.handle(s.downloadURI))
	r.Post("/model-versions/transition-stage", s.handle(s.transitionStage))
	r.Post("/model-versions/set-tag", s.handle(s.tagVersion))
	r.Delete("/model-versions/delete-tag", s.handle(s.untagVersion))
}

func versionJSON(label string, v store.ModelVersion) answer {
	stage := v.Stage
	if stage == "" {
		stage = "None"
	}
	out := answer{
		"name": label, "version": strconv.Itoa(v.Version), "creation_timestamp": millis(v.CreatedAt), "last_updated_timestamp": millis(v.UpdatedAt),
		"current_stage": stage, "description": v.Description, "source": v.Source, "run_id": v.RunID, "status": "READY",
		"tags": tagsJSON(v.Tags), "aliases": append([]string{}, v.Aliases...),
	}
	if v.LoggedModel != "" {
		out["model_id"] = v.LoggedModel
	}
	return out
}

// version finds the one that a request names, and its model.
func (s *server) version(ctx context.Context, in params) (m store.Model, v store.ModelVersion, err error) {
	if m, err = s.model(ctx, in); err != nil {
		return m, v, err
	}
	number, err := in.need("version")
	if err != nil {
		return m, v, err
	}
	n, err := strconv.Atoi(number)
	if err != nil || n < 1 {
		return m, v, invalid("version %.40q is no number from 1", number)
	}
	v, err = s.Records.ModelVersion(ctx, m.Name, n)
	return m, v, err
}

func answerVersion(m store.Model, v store.ModelVersion, err error) (answer, error) {
	if err != nil {
		return nil, err
	}
	return answer{"model_version": versionJSON(m.Label, v)}, nil
}

// Tags that say of a file what cannot be found out. They may be at the version
// that is registered, at the logged model, or at the registered model.
const (
	familyTag   = "detectd.family"
	licenceTag  = "detectd.licence"
	contractTag = "detectd.contract."
)

// ReadTags takes from tags what they say of a file: detectd.family, detectd.licence
// and detectd.contract.KEY. The later ones count.
func ReadTags(n *api.NewModel, all ...map[string]string) {
	for _, tags := range all {
		for key, value := range tags {
			switch {
			case key == familyTag:
				n.Family = value
			case key == licenceTag:
				n.Licence = value
			case strings.HasPrefix(key, contractTag):
				n.Contract[strings.TrimPrefix(key, contractTag)] = value
			}
		}
	}
}

func (s *server) createVersion(ctx context.Context, in params) (answer, error) {
	m, err := s.model(ctx, in)
	if err != nil {
		return nil, err
	}
	address, err := in.need("source")
	if err != nil {
		return nil, err
	}
	src, err := s.source(ctx, address, in.str("model_id"))
	if err != nil {
		return nil, err
	}
	own, err := in.tags("tags")
	if err != nil {
		return nil, err
	}
	n := api.NewModel{
		Name: m.Name, Source: address, VersionDescription: in.str("description"), Tags: own,
		RunID: in.str("run_id"), LoggedModel: src.logged.ID, Contract: map[string]string{}, External: src.open,
	}
	ReadTags(&n, m.Tags, tagsOf(src.logged), own)
	if v := src.version; v != nil { // a copy keeps what is known of its file
		n.Known, n.RunID, n.LoggedModel, n.Licence = v.Contract, cmp.Or(n.RunID, v.RunID), v.LoggedModel, cmp.Or(n.Licence, v.Licence)
	}
	if n.RunID == "" {
		n.RunID = src.logged.RunID
	}
	if trained, err := s.datasets(ctx, n.RunID); err != nil {
		return nil, err
	} else if _, said := own[datasetTag]; trained != "" && !said {
		n.Tags = maps.Clone(own)
		if n.Tags == nil {
			n.Tags = map[string]string{}
		}
		n.Tags[datasetTag] = trained
	}
	file, _, err := s.Blobs.Open(ctx, src.onnx.SHA256)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", src.onnx.Path, err)
	}
	defer func() { _ = file.Close() }()
	v, err := s.Models.Add(ctx, n, file)
	switch {
	case errors.Is(err, store.ErrExists): // the version that has this file is the answer
		return answerVersion(m, v, nil)
	case isFault(err): // what the intake says about a file is for the one who sent it
		return nil, invalid("%s is no model that detectd can use: %v", address, err)
	case err != nil:
		return nil, err
	}
	s.Changed()
	return answerVersion(m, v, nil)
}

// isFault says whether an error of the intake is about the file.
func isFault(err error) bool {
	for _, fault := range []error{
		detect.ErrNotONNX, detect.ErrExternalData, detect.ErrNotDetector,
		api.ErrTooLarge, api.ErrUnsupported, api.ErrUnprocessable, api.ErrInvalid,
	} {
		if errors.Is(err, fault) {
			return true
		}
	}
	return false
}

func tagsOf(m store.LoggedModel) map[string]string {
	out := map[string]string{}
	for _, t := range m.Tags {
		out[t.Key] = t.Value
	}
	return out
}

func (s *server) getVersion(ctx context.Context, in params) (answer, error) {
	return answerVersion(s.version(ctx, in))
}

// changeVersion applies a change to the version that a request names.
func (s *server) changeVersion(ctx context.Context, in params, c store.ModelChange) (answer, error) {
	m, v, err := s.version(ctx, in)
	if err != nil {
		return nil, err
	}
	v, err = s.Records.ChangeVersion(ctx, m.Name, v.Version, c)
	return answerVersion(m, v, err)
}

func (s *server) updateVersion(ctx context.Context, in params) (answer, error) {
	return s.changeVersion(ctx, in, store.ModelChange{Description: in.ptr("description")})
}

func (s *server) transitionStage(ctx context.Context, in params) (answer, error) {
	i := slices.IndexFunc(append([]string{"None"}, stages...), func(stage string) bool { return strings.EqualFold(stage, in.str("stage")) })
	if i < 0 {
		return nil, invalid("there is no stage %.40q; stages are None, %s", in.str("stage"), strings.Join(stages, ", "))
	}
	stage := append([]string{""}, stages...)[i]
	if in.str("archive_existing_versions") == "true" && stage != "" {
		m, _, err := s.version(ctx, in)
		if err != nil {
			return nil, err
		}
		others, err := s.Records.SearchVersions(ctx, store.Search{
			Terms: []store.Term{{Field: "name", Op: "=", Value: m.Name}, {Field: "stage", Op: "=", Value: stage}},
		})
		if err != nil {
			return nil, err
		}
		for _, v := range others {
			if _, err := s.Records.ChangeVersion(ctx, m.Name, v.Version, store.ModelChange{Stage: &stages[2]}); err != nil {
				return nil, err
			}
		}
	}
	return s.changeVersion(ctx, in, store.ModelChange{Stage: &stage})
}

func (s *server) tagVersion(ctx context.Context, in params) (answer, error) {
	t, err := in.text()
	if err != nil {
		return nil, err
	}
	_, err = s.changeVersion(ctx, in, store.ModelChange{SetTags: map[string]string{t.Key: t.Value}})
	return nil, err
}

func (s *server) untagVersion(ctx context.Context, in params) (answer, error) {
	key, err := in.need("key")
	if err != nil {
		return nil, err
	}
	_, err = s.changeVersion(ctx, in, store.ModelChange{RemoveTags: []string{key}})
	return nil, forgiving(err, in)
}

func (s *server) deleteVersion(ctx context.Context, in params) (answer, error) {
	m, v, err := s.version(ctx, in)
	if err != nil {
		return nil, err
	}
	// Without its last version the model stays registered.
	if _, err := s.Records.ChangeModel(ctx, m.Name, store.ModelChange{Keep: true}, store.AnyRevision); err != nil {
		return nil, err
	}
	if err := s.Models.Remove(ctx, m.Name, v.Version); err != nil {
		return nil, err
	}
	s.Changed()
	return nil, nil
}

func (s *server) searchVersions(ctx context.Context, in params) (answer, error) {
	q, err := names{
		"name": "label", "version": "version", "version_number": "version", "run_id": "run", "source_path": "source", "source": "source",
		"creation_timestamp": "created", "last_updated_timestamp": "updated", "current_stage": "stage", "tag.": "tag",
	}.search(in, "filter", 10_000, 200_000)
	if err != nil {
		return nil, err
	}
	if len(q.Order) == 0 {
		q.Order = []store.Order{{Field: "updated", Desc: true}}
	}
	labels := map[string]string{}
	for i, t := range q.Terms { // a name is looked up once, not at each version
		if m, err := s.Records.Model(ctx, fmt.Sprint(t.Value), true); t.Field == "label" && t.Op == "=" && err == nil {
			q.Terms[i].Field, q.Terms[i].Value, labels[m.Name] = "name", m.Name, m.Label
		}
	}
	found, err := s.Records.SearchVersions(ctx, q)
	if err != nil {
		return nil, err
	}
	for _, v := range found {
		if labels[v.Model] != "" {
			continue
		}
		m, err := s.Records.Model(ctx, v.Model, false)
		if err != nil {
			return nil, err
		}
		labels[v.Model] = m.Label
	}
	return paged("model_versions", q, found, func(v store.ModelVersion) answer { return versionJSON(labels[v.Model], v) }), nil
}

func (s *server) downloadURI(ctx context.Context, in params) (answer, error) {
	_, v, err := s.version(ctx, in)
	if err != nil {
		return nil, err
	}
	folder, err := s.versionFolder(ctx, v)
	return answer{"artifact_uri": scheme + folder}, err
}
