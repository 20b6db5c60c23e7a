// Package onnx reads and writes ONNX model files, as far as detectd needs them:
// the signature, metadata and initializers of a model, the check that it refers
// to no other file, and enough of a writer to build and convert models.
//
// The wire format is decoded by hand after onnx.proto3 (ONNX IR version 10), so
// no generated code is needed.
package onnx

import (
	"fmt"

	"detectd/detect"
)

// Limits against absurd files. Real detectors stay far below them.
const (
	maxDepth    = 16        // nesting of subgraphs
	maxNodes    = 1_000_000 // over all graphs and functions
	maxTensors  = 1_000_000
	maxMetadata = 1 << 20 // bytes of keys and values
	maxDims     = 64
)

// Model is what Parse found in a file.
type Model struct {
	IRVersion int64
	Producer  string
	Opsets    map[string]int64 // by domain; "" is the standard one
	Metadata  map[string]string
	Inputs    []detect.TensorInfo // without those that are initializers
	Outputs   []detect.TensorInfo
	// Initializers are the constants of the main graph, without their values.
	Initializers []detect.TensorInfo
	Nodes        int // over all graphs and functions
}

// Signature is the part of the model that detector families look at.
func (m *Model) Signature() detect.Signature {
	return detect.Signature{Inputs: m.Inputs, Outputs: m.Outputs, Metadata: m.Metadata}
}

// Parse reads a model file. It returns an error wrapping detect.ErrNotONNX for
// anything else and detect.ErrExternalData when any tensor, however deeply
// nested, has its values in another file. The result does not alias data.
func Parse(data []byte) (*Model, error) {
	p := parser{domains: map[string]bool{}, functions: map[string]bool{}, m: &Model{Opsets: map[string]int64{}, Metadata: map[string]string{}}}
	if err := p.model(data); err != nil {
		if kind := otherKind(data); kind != "" {
			return nil, notONNX("%s", kind)
		}
		return nil, err
	}
	m := p.m
	switch {
	case (m.IRVersion <= 0 || !p.graphSeen) && otherKind(data) != "":
		return nil, notONNX("%s", otherKind(data))
	case m.IRVersion <= 0 || len(m.Opsets) == 0:
		return nil, notONNX("it names no ONNX version")
	case !p.graphSeen:
		return nil, notONNX("it has no graph")
	case len(m.Outputs) == 0:
		return nil, notONNX("its graph has no outputs")
	}
	if err := p.knowsOperators(); err != nil {
		return nil, err
	}
	constant := make(map[string]bool, len(m.Initializers))
	for _, t := range m.Initializers {
		constant[t.Name] = true
	}
	inputs := m.Inputs[:0]
	for _, t := range m.Inputs {
		if !constant[t.Name] { // old files list initializers among the inputs
			inputs = append(inputs, t)
		}
	}
	m.Inputs = inputs
	return m, nil
}

func notONNX(format string, args ...any) error {
	return fmt.Errorf("%w: %s", detect.ErrNotONNX, fmt.Sprintf(format, args...))
}

// elemTypes are the names of TensorProto.DataType.
var elemTypes = [...]string{
	"undefined", "float32", "uint8", "int8", "uint16", "int16", "int32", "int64",
	"string", "bool", "float16", "float64", "uint32", "uint64", "complex64",
	"complex128", "bfloat16",
}

// elemSize is the number of bytes of a value, 0 for types without a fixed one.
func elemSize(name string) int {
	switch name {
	case "uint8", "int8", "bool":
		return 1
	case "uint16", "int16", "float16", "bfloat16":
		return 2
	case "float32", "int32", "uint32":
		return 4
	case "int64", "uint64", "float64", "complex64":
		return 8
	case "complex128":
		return 16
	default:
		return 0
	}
}

// ElementType is the name of a TensorProto.DataType, as detect.TensorInfo spells it.
func ElementType(n int64) string { return elemType(n) }

func elemType(n int64) string {
	if n >= 0 && n < int64(len(elemTypes)) {
		return elemTypes[n]
	}
	return fmt.Sprintf("type%d", n)
}
