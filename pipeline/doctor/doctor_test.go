package doctor

import (
	"bytes"
	"encoding/json"
	"errors"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"detectd/detect/detecttest"
	"detectd/detect/ort"
	"detectd/detect/provider"
)

// healthy is a machine on which detectd runs.
func healthy(t *testing.T) Config {
	return Config{
		Data: filepath.Join(t.TempDir(), "data"), Listen: "127.0.0.1:0", Workers: 2,
		Library: detecttest.Artefact(t, "onnxruntime", "libonnxruntime.so.1"),
		Model:   func() (string, error) { return "default.onnx", nil },
	}
}

func find(t *testing.T, r Report, group, name string) Line {
	t.Helper()
	for _, l := range r.Lines {
		if l.Group == group && l.Name == name {
			return l
		}
	}
	t.Fatalf("no line %s %s in %+v", group, name, r.Lines)
	return Line{}
}

func TestHealthy(t *testing.T) {
	cfg := healthy(t)
	r := Examine(t.Context(), cfg)
	require.True(t, r.CanRun, "%+v", r.Lines)
	require.NoFileExists(t, cfg.Data, "it leaves nothing behind")
	require.Equal(t, "works", find(t, r, "onnxruntime", "cpu").Text)
	require.Equal(t, "not in this library", find(t, r, "onnxruntime", "cuda").Text)
	require.Contains(t, find(t, r, "libraries", "decoders").Text, "h264, hevc, mjpeg")
	require.Contains(t, find(t, r, "data", "folder").Text, "does not exist yet")
	require.Contains(t, find(t, r, "data", "fsync").Text, "for a safe write")
	require.Contains(t, find(t, r, "machine", "cores").Text, "2 inferences at the same time")
	for _, l := range r.Lines {
		require.NotEmpty(t, l.Text, l.Name)
		require.NotContains(t, l.Text, "\n")
		if l.Level == OK {
			require.Empty(t, l.Hint)
		}
	}
	var text bytes.Buffer
	require.NoError(t, r.Write(&text))
	require.True(t, strings.HasSuffix(text.String(), "\ndetectd can run here\n"))
	require.Less(t, strings.Count(text.String(), "\n"), 45, "one glance")
	data, err := json.Marshal(r)
	require.NoError(t, err)
	require.Contains(t, string(data), `{"can_run":true,"lines":[{"group":"machine","name":"processor","level":"ok"`)
}

func TestProblems(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, taken.Close()) }()
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, []byte("no library"), 0o600))
	for name, c := range map[string]struct {
		change      func(*Config)
		group, line string
		level       Level
		text, hint  string
	}{
		"port taken":      {func(c *Config) { c.Listen = taken.Addr().String() }, "network", "listen", Problem, "in use", "--listen"},
		"folder a file":   {func(c *Config) { c.Data = filepath.Join(file, "x") }, "data", "folder", Problem, "not a directory", "--data"},
		"no library":      {func(c *Config) { c.Library = file + ".none" }, "onnxruntime", "library", Problem, "no such file", "make build"},
		"bad library":     {func(c *Config) { c.Library = file }, "onnxruntime", "library", Problem, file, "runtime.library"},
		"no model":        {func(c *Config) { c.Model = func() (string, error) { return "", errors.New("gone") } }, "libraries", "model", Problem, "gone", "make build"},
		"too many":        {func(c *Config) { c.Workers = 1000 }, "machine", "workers", Warning, "1000 workers", "detect.workers"},
		"asked for":       {func(c *Config) { c.Choice = provider.Choice{Order: []ort.Provider{ort.CUDA}} }, "onnxruntime", "cuda", Warning, "is asked for", "make gpu"},
		"card asked for":  {func(c *Config) { c.Hardware = "nvdec" }, "nvidia", "decoding", Warning, "is asked for", "decode.hardware"},
		"asked for intel": {func(c *Config) { c.Choice = provider.Choice{Order: []ort.Provider{ort.OpenVINO}} }, "onnxruntime", "openvino", Warning, "is asked for", "PROVIDER=openvino"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := healthy(t)
			c.change(&cfg)
			r := Examine(t.Context(), cfg)
			l := find(t, r, c.group, c.line)
			require.Equal(t, c.level, l.Level)
			require.Contains(t, l.Text, c.text)
			require.Contains(t, l.Hint, c.hint)
			require.Equal(t, c.level != Problem, r.CanRun)
			if c.level == Problem {
				var text bytes.Buffer
				require.NoError(t, r.Write(&text))
				require.Contains(t, text.String(), "detectd cannot run here")
			}
		})
	}
}

// kernel writes files of /proc and /sys and returns their root.
func kernel(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	return root
}

func TestMachine(t *testing.T) {
	d := &doctor{group: "machine", cfg: Config{Workers: 1, Root: kernel(t, map[string]string{
		"proc/cpuinfo":     "processor\t: 0\nmodel name\t: Old CPU\nflags\t\t: fpu sse2 avx\n",
		"proc/meminfo":     "MemTotal:        2000000 kB\nMemAvailable:     500000 kB\n",
		"proc/self/cgroup": "0::/box/inner\n",

		"sys/fs/cgroup/box/cpu.max":       "150000 100000\n",
		"sys/fs/cgroup/box/inner/cpu.max": "max 100000\n",
	})}}
	d.machine(t.Context())
	r := Report{Lines: d.lines}
	require.Equal(t, "Old CPU", find(t, r, "machine", "processor").Text)
	require.Contains(t, find(t, r, "machine", "cores").Text, "cgroup quota 1.5")
	require.Equal(t, Warning, find(t, r, "machine", "memory").Level)
	if runtime.GOARCH == "amd64" {
		require.Equal(t, "no AVX2", find(t, r, "machine", "vectors").Text)
	}
	d.cfg.Root = kernel(t, map[string]string{
		"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "50000", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
	})
	require.InDelta(t, 0.5, d.quota(), 1e-9)
	d.cfg.Root = t.TempDir()
	require.Zero(t, d.quota())
}

func TestNVIDIA(t *testing.T) {
	t.Setenv("PATH", t.TempDir()) // no nvidia-smi
	d := &doctor{group: "nvidia", cfg: Config{Root: kernel(t, map[string]string{
		"proc/driver/nvidia/version": "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15\nGCC version: 12\n",
	})}}
	d.nvidia(t.Context())
	r := Report{Lines: d.lines}
	require.Equal(t, "NVIDIA UNIX x86_64 Kernel Module  550.54.15", find(t, r, "nvidia", "driver").Text)
	require.Equal(t, Warning, find(t, r, "nvidia", "devices").Level)
	rt := detecttest.Runtime(t)
	d.provider(t.Context(), rt, ort.CUDA)
	require.Contains(t, d.lines[len(d.lines)-1].Text, "there is a GPU")
}

func TestWayOut(t *testing.T) {
	d := &doctor{}
	for reason, want := range map[string]string{
		"CUDA error 35: CUDA driver version is insufficient for CUDA runtime version": "NVIDIA's driver",
		"libnvinfer.so.10: cannot open shared object file":                            "TensorRT 10",
		"libcublasLt.so.12: cannot open shared object file":                           "run make gpu and",
	} {
		require.Contains(t, d.wayOut(ort.CUDA, reason), want)
	}
}

func TestKind(t *testing.T) {
	require.Equal(t, "ext4", kind(0xef53))
	require.Equal(t, "btrfs", kind(-0x6edc97c2), "as 32-bit systems give it")
	require.Equal(t, "unknown", kind(1))
}
