package mlflow

import (
	"context"
	"errors"
	"strings"

	"detectd/store"
)

// logInputs notes what a run was given: data sets, and logged models.
func (s *server) logInputs(ctx context.Context, in params) (answer, error) {
	r, err := s.run(ctx, in)
	if err != nil {
		return nil, err
	}
	var inputs []store.Input
	for _, o := range in.objects("datasets") {
		d, _ := o["dataset"].(map[string]any)
		data := params(d)
		name, err := data.need("name")
		if err != nil {
			return nil, err
		}
		digest, err := data.need("digest")
		if err != nil {
			return nil, err
		}
		tags, err := o.texts("tags")
		if err != nil {
			return nil, err
		}
		inputs = append(inputs, store.Input{
			Name: name, Digest: digest, SourceType: data.str("source_type"), Source: data.str("source"),
			Schema: data.str("schema"), Profile: data.str("profile"), Tags: tags,
		})
	}
	for _, o := range in.objects("models") {
		m, err := s.Records.LoggedModel(ctx, o.str("model_id"))
		if err != nil {
			return nil, err
		}
		inputs = append(inputs, store.Input{ModelID: m.ID})
	}
	return nil, s.Records.AddInputs(ctx, r.ID, inputs)
}

func inputsJSON(inputs []store.Input) answer {
	datasets, models := []answer{}, []answer{}
	for _, i := range inputs {
		if i.ModelID != "" {
			models = append(models, answer{"model_id": i.ModelID})
			continue
		}
		d := answer{"name": i.Name, "digest": i.Digest, "source_type": i.SourceType, "source": i.Source}
		if i.Schema != "" {
			d["schema"] = i.Schema
		}
		if i.Profile != "" {
			d["profile"] = i.Profile
		}
		datasets = append(datasets, answer{"dataset": d, "tags": textsJSON(i.Tags)})
	}
	return answer{"dataset_inputs": datasets, "model_inputs": models}
}

// datasetTag is the tag that names the data a version was trained with.
const datasetTag = "detectd.dataset"

// datasets names the data sets of a run, as NAME@DIGEST; "" where it has none or is unknown.
func (s *server) datasets(ctx context.Context, runID string) (string, error) {
	if runID == "" {
		return "", nil
	}
	r, err := s.Records.Run(ctx, runID)
	if errors.Is(err, store.ErrNotFound) {
		return "", nil
	}
	var names []string
	for _, i := range r.Inputs {
		if i.Name != "" {
			names = append(names, i.Name+"@"+i.Digest)
		}
	}
	return strings.Join(names, ", "), err
}
