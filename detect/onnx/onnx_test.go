package onnx_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"

	"detectd/detect"
	"detectd/detect/onnx"
)

// write builds a model with one Add node, changed by edit.
func write(t testing.TB, edit func(*onnx.Builder)) []byte {
	b := &onnx.Builder{
		Name: "g", Producer: "test", Metadata: map[string]string{"k": "v", "a": "ü"},
		Inputs:  []onnx.Value{{Name: "x", Dims: onnx.BatchDims(3, 4)}},
		Outputs: []onnx.Value{{Name: "y", Dims: onnx.Dims(2, 3)}},
		Tensors: []onnx.Tensor{
			{Name: "w", Dims: []int64{2}, Floats: []float32{1, 2}},
			{Name: "i", Dims: []int64{1, 1}, Ints: []int64{-7}},
			{Name: "s", Floats: []float32{3}},
		},
		Nodes: []onnx.Node{{Op: "Add", Name: "n", Inputs: []string{"x", "w"}, Outputs: []string{"y"}, Attrs: map[string]any{
			"i": int64(1), "f": float32(2), "s": "x", "is": []int64{1, 2}, "fs": []float32{1},
			"t": onnx.Tensor{Floats: []float32{1}},
		}}},
	}
	if edit != nil {
		edit(b)
	}
	var buf bytes.Buffer
	_, err := b.WriteTo(&buf)
	require.NoError(t, err)
	return buf.Bytes()
}

func TestParseWhatWasWritten(t *testing.T) {
	m, err := onnx.Parse(write(t, nil))
	require.NoError(t, err)
	require.Equal(t, &onnx.Model{
		IRVersion: 7,
		Producer:  "test",
		Opsets:    map[string]int64{"": onnx.Opset},
		Metadata:  map[string]string{"k": "v", "a": "ü"},
		Inputs:    []detect.TensorInfo{{Name: "x", Type: "float32", Shape: []int64{-1, 3, 4}}},
		Outputs:   []detect.TensorInfo{{Name: "y", Type: "float32", Shape: []int64{2, 3}}},
		Initializers: []detect.TensorInfo{
			{Name: "w", Type: "float32", Shape: []int64{2}},
			{Name: "i", Type: "int64", Shape: []int64{1, 1}},
			{Name: "s", Type: "float32", Shape: []int64{}},
		},
		Nodes: 1,
	}, m)
}

func TestInitializersAreNoInputs(t *testing.T) {
	m, err := onnx.Parse(write(t, func(b *onnx.Builder) {
		b.Inputs = append(b.Inputs, onnx.Value{Name: "w", Dims: onnx.Dims(2)})
	}))
	require.NoError(t, err)
	require.Len(t, m.Inputs, 1)
}

func TestWithMetadata(t *testing.T) {
	m, err := onnx.Parse(onnx.WithMetadata(write(t, nil), "k", "w"))
	require.NoError(t, err)
	require.Equal(t, "w", m.Metadata["k"])
}

func TestExternalDataIsFoundEverywhere(t *testing.T) {
	tensor := onnx.Tensor{Name: "outside", Dims: []int64{1}, External: "../../etc/passwd"}
	inNode := func(attr any) func(*onnx.Builder) {
		return func(b *onnx.Builder) { b.Nodes[0].Attrs = map[string]any{"a": attr} }
	}
	inner := &onnx.Builder{Name: "inner", Tensors: []onnx.Tensor{tensor}}
	nested := &onnx.Builder{Name: "outer", Nodes: []onnx.Node{{Op: "If", Attrs: map[string]any{"then": inner}}}}
	plain := write(t, nil)
	raw := rawTensor(tensor)
	cases := map[string][]byte{
		"initializer":         write(t, func(b *onnx.Builder) { b.Tensors = append(b.Tensors, tensor) }),
		"attribute":           write(t, inNode(tensor)),
		"subgraph":            write(t, inNode(inner)),
		"nested subgraph":     write(t, inNode(nested)),
		"function":            nest(plain, raw, 25, 7, 5, 5),
		"function default":    nest(plain, raw, 25, 11, 5),
		"attribute list":      nest(plain, raw, 7, 1, 5, 10),
		"sparse attribute":    nest(plain, raw, 7, 1, 5, 22, 1),
		"sparse attributes":   nest(plain, raw, 7, 1, 5, 23, 2),
		"sparse initializer":  nest(plain, raw, 7, 15, 1),
		"sparse indices":      nest(plain, raw, 7, 15, 2),
		"subgraph list":       nest(plain, raw, 7, 1, 5, 11, 5),
		"training":            nest(plain, raw, 20, 1, 5),
		"training algorithm":  nest(plain, raw, 20, 2, 5),
		"location only":       nest(plain, protowire.AppendVarint(protowire.AppendTag(nil, 14, protowire.VarintType), 1), 7, 5),
		"compiled EP context": nest(plain, []byte("EPContext"), 7, 1, 4),
	}
	for name, data := range cases {
		_, err := onnx.Parse(data)
		require.ErrorIs(t, err, detect.ErrExternalData, name)
	}
	_, err := onnx.Parse(cases["nested subgraph"])
	require.ErrorContains(t, err, `tensor "outside" is kept in file "../../etc/passwd"`)
}

