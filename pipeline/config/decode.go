package config

import (
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// place is where a key stands in the file.
type place struct{ line, column int }

// decoder walks the YAML nodes and the Go value side by side.
type decoder struct {
	file     string
	root     reflect.Type     // of the whole settings, to say where a misplaced key belongs
	places   map[string]place // of every key path that the file has
	problems Errors
}

func (d *decoder) report(n *yaml.Node, path, message string) {
	d.problems = append(d.problems, Problem{File: d.file, Line: n.Line, Column: n.Column, Path: path, Message: message})
}

// node decodes n into v. field is the struct field that v is or is an element
// of, for its tags; nil at the top.
func (d *decoder) node(n *yaml.Node, v reflect.Value, path string, field *reflect.StructField) {
	if n.Kind == yaml.AliasNode {
		d.report(n, path, "is an alias (*"+shorten(n.Value)+"); write the value out")
		return
	}
	if isScalar(v.Type()) {
		d.scalar(n, v, path, field)
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		d.pointer(n, v, path, field)
	case reflect.Struct:
		d.section(n, v, path)
	case reflect.Slice:
		d.list(n, v, path, field)
	case reflect.Map:
		d.table(n, v, path, field)
	default:
		panic(fmt.Sprintf("config: %s has type %s, which settings cannot have", path, v.Type()))
	}
}

func (d *decoder) pointer(n *yaml.Node, v reflect.Value, path string, field *reflect.StructField) {
	fresh := reflect.New(v.Type().Elem())
	if !v.IsNil() {
		fresh.Elem().Set(v.Elem())
	}
	d.node(n, fresh.Elem(), path, field)
	v.Set(fresh)
}

// section decodes a mapping into a struct. A key without a value below it, as
// when all its lines are comments, leaves the defaults.
func (d *decoder) section(n *yaml.Node, v reflect.Value, path string) {
	if isNull(n) {
		return
	}
	if n.Kind != yaml.MappingNode {
		d.report(n, path, "must be a group of keys (got "+describe(n)+")")
		return
	}
	fields := keys(v.Type())
	d.pairs(n, path, func(key, value *yaml.Node, sub string) {
		index, known := fields[key.Value]
		if !known {
			d.report(key, sub, d.unknown(key.Value, fields))
			return
		}
		field := v.Type().Field(index)
		d.node(value, v.Field(index), sub, &field)
	})
}

func (d *decoder) list(n *yaml.Node, v reflect.Value, path string, field *reflect.StructField) {
	if n.Kind != yaml.SequenceNode && !isNull(n) {
		d.report(n, path, "must be a list (got "+describe(n)+")")
		return
	}
	list := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	for i, item := range n.Content {
		sub := path + "[" + strconv.Itoa(i) + "]"
		d.places[sub] = place{item.Line, item.Column}
		d.node(item, list.Index(i), sub, field)
	}
	v.Set(list)
}

func (d *decoder) table(n *yaml.Node, v reflect.Value, path string, field *reflect.StructField) {
	if v.Type().Key().Kind() != reflect.String {
		panic(fmt.Sprintf("config: %s has type %s, want a map with text keys", path, v.Type()))
	}
	if n.Kind != yaml.MappingNode && !isNull(n) {
		d.report(n, path, "must be a group of keys (got "+describe(n)+")")
		return
	}
	table := reflect.MakeMap(v.Type())
	d.pairs(n, path, func(key, value *yaml.Node, sub string) {
		entry := reflect.New(v.Type().Elem()).Elem()
		d.node(value, entry, sub, field)
		table.SetMapIndex(reflect.ValueOf(key.Value).Convert(v.Type().Key()), entry)
	})
	v.Set(table)
}

// pairs calls each for every well-formed key of a mapping, once per key.
func (d *decoder) pairs(n *yaml.Node, path string, each func(key, value *yaml.Node, sub string)) {
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Kind != yaml.ScalarNode {
			d.report(key, path, "has a key that is not plain text ("+describe(key)+")")
			continue
		}
		sub := join(path, shorten(key.Value))
		if first, again := seen[key.Value]; again {
			d.report(key, sub, fmt.Sprintf("is there twice (first in line %d)", first))
			continue
		}
		seen[key.Value] = key.Line
		d.places[sub] = place{key.Line, key.Column}
		each(key, value, sub)
	}
}

// validate asks every section below v for faults that tags cannot say.
func (d *decoder) validate(v reflect.Value, path string) {
	if isScalar(v.Type()) {
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			d.validate(v.Elem(), path)
		}
	case reflect.Slice:
		for i := range v.Len() {
			d.validate(v.Index(i), path+"["+strconv.Itoa(i)+"]")
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			entry := reflect.New(v.Type().Elem()).Elem()
			entry.Set(v.MapIndex(key))
			d.validate(entry, join(path, shorten(key.String())))
		}
	case reflect.Struct:
		for name, index := range keys(v.Type()) {
			d.validate(v.Field(index), join(path, name))
		}
		if section, ok := reflect.TypeAssert[Validator](v.Addr()); ok {
			section.Validate(func(key, problem string) { d.fault(join(path, key), problem) })
		}
	}
}

// fault reports a problem of a decoded value at the place of its key, or of the
// nearest key around it that the file has.
func (d *decoder) fault(path, message string) {
	p := Problem{File: d.file, Path: path, Message: message}
	for around := path; around != ""; around = around[:max(0, strings.LastIndexAny(around, ".["))] {
		if at, ok := d.places[around]; ok {
			p.Line, p.Column = at.line, at.column
			break
		}
	}
	d.problems = append(d.problems, p)
}

// keys maps the yaml names of a struct's fields to their indexes.
func keys(t reflect.Type) map[string]int {
	names := map[string]int{}
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ",")
		if name != "" && name != "-" {
			names[name] = i
		}
	}
	return names
}

// isScalar reports whether values of the type are written as one word in YAML.
func isScalar(t reflect.Type) bool {
	if reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) && t.Kind() != reflect.Pointer {
		return true
	}
	return slices.Contains([]reflect.Kind{
		reflect.String, reflect.Bool,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64,
		reflect.Float32, reflect.Float64,
	}, t.Kind())
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

func join(path, key string) string {
	if path == "" || key == "" {
		return path + key
	}
	return path + "." + key
}
