package config

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

type settings struct {
	Listen  string        `yaml:"listen"`
	Mode    string        `yaml:"mode" oneof:"auto tcp udp"`
	Rate    float64       `yaml:"rate" min:"0.5" max:"60"`
	Workers int           `yaml:"workers" min:"0"`
	Small   uint8         `yaml:"small"`
	Demo    bool          `yaml:"demo"`
	Level   slog.Level    `yaml:"level"`
	Timeout time.Duration `yaml:"timeout" min:"1s"`
	Store   storage       `yaml:"store"`
	Hosts   []string      `yaml:"hosts"`
	Cameras []camera      `yaml:"cameras"`
	Limits  map[string]int
	Quotas  map[string]int `yaml:"quotas" max:"10"`
	Extra   *camera        `yaml:"extra"`
}

type storage struct {
	Quota int64  `yaml:"quota" unit:"bytes" min:"1MiB"`
	Low   int64  `yaml:"low"`
	High  int64  `yaml:"high"`
	Cache uint32 `yaml:"cache" unit:"bytes"`
}

func (s storage) Validate(report func(key, problem string)) {
	if s.Low > s.High {
		report("low", "must not be greater than high")
	}
}

type camera struct {
	Name string `yaml:"name"`
	URL  string `yaml:"url"`
}

func (c *camera) Validate(report func(key, problem string)) {
	if c.Name == "" {
		report("", "must have a name")
	}
}

func defaults() settings {
	return settings{
		Listen: "127.0.0.1:8080", Mode: "auto", Rate: 5, Timeout: 5 * time.Second,
		Store: storage{Quota: 10e9, High: 9}, Hosts: []string{"localhost"}, Level: slog.LevelInfo,
	}
}

func TestDecodeReadsEveryKind(t *testing.T) {
	got := defaults()
	require.NoError(t, Decode("config.yaml", []byte(`
listen: "[::1]:9000"   # a comment
mode: tcp
rate: 10
workers: 0x10
small: 255
demo: true
level: debug
timeout: 1m30s
store:
  quota: 1.5GB
  cache: 512 MiB
hosts: [a, "b"]
cameras:
  - {name: door, url: "rtsp://10.0.0.5/stream"}
quotas: {a: 1}
extra: &unused
  name: yard
`), &got))
	want := settings{
		Listen: "[::1]:9000", Mode: "tcp", Rate: 10, Workers: 16, Small: 255, Demo: true, Level: slog.LevelDebug,
		Timeout: 90 * time.Second, Store: storage{Quota: 1.5e9, High: 9, Cache: 512 << 20}, Hosts: []string{"a", "b"},
		Cameras: []camera{{"door", "rtsp://10.0.0.5/stream"}}, Quotas: map[string]int{"a": 1}, Extra: &camera{Name: "yard"},
	}
	require.Equal(t, want, got)
}

func TestDecodeKeepsDefaults(t *testing.T) {
	for name, text := range map[string]string{
		"empty":           "",
		"comments":        "# nothing\n",
		"document mark":   "---\n",
		"null":            "null\n",
		"empty section":   "store:\n  # quota: 1GB\n",
		"byte order mark": "\ufeffmode: auto\n",
		"Windows lines":   "mode: auto\r\nrate: 5\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			got := defaults()
			require.NoError(t, Decode("config.yaml", []byte(text), &got))
			require.Equal(t, defaults(), got)
		})
	}
}

