package model

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"detectd/detect"
	"detectd/detect/literal"
	"detectd/detect/ssd"
)

// maxOverrideFile bounds files that overrides are read from.
const maxOverrideFile = 4 << 20

// ParseOverrides reads items of the form KEY=VALUE, as given on a command line.
// VALUE may be @FILE, whose text is then the value. See Override for the keys.
func ParseOverrides(items []string) (map[string]string, error) {
	overrides := make(map[string]string, len(items))
	for _, item := range items {
		key, value, ok := strings.Cut(item, "=")
		key = strings.TrimSpace(key)
		if !ok || key == "" {
			return nil, fmt.Errorf("contract %q: write KEY=VALUE", item)
		}
		if _, twice := overrides[key]; twice {
			return nil, fmt.Errorf("contract key %q is given twice", key)
		}
		if name, isFile := strings.CutPrefix(value, "@"); isFile {
			text, err := readFile(name)
			if err != nil {
				return nil, fmt.Errorf("contract key %q: %w", key, err)
			}
			value = text + "\n" // a list of lines, even if it is one
		}
		overrides[key] = value
	}
	_, err := Override(detect.Contract{}, overrides)
	return overrides, err
}

func readFile(name string) (string, error) {
	info, err := os.Stat(name)
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() || info.Size() > maxOverrideFile {
		return "", fmt.Errorf("%s is no file of at most %d MB", name, maxOverrideFile>>20)
	}
	text, err := os.ReadFile(name)
	return string(text), err
}

// Override changes single values of a contract, by the names they have in its
// JSON: "input.scale", "outputs.boxes", "params.reg_max", "nms_iou". Numbers may be
// fractions ("1/255"), lists have commas ("0.485,0.456,0.406") or are JSON, and a
// list of one length is filled from a single number. labels may be "coco", lines, a
// list or dictionary as Ultralytics writes it, or have commas; anchors may be
// "ssdlite". The contract given is not changed.
func Override(c detect.Contract, overrides map[string]string) (detect.Contract, error) {
	if len(overrides) == 0 {
		return c, nil
	}
	text, err := json.Marshal(c) // a deep copy
	if err != nil {
		return c, fmt.Errorf("copy contract: %w", err)
	}
	var out detect.Contract
	if err := json.Unmarshal(text, &out); err != nil {
		return c, fmt.Errorf("copy contract: %w", err)
	}
	for _, key := range inOrder(overrides) {
		if err := set(&out, key, overrides[key]); err != nil {
			return c, fmt.Errorf("contract key %q: %w", key, err)
		}
	}
	// The size to which boxes refer follows the input's, unless given too.
	was := []float64{float64(c.Input.Width), float64(c.Input.Height)}
	for name, values := range out.Constants {
		if _, given := overrides["constants."+name]; !given && slices.Equal(values, was) {
			out.Constants[name] = []float64{float64(out.Input.Width), float64(out.Input.Height)}
		}
	}
	return out, nil
}

// inOrder sorts keys so that labels come before label_ids, and anchors after the
// size of the input.
func inOrder(overrides map[string]string) []string {
	rank := map[string]int{"labels": -1, "anchors": 1}
	return slices.SortedFunc(maps.Keys(overrides), func(a, b string) int {
		return cmp.Or(cmp.Compare(rank[a], rank[b]), cmp.Compare(a, b))
	})
}

func overrideInput(in detect.Input, overrides map[string]string) (detect.Input, error) {
	c, err := Override(detect.Contract{Input: in}, overrides)
	return c.Input, err
}