// rawTensor encodes the name and the place of an external tensor.
func rawTensor(x onnx.Tensor) []byte {
	b := protowire.AppendString(protowire.AppendTag(nil, 8, protowire.BytesType), x.Name)
	entry := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), "location")
	entry = protowire.AppendString(protowire.AppendTag(entry, 2, protowire.BytesType), x.External)
	return protowire.AppendBytes(protowire.AppendTag(b, 13, protowire.BytesType), entry)
}

// nest appends a message to a model, wrapped in the given fields from the outside in.
func nest(model, message []byte, fields ...protowire.Number) []byte {
	for _, field := range slices.Backward(fields) {
		message = protowire.AppendBytes(protowire.AppendTag(nil, field, protowire.BytesType), message)
	}
	return append(bytes.Clone(model), message...)
}

func TestNotONNX(t *testing.T) {
	whole := write(t, nil)
	fields := []protowire.Number{7}
	for range 40 {
		fields = append(fields, 1, 5, 6)
	}
	cases := map[string][]byte{
		"empty":      nil,
		"text":       []byte("this is not a model\n"),
		"zip":        []byte("PK\x03\x04\x14\x00\x00\x00"),
		"cut":        whole[:len(whole)-3],
		"cut early":  whole[:20],
		"no graph":   {8, 7, 0x42, 2, 16, 13},
		"too deep":   nest(whole, nil, fields...),
		"no outputs": write(t, func(b *onnx.Builder) { b.Outputs = nil }),
		"metadata":   onnx.WithMetadata(whole, "k", string(make([]byte, 1<<20+1))),
		"dimensions": write(t, func(b *onnx.Builder) { b.Inputs[0].Dims = onnx.Dims(make([]int64, 100)...) }),
		"wrong type": append(bytes.Clone(whole), 7<<3, 1),
	}
	for name, data := range cases {
		_, err := onnx.Parse(data)
		require.ErrorIs(t, err, detect.ErrNotONNX, name)
	}
}

func TestWriterRefuses(t *testing.T) {
	for _, b := range []*onnx.Builder{
		{Tensors: []onnx.Tensor{{Name: "w", Dims: []int64{3}, Floats: []float32{1}}}},
		{Nodes: []onnx.Node{{Op: "X", Attrs: map[string]any{"a": 1}}}},
		{Nodes: []onnx.Node{{Op: "X", Attrs: map[string]any{"a": onnx.Tensor{Dims: []int64{2}}}}}},
	} {
		_, err := b.WriteTo(&bytes.Buffer{})
		require.Error(t, err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte{})
	f.Add(write(f, nil))
	f.Add(write(f, func(b *onnx.Builder) { b.Nodes[0].Attrs["g"] = &onnx.Builder{Tensors: b.Tensors} }))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := onnx.Parse(data)
		if err == nil && (m.IRVersion <= 0 || len(m.Outputs) == 0) {
			t.Fatal("accepted a file without version or outputs")
		}
	})
}

// TestWithFloatOutputs appends to a file, which stays what it was.
func TestWithFloatOutputs(t *testing.T) {
	data := write(t, func(b *onnx.Builder) { b.Outputs[0].Type = "float16" })
	before, err := onnx.Parse(data)
	require.NoError(t, err)
	require.Equal(t, "float16", before.Outputs[0].Type)
	more, names, err := onnx.WithFloatOutputs(data, []string{"y"})
	require.NoError(t, err)
	require.Equal(t, []string{"y as float32"}, names)
	require.Equal(t, data, more[:len(data)])
	after, err := onnx.Parse(more)
	require.NoError(t, err)
	require.Equal(t, before.Nodes+1, after.Nodes)
	require.Equal(t, before.Inputs, after.Inputs)
	require.Equal(t, append(before.Outputs, detect.TensorInfo{Name: names[0], Type: "float32"}), after.Outputs)
}
