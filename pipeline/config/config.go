package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

const (
	// maxBytes bounds a settings file; a real one has a few kilobytes.
	maxBytes = 1 << 20
	// maxDepth bounds the nesting of brackets and blocks in a file.
	maxDepth = 64
)

// Validator is implemented by a section whose rules need more than tags. It
// calls report once for each fault; key is the path below the section ("port",
// "gate.rate"), or empty for the section as a whole. The method needs nothing
// of this package, so that sections can live with the code they configure.
// It runs after decoding; a field that could not be decoded holds its default.
type Validator interface {
	Validate(report func(key, problem string))
}

// Decode reads the settings in data into the struct that into points to. The
// struct holds the defaults; keys that the file does not have are left alone,
// lists and maps in the file replace the whole default. An empty file is valid.
//
// file is used in messages only. The error, if any, is of type [Errors] and
// holds every problem of the file; into is then unchanged. Decode panics when
// into is not a pointer to a struct or has a field of a type that settings
// cannot have, which are mistakes of the program.
func Decode(file string, data []byte, into any) error {
	target := reflect.ValueOf(into)
	if target.Kind() != reflect.Pointer || target.Elem().Kind() != reflect.Struct {
		panic(fmt.Sprintf("config: decode into %T, want a pointer to a struct", into))
	}
	result := reflect.New(target.Type().Elem()).Elem()
	result.Set(target.Elem())
	if err := decode(file, data, result).problems.sorted(); err != nil {
		return err
	}
	target.Elem().Set(result)
	return nil
}

// decode reads data into v and returns the decoder with what it saw.
func decode(file string, data []byte, v reflect.Value) *decoder {
	d := &decoder{file: file, root: v.Type(), places: map[string]place{}}
	root, problem := parse(data)
	if problem != nil {
		problem.File = file
		d.problems = Errors{*problem}
		return d
	}
	if root != nil {
		d.node(root, v, "", nil)
	}
	d.validate(v, "")
	return d
}

// parse returns the root of the only document, or nil for an empty file.
func parse(data []byte) (*yaml.Node, *Problem) {
	if len(data) > maxBytes {
		return nil, &Problem{Message: fmt.Sprintf("has %d bytes; settings may have %d at most", len(data), maxBytes)}
	}
	reader := yaml.NewDecoder(bytes.NewReader(data))
	var document yaml.Node
	if err := reader.Decode(&document); errors.Is(err, io.EOF) {
		return nil, nil
	} else if err != nil {
		return nil, syntaxProblem(err)
	}
	var second yaml.Node
	if err := reader.Decode(&second); err == nil {
		return nil, &Problem{Line: second.Line, Column: second.Column, Message: "is a second YAML document; settings have only one"}
	} else if !errors.Is(err, io.EOF) {
		return nil, syntaxProblem(err)
	}
	if deep := tooDeep(&document, 0); deep != nil {
		return nil, &Problem{Line: deep.Line, Column: deep.Column, Message: fmt.Sprintf("is nested more than %d levels deep", maxDepth)}
	}
	if document.Kind != yaml.DocumentNode || len(document.Content) == 0 {
		return nil, nil
	}
	return document.Content[0], nil
}

// tooDeep returns a node below maxDepth, if there is one. It does not follow aliases.
func tooDeep(n *yaml.Node, depth int) *yaml.Node {
	if depth > maxDepth {
		return n
	}
	for _, child := range n.Content {
		if deep := tooDeep(child, depth+1); deep != nil {
			return deep
		}
	}
	return nil
}

// syntaxLine finds the line in the YAML parser's messages, which have no other form for it.
var syntaxLine = regexp.MustCompile(`^(?:yaml: )?(?:while [a-z ]+: )?line (\d+)(?::|, column \d+:)? *`)

func syntaxProblem(err error) *Problem {
	text := strings.Join(strings.Fields(err.Error()), " ")
	p := &Problem{Line: 1, Column: 1}
	if m := syntaxLine.FindStringSubmatch(text); m != nil {
		p.Line, _ = strconv.Atoi(m[1])
		text = text[len(m[0]):]
	}
	p.Message = "is not valid YAML: " + strings.TrimPrefix(text, "yaml: ")
	return p
}
