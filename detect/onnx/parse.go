package onnx

import (
	"bytes"
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"

	"detectd/detect"
)

// parser walks every message of a model that can hold a tensor.
type parser struct {
	m         *Model
	graphSeen bool
	tensors   int
	metadata  int
	domains   map[string]bool // of nodes
	functions map[string]bool // domains of the functions that the file defines itself
}

// field is one decoded field: num holds varints and fixed numbers, bytes the rest.
type field struct {
	id    protowire.Number
	typ   protowire.Type
	num   uint64
	bytes []byte
}

var errWire = errors.New("bad wire format")

// each calls fn for every field of a message.
func each(b []byte, fn func(field) error) error {
	for len(b) > 0 {
		id, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return errWire
		}
		b = b[n:]
		f := field{id: id, typ: typ}
		switch typ {
		case protowire.VarintType:
			f.num, n = protowire.ConsumeVarint(b)
		case protowire.Fixed32Type:
			var v uint32
			v, n = protowire.ConsumeFixed32(b)
			f.num = uint64(v)
		case protowire.Fixed64Type:
			f.num, n = protowire.ConsumeFixed64(b)
		case protowire.BytesType:
			f.bytes, n = protowire.ConsumeBytes(b)
		default: // groups do not occur in ONNX
			return errWire
		}
		if n < 0 {
			return errWire
		}
		b = b[n:]
		if err := fn(f); err != nil {
			return err
		}
	}
	return nil
}

// message calls fn for every field of an embedded message and turns wire
// errors into ErrNotONNX.
func (p *parser) message(f field, what string, fn func(field) error) error {
	if f.typ != protowire.BytesType {
		return notONNX("%s has the wrong wire type", what)
	}
	err := each(f.bytes, fn)
	if errors.Is(err, errWire) {
		return notONNX("%s is damaged", what)
	}
	return err
}

func (p *parser) model(data []byte) error {
	root := field{typ: protowire.BytesType, bytes: data}
	return p.message(root, "the file", func(f field) error {
		switch f.id {
		case 1: // ir_version
			p.m.IRVersion = int64(f.num)
		case 2: // producer_name
			p.m.Producer = string(bytes.ToValidUTF8(f.bytes, nil))
		case 7: // graph
			p.graphSeen = true
			return p.graph(f, 0)
		case 8: // opset_import
			return p.opset(f)
		case 14: // metadata_props
			return p.property(f)
		case 20: // training_info: initialization = 1, algorithm = 2
			return p.message(f, "training information", func(f field) error {
				if f.id == 1 || f.id == 2 {
					return p.graph(f, 1)
				}
				return nil
			})
		case 25: // functions
			return p.function(f)
		}
		return nil
	})
}

func (p *parser) opset(f field) error {
	domain, version := "", int64(0)
	err := p.message(f, "an operator set", func(f field) error {
		switch f.id {
		case 1:
			domain = string(f.bytes)
		case 2:
			version = int64(f.num)
		}
		return nil
	})
	if domain == "ai.onnx" {
		domain = ""
	}
	p.m.Opsets[domain] = version
	return err
}

func (p *parser) property(f field) error {
	key, value, err := p.entry(f)
	if p.metadata += len(key) + len(value); p.metadata > maxMetadata {
		return notONNX("more than %d bytes of metadata", maxMetadata)
	}
	p.m.Metadata[key] = value
	return err
}

func (p *parser) entry(f field) (key, value string, err error) {
	err = p.message(f, "a key-value pair", func(f field) error {
		switch f.id {
		case 1:
			key = string(f.bytes)
		case 2:
			value = string(f.bytes)
		}
		return nil
	})
	return key, value, err
}

// graph reads a GraphProto; depth 0 is the main graph.
func (p *parser) graph(f field, depth int) error {
	if depth > maxDepth {
		return notONNX("graphs are nested more than %d deep", maxDepth)
	}
	return p.message(f, "a graph", func(f field) error {
		switch f.id {
		case 1: // node
			return p.node(f, depth)
		case 5: // initializer
			info, err := p.tensor(f)
			if err == nil && depth == 0 {
				p.m.Initializers = append(p.m.Initializers, info)
			}
			return err
		case 11, 12: // input, output
			if depth > 0 {
				return nil
			}
			info, err := p.valueInfo(f)
			if err != nil {
				return err
			}
			if f.id == 11 {
				p.m.Inputs = append(p.m.Inputs, info)
			} else {
				p.m.Outputs = append(p.m.Outputs, info)
			}
		case 15: // sparse_initializer
			return p.sparse(f)
		}
		return nil
	})
}

