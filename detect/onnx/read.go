package onnx

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"

	"detectd/detect"
)

// ErrUnsupported is returned by Read for models with parts that a Builder cannot hold.
var ErrUnsupported = errors.New("the model cannot be taken apart")

// Read takes a model file apart, so that it can be changed and written again.
// Constant nodes become initializers; what only helps people or training
// (descriptions, shapes of intermediate tensors) is left out. The result does not
// alias data. Errors are those of Parse, and ErrUnsupported.
func Read(data []byte) (*Builder, error) {
	m, err := Parse(data)
	if err != nil {
		return nil, err
	}
	// A file with initializers among its inputs, as before version 4, is written
	// without them.
	b := &Builder{
		IR: max(m.IRVersion, irVersion), Opsets: m.Opsets, Producer: m.Producer, Metadata: m.Metadata,
	}
	r := reader{b: b, constant: map[string]bool{}}
	for _, t := range m.Initializers {
		r.constant[t.Name] = true
	}
	err = each(data, func(f field) error {
		switch f.id {
		case 7:
			return each(f.bytes, r.graph)
		case 25:
			return fmt.Errorf("%w: it has functions of its own", ErrUnsupported)
		}
		return nil
	})
	if errors.Is(err, errWire) {
		return nil, notONNX("it is damaged")
	}
	return b, err
}

// reader fills a Builder from the fields of a graph that Parse has accepted.
type reader struct {
	b        *Builder
	constant map[string]bool // the initializers
}

func (r *reader) graph(f field) error {
	switch f.id {
	case 1:
		return r.node(f.bytes)
	case 2:
		r.b.Name = string(f.bytes)
	case 5:
		t, err := readTensor(f.bytes)
		r.b.Tensors = append(r.b.Tensors, t)
		return err
	case 11, 12:
		v, err := readValue(f.bytes)
		switch {
		case err != nil:
			return err
		case f.id == 12:
			r.b.Outputs = append(r.b.Outputs, v)
		case !r.constant[v.Name]:
			r.b.Inputs = append(r.b.Inputs, v)
		}
	case 15:
		return fmt.Errorf("%w: it has sparse tensors", ErrUnsupported)
	}
	return nil
}

func (r *reader) node(data []byte) error {
	n := Node{Attrs: map[string]any{}}
	err := each(data, func(f field) error {
		switch f.id {
		case 1:
			n.Inputs = append(n.Inputs, string(f.bytes))
		case 2:
			n.Outputs = append(n.Outputs, string(f.bytes))
		case 3:
			n.Name = string(f.bytes)
		case 4:
			n.Op = string(f.bytes)
		case 5:
			name, value, err := readAttr(f.bytes)
			n.Attrs[name] = value
			return err
		case 7:
			if n.Domain = string(f.bytes); n.Domain == "ai.onnx" {
				n.Domain = ""
			}
		}
		return nil
	})
	if t, ok := n.Attrs["value"].(Tensor); ok && n.Op == "Constant" && n.Domain == "" && len(n.Outputs) == 1 {
		t.Name = n.Outputs[0]
		r.b.Tensors = append(r.b.Tensors, t)
		return err
	}
	r.b.Nodes = append(r.b.Nodes, n)
	return err
}

// readAttr takes an attribute of the usual kinds apart and keeps others whole.
func readAttr(data []byte) (name string, value any, err error) {
	var kind int64
	floats, ints := []float32{}, []int64{}
	err = each(data, func(f field) error {
		switch f.id {
		case 1:
			name = string(f.bytes)
		case 2:
			value = math.Float32frombits(uint32(f.num))
		case 3:
			value = int64(f.num)
		case 4:
			value = string(f.bytes)
		case 5:
			t, err := readTensor(f.bytes)
			value = t
			return err
		case 7:
			floats = append(floats, floatsOf(f)...)
		case 8:
			list, err := varints(f)
			ints = append(ints, list...)
			return err
		case 20:
			kind = int64(f.num)
		}
		return nil
	})
	switch kind { // AttributeProto.AttributeType
	case 1, 2, 3:
		if value == nil { // a zero is not always written
			value = map[int64]any{1: float32(0), 2: int64(0), 3: ""}[kind]
		}
	case 4:
	case 6:
		value = floats
	case 7:
		value = ints
	default:
		value = Attr(bytes.Clone(data))
	}
	return name, value, err
}

