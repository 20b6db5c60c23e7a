package cli

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"detectd/detect/detecttest"
)

// TestModelsLife walks a version from its file to its removal, as a user does.
func TestModelsLife(t *testing.T) {
	_, data := brightSet(t)
	models := func(want int, args ...string) (stdout, stderr string) {
		t.Helper()
		code, stdout, stderr := command(t, append([]string{"models", "--data", data}, args...)...)
		require.Equal(t, want, code, stdout+stderr)
		return stdout, stderr
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "out.onnx")
	stdout, _ := models(0, "export", "bright", path)
	file, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, detecttest.Bright(t), file)
	sum := fmt.Sprintf("%x", sha256.Sum256(file))
	require.Contains(t, stdout, sum)
	_, stderr := models(1, "export", "bright", path)
	require.Contains(t, stderr, "is there already")
	models(0, "export", "bright@1", path, "--force")
	stdout, _ = models(0, "export", "bright@1", "-")
	require.Equal(t, string(file), stdout)
	models(1, "export", "dark", path, "--force")

	_, stderr = models(1, "add", path, "--name", "yard", "--sha256", strings.Repeat("ab", 32))
	require.Contains(t, stderr, "its SHA-256 is "+sum+", not abab")
	_, stderr = models(1, "show", "yard")
	require.Contains(t, stderr, "not found")
	_, stderr = models(2, "add", path, "--sha256", "12")
	require.Contains(t, stderr, "64 hexadecimal digits")
	models(0, "add", path, "--name", "yard", "--sha256", strings.ToUpper(sum))

	models(0, "tag", "yard@1", "detectd.job=train-318", "detectd.dataset=street@7", "--licence", "MIT", "--source", "us")
	stdout, _ = models(0, "show", "yard")
	require.Regexp(t, `licence +MIT`, stdout)
	require.Regexp(t, `made by +job train-318, data set street@7`, stdout)
	_, stderr = models(2, "tag", "yard", "--licence", "MIT")
	require.Contains(t, stderr, "belong to a version")

	models(0, "alias", "yard@champion", "1", "--reason", "the first")
	_, stderr = models(1, "remove", "yard@1")
	require.Contains(t, stderr, "alias champion")
	stdout, _ = models(0, "alias", "yard@champion")
	require.Regexp(t, `version 1 +cli +the first`, stdout)
	models(2, "alias", "yard@champion", "1", "--delete")
	models(0, "alias", "yard@champion", "--delete")
	models(1, "alias", "yard@champion", "--delete")
	stdout, _ = models(0, "alias", "yard@champion")
	require.Contains(t, stdout, "deleted")
	models(1, "alias", "yard@none")

	models(2, "remove", "yard")
	models(2, "remove", "yard@1", "--all")
	models(0, "remove", "yard", "--all")
	models(1, "show", "yard")
	models(1, "remove", "yard", "--all")
	models(0, "export", "bright", path, "--force")
}
