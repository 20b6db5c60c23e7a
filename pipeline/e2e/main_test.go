package e2e

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"detectd/pipeline/decode"
)

// program is the detectd under test, which TestMain builds of the present code.
var program string

func TestMain(m *testing.M) {
	flag.Parse()
	if testing.Short() {
		fmt.Println("whole-program tests are left out with -short")
		os.Exit(0)
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	decode.Quiet()
	dir, err := os.MkdirTemp("", "detectd-e2e-")
	if err == nil {
		// Some tests run the program as another user.
		err = os.Chmod(dir, 0o755) //nolint:gosec // it holds no secrets
	}
	if err == nil {
		err = build(dir)
	}
	defer os.RemoveAll(dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, "build the program to test:", err)
		return 1
	}
	if err := os.Setenv("XDG_CACHE_HOME", filepath.Join(dir, "cache")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := m.Run()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	return code
}

// build leaves the program in dir with everything beside it as `make build` does.
func build(dir string) error {
	root, err := repository()
	if err != nil {
		return err
	}
	for link, target := range map[string]string{"lib": "onnxruntime", "share": "share"} {
		from := filepath.Join(root, "build", target)
		if _, err := os.Stat(from); err != nil {
			return fmt.Errorf("%w: run make build", err)
		}
		if err := os.Symlink(from, filepath.Join(dir, link)); err != nil {
			return err
		}
	}
	args := []string{"build", "-buildvcs=false", "-o", filepath.Join(dir, "detectd")}
	if raceEnabled {
		args = append(args, "-race")
	}
	command := exec.Command("go", append(args, ".")...)
	command.Dir = root
	command.Stderr = os.Stderr
	program = filepath.Join(dir, "detectd")
	return command.Run()
}

// watchSources looks into every folder of the repository, so that `go test`
// knows what the tests depend on and does not take old results for new code. It
// only counts while tests run.
var watchSources = sync.OnceValue(func() error {
	root, err := repository()
	if err != nil {
		return err
	}
	return filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) { // gone since its folder was read
			return nil
		}
		if err != nil || !e.IsDir() || path == root {
			return err
		}
		if name := e.Name(); slices.Contains([]string{"node_modules", "build", "bin", "data"}, name) || name[0] == '.' {
			return fs.SkipDir
		}
		return nil
	})
})

// repository is the folder of go.mod.
func repository() (string, error) {
	dir, err := os.Getwd()
	for err == nil {
		if _, statErr := os.Stat(filepath.Join(dir, "go.mod")); statErr == nil {
			return dir, nil
		}
		if filepath.Dir(dir) == dir {
			return "", errors.New("no go.mod above the tests")
		}
		dir = filepath.Dir(dir)
	}
	return "", err
}
