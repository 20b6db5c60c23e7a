package model

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"detectd/detect"
	"detectd/detect/onnx"
	"detectd/detect/ort"
	"detectd/detect/sniff"
)

// Sniff reads the contract of a model file without running it: the one it carries
// in its metadata, or the one a family recognises. The error wraps
// detect.ErrNotONNX, detect.ErrExternalData or detect.ErrNotDetector.
func Sniff(data []byte) (detect.Contract, error) {
	m, err := onnx.Parse(data)
	if err != nil {
		return detect.Contract{}, err
	}
	c, _, err := find(m.Signature(), Options{})
	if err != nil {
		return detect.Contract{}, err
	}
	_, c, err = check(c, m.Signature())
	return c, err
}

// find makes the contract for a model: the one given, the one in the file, or a
// family's guess; overrides come on top. sniffed tells that it was a guess.
func find(s detect.Signature, o Options) (c detect.Contract, sniffed bool, err error) {
	s = withOverrides(s, o.Overrides)
	text, carried := s.Metadata[detect.MetadataKey]
	switch {
	case o.Contract != nil:
		c = *o.Contract
	case carried && (o.Family == "" || o.Family == carriedFamily(text)):
		if err := json.Unmarshal([]byte(text), &c); err != nil {
			return c, false, refuse("its contract in %q is damaged: %v", detect.MetadataKey, err)
		}
	default:
		c, err = guess(s, o)
		return c, true, err
	}
	c, err = Override(c, o.Overrides)
	return c, false, err
}

// withOverrides puts a size of the input and labels that were given where families
// look for them. What cannot be read is reported when the contract is overridden.
func withOverrides(s detect.Signature, overrides map[string]string) detect.Signature {
	if len(overrides) == 0 {
		return s
	}
	metadata := map[string]string{}
	maps.Copy(metadata, s.Metadata)
	for key, name := range map[string]string{
		"input.width": "imgsz_w", "input.height": "imgsz_h", "input.stride": "stride",
	} {
		if value, ok := overrides[key]; ok {
			metadata[name] = value
		}
	}
	if labels, err := parseLabels(overrides["labels"]); err == nil {
		if text, err := json.Marshal(labels); err == nil {
			metadata["names"] = string(text)
		}
	}
	s.Metadata = metadata
	return s
}

func carriedFamily(text string) string {
	var c detect.Contract
	_ = json.Unmarshal([]byte(text), &c) // a damaged one is reported when it is used
	return c.Family
}

// guess asks the family named, or all of them.
func guess(s detect.Signature, o Options) (detect.Contract, error) {
	if task := s.Metadata["task"]; task != "" && task != "detect" && o.Family == "" {
		return detect.Contract{}, refuse("its metadata say that its task is %.20q, not %q", task, "detect")
	}
	if o.Family != "" {
		f, ok := family(o.Family)
		if !ok {
			return detect.Contract{}, refuse("unknown family %q; there are %s", o.Family, familyNames())
		}
		if _, named := o.Overrides["input.name"]; !named && !takesPictures(s) {
			return detect.Contract{}, noPictures(s)
		}
		c := f.Sniff(s).Contract
		if names := sniff.Names(s); len(names) > 0 && len(names) != len(c.Labels) {
			c.Labels, c.LabelIDs = names, nil // as many as there should be
		}
		c, err := Override(c, o.Overrides)
		if err == nil && len(c.Labels) == 0 {
			err = ask(f.Name, c, []string{"labels"})
		}
		return c, err
	}
	best, found := detect.NoFit, map[string]detect.Guess{}
	for _, f := range Families() {
		g := f.Sniff(s)
		if g.Fit > best {
			best = g.Fit
			clear(found)
		}
		if g.Fit == best && best > detect.NoFit {
			found[f.Name] = g
		}
	}
	switch len(found) {
	case 0:
		return detect.Contract{}, unfit(s)
	case 1:
	default:
		names := make([]string, 0, len(found))
		for _, f := range Families() {
			if _, ok := found[f.Name]; ok {
				names = append(names, f.Name)
			}
		}
		return detect.Contract{}, fmt.Errorf("%w: outputs %s fit several families; name one: --family %s",
			detect.ErrAmbiguous, describe(s.Outputs), strings.Join(names, " or --family "))
	}
	for name, g := range found {
		c, err := Override(g.Contract, o.Overrides)
		if err != nil {
			return c, err
		}
		open := slices.DeleteFunc(slices.Clone(g.Ask), func(key string) bool {
			_, given := o.Overrides[key]
			return given
		})
		if len(open) > 0 {
			return c, ask(name, c, open)
		}
		return c, checkNames(s, name, c)
	}
	return detect.Contract{}, nil // found is not empty
}

