// Package config reads settings from YAML strictly: every key must be known,
// every value must have its type and lie in its range, and every problem of the
// file is reported at once with its line, column and key path.
//
// The settings are a plain Go struct that already holds the defaults; what the
// file says replaces them. Struct tags describe the file:
//
//	Listen  string        `yaml:"listen"`
//	Mode    string        `yaml:"mode" oneof:"auto tcp udp"`
//	Rate    float64       `yaml:"rate" min:"0.5" max:"60"`
//	Timeout time.Duration `yaml:"timeout" min:"1s"`
//	Quota   int64         `yaml:"quota" unit:"bytes" min:"1MiB"`
//
// Fields are text, booleans, numbers, durations ("5s"), byte sizes ("10GB",
// "512MiB"), types with UnmarshalText, and structs, pointers, lists and maps of
// those. A field without a yaml tag, or tagged "-", is not part of the file. A
// section that needs more than tags has the method of [Validator].
//
// Anchors are harmless, but aliases and merge keys are refused, so that a small
// file cannot grow into a large value.
package config
