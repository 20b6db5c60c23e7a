package onnx_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"

	"detectd/detect"
	"detectd/detect/onnx"
)

// TestUnknownOperators refuses what would need a library of its own, wherever it is.
func TestUnknownOperators(t *testing.T) {
	in := func(domain string) []byte { return write(t, func(b *onnx.Builder) { b.Nodes[0].Domain = domain }) }
	inner := &onnx.Builder{Name: "inner", Nodes: []onnx.Node{{Op: "X", Domain: "evil.ops"}}}
	for name, data := range map[string][]byte{
		"node":     in("evil.ops"),
		"subgraph": write(t, func(b *onnx.Builder) { b.Nodes[0].Attrs = map[string]any{"body": inner} }),
		"function": nest(write(t, nil), []byte("evil.ops"), 25, 7, 7),
	} {
		_, err := onnx.Parse(data)
		require.ErrorIs(t, err, detect.ErrNotDetector, name)
		require.ErrorContains(t, err, `domain "evil.ops"`, name)
	}
	for _, domain := range []string{"", "ai.onnx", "com.microsoft"} {
		_, err := onnx.Parse(in(domain))
		require.NoError(t, err, domain)
	}
	function := protowire.AppendString(protowire.AppendTag(nil, 10, protowire.BytesType), "pkg.torch")
	_, err := onnx.Parse(nest(in("pkg.torch"), function, 25))
	require.NoError(t, err, "the file defines it itself")
}
