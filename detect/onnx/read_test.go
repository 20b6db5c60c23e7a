package onnx_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"detectd/detect"
	"detectd/detect/onnx"
)

// TestReadGivesWhatWasWritten goes from a builder to a file and back.
func TestReadGivesWhatWasWritten(t *testing.T) {
	body := &onnx.Builder{Name: "inner", Outputs: []onnx.Value{{Name: "z"}}}
	data := write(t, func(b *onnx.Builder) {
		b.Inputs = append(b.Inputs, onnx.Value{Name: "open", Open: true, Type: "uint8"},
			onnx.Value{Name: "some", Dims: []onnx.Dim{{Size: -1}, {Size: 0}, {Symbol: "n"}}}, onnx.Value{Name: "w", Dims: onnx.Dims(2)})
		b.Tensors = append(b.Tensors, onnx.Tensor{Name: "h", Dims: []int64{3}, Type: "float16", Raw: []byte{1, 2, 3, 4, 5, 6}},
			onnx.Tensor{Name: "none", Dims: []int64{0}, Ints: []int64{}})
		b.Nodes = append(b.Nodes, onnx.Node{Op: "If", Domain: "com.microsoft", Inputs: []string{"x", "", "y"}, Attrs: map[string]any{"then": body, "zero": int64(0)}},
			onnx.Node{Op: "Constant", Outputs: []string{"k"}, Attrs: map[string]any{"value": onnx.Tensor{Ints: []int64{5}}}})
		b.Opsets = map[string]int64{"": 17, "com.microsoft": 2}
		b.IR = 9
	})
	b, err := onnx.Read(data)
	require.NoError(t, err)
	require.EqualValues(t, 9, b.IR)
	require.Equal(t, map[string]int64{"": 17, "com.microsoft": 2}, b.Opsets)
	require.Equal(t, []onnx.Value{
		{Name: "x", Type: detect.Float32, Dims: onnx.BatchDims(3, 4)},
		{Name: "open", Type: "uint8", Open: true},
		{Name: "some", Type: detect.Float32, Dims: []onnx.Dim{{Size: -1}, {Size: 0}, {Symbol: "n"}}},
	}, b.Inputs, "an initializer is no input")
	require.Equal(t, []float32{1, 2}, b.Tensor("w").Floats)
	require.Equal(t, []int64{5}, b.Tensor("k").Ints, "a constant node is an initializer")
	require.Equal(t, "float16", b.Tensor("h").ElementType())
	require.Equal(t, []byte{1, 2, 3, 4, 5, 6}, b.Tensor("h").Raw)
	require.Nil(t, b.Tensor("nothing"))
	require.Len(t, b.Nodes, 2)
	attrs := b.Nodes[0].Attrs
	require.Equal(t, []any{int64(1), float32(2), "x", []int64{1, 2}, []float32{1}},
		[]any{attrs["i"], attrs["f"], attrs["s"], attrs["is"], attrs["fs"]})
	require.Equal(t, []float32{1}, attrs["t"].(onnx.Tensor).Floats)
	require.Equal(t, "com.microsoft", b.Nodes[1].Domain)
	require.Equal(t, []string{"x", "", "y"}, b.Nodes[1].Inputs)
	require.Equal(t, int64(0), b.Nodes[1].Attrs["zero"])

	again, err := b.Bytes()
	require.NoError(t, err)
	twice, err := onnx.Read(again)
	require.NoError(t, err)
	require.Equal(t, b, twice)
	_, err = onnx.Parse(again)
	require.NoError(t, err)
}

func TestReadRefuses(t *testing.T) {
	_, err := onnx.Read([]byte("this is not a model"))
	require.ErrorIs(t, err, detect.ErrNotONNX)
	_, err = onnx.Read(nest(write(t, nil), nil, 25))
	require.ErrorIs(t, err, onnx.ErrUnsupported)
	_, err = (&onnx.Builder{Tensors: []onnx.Tensor{{Name: "t", Type: "string", Raw: []byte("x")}}}).Bytes()
	require.Error(t, err)
}

func FuzzRead(f *testing.F) {
	f.Add([]byte{})
	f.Add(write(f, nil))
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := onnx.Read(data)
		if err != nil {
			return
		}
		if again, err := b.Bytes(); err == nil {
			_, err = onnx.Read(again)
			require.NoError(t, err)
		}
	})
}
