package rtsp_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"detectd/pipeline"
	"detectd/pipeline/source/rtsp"
)

func TestParseURL(t *testing.T) {
	for _, tc := range []struct{ raw, clean, user, pass string }{
		{"rtsp://10.0.0.9/live", "rtsp://10.0.0.9/live", "", ""},
		{"  rtsp://cam.local:554/a/b?x=1&y=2 ", "rtsp://cam.local:554/a/b?x=1&y=2", "", ""},
		{"RTSPS://Cam", "rtsps://Cam", "", ""},
		{"rtsp://admin:secret@10.0.0.9/live", "rtsp://10.0.0.9/live", "admin", "secret"},
		{"rtsp://admin@10.0.0.9/live", "rtsp://10.0.0.9/live", "admin", ""},
		{"rtsp://admin:p%40ss%2Fw@10.0.0.9/", "rtsp://10.0.0.9/", "admin", "p@ss/w"},
		{"rtsp://admin:p@ss:w@10.0.0.9:8554/", "rtsp://10.0.0.9:8554/", "admin", "p@ss:w"},
		{"rtsp://admin:100%!@10.0.0.9/", "rtsp://10.0.0.9/", "admin", "100%!"},
		{"rtsp://a:b@[fe80::1]:554/x", "rtsp://[fe80::1]:554/x", "a", "b"},
		{"rtsp://h/path@2x", "rtsp://h/path@2x", "", ""},
	} {
		clean, user, pass, err := rtsp.ParseURL(tc.raw)
		require.NoError(t, err, tc.raw)
		require.Equal(t, tc.clean, clean)
		require.Equal(t, tc.user, user)
		require.Equal(t, tc.pass, pass)
	}
}

// badURLs all hold the password "hunter2".
var badURLs = map[string]string{
	"":                                    "empty",
	"http://a:hunter2@h/":                 "rtsp://",
	"a:hunter2@h":                         "rtsp://",
	"rtsp://a:hunter2@":                   "no host",
	"rtsp://a:hunter2@:554/":              "no host",
	"rtsp://a:hunter2@h:0/":               "port",
	"rtsp://a:hunter2@h:70000/":           "port",
	"rtsp://a:hunter2@h:x/":               "port",
	"rtsp://a:hunter2 x@h/":               "spaces",
	"rtsp://a:hunter2@h/\x00":             "control",
	"rtsp://a:hunter2/x@h/":               "%2F",
	"rtsp://a:hunter2#x@h/":               "%23",
	"rtsp://a:hunter2@h/x#y":              "%23",
	"rtsp://a:hunter2@fe80::1/":           "square brackets",
	"rtsp://a:hunter2@[hunter2:]/":        "IP address",
	"rtsp://a:hunter2@h%zz/":              "cannot be read",
	"rtsp://a:hunter2@h/%zz":              "cannot be read",
	"rtsp://" + strings.Repeat("a", 3000): "too long",
}

func TestBadURLs(t *testing.T) {
	for raw, says := range badURLs {
		_, _, _, err := rtsp.ParseURL(raw)
		state, reason := pipeline.StateOf(err)
		require.Equal(t, pipeline.StateBadURL, state, raw)
		require.Contains(t, reason, says, raw)
		require.NotContains(t, err.Error(), "hunter2")
		_, err = rtsp.New(rtsp.Config{URL: raw})
		require.Error(t, err, raw)
		require.NotContains(t, err.Error(), "hunter2")
	}
	_, err := rtsp.New(rtsp.Config{URL: "rtsp://a:hunter2@h/"})
	require.ErrorContains(t, err, "separately")
	require.NotContains(t, err.Error(), "hunter2")
	_, err = rtsp.New(rtsp.Config{URL: "rtsp://@h/"})
	require.Error(t, err)
	_, err = rtsp.New(rtsp.Config{URL: "rtsp://h/", Transport: "pigeon"})
	require.Error(t, err)
}

func FuzzParseURL(f *testing.F) {
	for raw := range badURLs {
		f.Add(raw)
	}
	f.Add("rtsp://user:pass@host:554/path?q=1")
	f.Add("rtsps://[::1]:322/%41")
	f.Fuzz(func(t *testing.T, raw string) {
		clean, _, _, err := rtsp.ParseURL(raw)
		if err != nil {
			require.Empty(t, clean)
			return
		}
		again, user, pass, err := rtsp.ParseURL(clean)
		require.NoError(t, err, "the clean URL %q of %q must be good", clean, raw)
		require.Equal(t, clean, again)
		require.Empty(t, user+pass)
		_, err = rtsp.New(rtsp.Config{URL: clean, Username: "u", Password: "p"})
		require.NoError(t, err)
	})
}
