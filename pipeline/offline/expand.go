package offline

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Expand turns arguments into files and URLs: a folder stands for all pictures
// and videos below it, by name; anything with :// is kept.
func Expand(args []string) ([]string, error) {
	var out []string
	for _, arg := range args {
		if IsURL(arg) {
			out = append(out, arg)
			continue
		}
		info, err := os.Stat(arg)
		if err != nil {
			return nil, fmt.Errorf("open %q: %w", arg, errOnly(err))
		}
		if !info.IsDir() {
			out = append(out, arg)
			continue
		}
		before := len(out)
		// The separator makes it go into a folder that arg is a link to.
		err = filepath.WalkDir(arg+string(filepath.Separator), func(path string, entry fs.DirEntry, err error) error {
			if err == nil && entry.Type().IsRegular() && isMedia(path) {
				out = append(out, path)
			}
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("read folder %q: %w", arg, err)
		}
		if len(out) == before {
			return nil, fmt.Errorf("folder %q holds no pictures or videos", arg)
		}
	}
	return out, nil
}

// IsURL tells an address from a file name.
func IsURL(arg string) bool { return strings.Contains(arg, "://") }

// errOnly drops the operation and path that the caller names anyway.
func errOnly(err error) error {
	if pathErr := (*fs.PathError)(nil); errors.As(err, &pathErr) {
		return pathErr.Err
	}
	return err
}

func isMedia(path string) bool {
	return slices.Contains([]string{
		".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif",
		".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".ts", ".h264", ".hevc", ".mjpeg", ".mjpg",
	}, strings.ToLower(filepath.Ext(path)))
}