// readTensor returns a tensor with Floats or Ints for float32 and int64, and with
// Raw for other types.
func readTensor(data []byte) (Tensor, error) {
	t := Tensor{}
	var raw []byte
	var floats []float32
	var ints []int64
	err := each(data, func(f field) (err error) {
		var list []int64
		switch f.id {
		case 1:
			list, err = varints(f)
			t.Dims = append(t.Dims, list...)
		case 2:
			t.Type = elemType(int64(f.num))
		case 4:
			floats = append(floats, floatsOf(f)...)
		case 5, 7, 11: // int32_data, int64_data, uint64_data
			list, err = varints(f)
			ints = append(ints, list...)
		case 6:
			return fmt.Errorf("%w: it has a tensor of texts", ErrUnsupported)
		case 8:
			t.Name = string(f.bytes)
		case 9:
			raw = f.bytes
		case 10: // double_data
			if f.typ == protowire.Fixed64Type {
				raw = binary.LittleEndian.AppendUint64(raw, f.num)
			} else {
				raw = append(raw, f.bytes...)
			}
		}
		return err
	})
	if err != nil {
		return t, err
	}
	want := 1
	for _, d := range t.Dims {
		if d < 0 || d > math.MaxInt32 || want > math.MaxInt32 {
			return t, notONNX("tensor %.100q has the shape %v", t.Name, t.Dims)
		}
		want *= int(d)
	}
	size := elemSize(t.Type)
	switch {
	case size == 0:
		return t, fmt.Errorf("%w: tensor %.100q is of type %s", ErrUnsupported, t.Name, t.Type)
	case floats != nil:
		for _, v := range floats {
			raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(v))
		}
	case ints != nil:
		for _, v := range ints {
			raw = append(raw, binary.LittleEndian.AppendUint64(nil, uint64(v))[:min(size, 8)]...)
		}
	}
	if len(raw) != want*size {
		return t, notONNX("tensor %.100q has %d bytes for shape %v of %s", t.Name, len(raw), t.Dims, t.Type)
	}
	return t.withValues(raw), nil
}

// withValues sets the values in the form that suits the type.
func (t Tensor) withValues(raw []byte) Tensor {
	switch t.Type {
	case detect.Float32:
		t.Type, t.Floats = "", make([]float32, 0, len(raw)/4)
		for ; len(raw) > 0; raw = raw[4:] {
			t.Floats = append(t.Floats, math.Float32frombits(binary.LittleEndian.Uint32(raw)))
		}
	case "int64":
		t.Type, t.Ints = "", make([]int64, 0, len(raw)/8)
		for ; len(raw) > 0; raw = raw[8:] {
			t.Ints = append(t.Ints, int64(binary.LittleEndian.Uint64(raw)))
		}
	default:
		t.Raw = bytes.Clone(raw)
	}
	return t
}

// ElementType is the type of the tensor's values, as detect.TensorInfo spells it.
func (t *Tensor) ElementType() string {
	switch {
	case t.Type != "":
		return t.Type
	case t.Ints != nil:
		return "int64"
	default:
		return detect.Float32
	}
}

func readValue(data []byte) (Value, error) {
	v := Value{Open: true}
	dim := func(data []byte) error {
		d := Dim{Size: -1}
		err := each(data, func(f field) error {
			switch f.id {
			case 1:
				d.Size = int64(f.num)
			case 2:
				d = Dim{Symbol: string(f.bytes)}
			}
			return nil
		})
		v.Dims = append(v.Dims, d)
		return err
	}
	tensor := func(f field) error {
		switch f.id {
		case 1:
			v.Type = elemType(int64(f.num))
		case 2:
			v.Open = false
			return each(f.bytes, func(f field) error { return dim(f.bytes) })
		}
		return nil
	}
	err := each(data, func(f field) error {
		switch f.id {
		case 1:
			v.Name = string(f.bytes)
		case 2:
			return each(f.bytes, func(f field) error {
				if f.id != 1 {
					return fmt.Errorf("%w: %.100q is no tensor", ErrUnsupported, v.Name)
				}
				return each(f.bytes, tensor)
			})
		}
		return nil
	})
	return v, err
}

// varints reads a repeated integer field, packed or not.
func varints(f field) ([]int64, error) {
	if f.typ == protowire.VarintType {
		return []int64{int64(f.num)}, nil
	}
	list := []int64{}
	for b := f.bytes; len(b) > 0; {
		v, n := protowire.ConsumeVarint(b)
		if n < 0 {
			return nil, errWire
		}
		list, b = append(list, int64(v)), b[n:]
	}
	return list, nil
}

// floatsOf reads a repeated float field, packed or not.
func floatsOf(f field) []float32 {
	if f.typ == protowire.Fixed32Type {
		return []float32{math.Float32frombits(uint32(f.num))}
	}
	list := make([]float32, 0, len(f.bytes)/4)
	for b := f.bytes; len(b) >= 4; b = b[4:] {
		list = append(list, math.Float32frombits(binary.LittleEndian.Uint32(b)))
	}
	return list
}

// Tensor finds an initializer; nil when there is none of that name.
func (b *Builder) Tensor(name string) *Tensor {
	if i := slices.IndexFunc(b.Tensors, func(t Tensor) bool { return t.Name == name }); i >= 0 {
		return &b.Tensors[i]
	}
	return nil
}

// Bytes is the model file.
func (b *Builder) Bytes() ([]byte, error) {
	var buf bytes.Buffer
	_, err := b.WriteTo(&buf)
	return buf.Bytes(), err
}
