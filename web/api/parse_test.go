package api_test

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"detectd/web/api"
)

func TestSlug(t *testing.T) {
	for name, want := range map[string]string{
		"Front Door": "front-door", "  Täst 3 ": "t-st-3", "***": "camera", "": "camera", "a--b": "a-b",
		strings.Repeat("long ", 20): "long-long-long-long-long-long-long-long-long-lon",
	} {
		require.Equal(t, want, api.Slug(name, "camera"))
	}
}

func FuzzSlug(f *testing.F) {
	f.Add("Front Door")
	f.Add("\xff-\x00-ß")
	id := regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,62}$`)
	f.Fuzz(func(t *testing.T, name string) {
		require.Regexp(t, id, api.Slug(name, "camera")+"-1000")
	})
}

func TestURLProblemHoldsNoCredentials(t *testing.T) {
	const raw = "rtsp://viewer:canary@10.0.0.5/x"
	for _, c := range []struct {
		err  error
		want string
	}{
		{fmt.Errorf("port 0 is no port: %w", api.ErrInvalid), "port 0 is no port: invalid"},
		{fmt.Errorf("parse %q: %w", raw, api.ErrInvalid), "the URL cannot be used"},
		{fmt.Errorf("user viewer:canary: %w", api.ErrInvalid), "the URL cannot be used"},
		{fmt.Errorf("password canary: %w", api.ErrInvalid), "the URL cannot be used"},
		{errors.New("anything else"), "the URL cannot be used"},
	} {
		require.Equal(t, c.want, api.URLProblem(c.err, raw))
	}
}

func FuzzURLProblem(f *testing.F) {
	f.Add("rtsp://viewer:canary@10.0.0.5/x")
	f.Add("://:canary@")
	f.Fuzz(func(t *testing.T, raw string) {
		got := api.URLProblem(fmt.Errorf("cannot parse %s: %w", raw, api.ErrInvalid), raw)
		require.Equal(t, "the URL cannot be used", got)
	})
}
