package doctor

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// file reads a file of the kernel's, trimmed; empty when it is not there.
func (d *doctor) file(name string) string {
	data, err := os.ReadFile(filepath.Join("/", d.cfg.Root, name))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(data))
}

// field is the first value of a key in a file of "key : value" lines.
func field(text, key string) string {
	for scan := bufio.NewScanner(strings.NewReader(text)); scan.Scan(); {
		k, v, ok := strings.Cut(scan.Text(), ":")
		if ok && strings.TrimSpace(k) == key {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

func (d *doctor) machine(context.Context) {
	info := d.file("proc/cpuinfo")
	name := field(info, "model name")
	if name == "" {
		name = runtime.GOARCH
	}
	d.ok("processor", "%s", name)
	d.vectors(strings.Fields(field(info, "flags")))
	d.cores()
	d.memory()
}

// vectors tells what matters for inference on the CPU.
func (d *doctor) vectors(flags []string) {
	if runtime.GOARCH != "amd64" {
		return
	}
	var has []string
	for _, v := range [][2]string{
		{"AVX2", "avx2"}, {"AVX-512", "avx512f"}, {"VNNI", "avx512_vnni"}, {"AVX-VNNI", "avx_vnni"}, {"AMX", "amx_tile"},
	} {
		if slices.Contains(flags, v[1]) {
			has = append(has, v[0])
		}
	}
	switch {
	case len(has) == 0:
		d.add(Warning, "vectors", "models run several times slower than on a processor with AVX2", "no AVX2")
	case slices.Contains(has, "VNNI") || slices.Contains(has, "AVX-VNNI"):
		d.ok("vectors", "%s: int8 models can pay", strings.Join(has, ", "))
	default:
		d.ok("vectors", "%s; no VNNI: int8 models may be slower", strings.Join(has, ", "))
	}
}

// cores tells how many processors the machine has and how many of them are ours.
func (d *doctor) cores() {
	var set unix.CPUSet
	affinity := runtime.NumCPU()
	if unix.SchedGetaffinity(0, &set) == nil {
		affinity = set.Count()
	}
	text := fmt.Sprintf("%d usable", runtime.GOMAXPROCS(0))
	if quota := d.quota(); quota > 0 {
		text += fmt.Sprintf(" (%d by affinity, cgroup quota %.3g)", affinity, quota)
	}
	d.ok("cores", "%s, %d inferences at the same time", text, d.cfg.Workers)
	if usable := runtime.GOMAXPROCS(0); d.cfg.Workers > 2*usable {
		d.add(Warning, "workers", "set detect.workers to 0", "%d workers share %d cores: results come later, not faster", d.cfg.Workers, usable)
	}
}

// quota is the least CPU quota of the process's cgroup and those above, in cores; 0
// without one.
func (d *doctor) quota() float64 {
	least := 0.0
	note := func(quota, period string) {
		q, err1 := strconv.ParseFloat(quota, 64)
		p, err2 := strconv.ParseFloat(period, 64)
		if err1 == nil && err2 == nil && q > 0 && p > 0 && (least == 0 || q/p < least) {
			least = q / p
		}
	}
	for line := range strings.SplitSeq(d.file("proc/self/cgroup"), "\n") {
		parts := strings.SplitN(line, ":", 3)
		if len(parts) != 3 || parts[1] != "" { // cgroup v2 has no controllers here
			continue
		}
		for at := path.Clean("/" + parts[2]); ; at = path.Dir(at) {
			if max := strings.Fields(d.file("sys/fs/cgroup" + at + "/cpu.max")); len(max) == 2 {
				note(max[0], max[1])
			}
			if at == "/" {
				break
			}
		}
	}
	note(d.file("sys/fs/cgroup/cpu/cpu.cfs_quota_us"), d.file("sys/fs/cgroup/cpu/cpu.cfs_period_us"))
	return least
}

// little is the memory below which a camera or two already fill the machine.
const little = 1 << 30

func (d *doctor) memory() {
	info := d.file("proc/meminfo")
	kb := func(key string) uint64 {
		n, _ := strconv.ParseUint(strings.TrimSuffix(field(info, key), " kB"), 10, 64)
		return n << 10
	}
	total, free := kb("MemTotal"), kb("MemAvailable")
	if total == 0 {
		return
	}
	if free < little {
		d.add(Warning, "memory", "a 1080p camera takes about 100 MB, a model from 50 MB up", "%s of %s available", size(free), size(total))
		return
	}
	d.ok("memory", "%s of %s available", size(free), size(total))
}

// size is a number of bytes for people.
func size(n uint64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	default:
		return fmt.Sprintf("%d MiB", n>>20)
	}
}
