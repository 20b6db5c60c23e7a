package web_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"detectd/store"
	"detectd/web"
	"detectd/web/api"
)

// canary is a camera password; its escaped form looks different.
const canary = "canary-p@ss/word"

// TestPasswordsNeverComeBack gives a password in every way there is, makes each
// kind of error with it in the request, reads every route, and looks for it in
// all answers, headers and logs.
func TestPasswordsNeverComeBack(t *testing.T) {
	s := newSite(t, web.Config{})
	var seen strings.Builder
	send := func(method, path, body string, headers ...string) int {
		res, text := s.do(method, path, body, headers...)
		head, err := httputil.DumpResponse(res, false)
		require.NoError(t, err)
		fmt.Fprintf(&seen, "%s %s\n%s%s\n", method, path, head, text)
		return res.StatusCode
	}
	escaped := url.QueryEscape(canary)
	inURL := "rtsp://viewer:" + escaped + "@10.0.0.5/stream"
	const cameras = "/api/v1/cameras"

	require.Equal(t, 201, send("POST", cameras, `{"name":"a","url":"`+inURL+`"}`))
	require.Equal(t, 201, send("POST", cameras, `{"name":"b","url":"rtsp://h/x","username":"u","password":"`+canary+`"}`))
	require.Equal(t, 200, send("PUT", cameras+"/a", `{"name":"a","url":"`+inURL+`","password":"`+canary+`"}`))
	require.Equal(t, 412, send("PUT", cameras+"/a", `{"name":"a","url":"`+inURL+`","password":"`+canary+`"}`, "If-Match", `"1"`))
	require.Equal(t, 409, send("POST", cameras, `{"id":"a","name":"a","url":"`+inURL+`"}`))
	stored, err := s.Records.Camera(t.Context(), "a")
	require.NoError(t, err)
	require.Equal(t, store.Secret(canary), stored.Password)

	for _, body := range []string{
		`{"url":"` + inURL + `"}`,                                                  // no name: the error is about the body
		`{"name":"x","url":"` + inURL + `","password":"` + canary,                  // not JSON
		`{"name":"x","url":"` + inURL + `","unknown":"` + canary + `"}`,            // unknown member
		`{"name":"x","url":["` + inURL + `"]}`,                                     // wrong type
		`{"name":"x","url":"rtsp://h/x","password":{"is":"` + canary + `"}}`,       // wrong type
		`{"name":"x","url":"rtsp://h/x","password":["` + canary + `"]}`,            // wrong type
		`{"name":"x","url":"http://viewer:` + escaped + `@h/x"}`,                   // bad scheme
		`{"name":"x","url":"rtsp://viewer:` + escaped + `@h:port/x"}`,              // not parsable
		`{"name":"x","url":"rtsp://viewer:` + escaped + `@careless"}`,              // an error that repeats the URL
		`{"name":"x","url":"` + inURL + `","client_id":"nobody"}`,                  // unknown client
		`{"name":"x","url":"` + inURL + `","transport":"` + canary[:6] + `"}`,      // bad enum beside it
		`{"name":"x","url":"rtsp://h/x","username":7,"password":"` + canary + `"}`, // wrong type beside it
		`{"name":"x","url":"` + inURL + strings.Repeat("x", 2048) + `"}`,           // too long
		`{"name":"x","url":"rtsp://h","password":"` + canary + strings.Repeat("x", 200) + `"}`,
		`"` + canary + `"`,
		`["` + canary + `"]`,
	} {
		for _, r := range [][2]string{{"POST", cameras}, {"PUT", cameras + "/a"}} {
			status := send(r[0], r[1], body, "Content-Type", "application/json")
			require.Contains(t, []int{400, 422}, status, "%s %s", r[0], body)
		}
	}
	require.Equal(t, 415, send("POST", cameras, `{"name":"x","url":"`+inURL+`"}`, "Content-Type", "text/plain"))
	require.Equal(t, 403, send("POST", cameras, `{"name":"x","url":"`+inURL+`"}`, "Origin", "http://evil.example"))
	require.Equal(t, 413, send("POST", cameras, `{"name":"x","url":"`+inURL+`","password":"`+canary+strings.Repeat("x", 1<<20)+`"}`))

	raw, err := api.OpenAPI()
	require.NoError(t, err)
	var spec struct{ Paths map[string]map[string]any }
	require.NoError(t, json.Unmarshal(raw, &spec))
	fill := strings.NewReplacer("{camera_id}", "a", "{client_id}", "default", "{time}", "latest", "{file}", "index.m3u8",
		"{model_name}", "default", "{recording_id}", "1", "{track_id}", "t", "{result_id}", "r", "{version}", "1")
	for path, methods := range spec.Paths {
		if _, reads := methods["get"]; reads && !strings.HasSuffix(path, "/stream") && !strings.HasSuffix(path, ".mjpeg") {
			send(http.MethodGet, fill.Replace(path)+"?camera_id=a", "")
			send(http.MethodGet, fill.Replace(path), "")
		}
	}
	for _, path := range []string{"/metrics", "/readyz", "/", "/api/openapi.json"} {
		send(http.MethodGet, path, "")
	}
	require.Equal(t, 204, send("DELETE", cameras+"/a", ""))

	s.stop()
	for _, secret := range []string{canary, escaped, url.PathEscape(canary), "canary-p"} {
		require.NotContains(t, seen.String(), secret)
		require.NotContains(t, s.Log.String(), secret)
	}
	require.Contains(t, s.Log.String(), "msg=request") // the access log was there to be looked at
}
