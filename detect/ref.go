package detect

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Ref names a model version.
type Ref struct {
	Model   string
	Version int    // 0: the newest, or what Alias names
	Alias   string // "" for none
}

// String gives NAME@VERSION, NAME@ALIAS, or NAME for the newest version.
func (r Ref) String() string {
	if r.Alias != "" {
		return r.Model + "@" + r.Alias
	}
	if r.Version == 0 {
		return r.Model
	}
	return r.Model + "@" + strconv.Itoa(r.Version)
}

// ParseRef reads what String writes.
func ParseRef(s string) (Ref, error) {
	name, version, found := strings.Cut(s, "@")
	if !regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,62}$`).MatchString(name) {
		return Ref{}, fmt.Errorf("model %q: a name is lower-case letters, digits, '.', '_' and '-', 63 at most", s)
	}
	if !found {
		return Ref{Model: name}, nil
	}
	if regexp.MustCompile(`^[A-Za-z_][\w-]{0,254}$`).MatchString(version) {
		return Ref{Model: name, Alias: version}, nil
	}
	n, err := strconv.Atoi(version)
	if err != nil || n < 1 {
		return Ref{}, fmt.Errorf("model %q: after @ comes a version, a number from 1, or an alias", s)
	}
	return Ref{Model: name, Version: n}, nil
}
