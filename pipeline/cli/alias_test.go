package cli

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestModelsAliasByRules(t *testing.T) {
	_, data := brightSet(t)
	models := func(args ...string) (int, string, string) {
		return command(t, append([]string{"models", "--data", data}, args...)...)
	}
	code, stdout, stderr := models("rules", "bright@champion")
	require.Zero(t, code, stderr)
	require.Equal(t, "bright@champion\n  self-check: not_failed\n", stdout)
	code, stdout, _ = models("alias", "bright@champion", "1")
	require.Zero(t, code)
	require.Equal(t, "bright@champion is bright@1\n", stdout)

	code, _, stderr = models("rules", "bright@champion", "--self-check", "any", "--max-p95", "10s", "--min-ap", "street=0.3", "--max-loss", "street=0.01", "--max-slowdown", "0")
	require.Zero(t, code, stderr)
	code, stdout, _ = models("rules", "bright@champion", "--max-bytes", "5000000")
	require.Zero(t, code)
	require.Equal(t, "bright@champion\n  self-check: any\n  AP on street: at least 0.300\n  AP on street: at most 0.010 less than that of bright@champion\n"+
		"  p95 of a call: at most 10s\n  p95: at most 0 % more than that of bright@champion\n  size: at most 5000000 bytes\n", stdout)
	code, _, stderr = models("alias", "bright@champion", "1")
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "AP on street: at least 0.300 is wanted, it is not measured; p95 of a call: at most 10000.0 ms is wanted, it is not measured on this machine (")
	code, _, stderr = models("alias", "bright@champion", "1", "--force", "--reason", "the only one")
	require.Zero(t, code, stderr)
	code, stdout, _ = models("rules", "bright@champion", "--clear")
	require.Zero(t, code)
	require.Equal(t, "bright@champion\n  self-check: not_failed\n", stdout)

	for text, args := range map[string][]string{
		"names no alias":   {"alias", "bright", "1"},
		"is reserved":      {"rules", "bright@latest"},
		"needs --reason":   {"alias", "bright@champion", "1", "--force"},
		"--self-check":     {"rules", "bright@champion", "--self-check", "maybe"},
		"after @ comes a ": {"alias", "bright@9x", "1"},
	} {
		code, _, stderr := models(args...)
		require.Equal(t, 2, code, stderr)
		require.Contains(t, stderr, text)
	}
	code, _, stderr = models("alias", "bright@champion", "7")
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "bright@7: not found")
	code, _, stderr = models("rules", "dark@champion")
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "not found")
}
