package detecttest

import (
	"testing"

	"detectd/detect"
	"detectd/detect/onnx"
)

// Cells returns a detector of the family yolov8 that finds every 16x16 square of a
// clear red, green or blue in pictures of 320x320 with values in 0..1. Most pictures
// have none; values of another size make it answer nearly everywhere, and as it looks
// at each square by itself, that goes along with the picture.
func Cells(t testing.TB) []byte {
	t.Helper()
	const side, cell = 320, 16
	const n = side / cell
	boxes := make([]float32, 4*n*n)
	for i := range n * n {
		boxes[i] = float32(i%n)*cell + cell/2
		boxes[n*n+i] = float32(i/n)*cell + cell/2
		boxes[2*n*n+i], boxes[3*n*n+i] = 4*cell, 4*cell
	}
	weights := []float32{16, -8, -8, -8, 16, -8, -8, -8, 16}
	sides := map[string]any{"kernel_shape": []int64{cell, cell}, "strides": []int64{cell, cell}}
	b := &onnx.Builder{
		Name:     "cells",
		Metadata: map[string]string{"names": "['red', 'green', 'blue']"},
		Inputs:   []onnx.Value{PictureInput("images", "", 3, side, side)},
		Tensors: []onnx.Tensor{
			{Name: "weights", Dims: []int64{3, 3, 1, 1}, Floats: weights},
			{Name: "bias", Dims: []int64{3}, Floats: []float32{-6, -6, -6}},
			{Name: "row", Dims: []int64{3}, Ints: []int64{0, 3, n * n}},
			{Name: "zero", Floats: []float32{0}},
			{Name: "grid", Dims: []int64{1, 4, n * n}, Floats: boxes},
		},
		Nodes: []onnx.Node{
			op("AveragePool", "squares", sides, "images"),
			op("Conv", "answers", nil, "squares", "weights", "bias"),
			op("Sigmoid", "scores", nil, "answers"),
			op("Reshape", "classes", nil, "scores", "row"),
			op("ReduceMean", "mean", map[string]any{"axes": []int64{1}, "keepdims": int64(1)}, "classes"),
			op("Mul", "nothing", nil, "mean", "zero"),
			op("Add", "boxes", nil, "nothing", "grid"),
			op("Concat", "output0", map[string]any{"axis": int64(1)}, "boxes", "classes"),
		},
		Outputs: []onnx.Value{{Name: "output0", Type: detect.Float32, Dims: onnx.BatchDims(7, n*n)}},
	}
	return encode(t, b)
}