func set(c *detect.Contract, key, value string) error {
	switch {
	case key == "labels":
		labels, err := parseLabels(value)
		c.Labels = labels
		if len(c.LabelIDs) > 0 && slices.Max(c.LabelIDs) >= len(labels) {
			c.LabelIDs = nil // they were made for other labels
		}
		return err
	case key == "anchors" && strings.TrimSpace(value) == "ssdlite":
		c.Anchors = ssd.LiteAnchors(c.Input.Width, c.Input.Height)
		return nil
	case key == "family":
		return fmt.Errorf("name the family by itself")
	}
	defer func(was bool) {
		if c.Background != was {
			c.LabelIDs = nil // other columns are classes now; label_ids come after
		}
	}(c.Background)
	target := reflect.ValueOf(c).Elem()
	names := strings.Split(key, ".")
	for i, name := range names {
		if target.Kind() == reflect.Map {
			if names[0] == "outputs" && len(names) > 2 { // in levels instead
				delete(c.Outputs, name)
			}
			return setEntry(target, strings.Join(names[i:], "."), value)
		}
		field, ok := fieldOf(target, name)
		if !ok {
			return fmt.Errorf("there is no such key; there are %s", strings.Join(keys(), ", "))
		}
		target = field
	}
	if target.Kind() == reflect.Map || target.Kind() == reflect.Struct {
		return fmt.Errorf("it has parts; write %s.NAME=VALUE", key)
	}
	return parse(target, strings.TrimSpace(value))
}

// setEntry sets one value of a map, whose keys may have dots.
func setEntry(m reflect.Value, name, value string) error {
	entry := reflect.New(m.Type().Elem()).Elem()
	if err := parse(entry, strings.TrimSpace(value)); err != nil {
		return err
	}
	if m.IsNil() {
		m.Set(reflect.MakeMap(m.Type()))
	}
	m.SetMapIndex(reflect.ValueOf(name), entry)
	return nil
}

// fieldOf finds the field of a struct by its name in JSON.
func fieldOf(v reflect.Value, name string) (reflect.Value, bool) {
	if v.Kind() != reflect.Struct {
		return v, false
	}
	for i := range v.NumField() {
		if jsonName(v.Type().Field(i)) == name {
			return v.Field(i), true
		}
	}
	return v, false
}

func jsonName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return name
}

// keys lists all keys of a contract.
func keys() []string {
	var list []string
	var walk func(t reflect.Type, prefix string)
	walk = func(t reflect.Type, prefix string) {
		for f := range t.Fields() {
			name := prefix + jsonName(f)
			switch f.Type.Kind() {
			case reflect.Struct:
				walk(f.Type, name+".")
			case reflect.Map:
				list = append(list, name+".NAME")
			default:
				if name != "family" {
					list = append(list, name)
				}
			}
		}
	}
	walk(reflect.TypeFor[detect.Contract](), "")
	return list
}

// choices are the words that some keys take, by type.
func choices(t reflect.Type) []string {
	switch t {
	case reflect.TypeFor[detect.Layout]():
		return []string{string(detect.NCHW), string(detect.NHWC)}
	case reflect.TypeFor[detect.Colour]():
		return []string{string(detect.RGB), string(detect.BGR)}
	case reflect.TypeFor[detect.Resize]():
		return []string{string(detect.Stretch), string(detect.LetterboxTop), string(detect.LetterboxCentre)}
	case reflect.TypeFor[detect.BoxFormat]():
		return []string{string(detect.CXCYWH), string(detect.XYXY), string(detect.YXYX)}
	case reflect.TypeFor[detect.BoxUnit]():
		return []string{string(detect.Pixels), string(detect.Unit)}
	case reflect.TypeFor[detect.Activation]():
		return []string{"", "none", string(detect.Sigmoid), string(detect.Softmax)}
	default:
		return nil
	}
}

func parse(v reflect.Value, text string) error {
	switch v.Kind() {
	case reflect.String:
		if words := choices(v.Type()); words != nil && !slices.Contains(words, text) {
			return fmt.Errorf("it is one of %s (got %q)", strings.Join(slices.DeleteFunc(words, func(w string) bool { return w == "" }), ", "), text)
		}
		if text == "none" && v.Type() == reflect.TypeFor[detect.Activation]() {
			text = ""
		}
		v.SetString(text)
	case reflect.Bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return fmt.Errorf("it is true or false (got %q)", text)
		}
		v.SetBool(b)
	case reflect.Int, reflect.Uint8:
		n, err := strconv.ParseInt(text, 10, 32)
		if err != nil || v.Kind() == reflect.Uint8 && (n < 0 || n > 255) {
			return fmt.Errorf("it is a whole number (got %q)", text)
		}
		if v.Kind() == reflect.Uint8 {
			v.SetUint(uint64(n))
		} else {
			v.SetInt(n)
		}
	case reflect.Float32, reflect.Float64:
		f, err := number(text)
		if err != nil {
			return err
		}
		v.SetFloat(f)
	default:
		return parseList(v, text)
	}
	return nil
}

