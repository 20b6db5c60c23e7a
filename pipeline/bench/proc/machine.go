package proc

import (
	"bytes"
	"os"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Machine says where a measurement was made.
type Machine struct {
	CPU         string `json:"cpu"`   // model
	Cores       int    `json:"cores"` // that this process may use
	MemoryBytes int64  `json:"memory_bytes"`
	Kernel      string `json:"kernel"`
	OS          string `json:"os"`
	Arch        string `json:"arch"`
}

// ThisMachine describes the machine as far as Linux tells; what it does not tell
// stays empty.
func ThisMachine() Machine {
	m := Machine{Cores: runtime.GOMAXPROCS(0), OS: runtime.GOOS, Arch: runtime.GOARCH}
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		m.CPU = field(text, "model name")
	}
	if text, err := os.ReadFile("/proc/meminfo"); err == nil {
		m.MemoryBytes = kilobytes(field(text, "MemTotal"))
	}
	var name unix.Utsname
	if unix.Uname(&name) == nil {
		m.Kernel = unix.ByteSliceToString(name.Release[:])
	}
	return m
}

// String names the machine in short, as measurements are kept under: processor and
// number of cores.
func (m Machine) String() string {
	cpu := m.CPU
	if cpu == "" {
		cpu = m.Arch
	}
	if m.Cores == 1 {
		return cpu + ", 1 core"
	}
	return cpu + ", " + strconv.Itoa(m.Cores) + " cores"
}

// FreeMemory is how many bytes programs can still use, 0 when it is not known.
func FreeMemory() int64 {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0
	}
	return kilobytes(field(text, "MemAvailable"))
}

// field finds the first "name : value" line.
func field(text []byte, name string) string {
	for line := range bytes.Lines(text) {
		key, value, ok := strings.Cut(string(line), ":")
		if ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// kilobytes reads a number such as "24684288 kB".
func kilobytes(s string) int64 {
	n, err := strconv.ParseInt(strings.TrimSuffix(s, " kB"), 10, 64)
	if err != nil {
		return 0
	}
	return n << 10
}
