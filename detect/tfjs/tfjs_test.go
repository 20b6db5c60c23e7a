package tfjs_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"detectd/detect"
	"detectd/detect/detecttest"
	"detectd/detect/model"
	"detectd/detect/onnx"
	"detectd/detect/ort"
	"detectd/detect/tfjs"
)

type object = map[string]any

// writeTiny writes a graph of the default model's form by hand: two anchors, one
// by a convolution over the whole picture.
func writeTiny(t *testing.T, edit func(nodes []object)) string {
	dir := t.TempDir()
	var data []byte
	var weights []object
	add := func(name string, shape []int, values ...float32) {
		weights = append(weights, object{"name": name, "dtype": "float32", "shape": shape})
		for _, v := range values {
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(v))
		}
	}
	addInt := func(name string, shape []int, values ...int32) {
		weights = append(weights, object{"name": name, "dtype": "int32", "shape": shape})
		for _, v := range values {
			data = binary.LittleEndian.AppendUint32(data, uint32(v))
		}
	}
	strides := object{"list": object{"i": []string{"1", "300", "300", "1"}}}
	conv := func(name, in, w string) object {
		return object{"name": name, "op": "Conv2D", "input": []string{in, w}, "attr": object{
			"strides": strides, "padding": object{"s": "U0FNRQ=="}, // SAME
			"data_format": object{"s": []int{'N', 'H', 'W', 'C'}},
		}}
	}
	node := func(op, name string, in ...string) object {
		return object{"name": name, "op": op, "input": in, "attr": object{}}
	}
	add("w4", []int{1, 1, 3, 4}, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0)
	add("w91", []int{1, 1, 3, 91}, make([]float32, 273)...)
	add("bias", []int{4}, 0, 0, 0, 0.5)
	add("Postprocessor/ExpandDims", []int{1, 1, 4}, 0, 0, 1, 1)
	addInt("one", []int{}, 1)
	addInt("four", []int{}, 4)
	addInt("columns", []int{}, 91)
	nodes := []object{
		conv("c4", "Preprocessor/sub", "w4"),
		node("BiasAdd", "b4", "c4", "bias"),
		node("Relu6", "r4", "b4"),
		node("Shape", "shape", "r4"),
		node("StridedSlice", "batch", "shape"),
		node("Pack", "pack4", "batch", "one", "one", "four"),
		node("Reshape", "codes", "r4", "pack4"),
		node("ConcatV2", "concat", "codes", "one"),
		{"name": "Squeeze", "op": "Squeeze", "input": []string{"concat"}, "attr": object{
			"squeeze_dims": object{"list": object{"i": []string{"2"}}},
		}},
		conv("c91", "Preprocessor/sub", "w91"),
		node("Pack", "pack91", "batch", "one", "columns"),
		node("Reshape", "logits", "c91", "pack91"),
		node("Sigmoid", "Postprocessor/convert_scores", "logits"),
	}
	if edit != nil {
		edit(nodes)
	}
	file, err := json.Marshal(object{
		"modelTopology":   object{"node": nodes},
		"weightsManifest": []object{{"paths": []string{"w1", "w2"}, "weights": weights}},
	})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "model.json"), file, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "w1"), data[:10], 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "w2"), data[10:], 0o600))
	return dir
}

func TestConvertTiny(t *testing.T) {
	var buf bytes.Buffer
	require.NoError(t, tfjs.Convert(writeTiny(t, nil), &buf))
	rt := detecttest.Runtime(t)
	s, err := rt.NewSession(buf.Bytes(), ort.Info{
		Input: "image", Shape: []int64{0, 3, 300, 300}, Outputs: []string{"boxes", "scores", "anchors"},
	}, ort.Options{})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	require.Equal(t, [][]int64{{1, 4}, {1, 91}, {1, 4}}, s.OutputShapes())
	call, err := s.Acquire(2)
	require.NoError(t, err)
	defer call.Release()
	plane := 300 * 300
	for i := range call.Input() {
		call.Input()[i] = float32(i / plane) // 0, 1, 2 and 3, 4, 5
	}
	require.NoError(t, call.Run(t.Context()))
	require.Equal(t, []float32{0, 1, 2, 0.5}, call.Outputs(nil, 0)[0])
	require.Equal(t, []float32{3, 4, 5, 0.5}, call.Outputs(nil, 1)[0])
	require.Equal(t, float32(0.5), call.Outputs(nil, 1)[1][90])
	require.Equal(t, []float32{0, 0, 1, 1}, call.Outputs(nil, 1)[2])
}

func TestConvertRefuses(t *testing.T) {
	set := func(i int, key string, value any) func([]object) {
		return func(n []object) { n[i][key] = value }
	}
	attr := func(i int, key string, value any) func([]object) {
		return func(n []object) { n[i]["attr"].(object)[key] = value }
	}
	for want, edit := range map[string]func([]object){
		"operator Erf is not supported":        set(2, "op", "Erf"),
		`no node "nowhere"`:                    set(2, "input", []string{"nowhere"}),
		"cycle":                                set(1, "input", []string{"r4", "bias"}),
		`padding "x" is not supported`:         attr(0, "padding", object{"s": []int{'x'}}),
		`data format "NCHW" is not supported`:  attr(0, "data_format", object{"s": []int{'N', 'C', 'H', 'W'}}),
		`"r4" is not a constant`:               set(7, "input", []string{"codes", "r4"}),
		"the dimensions are not named":         attr(8, "squeeze_dims", object{}),
		`does not start with the batch`:        set(5, "input", []string{"one", "one"}),
		"input 0 is missing":                   set(2, "input", []string{}),
		"only two-dimensional convolutions":    attr(0, "strides", object{}),
		"constant of shape [1 1 3 4] is not s": set(1, "input", []string{"c4", "w4"}),
	} {
		err := tfjs.Convert(writeTiny(t, edit), &bytes.Buffer{})
		require.ErrorContains(t, err, want)
	}
	dir := writeTiny(t, nil)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "w2"), []byte{1}, 0o600))
	require.ErrorContains(t, tfjs.Convert(dir, &bytes.Buffer{}), "end within")
	file, err := os.ReadFile(filepath.Join(dir, "model.json"))
	require.NoError(t, err)
	outside := strings.Replace(string(file), `"w2"`, `"../w2"`, 1)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "model.json"), []byte(outside), 0o600))
	require.ErrorContains(t, tfjs.Convert(dir, &bytes.Buffer{}), "outside the model's folder")
	require.Error(t, tfjs.Convert(t.TempDir(), &bytes.Buffer{}))
}

func TestConvertDefault(t *testing.T) {
	var buf bytes.Buffer
	require.NoError(t, tfjs.Convert(filepath.Dir(detecttest.Artefact(t, "tfjs", "model.json")), &buf))
	require.Equal(t, detecttest.DefaultModel(t), buf.Bytes(), "build/share/default.onnx is old: run make build")
	m, err := onnx.Parse(buf.Bytes())
	require.NoError(t, err)
	require.Equal(t, []detect.TensorInfo{{Name: "image", Type: "float32", Shape: []int64{-1, 3, 300, 300}}}, m.Inputs)
	c, err := model.Sniff(buf.Bytes())
	require.NoError(t, err)
	require.Equal(t, tfjs.DefaultContract(), c)
	require.Len(t, c.LabelIDs, 90)
	require.Equal(t, "toothbrush", c.Labels[c.LabelIDs[89]])
	require.Equal(t, -1, c.LabelIDs[11])
}
