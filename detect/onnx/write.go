package onnx

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// Builder collects a graph and writes it as a model file.
type Builder struct {
	IR       int64            // version of the file format; 0 is that of Opset
	Opsets   map[string]int64 // by domain; nil is Opset of the standard one
	Name     string           // of the graph
	Producer string
	Metadata map[string]string
	Inputs   []Value
	Outputs  []Value
	Nodes    []Node
	Tensors  []Tensor // initializers
}

// Value is an input or output of a graph.
type Value struct {
	Name string
	Type string // as detect.TensorInfo spells it; empty is float32
	Dims []Dim
	Open bool // the shape is not told at all
}

// Dim is a dimension: a size, or a symbol when Symbol is not empty. A negative
// size is not told.
type Dim struct {
	Size   int64
	Symbol string
}

// Dims makes fixed dimensions.
func Dims(sizes ...int64) []Dim {
	dims := make([]Dim, len(sizes))
	for i, n := range sizes {
		dims[i].Size = n
	}
	return dims
}

// BatchDims makes the dimensions of a tensor with a dynamic first dimension "batch".
func BatchDims(sizes ...int64) []Dim {
	return append([]Dim{{Symbol: "batch"}}, Dims(sizes...)...)
}

// Node is one operator.
type Node struct {
	Op      string
	Domain  string // "" is the standard one
	Name    string
	Inputs  []string // "" leaves an optional input out
	Outputs []string
	Attrs   map[string]any // int64, float32, string, []int64, []float32, Tensor, *Builder (a subgraph) or Attr
}

// Attr is an attribute as the file has it, of a kind that Read does not take apart.
type Attr []byte

// Tensor is a constant. Exactly one of Floats, Ints and Type with Raw is used,
// unless External is set.
type Tensor struct {
	Name   string
	Dims   []int64 // nil: a scalar
	Floats []float32
	Ints   []int64
	Type   string // of Raw: as detect.TensorInfo spells it
	Raw    []byte // little endian
	// External writes a reference to this file instead of values. detectd
	// refuses such models; it is here to test that.
	External string
}

// Opset is the version of the standard operator set that WriteTo declares.
const Opset = 13

const irVersion = 7 // the one that came with opset 13's first ONNX release

// WriteTo writes the model file.
func (b *Builder) WriteTo(w io.Writer) (int64, error) {
	var m []byte
	m = appendInt(m, 1, cmp.Or(b.IR, irVersion))
	m = appendString(m, 2, b.Producer)
	graph, err := b.graph()
	if err != nil {
		return 0, err
	}
	m = appendBytes(m, 7, graph)
	opsets := b.Opsets
	if opsets == nil {
		opsets = map[string]int64{"": Opset}
	}
	for _, domain := range slices.Sorted(maps.Keys(opsets)) {
		m = appendBytes(m, 8, appendInt(appendString(nil, 1, domain), 2, opsets[domain]))
	}
	for _, key := range slices.Sorted(maps.Keys(b.Metadata)) {
		m = appendBytes(m, 14, appendString(appendString(nil, 1, key), 2, b.Metadata[key]))
	}
	n, err := w.Write(m)
	return int64(n), err
}

func (b *Builder) graph() ([]byte, error) {
	var g []byte
	for i := range b.Nodes {
		node, err := b.Nodes[i].encode()
		if err != nil {
			return nil, err
		}
		g = appendBytes(g, 1, node)
	}
	if b.Name != "" { // merged with another graph it would take that one's
		g = appendString(g, 2, b.Name)
	}
	for i := range b.Tensors {
		t, err := b.Tensors[i].encode()
		if err != nil {
			return nil, err
		}
		g = appendBytes(g, 5, t)
	}
	for _, v := range b.Inputs {
		g = appendBytes(g, 11, v.encode())
	}
	for _, v := range b.Outputs {
		g = appendBytes(g, 12, v.encode())
	}
	return g, nil
}

func (v Value) encode() []byte {
	kind := int64(max(slices.Index(elemTypes[:], v.Type), 1))
	shape := []byte{}
	for _, d := range v.Dims {
		var dim []byte
		switch {
		case d.Symbol != "":
			dim = appendString(dim, 2, d.Symbol)
		case d.Size >= 0:
			dim = appendInt(dim, 1, d.Size)
		}
		shape = appendBytes(shape, 1, dim)
	}
	tensor := appendInt(nil, 1, kind)
	if !v.Open {
		tensor = appendBytes(tensor, 2, shape)
	}
	return appendBytes(appendString(nil, 1, v.Name), 2, appendBytes(nil, 1, tensor))
}