// parseList reads arrays and slices: JSON, or numbers with commas between them.
func parseList(v reflect.Value, text string) error {
	if strings.HasPrefix(text, "[") {
		target := reflect.New(v.Type())
		decoder := json.NewDecoder(strings.NewReader(text))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(target.Interface()); err != nil {
			return fmt.Errorf("read list: %w", err)
		}
		v.Set(target.Elem())
		return nil
	}
	if k := v.Type().Elem().Kind(); k == reflect.Struct {
		return fmt.Errorf("it is a list in JSON")
	}
	parts := strings.Split(text, ",")
	if v.Kind() == reflect.Array {
		if len(parts) == 1 {
			parts = slices.Repeat(parts, v.Len())
		}
		if len(parts) != v.Len() {
			return fmt.Errorf("it is %d numbers with commas between them (got %d)", v.Len(), len(parts))
		}
	} else {
		v.Set(reflect.MakeSlice(v.Type(), len(parts), len(parts)))
	}
	for i, part := range parts {
		if err := parse(v.Index(i), strings.TrimSpace(part)); err != nil {
			return err
		}
	}
	return nil
}

// number reads a number or a fraction.
func number(text string) (float64, error) {
	above, below, fraction := strings.Cut(text, "/")
	a, err := strconv.ParseFloat(strings.TrimSpace(above), 32)
	b := 1.0
	if err == nil && fraction {
		b, err = strconv.ParseFloat(strings.TrimSpace(below), 32)
	}
	if err != nil || b == 0 || a-a != 0 || b-b != 0 { // x-x is not 0 for what is not finite
		return 0, fmt.Errorf("it is a number or a fraction such as 1/255 (got %q)", text)
	}
	return a / b, nil
}

// maxLabels bounds the classes of a model.
const maxLabels = 10_000

func parseLabels(text string) ([]string, error) {
	text = strings.ReplaceAll(strings.TrimPrefix(text, "\ufeff"), "\r\n", "\n")
	var labels []string
	trimmed := strings.TrimSpace(text)
	switch {
	case trimmed == "coco":
		return detect.COCOLabels(), nil
	case strings.HasPrefix(trimmed, "[") || strings.HasPrefix(trimmed, "{"):
		var err error
		if labels, err = literal.Names(trimmed); err != nil {
			return nil, err
		}
	case strings.Contains(text, "\n"):
		labels = strings.Split(trimmed, "\n")
	default:
		labels = strings.Split(trimmed, ",")
	}
	if len(labels) > maxLabels {
		return nil, fmt.Errorf("%d labels are too many", len(labels))
	}
	for i, label := range labels {
		if labels[i] = strings.TrimSpace(label); labels[i] == "" {
			return nil, fmt.Errorf("label %d is empty", i)
		}
	}
	return labels, nil
}

// get is what a contract has for a key, as a value for Override.
func get(c detect.Contract, key string) string {
	target := reflect.ValueOf(c)
	for name := range strings.SplitSeq(key, ".") {
		if target.Kind() == reflect.Map {
			if target = target.MapIndex(reflect.ValueOf(name)); !target.IsValid() {
				return "0"
			}
			continue
		}
		field, ok := fieldOf(target, name)
		if !ok {
			return ""
		}
		target = field
	}
	if target.Kind() == reflect.Array {
		return strings.Trim(strings.ReplaceAll(fmt.Sprint(target.Interface()), " ", ","), "[]")
	}
	if text := fmt.Sprint(target.Interface()); text != "" {
		return text
	}
	return "none"
}
