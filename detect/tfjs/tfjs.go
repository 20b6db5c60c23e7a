// Package tfjs converts TensorFlow.js graph models to ONNX: as many operators as
// convolutional detectors of the MobileNet and SSD kind need. detectd makes its
// default model with it, so that no TensorFlow has to be installed.
package tfjs

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// graph is a loaded model: nodes by name and the values of its constants.
type graph struct {
	nodes  map[string]*node
	values map[string]constant
}

// node is one TensorFlow operator.
type node struct {
	Name  string          `json:"name"`
	Op    string          `json:"op"`
	Input []string        `json:"input"`
	Attr  map[string]attr `json:"attr"`
}

// constant is a tensor of the weights files. Integers are kept as float64-exact
// numbers in ints.
type constant struct {
	shape  []int64
	floats []float32
	ints   []int64
}

// attr is a value of a node's attribute; only the kinds in use are decoded.
type attr struct {
	S    text     `json:"s"`
	I    integer  `json:"i"`
	F    *float32 `json:"f"`
	B    bool     `json:"b"`
	List struct {
		I []integer `json:"i"`
	} `json:"list"`
}

// integer is an int64 that may be written as a JSON string.
type integer int64

// UnmarshalJSON implements json.Unmarshaler.
func (n *integer) UnmarshalJSON(b []byte) error {
	v, err := strconv.ParseInt(strings.Trim(string(b), `"`), 10, 64)
	*n = integer(v)
	return err
}

// text is a byte string: an array of codes in old files, base64 in newer ones.
type text string

// UnmarshalJSON implements json.Unmarshaler.
func (t *text) UnmarshalJSON(b []byte) error {
	var codes []uint16
	if json.Unmarshal(b, &codes) == nil {
		for _, c := range codes {
			*t += text(rune(c))
		}
		return nil
	}
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	raw, err := base64.StdEncoding.DecodeString(s)
	*t = text(raw)
	return err
}

// modelFile is the layout of model.json.
type modelFile struct {
	Topology struct {
		Nodes []*node `json:"node"`
	} `json:"modelTopology"`
	Manifest []struct {
		Paths   []string `json:"paths"`
		Weights []weight `json:"weights"`
	} `json:"weightsManifest"`
}

type weight struct {
	Name         string          `json:"name"`
	Type         string          `json:"dtype"`
	Shape        []int64         `json:"shape"`
	Quantization json.RawMessage `json:"quantization"`
}

const maxElements = 1 << 28 // of one weight

// load reads model.json and the weights files beside it.
func load(dir string) (*graph, error) {
	raw, err := os.ReadFile(filepath.Join(dir, "model.json"))
	if err != nil {
		return nil, fmt.Errorf("read model: %w", err)
	}
	var file modelFile
	if err := json.Unmarshal(raw, &file); err != nil {
		return nil, fmt.Errorf("parse model.json: %w", err)
	}
	g := &graph{nodes: map[string]*node{}, values: map[string]constant{}}
	for _, n := range file.Topology.Nodes {
		g.nodes[n.Name] = n
	}
	for _, group := range file.Manifest {
		var data []byte
		for _, path := range group.Paths {
			if !filepath.IsLocal(path) {
				return nil, fmt.Errorf("weights file %q is outside the model's folder", path)
			}
			part, err := os.ReadFile(filepath.Join(dir, path))
			if err != nil {
				return nil, fmt.Errorf("read weights: %w", err)
			}
			data = append(data, part...)
		}
		for _, w := range group.Weights {
			if data, err = g.addWeight(w, data); err != nil {
				return nil, err
			}
		}
		if len(data) > 0 {
			return nil, fmt.Errorf("weights files are %d bytes longer than the model says", len(data))
		}
	}
	return g, nil
}

// addWeight takes one weight from the front of data and returns the rest.
func (g *graph) addWeight(w weight, data []byte) ([]byte, error) {
	if w.Quantization != nil {
		return nil, fmt.Errorf("weight %q is quantized, which is not supported", w.Name)
	}
	n := int64(1)
	for _, d := range w.Shape {
		if d < 0 || d > maxElements || n*d > maxElements {
			return nil, fmt.Errorf("weight %q has the absurd shape %v", w.Name, w.Shape)
		}
		n *= d
	}
	if int64(len(data)) < 4*n {
		return nil, fmt.Errorf("weights files end within %q", w.Name)
	}
	c := constant{shape: w.Shape}
	for i := range n {
		bits := binary.LittleEndian.Uint32(data[4*i:])
		switch w.Type {
		case "float32":
			c.floats = append(c.floats, math.Float32frombits(bits))
		case "int32":
			c.ints = append(c.ints, int64(int32(bits)))
		default:
			return nil, fmt.Errorf("weight %q has the type %q, which is not supported", w.Name, w.Type)
		}
	}
	g.values[w.Name] = c
	return data[4*n:], nil
}
