package proc

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Usage is what a process has used so far and holds now.
type Usage struct {
	CPU time.Duration // user and system time
	RSS int64         // resident memory, bytes
}

// ticksPerSecond is USER_HZ, the same on all Linux machines.
const ticksPerSecond = 100

// Of reads the usage of a process.
func Of(pid int) (Usage, error) {
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return Usage{}, fmt.Errorf("read what a process uses: %w", err)
	}
	s, err := parseStat(stat)
	return s.Usage, err
}

// OfFamily is the usage of a process and of its children that are running.
func OfFamily(pid int) (Usage, error) {
	sum, err := Of(pid)
	if err != nil {
		return sum, err
	}
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return sum, fmt.Errorf("list processes: %w", err)
	}
	for _, f := range files {
		stat, err := os.ReadFile(f)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) {
			continue // it has ended
		}
		if err != nil {
			return sum, fmt.Errorf("read what a process uses: %w", err)
		}
		s, err := parseStat(stat)
		if err != nil {
			return sum, err
		}
		if s.parent == pid {
			sum.CPU += s.CPU
			sum.RSS += s.RSS
		}
	}
	return sum, nil
}

type stat struct {
	Usage
	parent int
}

// parseStat reads /proc/PID/stat, see proc(5).
func parseStat(line []byte) (s stat, err error) {
	end := bytes.LastIndexByte(line, ')') // of the program's name, which may hold anything
	if end < 0 {
		return s, errors.New("read what a process uses: /proc/PID/stat names no program")
	}
	// ppid, utime, stime and rss are the fields 4, 14, 15 and 24, counted from 1;
	// what follows the name begins with field 3.
	fields := strings.Fields(string(line[end+1:]))
	var values [4]int64
	for i, number := range []int{4, 14, 15, 24} {
		if number-3 >= len(fields) {
			return s, fmt.Errorf("read what a process uses: /proc/PID/stat has %d fields", len(fields)+2)
		}
		if values[i], err = strconv.ParseInt(fields[number-3], 10, 64); err != nil {
			return s, fmt.Errorf("read what a process uses: %w", err)
		}
	}
	s.parent = int(values[0])
	s.CPU = time.Duration(values[1]+values[2]) * time.Second / ticksPerSecond
	s.RSS = values[3] * int64(os.Getpagesize())
	return s, nil
}