func TestDecodeSaysWhatIsWrong(t *testing.T) {
	tests := map[string]struct{ text, want string }{
		"unknown key":        {"lisen: a", "c.yaml:1:1: lisen: unknown key; did you mean listen?"},
		"dashes":             {"store:\n  Quota: 1GB", "c.yaml:2:3: store.Quota: unknown key; did you mean quota?"},
		"wrong section":      {"quota: 1GB", "c.yaml:1:1: quota: unknown key here; it belongs at store.quota"},
		"foreign key":        {"store: {zzzzzzzz: 1}", "c.yaml:1:9: store.zzzzzzzz: unknown key; known here are cache, high, low, quota"},
		"untagged field":     {"Limits: {}", "c.yaml:1:1: Limits: unknown key; known here are cameras, demo, extra, hosts, level, listen, mode, quotas, rate, small, store, timeout, workers"},
		"number for text":    {"listen: 8080", `c.yaml:1:9: listen: must be text (got 8080: put it in quotes, "8080")`},
		"list for text":      {"listen: [a]", "c.yaml:1:9: listen: must be text (got a list)"},
		"text for number":    {"workers: many", `c.yaml:1:10: workers: must be a whole number (got "many")`},
		"fraction":           {"workers: 1.5", "c.yaml:1:10: workers: must be a whole number (got 1.5)"},
		"number too large":   {"small: 256", "c.yaml:1:8: small: must be a whole number (got 256: it is out of range)"},
		"text for boolean":   {"demo: yes", `c.yaml:1:7: demo: must be true or false (got "yes")`},
		"not finite":         {"rate: .nan", "c.yaml:1:7: rate: must be a number (got .nan)"},
		"out of range":       {"rate: 100", "c.yaml:1:7: rate: must be between 0.5 and 60 (got 100)"},
		"too small":          {"workers: -1", "c.yaml:1:10: workers: must be at least 0 (got -1)"},
		"too large in map":   {"quotas: {a: 11}", "c.yaml:1:13: quotas.a: must be at most 10 (got 11)"},
		"no unit":            {"timeout: 5", "c.yaml:1:10: timeout: must be a duration such as 500ms, 5s or 24h (got 5: the unit is missing)"},
		"bad duration":       {"timeout: 3 days", `c.yaml:1:10: timeout: must be a duration such as 500ms, 5s or 24h (got "3 days")`},
		"short duration":     {"timeout: 1ms", "c.yaml:1:10: timeout: must be at least 1s (got 1ms)"},
		"bad size":           {"store: {quota: much}", `c.yaml:1:16: store.quota: must be a size such as 512MiB or 10GB (got "much")`},
		"negative size":      {"store: {quota: -1GB}", `c.yaml:1:16: store.quota: must be a size such as 512MiB or 10GB (got "-1GB")`},
		"size too large":     {"store: {cache: 5GB}", `c.yaml:1:16: store.cache: must be a size such as 512MiB or 10GB (got "5GB": it is out of range)`},
		"small size":         {"store: {quota: 1kB}", "c.yaml:1:16: store.quota: must be at least 1MiB (got 1000)"},
		"not in the list":    {"mode: tpc", `c.yaml:1:7: mode: must be one of auto, tcp, udp (got "tpc")`},
		"nearly in the list": {"mode: aut", `c.yaml:1:7: mode: must be one of auto, tcp, udp (got "aut"); did you mean auto?`},
		"own text type":      {"level: loud", `c.yaml:1:8: level: must be a valid value (got "loud": slog: level string "loud": unknown name)`},
		"no value":           {"listen:", "c.yaml:1:8: listen: has no value; write one or take the line out"},
		"twice":              {"demo: true\ndemo: false", "c.yaml:2:1: demo: is there twice (first in line 1)"},
		"section as text":    {"store: disk", `c.yaml:1:8: store: must be a group of keys (got "disk")`},
		"map as list":        {"quotas: [1]", "c.yaml:1:9: quotas: must be a group of keys (got a list)"},
		"list as section":    {"hosts: {a: b}", "c.yaml:1:8: hosts: must be a list (got a group of keys)"},
		"top level list":     {"- a", "c.yaml:1:1: must be a group of keys (got a list)"},
		"list item":          {"hosts: [a, {}]", "c.yaml:1:12: hosts[1]: must be text (got a group of keys)"},
		"alias":              {"listen: &a x\nmode: *a", "c.yaml:2:7: mode: is an alias (*a); write the value out"},
		"merge key":          {"store:\n  <<: *a", "c.yaml:1:1: is not valid YAML: unknown anchor 'a' referenced"},
		"key not text":       {"[a]: b", "c.yaml:1:1: has a key that is not plain text (a list)"},
		"validator":          {"store:\n  low: 10", "c.yaml:2:3: store.low: must not be greater than high"},
		"validator of item":  {"cameras:\n  - url: x", "c.yaml:2:5: cameras[0]: must have a name"},
		"validator, default": {"store:\n  high: -1", "c.yaml:1:1: store.low: must not be greater than high"},
		"two documents":      {"demo: true\n---\ndemo: true", "c.yaml:2:1: is a second YAML document; settings have only one"},
		"syntax":             {"demo: true\n\tx: 1", "c.yaml:2:1: is not valid YAML: found a tab character that violates indentation"},
		"unclosed":           {"listen: \"x", "c.yaml:1:1: is not valid YAML: found unexpected end of stream"},
		"binary":             {"listen: \xff", "c.yaml:1:1: is not valid YAML: invalid leading UTF-8 octet"},
		"deep":               {strings.Repeat("[", 100) + strings.Repeat("]", 100), "c.yaml:1:65: is nested more than 64 levels deep"},
		"large":              {strings.Repeat("#\n", 1<<20), "c.yaml: has 2097152 bytes; settings may have 1048576 at most"},
		"long value":         {"mode: " + strings.Repeat("x", 100), `c.yaml:1:7: mode: must be one of auto, tcp, udp (got "` + strings.Repeat("x", 60) + `…")`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := defaults()
			require.EqualError(t, Decode("c.yaml", []byte(test.text), &got), test.want)
			require.Equal(t, defaults(), got, "a refused file must change nothing")
		})
	}
}

