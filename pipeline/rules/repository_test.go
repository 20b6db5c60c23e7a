package rules

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// module is the name that all of the repository's import paths begin with.
const module = "detectd"

// goPackage is what the rules need of `go list`.
type goPackage struct {
	ImportPath, Name, Dir          string
	GoFiles, CgoFiles, TestGoFiles []string
	IgnoredGoFiles, XTestGoFiles   []string
	Imports                        []string
	Standard, DepOnly, Incomplete  bool
}

// path is the package's folder below the root, empty for the root itself.
func (p goPackage) path() string {
	return strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
}

// sources are the package's files without tests, with their full paths.
func (p goPackage) sources() []string {
	var files []string
	for _, names := range [][]string{p.GoFiles, p.CgoFiles, p.IgnoredGoFiles} {
		for _, name := range names {
			if !strings.HasSuffix(name, "_test.go") {
				files = append(files, filepath.Join(p.Dir, name))
			}
		}
	}
	return files
}

// root is the folder of go.mod.
func root(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	require.NoError(t, err)
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		require.NotEqual(t, filepath.Dir(dir), dir, "no go.mod above the tests")
		dir = filepath.Dir(dir)
	}
}

// packages lists all packages of the module.
func packages(t *testing.T) []goPackage {
	t.Helper()
	command := exec.CommandContext(t.Context(), "go", "list", "-e", "-json", module+"/...")
	command.Dir = root(t)
	var stderr bytes.Buffer
	command.Stderr = &stderr
	out, err := command.Output()
	require.NoError(t, err, stderr.String())

	var list []goPackage
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		err := decoder.Decode(&p)
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		list = append(list, p)
	}
	require.Greater(t, len(list), 10, "go list has lost the packages")
	return list
}

// textFile is a file of the repository; name is its path below the root.
type textFile struct{ name, text string }

// generated marks files that a program wrote, Go's convention for all languages.
var generated = regexp.MustCompile(`(?m)^// Code generated .* DO NOT EDIT\.$`)

func (f textFile) generated() bool {
	return generated.MatchString(f.text[:min(len(f.text), 2000)])
}

// textFiles lists what git tracks, or would track: text files, no lock files.
func textFiles(t *testing.T) []textFile {
	t.Helper()
	dir := root(t)
	command := exec.CommandContext(t.Context(), "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	command.Dir = dir
	out, err := command.Output()
	if err != nil {
		t.Skip("not a git checkout: ", err)
	}
	var files []textFile
	for name := range strings.SplitSeq(strings.TrimRight(string(out), "\x00"), "\x00") {
		text, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
		if errors.Is(err, os.ErrNotExist) {
			continue // deleted, not yet committed
		}
		require.NoError(t, err)
		lock := strings.HasSuffix(name, "go.sum") || strings.HasSuffix(name, "package-lock.json")
		if !lock && !bytes.ContainsRune(text, 0) {
			files = append(files, textFile{name, string(text)})
		}
	}
	require.Greater(t, len(files), 20, "git ls-files has lost the files")
	return files
}

// check fails the test with one line for each broken rule.
func check(t *testing.T, broken []string) {
	t.Helper()
	for _, line := range broken {
		t.Error(line)
	}
}
