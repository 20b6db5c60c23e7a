package mlflow_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestInputsAndCopies notes what a run was given, which shows as the lineage of what
// it made, and copies a version with all that is known of it.
func TestInputsAndCopies(t *testing.T) {
	f := newFixture(t)
	run := text(t, f.call(200, "POST", "runs/create", `{"experiment_id":"0"}`), "run", "info", "run_id")
	f.call(200, "POST", "runs/log-inputs", `{"run_id":"`+run+`","datasets":[{"tags":[{"key":"mlflow.data.context","value":"training"}],
		"dataset":{"name":"street","digest":"d1","source_type":"local","source":"{}","schema":"{}"}}]}`)
	got := f.call(200, "GET", "runs/get?run_id="+run, "")
	require.Equal(t, "street", at(t, got, "run", "inputs", "dataset_inputs", "0", "dataset", "name"))
	require.Equal(t, "training", at(t, got, "run", "inputs", "dataset_inputs", "0", "tags", "0", "value"))
	for filter, want := range map[string]int{`dataset.name = 'street'`: 1, `datasets.digest LIKE 'd%'`: 1, `dataset.name = 'yard'`: 0} {
		found := f.call(200, "POST", "runs/search", `{"experiment_ids":["0"],"filter":"`+filter+`"}`)
		if want == 0 {
			require.Empty(t, found["runs"], filter)
			continue
		}
		require.Len(t, found["runs"], want, filter)
	}
	f.refused(400, "INVALID_PARAMETER_VALUE", "POST", "runs/log-inputs", `{"run_id":"`+run+`","datasets":[{"dataset":{"name":"street"}}]}`)
	f.refused(404, "RESOURCE_DOES_NOT_EXIST", "POST", "runs/log-inputs", `{"run_id":"none","datasets":[]}`)

	f.upload("0/"+run+"/artifacts/model/MLmodel", "flavors:\n  onnx:\n    data: model.onnx\n")
	f.upload("0/"+run+"/artifacts/model/model.onnx", "ONNX one")
	f.call(200, "POST", "registered-models/create", `{"name":"Yard Watch"}`)
	f.call(200, "POST", "model-versions/create", `{"name":"Yard Watch","source":"runs:/`+run+`/model","run_id":"`+run+`",
		"tags":[{"key":"detectd.licence","value":"MIT"}]}`)
	require.Equal(t, "street@d1", f.taken[0].Tags["detectd.dataset"])
	require.Nil(t, f.taken[0].Known)

	f.call(200, "POST", "registered-models/create", `{"name":"prod"}`)
	copied := f.call(200, "POST", "model-versions/create", `{"name":"prod","source":"models:/Yard Watch/1","tags":[{"key":"detectd.dataset","value":"mine"}]}`)
	require.Equal(t, "1", at(t, copied, "model_version", "version"))
	require.Equal(t, run, at(t, copied, "model_version", "run_id"))
	made := f.taken[1]
	require.Equal(t, "MIT", made.Licence)
	require.Equal(t, "mine", made.Tags["detectd.dataset"], "what is said counts more")
	v, err := f.records.ModelVersion(t.Context(), "yard-watch", 1)
	require.NoError(t, err)
	require.Equal(t, v.Contract, made.Known, "its contract is not guessed again")
	w := f.send("GET", "/api/2.0/mlflow-artifacts/artifacts/registry/prod/1/model.onnx", "")
	require.Equal(t, "ONNX one", w.Body.String())
}
