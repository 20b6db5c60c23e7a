package doctor

import (
	"context"
	"errors"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/asticode/go-astiav"

	"detectd/detect/ort"
	"detectd/pipeline/decode"
)

// libraries looks at libav and at the default model.
func (d *doctor) libraries(context.Context) {
	d.ok("libav", "%s", decode.Version())
	var has []string
	for _, name := range []string{"h264", "hevc", "mjpeg"} {
		if astiav.FindDecoderByName(name) == nil {
			d.add(Problem, name, "install a libavcodec with it (on Debian: libavcodec59)", "libavcodec cannot decode it")
			continue
		}
		has = append(has, name)
	}
	d.ok("decoders", "%s", strings.Join(has, ", "))
	if astiav.FindEncoderByName("libx264") == nil {
		d.add(Warning, "encoder", "install a libavcodec with libx264: clips with boxes and simulated cameras need it", "no libx264")
	} else {
		d.ok("encoder", "libx264")
	}
	if d.cfg.Model == nil {
		return
	}
	if file, err := d.cfg.Model(); err != nil {
		d.add(Problem, "model", "run make build, or install detectd with its share folder", "%v", err)
	} else {
		d.ok("model", "%s", file)
	}
}

// nvidia looks for a driver, its devices, and whether they decode.
func (d *doctor) nvidia(ctx context.Context) {
	d.devices(ctx)
	if d.cfg.Hardware == "off" {
		d.ok("decoding", "switched off: video is decoded on the CPU")
		return
	}
	card, err := decode.OpenCard(d.cfg.Choice.Device)
	switch {
	case err == nil:
		card.Close()
		d.ok("decoding", "H.264 and H.265 are decoded on card %d", d.cfg.Choice.Device)
	case d.cfg.Hardware == "nvdec":
		d.add(Warning, "decoding", "install NVIDIA's driver, or set decode.hardware to off; docs/providers.md", "is asked for, but video is decoded on the CPU: %v", err)
	case d.driver:
		d.add(Warning, "decoding", "docs/providers.md", "there is a driver, but video is decoded on the CPU: %v", err)
	}
}

// devices looks for a driver and its devices.
func (d *doctor) devices(ctx context.Context) {
	version, _, _ := strings.Cut(d.file("proc/driver/nvidia/version"), "\n")
	if version == "" {
		d.ok("driver", "none: models run on the CPU, and video is decoded there")
		return
	}
	d.driver = true
	d.ok("driver", "%s", strings.TrimSpace(strings.TrimPrefix(version, "NVRM version:")))
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, "nvidia-smi", "--query-gpu=index,name,memory.total,memory.free", "--format=csv,noheader").Output()
	if err != nil {
		d.add(Warning, "devices", "in a container, start it with --gpus all; on the machine, reboot after a driver update", "nvidia-smi does not answer: %v", err)
		return
	}
	for line := range strings.SplitSeq(strings.TrimSpace(string(out)), "\n") {
		d.ok("device", "%s", line)
	}
}

// onnxruntime opens the library and starts every provider.
func (d *doctor) onnxruntime(ctx context.Context) {
	path, err := ort.FindLibrary(d.cfg.Library)
	var rt *ort.Runtime
	if err == nil {
		rt, err = ort.Open(path)
	}
	if err != nil {
		d.add(Problem, "library", "run make build, or set runtime.library to another libonnxruntime", "%v", err)
		return
	}
	defer func() {
		if err := rt.Close(); err != nil {
			d.add(Warning, "library", "", "%v", err)
		}
	}()
	d.ok("library", "%s", rt.Path())
	d.ok("version", "%s; detectd speaks API version %d", rt.Version(), ort.API)
	for _, p := range slices.Backward(ort.Providers()) {
		d.provider(ctx, rt, p)
	}
}

func (d *doctor) provider(ctx context.Context, rt *ort.Runtime, p ort.Provider) {
	asked := slices.Contains(d.cfg.Choice.Order, p)
	err := rt.Start(ctx, p, d.cfg.Choice.Device)
	reason := ""
	if err != nil {
		reason = strings.TrimPrefix(strings.TrimPrefix(err.Error(), "load model: "), "start "+string(p)+": ")
	}
	switch {
	case err == nil:
		d.ok(string(p), "works")
	case p == ort.CPU:
		d.add(Problem, string(p), "set runtime.library to another libonnxruntime", "%s", reason)
	case !errors.Is(err, ort.ErrNotBuiltIn):
		d.add(Warning, string(p), d.wayOut(p, reason), "does not start: %s", reason)
	case asked:
		d.add(Warning, string(p), d.wayOut(p, reason), "is asked for, but %s", reason)
	case p == ort.CUDA && d.driver:
		d.add(Warning, string(p), d.wayOut(p, reason), "there is a GPU, and this library cannot use it")
	default:
		d.ok(string(p), "not in this library")
	}
}

// wayOut is what to do about a provider that does not start.
func (d *doctor) wayOut(p ort.Provider, reason string) string {
	switch {
	case p == ort.OpenVINO:
		return "run make gpu PROVIDER=openvino and set runtime.library to the file that it names"
	case strings.Contains(reason, "driver version is insufficient") || strings.Contains(reason, "no CUDA-capable device"):
		return "install NVIDIA's driver, 580 or later (525 with make gpu PROVIDER=cuda12); in a container, start it with --gpus all"
	case strings.Contains(reason, "libnvinfer") || strings.Contains(reason, "libnvonnxparser"):
		return "put TensorRT 10 beside " + filepath.Base(d.cfg.Library) + " or where the loader finds it; docs/providers.md"
	default:
		return "run make gpu and set runtime.library to the file that it names; docs/providers.md"
	}
}
