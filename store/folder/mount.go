package folder

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// ErrUnmounted is returned for a folder whose disk is not there: what lies in its
// place is the empty mount point, on another disk.
var ErrUnmounted = errors.New("its disk is not mounted")

// The tables of file systems: those that belong to the machine (fstab(5)), and
// those that are there (proc(5)).
const (
	fstab  = "/etc/fstab"
	mounts = "/proc/self/mounts"
)

// RequireMount returns ErrUnmounted when path lies on the root file system. It is
// for machines on which fstab does not say so.
func RequireMount(path string) error {
	place, err := resolve(path)
	if err != nil {
		return fmt.Errorf("open data folder %q: %w", path, err)
	}
	present, err := mountPoints(mounts)
	if err != nil {
		return fmt.Errorf("open data folder %q: %w", path, err)
	}
	for _, p := range present {
		if p != "/" && within(p, place) {
			return nil
		}
	}
	return fmt.Errorf("open data folder %q: %w, and require_mount is set: it would be begun on the disk of the system; mount its disk first", path, ErrUnmounted)
}

// refuseUnmounted refuses the mount point of a disk that is missing. To begin a
// new data folder there would fill the wrong disk, and hide from people that
// everything recorded is on the other one.
func refuseUnmounted(path, fstab, mounts string) error {
	expected, err := mountPoints(fstab)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	place, err := resolve(path)
	if err != nil {
		return err
	}
	present, err := mountPoints(mounts)
	if err != nil {
		return err
	}
	for _, p := range expected {
		if p != "/" && within(p, place) && !slices.Contains(present, p) {
			return fmt.Errorf("%w: %s has a file system for %s; mount it (mount %s), or take it out of %s", ErrUnmounted, fstab, p, p, fstab)
		}
	}
	return nil
}

// mountPoints are the folders of a table of file systems: the second word of each line.
func mountPoints(table string) (points []string, err error) {
	text, err := os.ReadFile(table)
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		if len(words) < 2 || words[0][0] == '#' || words[1][0] != '/' {
			continue // swap has no folder
		}
		points = append(points, filepath.Clean(unescape(words[1])))
	}
	return points, nil
}

// unescape replaces \040 and the like, for what would end a word.
func unescape(word string) string {
	var out strings.Builder
	for i := 0; i < len(word); i++ {
		if word[i] == '\\' && i+3 < len(word) {
			if n, err := strconv.ParseUint(word[i+1:i+4], 8, 8); err == nil {
				out.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		out.WriteByte(word[i])
	}
	return out.String()
}

// resolve is path without symbolic links; its last parts need not exist.
func resolve(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	for rest := ""; ; {
		place, err := filepath.EvalSymlinks(path)
		if err == nil {
			return filepath.Join(place, rest), nil
		}
		if !errors.Is(err, fs.ErrNotExist) || path == "/" {
			return "", err
		}
		path, rest = filepath.Dir(path), filepath.Join(filepath.Base(path), rest)
	}
}

func within(folder, path string) bool {
	return path == folder || strings.HasPrefix(path, folder+"/")
}
