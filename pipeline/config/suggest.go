package config

import (
	"maps"
	"reflect"
	"slices"
	"strings"
)

// unknown says what is wrong with a key that its section does not have, and
// which key was probably meant.
func (d *decoder) unknown(key string, fields map[string]int) string {
	names := slices.Sorted(maps.Keys(fields))
	if at := find(d.root, key, ""); at != "" {
		return "unknown key here; it belongs at " + at
	}
	if near := nearest(key, names); near != "" {
		return "unknown key; did you mean " + near + "?"
	}
	return "unknown key; known here are " + strings.Join(names, ", ")
}

// find returns the first path, by name, at which the settings have the key.
func find(t reflect.Type, key, path string) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || isScalar(t) {
		return ""
	}
	fields := keys(t)
	if _, ok := fields[key]; ok {
		return join(path, key)
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if at := find(t.Field(fields[name]).Type, key, join(path, name)); at != "" {
			return at
		}
	}
	return ""
}

// nearest returns the candidate that differs from the word in the fewest
// letters, when so few differ that a slip is likely; otherwise nothing.
func nearest(word string, candidates []string) string {
	plain := strings.NewReplacer("-", "", "_", "", " ", "")
	if len(word) > 60 {
		return ""
	}
	best, fewest := "", max(1, len(word)/3)+1
	for _, candidate := range candidates {
		n := distance(strings.ToLower(plain.Replace(word)), strings.ToLower(plain.Replace(candidate)))
		if n < fewest {
			best, fewest = candidate, n
		}
	}
	return best
}

// distance is the Levenshtein distance in bytes: insertions, deletions and
// replacements that turn a into b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
