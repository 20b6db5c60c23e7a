package ssd_test

import (
	"testing"

	"detectd/detect"
	"detectd/detect/ssd"
)

func BenchmarkDecode(b *testing.B) {
	const anchors, columns = 1917, 91
	c := detect.Contract{Input: detect.Input{Width: 300, Height: 300}, Labels: make([]string, columns-1), Background: true}
	d, err := ssd.Family().New(c, [][]int64{{anchors, 4}, {anchors, columns}, {anchors, 4}})
	if err != nil {
		b.Fatal(err)
	}
	outputs := [][]float32{make([]float32, anchors*4), make([]float32, anchors*columns), make([]float32, anchors*4)}
	for i := range outputs[1] {
		outputs[1][i] = float32(i*7919%1000) / 4000
	}
	outputs[1][5000] = 0.9
	var found []detect.Candidate
	b.ReportAllocs()
	for b.Loop() {
		found = d.Decode(found[:0], outputs, 0.4)
	}
}
