package config

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
)

// Complete checks a settings file that documents the defaults: it must be
// valid, have every key, and say nothing else than defaults, a struct or a
// pointer to one. The error is of type [Errors].
func Complete(file string, data []byte, defaults any) error {
	want := reflect.Indirect(reflect.ValueOf(defaults))
	got := reflect.New(want.Type()).Elem()
	got.Set(want)
	d := decode(file, data, got)
	if len(d.problems) == 0 {
		d.complete(got, want, "")
	}
	return d.problems.sorted()
}

// complete walks sections and reports keys that are missing or differ.
func (d *decoder) complete(got, want reflect.Value, path string) {
	for got.Kind() == reflect.Pointer && !got.IsNil() && !want.IsNil() {
		got, want = got.Elem(), want.Elem()
	}
	if path != "" {
		if _, ok := d.places[path]; !ok {
			d.fault(path, "is missing")
			return
		}
	}
	if got.Kind() == reflect.Struct && !isScalar(got.Type()) {
		fields := keys(got.Type())
		for _, name := range slices.Sorted(maps.Keys(fields)) {
			d.complete(got.Field(fields[name]), want.Field(fields[name]), join(path, name))
		}
		return
	}
	empty := (got.Kind() == reflect.Slice || got.Kind() == reflect.Map) && got.Len() == 0 && want.Len() == 0
	if !empty && !reflect.DeepEqual(got.Interface(), want.Interface()) {
		d.fault(path, fmt.Sprintf("is %v, but the default is %v", got.Interface(), want.Interface()))
	}
}
