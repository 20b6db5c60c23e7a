package api_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"detectd/web/api"
)

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