func TestDecodeReportsEverythingInFileOrder(t *testing.T) {
	got := defaults()
	err := Decode("c.yaml", []byte(`lisen: x
rate: fast
store:
  low: 10
  quota: 5XB
cameras:
  - url: [1]
demo: 1
`), &got)
	var problems Errors
	require.ErrorAs(t, err, &problems)
	var lines []int
	for _, p := range problems {
		lines = append(lines, p.Line)
	}
	require.Equal(t, []int{1, 2, 4, 5, 7, 7, 8}, lines)
	require.Len(t, strings.Split(err.Error(), "\n"), 7)
}

// An alias bomb must cost no more than its own length.
func TestDecodeRefusesAliasBomb(t *testing.T) {
	var text strings.Builder
	text.WriteString("hosts: &a0 [x]\n")
	for i := range 60 {
		fmt.Fprintf(&text, "k%d: &a%d [*a%d, *a%d]\n", i, i+1, i, i)
	}
	got := defaults()
	require.ErrorContains(t, Decode("c.yaml", []byte(text.String()), &got), "unknown key")
}

func TestDecodeIsStrictAboutItsOwnCaller(t *testing.T) {
	require.Panics(t, func() { _ = Decode("c.yaml", nil, settings{}) })
	require.Panics(t, func() {
		_ = Decode("c.yaml", []byte("a: 1"), &struct {
			A chan int `yaml:"a"`
		}{})
	})
	require.Panics(t, func() {
		_ = Decode("c.yaml", []byte("a: 1"), &struct {
			A int `yaml:"a" min:"low"`
		}{})
	})
}

func TestComplete(t *testing.T) {
	type inner struct {
		Rate  float64       `yaml:"rate"`
		Hosts []string      `yaml:"hosts"`
		Wait  time.Duration `yaml:"wait"`
	}
	type outer struct {
		Name  string `yaml:"name"`
		Inner inner  `yaml:"inner"`
	}
	want := outer{"a", inner{Rate: 5, Wait: time.Second}}
	full := "name: a\ninner:\n  rate: 5\n  hosts: []\n  wait: 1s\n"
	require.NoError(t, Complete("c.yaml", []byte(full), want))
	require.NoError(t, Complete("c.yaml", []byte(full), &want))
	tests := map[string]struct{ text, want string }{
		"missing":   {strings.Replace(full, "  rate: 5\n", "", 1), "c.yaml:2:1: inner.rate: is missing"},
		"commented": {"name: a\ninner:\n", "c.yaml:2:1: inner.hosts: is missing\nc.yaml:2:1: inner.rate: is missing\nc.yaml:2:1: inner.wait: is missing"},
		"no group":  {"name: a\n", "c.yaml: inner: is missing"},
		"differs":   {strings.Replace(full, "5", "6", 1), "c.yaml:3:3: inner.rate: is 6, but the default is 5"},
		"list":      {strings.Replace(full, "[]", "[x]", 1), "c.yaml:4:3: inner.hosts: is [x], but the default is []"},
		"invalid":   {full + "x: 1\n", "c.yaml:6:1: x: unknown key; known here are inner, name"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			require.EqualError(t, Complete("c.yaml", []byte(test.text), want), test.want)
		})
	}
}

func TestParseBytes(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "4096": 4096, "1kB": 1000, "1KiB": 1024, "1.5 MiB": 3 << 19, "2GB": 2e9, "1TiB": 1 << 40, "7B": 7,
	} {
		got, err := ParseBytes(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
	for _, text := range []string{"", "GB", "1XB", "-1", "NaN", "9999999999TB", "1 2", "0x10MB", "∞"} {
		_, err := ParseBytes(text)
		require.Error(t, err, text)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add("listen: x\nstore: {quota: 10GB}\ncameras: [{name: a}]\n")
	f.Add("a: &a [*a]\n<<: *a\n? [x]\n: y\n")
	f.Add("rate: .inf\ntimeout: 1e9s\nlevel: info+3\nquotas: {~: 1, 1: 2}\n")
	f.Add("--- !!map\nhosts: !!set {a, b}\n...\n---\n")
	f.Fuzz(func(t *testing.T, text string) {
		got := defaults()
		err := Decode("c.yaml", []byte(text), &got)
		if err == nil {
			return
		}
		require.Equal(t, defaults(), got)
		var problems Errors
		require.ErrorAs(t, err, &problems)
		require.Len(t, strings.Split(err.Error(), "\n"), len(problems), "one line for each problem")
	})
}
