package config

import (
	"cmp"
	"encoding"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// scalar decodes one word into v and checks it against the tags of its field.
func (d *decoder) scalar(n *yaml.Node, v reflect.Value, path string, field *reflect.StructField) {
	var tag reflect.StructTag
	if field != nil {
		tag = field.Tag
	}
	fresh := reflect.New(v.Type()).Elem()
	if message := setScalar(n, fresh, tag); message != "" {
		d.report(n, path, message)
		return
	}
	if message := checkTags(fresh, tag); message != "" {
		d.report(n, path, message)
		return
	}
	v.Set(fresh)
}

// setScalar returns what is wrong, or nothing.
func setScalar(n *yaml.Node, v reflect.Value, tag reflect.StructTag) string {
	if isNull(n) {
		return "has no value; write one or take the line out"
	}
	want, set := kind(v, tag)
	if n.Kind != yaml.ScalarNode {
		return "must be " + want + " (got " + describe(n) + ")"
	}
	err := set(n)
	if err == nil {
		return ""
	}
	if detail := err.Error(); detail != "" {
		return "must be " + want + " (got " + describe(n) + ": " + detail + ")"
	}
	return "must be " + want + " (got " + describe(n) + ")"
}

// errWrong refuses a value about which there is no more to say than what was wanted.
var errWrong = errors.New("")

// kind returns how values like v are called and how one is set from YAML.
func kind(v reflect.Value, tag reflect.StructTag) (want string, set func(*yaml.Node) error) {
	switch {
	case tag.Get("unit") == "bytes":
		return "a size such as 512MiB or 10GB", func(n *yaml.Node) error { return setBytes(n, v) }
	case v.Type() == reflect.TypeFor[time.Duration]():
		return "a duration such as 500ms, 5s or 24h", func(n *yaml.Node) error { return setDuration(n, v) }
	}
	if text, ok := reflect.TypeAssert[encoding.TextUnmarshaler](v.Addr()); ok {
		return "a valid value", func(n *yaml.Node) error { return text.UnmarshalText([]byte(n.Value)) }
	}
	switch v.Kind() {
	case reflect.Bool:
		return "true or false", func(n *yaml.Node) error { return setNative(n, v, "!!bool") }
	case reflect.Float32, reflect.Float64:
		return "a number", func(n *yaml.Node) error {
			if err := setNative(n, v, "!!int", "!!float"); err != nil {
				return err
			}
			if math.IsNaN(v.Float()) || math.IsInf(v.Float(), 0) {
				return errWrong
			}
			return nil
		}
	case reflect.String:
		return "text", func(n *yaml.Node) error {
			if n.ShortTag() != "!!str" {
				return fmt.Errorf("put it in quotes, %q", shorten(n.Value))
			}
			v.SetString(n.Value)
			return nil
		}
	default:
		return "a whole number", func(n *yaml.Node) error { return setNative(n, v, "!!int") }
	}
}

// setNative leaves reading booleans and numbers to the YAML library.
func setNative(n *yaml.Node, v reflect.Value, tags ...string) error {
	if !slices.Contains(tags, n.ShortTag()) {
		return errWrong
	}
	if err := n.Decode(v.Addr().Interface()); err != nil {
		return errors.New("it is out of range")
	}
	return nil
}

func setDuration(n *yaml.Node, v reflect.Value) error {
	duration, err := time.ParseDuration(n.Value)
	if err != nil {
		if n.ShortTag() == "!!int" || n.ShortTag() == "!!float" {
			return errors.New("the unit is missing")
		}
		return errWrong
	}
	v.SetInt(int64(duration))
	return nil
}

func setBytes(n *yaml.Node, v reflect.Value) error {
	size, err := ParseBytes(n.Value)
	if err != nil {
		return errWrong
	}
	if v.CanUint() {
		if v.OverflowUint(uint64(size)) {
			return errors.New("it is out of range")
		}
		v.SetUint(uint64(size))
		return nil
	}
	if v.OverflowInt(size) {
		return errors.New("it is out of range")
	}
	v.SetInt(size)
	return nil
}

// byteUnits are the multipliers of sizes, decimal and binary.
var byteUnits = map[string]float64{
	"": 1, "B": 1,
	"kB": 1e3, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12,
	"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40,
}

// ParseBytes reads a size such as "512MiB", "1.5 GB" or "4096" and returns it
// in bytes. Units are decimal (kB, MB, GB, TB) or binary (KiB, MiB, GiB, TiB).
func ParseBytes(text string) (int64, error) {
	end := strings.LastIndexAny(text, "0123456789.") + 1
	number, err := strconv.ParseFloat(text[:end], 64)
	factor, known := byteUnits[strings.TrimSpace(text[end:])]
	if size := number * factor; err == nil && known && number >= 0 && size < math.MaxInt64 {
		return int64(size), nil
	}
	return 0, fmt.Errorf("read size %q: want a number with a unit such as MiB or GB", text)
}

// checkTags compares a value with its oneof, min and max tags and returns what
// is wrong, or nothing.
func checkTags(v reflect.Value, tag reflect.StructTag) string {
	if allowed := strings.Fields(tag.Get("oneof")); len(allowed) > 0 && !slices.Contains(allowed, v.String()) {
		message := "must be one of " + strings.Join(allowed, ", ") + fmt.Sprintf(" (got %q)", shorten(v.String()))
		if near := nearest(v.String(), allowed); near != "" {
			message += "; did you mean " + near + "?"
		}
		return message
	}
	low, high := tag.Get("min"), tag.Get("max")
	below := low != "" && compare(v, limit(v.Type(), low, tag)) < 0
	above := high != "" && compare(v, limit(v.Type(), high, tag)) > 0
	if !below && !above {
		return ""
	}
	got := fmt.Sprintf(" (got %v)", v.Interface())
	switch {
	case low != "" && high != "":
		return "must be between " + low + " and " + high + got
	case below:
		return "must be at least " + low + got
	default:
		return "must be at most " + high + got
	}
}

// limit reads the text of a min or max tag as a value of type t.
func limit(t reflect.Type, text string, tag reflect.StructTag) reflect.Value {
	v := reflect.New(t).Elem()
	var n yaml.Node
	n.SetString(text)
	n.Tag = "" // resolved as if the text stood in a file
	if message := setScalar(&n, v, tag); message != "" {
		panic("config: the limit " + text + " " + message)
	}
	return v
}

func compare(a, b reflect.Value) int {
	switch {
	case a.CanInt():
		return cmp.Compare(a.Int(), b.Int())
	case a.CanUint():
		return cmp.Compare(a.Uint(), b.Uint())
	case a.CanFloat():
		return cmp.Compare(a.Float(), b.Float())
	}
	panic(fmt.Sprintf("config: %s has no order for min and max", a.Type()))
}

// describe names a node for a message, with its text when it is short enough.
func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a group of keys"
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return "an alias"
	default:
	}
	switch n.ShortTag() {
	case "!!null":
		return "no value"
	case "!!str":
		return strconv.Quote(shorten(n.Value))
	default:
		return shorten(n.Value)
	}
}

// shorten keeps messages readable when a value is long or has control characters.
func shorten(text string) string {
	const most = 60
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == utf8.RuneError {
			return ' '
		}
		return r
	}, text)
	if utf8.RuneCountInString(text) <= most {
		return text
	}
	return string([]rune(text)[:most]) + "…"
}