func (n *Node) encode() ([]byte, error) {
	var m []byte
	for _, s := range n.Inputs {
		m = appendString(m, 1, s)
	}
	for _, s := range n.Outputs {
		m = appendString(m, 2, s)
	}
	m = appendString(m, 3, n.Name)
	m = appendString(m, 4, n.Op)
	if n.Domain != "" {
		m = appendString(m, 7, n.Domain)
	}
	for _, key := range slices.Sorted(maps.Keys(n.Attrs)) {
		a, err := encodeAttr(key, n.Attrs[key])
		if err != nil {
			return nil, fmt.Errorf("encode node %q: %w", n.Name, err)
		}
		m = appendBytes(m, 5, a)
	}
	return m, nil
}

func encodeAttr(name string, value any) ([]byte, error) {
	if whole, ok := value.(Attr); ok {
		return whole, nil
	}
	a := appendString(nil, 1, name)
	var kind int64 // AttributeProto.AttributeType
	switch v := value.(type) {
	case float32:
		kind = 1
		a = protowire.AppendFixed32(protowire.AppendTag(a, 2, protowire.Fixed32Type), math.Float32bits(v))
	case int64:
		kind = 2
		a = appendInt(a, 3, v)
	case string:
		kind = 3
		a = appendString(a, 4, v)
	case Tensor:
		kind = 4
		t, err := v.encode()
		if err != nil {
			return nil, err
		}
		a = appendBytes(a, 5, t)
	case *Builder:
		kind = 5
		g, err := v.graph()
		if err != nil {
			return nil, err
		}
		a = appendBytes(a, 6, g)
	case []float32:
		kind = 6
		for _, x := range v {
			a = protowire.AppendFixed32(protowire.AppendTag(a, 7, protowire.Fixed32Type), math.Float32bits(x))
		}
	case []int64:
		kind = 7
		for _, x := range v {
			a = appendInt(a, 8, x)
		}
	default:
		return nil, fmt.Errorf("attribute %q has the unknown type %T", name, value)
	}
	return appendInt(a, 20, kind), nil
}

func (t *Tensor) encode() ([]byte, error) {
	want := int64(1)
	var m []byte
	for _, d := range t.Dims {
		want *= d
		m = appendInt(m, 1, d)
	}
	var raw []byte
	kind, got := int64(1), int64(len(t.Floats))
	switch {
	case t.Type != "":
		kind = int64(slices.Index(elemTypes[:], t.Type))
		size := int64(elemSize(t.Type))
		if size == 0 || int64(len(t.Raw))%size != 0 {
			return nil, fmt.Errorf("encode tensor %q: %d bytes of %q", t.Name, len(t.Raw), t.Type)
		}
		got, raw = int64(len(t.Raw))/size, t.Raw
	case t.Ints != nil:
		kind, got = 7, int64(len(t.Ints))
		for _, v := range t.Ints {
			raw = binary.LittleEndian.AppendUint64(raw, uint64(v))
		}
	default:
		raw = make([]byte, 0, 4*len(t.Floats))
		for _, v := range t.Floats {
			raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(v))
		}
	}
	m = appendInt(m, 2, kind)
	m = appendString(m, 8, t.Name)
	if t.External != "" {
		location := appendString(appendString(nil, 1, "location"), 2, t.External)
		return appendInt(appendBytes(m, 13, location), 14, 1), nil
	}
	if got != want {
		return nil, fmt.Errorf("encode tensor %q: %d values for shape %v", t.Name, got, t.Dims)
	}
	return appendBytes(m, 9, raw), nil
}

func appendInt(b []byte, id protowire.Number, v int64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, id, protowire.VarintType), uint64(v))
}

func appendBytes(b []byte, id protowire.Number, v []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, id, protowire.BytesType), v)
}

func appendString(b []byte, id protowire.Number, s string) []byte {
	return protowire.AppendString(protowire.AppendTag(b, id, protowire.BytesType), s)
}

// WithMetadata returns a copy of a model file with a metadata entry added. The
// file itself is not otherwise changed; an earlier entry with the same key is
// overridden, as the last one counts.
func WithMetadata(data []byte, key, value string) []byte {
	entry := appendString(appendString(nil, 1, key), 2, value)
	return appendBytes(slices.Clone(data), 14, entry)
}

// WithFloatOutputs returns a copy of a model file that has a further float32
// output for each named one, with the same numbers, and those outputs' names. The
// file itself is not otherwise changed: what is appended to a message of the wire
// format is merged with it.
func WithFloatOutputs(data []byte, names []string) ([]byte, []string, error) {
	b := Builder{}
	casts := make([]string, len(names))
	for i, name := range names {
		casts[i] = name + " as " + elemTypes[1]
		b.Nodes = append(b.Nodes, Node{
			Op: "Cast", Name: casts[i], Inputs: []string{name}, Outputs: casts[i : i+1],
			Attrs: map[string]any{"to": int64(1)},
		})
	}
	for _, name := range casts {
		b.Outputs = append(b.Outputs, Value{Name: name, Open: true}) // the runtime finds the shape
	}
	graph, err := b.graph()
	if err != nil {
		return nil, nil, err
	}
	return appendBytes(slices.Clone(data), 7, graph), casts, nil
}

var _ io.WriterTo = (*Builder)(nil)
