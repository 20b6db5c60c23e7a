package simulate

import (
	"path/filepath"
	"strconv"
	"strings"
)

// uniqueNames are the names of cameras that play the files: the file's name
// without extension, of lower-case letters, digits, - and _ only, and a number
// where that name is taken.
func uniqueNames(files []string) []string {
	taken := map[string]bool{}
	names := make([]string, len(files))
	for i, file := range files {
		base := cleanName(strings.TrimSuffix(filepath.Base(file), filepath.Ext(file)))
		name := base
		for n := 2; taken[name]; n++ {
			name = base + "-" + strconv.Itoa(n)
		}
		taken[name] = true
		names[i] = name
	}
	return names
}

func cleanName(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '-', r == '_':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '-'
	}, s)
	if s = strings.Trim(s, "-"); s == "" {
		return "camera"
	}
	return s
}