func (p *parser) function(f field) error {
	return p.message(f, "a function", func(f field) error {
		switch f.id {
		case 7: // node
			return p.node(f, 1)
		case 10: // domain
			p.functions[string(f.bytes)] = true
		case 11: // attribute_proto: default values
			return p.attribute(f, 1)
		}
		return nil
	})
}

func (p *parser) node(f field, depth int) error {
	if p.m.Nodes++; p.m.Nodes > maxNodes {
		return notONNX("more than %d nodes", maxNodes)
	}
	return p.message(f, "a node", func(f field) error {
		switch f.id {
		case 4: // op_type: an EPContext node carries the path of a compiled model
			if string(f.bytes) == "EPContext" {
				return fmt.Errorf("%w: it has an EPContext node", detect.ErrExternalData)
			}
		case 5: // attribute
			return p.attribute(f, depth)
		case 7: // domain
			p.domains[string(f.bytes)] = true
		}
		return nil
	})
}

func (p *parser) attribute(f field, depth int) error {
	return p.message(f, "an attribute", func(f field) error {
		switch f.id {
		case 5, 10: // t, tensors
			_, err := p.tensor(f)
			return err
		case 6, 11: // g, graphs
			return p.graph(f, depth+1)
		case 22, 23: // sparse_tensor, sparse_tensors
			return p.sparse(f)
		}
		return nil
	})
}

func (p *parser) sparse(f field) error {
	return p.message(f, "a sparse tensor", func(f field) error {
		if f.id == 1 || f.id == 2 { // values, indices
			_, err := p.tensor(f)
			return err
		}
		return nil
	})
}

func (p *parser) tensor(f field) (detect.TensorInfo, error) {
	if p.tensors++; p.tensors > maxTensors {
		return detect.TensorInfo{}, notONNX("more than %d tensors", maxTensors)
	}
	info := detect.TensorInfo{Type: elemType(0), Shape: []int64{}}
	external, where := false, ""
	err := p.message(f, "a tensor", func(f field) error {
		switch f.id {
		case 1: // dims
			dims, err := appendInts(info.Shape, f)
			info.Shape = dims
			return err
		case 2: // data_type
			info.Type = elemType(int64(f.num))
		case 8: // name
			info.Name = string(f.bytes)
		case 13: // external_data
			external = true
			key, value, err := p.entry(f)
			if key == "location" {
				where = value
			}
			return err
		case 14: // data_location: 0 default, 1 external
			external = external || f.num != 0
		}
		return nil
	})
	if err == nil && external {
		err = fmt.Errorf("%w: tensor %.100q is kept in file %.100q; save the model with all tensors inside",
			detect.ErrExternalData, info.Name, where)
	}
	return info, err
}

// appendInts reads a repeated int64 field, packed or not.
func appendInts(dst []int64, f field) ([]int64, error) {
	if f.typ == protowire.VarintType {
		dst = append(dst, int64(f.num))
	}
	for b := f.bytes; len(b) > 0; {
		v, n := protowire.ConsumeVarint(b)
		if n < 0 {
			return nil, errWire
		}
		if len(dst) > maxDims {
			break
		}
		dst, b = append(dst, int64(v)), b[n:]
	}
	if len(dst) > maxDims {
		return nil, notONNX("a tensor has more than %d dimensions", maxDims)
	}
	return dst, nil
}

// valueInfo reads a ValueInfoProto. Other types than tensors keep Type empty.
func (p *parser) valueInfo(f field) (detect.TensorInfo, error) {
	var info detect.TensorInfo
	dim := func(f field) error {
		size := int64(-1)
		err := p.message(f, "a dimension", func(f field) error {
			if f.id == 1 && int64(f.num) >= 0 { // dim_value
				size = int64(f.num)
			}
			return nil
		})
		if info.Shape = append(info.Shape, size); len(info.Shape) > maxDims {
			return notONNX("a tensor has more than %d dimensions", maxDims)
		}
		return err
	}
	tensorType := func(f field) error {
		switch f.id {
		case 1: // elem_type
			info.Type = elemType(int64(f.num))
		case 2: // shape
			info.Shape = []int64{}
			return p.message(f, "a shape", func(f field) error {
				if f.id == 1 {
					return dim(f)
				}
				return nil
			})
		}
		return nil
	}
	err := p.message(f, "an input or output", func(f field) error {
		switch f.id {
		case 1: // name
			info.Name = string(f.bytes)
		case 2: // type
			return p.message(f, "a type", func(f field) error {
				if f.id == 1 { // tensor_type
					return p.message(f, "a tensor type", tensorType)
				}
				return nil
			})
		}
		return nil
	})
	return info, err
}
