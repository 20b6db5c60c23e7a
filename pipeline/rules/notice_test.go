package rules

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNoticeNamesEveryDependency(t *testing.T) {
	dir := root(t)
	notice, err := os.ReadFile(filepath.Join(dir, "NOTICE"))
	require.NoError(t, err)

	command := exec.CommandContext(t.Context(), "go", "mod", "edit", "-json")
	command.Dir = dir
	out, err := command.Output()
	require.NoError(t, err)
	var modules struct {
		Require []struct {
			Path     string
			Indirect bool
		}
	}
	require.NoError(t, json.Unmarshal(out, &modules))
	var names []string
	for _, m := range modules.Require {
		if !m.Indirect {
			names = append(names, m.Path)
		}
	}

	page, err := os.ReadFile(filepath.Join(dir, "web", "ui", "package.json"))
	require.NoError(t, err)
	var packages struct {
		Dependencies map[string]string `json:"dependencies"`
	}
	require.NoError(t, json.Unmarshal(page, &packages))
	for name := range packages.Dependencies {
		names = append(names, name)
	}
	check(t, unnoticed(string(notice), names))
}

// majorVersion is the end of a module path that NOTICE leaves out.
var majorVersion = regexp.MustCompile(`/v\d+$`)

// unnoticed returns a line for each dependency that NOTICE lacks. Siblings are
// listed by their last element, as in "golang.org/x/net, sys".
func unnoticed(notice string, names []string) (broken []string) {
	for _, name := range names {
		name = majorVersion.ReplaceAllString(name, "")
		parent, last := filepath.Split(name)
		word := regexp.MustCompile(`(^|[\s/])` + regexp.QuoteMeta(last) + `([\s,/(]|$)`)
		if !strings.Contains(notice, parent) || !word.MatchString(notice) {
			broken = append(broken, name+": NOTICE does not name it; add it with its licence")
		}
	}
	return broken
}

func TestNoticeCatches(t *testing.T) {
	notice := "golang.org/x/net, sys\ngithub.com/a/b (MIT)\nuplot (MIT)"
	require.Empty(t, unnoticed(notice, []string{"golang.org/x/sys", "golang.org/x/net", "github.com/a/b/v2", "uplot"}))
	require.Len(t, unnoticed(notice, []string{"golang.org/x/text", "github.com/c/b", "svelte"}), 3)
}