// unfit says why no family fits: the model takes no pictures, its labels are too
// few or too many for what would fit else, or it is laid out like none.
func unfit(s detect.Signature) error {
	if !takesPictures(s) {
		return noPictures(s)
	}
	if len(sniff.Names(s)) > 0 {
		nameless := s
		nameless.Metadata = maps.Clone(s.Metadata)
		delete(nameless.Metadata, "names")
		for _, f := range Families() {
			if g := f.Sniff(nameless); g.Fit > detect.NoFit {
				return checkNames(s, f.Name, g.Contract)
			}
		}
	}
	return fmt.Errorf(
		"%w: no family fits inputs %s and outputs %s; name one (--family %s) and give what is special (--contract KEY=VALUE)",
		detect.ErrAmbiguous, describe(s.Inputs), describe(s.Outputs), strings.ReplaceAll(familyNames(), ", ", "|"))
}

// checkNames refuses labels, of the file or given, that are not as many as the
// classes that a family finds: it would have left them out.
func checkNames(s detect.Signature, name string, c detect.Contract) error {
	names := sniff.Names(s)
	if len(names) == 0 || len(c.Labels) == 0 || len(names) == len(c.Labels) {
		return nil
	}
	return fmt.Errorf("%w: there are %d labels (names in its metadata), but as the family %s it has %d classes; give as many: --contract labels=@FILE",
		detect.ErrAmbiguous, len(names), name, len(c.Labels))
}

func takesPictures(s detect.Signature) bool {
	_, ok := sniff.Picture(s)
	return ok
}

func noPictures(s detect.Signature) error {
	return refuse("it must have one input for colour pictures ([N,3,H,W] or [N,H,W,3] of float32, float16 or uint8), but has %s; export it so",
		describe(s.Inputs))
}

// ask says which keys to give, with what is usual in the family.
func ask(name string, c detect.Contract, keys []string) error {
	parts := make([]string, 0, len(keys))
	for _, key := range keys {
		usual := get(c, key)
		if key == "labels" {
			usual = "@FILE (or coco)"
		}
		if key == "anchors" {
			usual = "@FILE.json (or ssdlite)"
		}
		parts = append(parts, fmt.Sprintf("--contract %s=%s", key, usual))
	}
	return fmt.Errorf("%w: it looks like the family %s, but it does not tell %s; say so: %s",
		detect.ErrAmbiguous, name, strings.Join(keys, ", "), strings.Join(parts, " "))
}

// complete fills in the shapes of outputs that the file leaves open, by running
// the model once. A model that cannot be run this way keeps its signature.
func complete(rt *ort.Runtime, data []byte, s detect.Signature, o Options) (detect.Signature, error) {
	in, ok := sniff.Picture(withOverrides(s, o.Overrides))
	whole := true
	for _, t := range s.Outputs {
		_, known := sniff.Shape(t)
		whole = whole && known
	}
	if whole || !ok {
		return s, nil
	}
	in, err := overrideInput(in, o.Overrides)
	if err != nil {
		return s, err
	}
	constants, known := sniff.Constants(s, in)
	if !known {
		return s, nil
	}
	names := make([]string, len(s.Outputs))
	for i, t := range s.Outputs {
		names[i] = t.Name
	}
	data, info, err := prepare(data, s, in, constants, names)
	if err != nil {
		return s, err
	}
	session, err := rt.NewSession(data, info, o.Session)
	if errors.Is(err, ort.ErrSinglePicture) {
		info.Shape[0] = 1
		session, err = rt.NewSession(data, info, o.Session)
	}
	if err != nil {
		return s, refuse("%w", err)
	}
	s.Outputs = slices.Clone(s.Outputs)
	for i, shape := range session.OutputShapes() {
		s.Outputs[i].Shape = append([]int64{-1}, shape...)
	}
	return s, session.Close()
}

// prepare makes a session's description. Outputs that are no 32-bit floats are
// turned into such inside of the graph.
func prepare(data []byte, s detect.Signature, in detect.Input, constants map[string][]float64, outputs []string) ([]byte, ort.Info, error) {
	info := ort.Info{Input: in.Name, Type: in.Type, Shape: inputShape(in), Outputs: slices.Clone(outputs)}
	for _, t := range s.Inputs {
		if values, ok := constants[t.Name]; ok {
			info.Constants = append(info.Constants, constant(t, values))
		}
	}
	var odd []string
	for _, name := range outputs {
		if t, _ := s.Output(name); t.Type != detect.Float32 {
			odd = append(odd, name)
		}
	}
	if len(odd) == 0 {
		return data, info, nil
	}
	data, casts, err := onnx.WithFloatOutputs(data, odd)
	for i, name := range info.Outputs {
		if k := slices.Index(odd, name); k >= 0 {
			info.Outputs[i] = casts[k]
		}
	}
	return data, info, err
}

// constant describes a further input: free dimensions are the batch when first,
// and 1 elsewhere.
func constant(t detect.TensorInfo, values []float64) ort.Constant {
	shape := slices.Clone(t.Shape)
	for i := range shape {
		if shape[i] == -1 {
			shape[i] = int64(min(i, 1))
		}
	}
	return ort.Constant{Name: t.Name, Type: t.Type, Shape: shape, Values: values}
}
