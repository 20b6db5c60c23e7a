package onnx

import (
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"

	"detectd/detect"
)

// ReadPart returns length bytes from offset on of a file beside the model; all
// that follow for a negative length.
type ReadPart func(location string, offset, length int64) ([]byte, error)

// message kinds of onnx.proto3 that can hold a tensor.
type kind int

const (
	kindModel kind = iota
	kindTraining
	kindFunction
	kindGraph
	kindNode
	kindAttribute
	kindSparse
	kindTensor
)

// inside tells for each kind which fields are messages that can hold a tensor.
func (k kind) inside(id protowire.Number) (kind, bool) {
	child, ok := map[kind]map[protowire.Number]kind{
		kindModel:     {7: kindGraph, 20: kindTraining, 25: kindFunction},
		kindTraining:  {1: kindGraph, 2: kindGraph},
		kindFunction:  {7: kindNode, 11: kindAttribute},
		kindGraph:     {1: kindNode, 5: kindTensor, 15: kindSparse},
		kindNode:      {5: kindAttribute},
		kindAttribute: {5: kindTensor, 10: kindTensor, 6: kindGraph, 11: kindGraph, 22: kindSparse, 23: kindSparse},
		kindSparse:    {1: kindTensor, 2: kindTensor},
	}[k][id]
	return child, ok
}

// Inline returns a copy of a model file in which the tensors that are kept in
// other files have their values inside. limit bounds the bytes that are taken
// in. A location must be a plain file name; read decides which exist. Errors
// wrap detect.ErrNotONNX or detect.ErrExternalData.
func Inline(data []byte, limit int64, read ReadPart) ([]byte, error) {
	out, err := (&inliner{left: limit, read: read}).message(data, kindModel, 0)
	if errors.Is(err, errWire) {
		return nil, notONNX("the file is damaged")
	}
	return out, err
}

type inliner struct {
	left int64
	read ReadPart
}

// message copies a message with everything that lies in other files taken in.
func (n *inliner) message(data []byte, k kind, depth int) ([]byte, error) {
	if depth > 4*maxDepth {
		return nil, notONNX("graphs are nested more than %d deep", maxDepth)
	}
	if k == kindTensor {
		return n.tensor(data)
	}
	out := make([]byte, 0, len(data))
	err := fieldsOf(data, func(f field, whole []byte) error {
		child, ok := k.inside(f.id)
		if !ok || f.typ != protowire.BytesType {
			out = append(out, whole...)
			return nil
		}
		inner, err := n.message(f.bytes, child, depth+1)
		out = appendBytes(out, f.id, inner)
		return err
	})
	return out, err
}

// tensor copies a TensorProto, with raw_data in place of external_data.
func (n *inliner) tensor(data []byte) ([]byte, error) {
	var out []byte
	entries := map[string]string{}
	external, name := false, ""
	err := fieldsOf(data, func(f field, whole []byte) error {
		switch f.id {
		case 13: // external_data
			external = true
			p := parser{}
			key, value, err := p.entry(f)
			entries[key] = value
			return err
		case 14: // data_location
			external = external || f.num != 0
			return nil
		case 8:
			name = string(f.bytes)
		}
		out = append(out, whole...)
		return nil
	})
	if err != nil || !external {
		return out, err
	}
	refuse := func(format string, args ...any) error {
		return fmt.Errorf("%w: tensor %.100q: %s", detect.ErrExternalData, name, fmt.Sprintf(format, args...))
	}
	location := entries["location"]
	if location == "" || location == "." || location == ".." || path.Base(location) != location || strings.Contains(location, `\`) {
		return nil, refuse("its values are in %.100q, which is no plain file name", location)
	}
	offset, length := int64(0), int64(-1)
	for key, into := range map[string]*int64{"offset": &offset, "length": &length} {
		if text, ok := entries[key]; ok {
			if *into, err = strconv.ParseInt(text, 10, 64); err != nil || *into < 0 {
				return nil, refuse("its %s is %.40q", key, text)
			}
		}
	}
	if length > n.left {
		return nil, refuse("the model with its values is too large")
	}
	values, err := n.read(location, offset, length)
	if err != nil {
		return nil, refuse("%v", err)
	}
	if n.left -= int64(len(values)); n.left < 0 {
		return nil, refuse("the model with its values is too large")
	}
	return appendBytes(out, 9, values), nil
}

// fieldsOf is each, which shows the bytes of the whole field too.
func fieldsOf(b []byte, fn func(f field, whole []byte) error) error {
	for len(b) > 0 {
		_, _, n := protowire.ConsumeField(b)
		if n < 0 {
			return errWire
		}
		whole := b[:n]
		if err := each(whole, func(f field) error { return fn(f, whole) }); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}
