package web_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"detectd/store"
	"detectd/store/sqlite"
	"detectd/web"
	"detectd/web/api"
	"detectd/web/api/apitest"
	"detectd/web/health"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// site is the whole server over the real record store, running.
type site struct {
	*apitest.World
	t      *testing.T
	server *web.Server
	client *http.Client
	// stop ends the server and waits; done at the end of the test at the latest.
	stop func()
}

var builtPage = fstest.MapFS{
	"index.html":           {Data: []byte("<!doctype html><title>detectd</title>")},
	"assets/index-a1b2.js": {Data: []byte("export {}")},
	"favicon.svg":          {Data: []byte("<svg/>")},
}

func newSite(t *testing.T, cfg web.Config) *site {
	t.Helper()
	records, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "test.db"), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, records.Close()) })
	s := &site{World: apitest.New(t, records), t: t}
	deps := s.Deps()
	_, err = records.CreateClient(t.Context(), store.Client{ID: "default", Name: "Default"})
	require.NoError(t, err)
	_, err = s.World.Add(t.Context(), api.NewModel{Name: "default"}, strings.NewReader("ONNX default"))
	require.NoError(t, err)
	handler, err := api.New(deps)
	require.NoError(t, err)
	reg := prometheus.NewRegistry()
	reg.MustRegister(health.CameraCollector(s.World))
	checks := []health.Check{{Name: "store", Run: records.Ping}}
	cfg.Listen = "127.0.0.1:0"
	s.server, err = web.New(cfg, handler, health.New(reg, checks, deps.Log), builtPage, deps.Log)
	require.NoError(t, err)
	transport := &http.Transport{}
	s.client = &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.server.Run(ctx) }()
	s.stop = func() {
		if cancel == nil {
			return
		}
		cancel()
		cancel = nil
		require.NoError(t, <-ended)
		transport.CloseIdleConnections()
	}
	t.Cleanup(s.stop)
	return s
}

// do makes a request; headers come in pairs, Host among them.
func (s *site) do(method, path, body string, headers ...string) (*http.Response, string) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, strings.TrimSuffix(s.server.URL(), "/")+path, strings.NewReader(body))
	require.NoError(s.t, err)
	if strings.HasPrefix(body, "{") {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			r.Host = headers[i+1]
		}
		r.Header.Set(headers[i], headers[i+1])
	}
	res, err := s.client.Do(r)
	require.NoError(s.t, err)
	defer res.Body.Close()
	got, err := io.ReadAll(res.Body)
	require.NoError(s.t, err)
	return res, string(got)
}

func TestListenAddresses(t *testing.T) {
	for _, address := range []string{"0.0.0.0:0", ":0", "[::]:0", "192.0.2.1:0", "example.com:80"} {
		_, err := web.New(web.Config{Listen: address}, nil, nil, nil, slog.New(slog.DiscardHandler))
		require.ErrorIs(t, err, web.ErrNotLoopback, address)
		require.ErrorContains(t, err, "access control does not exist yet")
		require.ErrorContains(t, err, address)
	}
	require.ErrorContains(t, web.CheckListen("8080"), "must be host:port")
	require.ErrorContains(t, web.CheckListen("127.0.0.1:99999"), "from 0 to 65535")
	for _, address := range []string{"127.0.0.1:0", "localhost:0", "[::1]:8080", "127.1.2.3:1"} {
		require.NoError(t, web.CheckListen(address))
	}
}

func TestPortTaken(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	address := taken.Addr().String()
	_, err = web.New(web.Config{Listen: address}, nil, nil, nil, slog.New(slog.DiscardHandler))
	require.ErrorContains(t, err, "cannot listen on "+address+": another program has this port")
	require.ErrorContains(t, err, "--listen")
}

func TestCloseWithoutRun(t *testing.T) {
	handler := http.NotFoundHandler()
	s, err := web.New(web.Config{Listen: "127.0.0.1:0"}, handler, handler, nil, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	require.NoError(t, s.Close())
	require.NoError(t, s.Close())
	again, err := net.Listen("tcp", s.Addr())
	require.NoError(t, err)
	require.NoError(t, again.Close())
}

func TestHosts(t *testing.T) {
	s := newSite(t, web.Config{AllowedHosts: []string{"camera.lan"}})
	for host, status := range map[string]int{
		"localhost": 200, "LOCALHOST:99": 200, "localhost.": 200, "127.0.0.1:1": 200, "127.9.9.9": 200, "[::1]:80": 200, "camera.lan:8080": 200,
		"evil.example": 421, "127.0.0.1.evil.example": 421, "localhost.evil.example:80": 421, "192.168.1.5": 421, "10.0.0.1:80": 421,
	} {
		for _, path := range []string{"/", "/healthz", "/metrics", "/api/v1/clients"} {
			res, body := s.do("GET", path, "", "Host", host)
			require.Equal(t, status, res.StatusCode, "%s %s: %s", host, path, body)
		}
	}
}

func TestOtherOrigins(t *testing.T) {
	s := newSite(t, web.Config{})
	const camera = `{"name":"x","url":"rtsp://h/x"}`
	own := strings.TrimSuffix(s.server.URL(), "/")
	for _, headers := range [][]string{
		{"Origin", "http://evil.example"},
		{"Origin", "null"},
		{"Sec-Fetch-Site", "cross-site"},
		{"Sec-Fetch-Site", "same-site"},
		{"Origin", "http://evil.example", "Content-Type", "text/plain"},
	} {
		res, body := s.do("POST", "/api/v1/cameras", camera, headers...)
		require.Equal(t, 403, res.StatusCode, headers)
		require.Contains(t, body, "another origin")
	}
	list, err := s.Records.ListCameras(t.Context(), "")
	require.NoError(t, err)
	require.Empty(t, list)
	res, _ := s.do("POST", "/api/v1/cameras", camera, "Origin", own, "Sec-Fetch-Site", "same-origin")
	require.Equal(t, 201, res.StatusCode)
	res, _ = s.do("DELETE", "/api/v1/cameras/x", "")
	require.Equal(t, 204, res.StatusCode)
	// A body that is not called JSON is not taken for it.
	res, _ = s.do("POST", "/api/v1/cameras", camera, "Content-Type", "text/plain")
	require.Equal(t, 415, res.StatusCode)
}

func TestHeadersOnEveryRoute(t *testing.T) {
	s := newSite(t, web.Config{})
	raw, err := api.OpenAPI()
	require.NoError(t, err)
	var spec struct{ Paths map[string]map[string]any }
	require.NoError(t, json.Unmarshal(raw, &spec))
	requests := [][2]string{
		{"GET", "/"},
		{"GET", "/cameras/door"},
		{"GET", "/assets/index-a1b2.js"},
		{"GET", "/assets/none.js"},
		{"POST", "/"},
		{"GET", "/healthz"},
		{"GET", "/readyz"},
		{"GET", "/metrics"},
		{"GET", "/api/openapi.json"},
		{"GET", "/api/none"},
	}
	for path, methods := range spec.Paths {
		path = strings.NewReplacer("{time}", "latest", "{file}", "index.m3u8", "{recording_id}", "1", "{version}", "1").Replace(path)
		path = strings.NewReplacer("{", "", "}", "").Replace(path)
		for method := range methods {
			if path != "/api/v1/events/stream" {
				requests = append(requests, [2]string{strings.ToUpper(method), path})
			}
		}
	}
	for _, r := range requests {
		res, _ := s.do(r[0], r[1], "")
		for header, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY",
			"Cross-Origin-Resource-Policy": "same-origin", "Cross-Origin-Opener-Policy": "same-origin",
		} {
			require.Equal(t, want, res.Header.Get(header), "%s of %s", header, r)
		}
		policy := res.Header.Get("Content-Security-Policy")
		require.Contains(t, policy, "default-src 'self'", r)
		require.Contains(t, policy, "frame-ancestors 'none'", r)
		require.NotContains(t, policy, "unsafe", r)
		require.NotEmpty(t, res.Header.Get("X-Request-Id"), r)
		if strings.HasPrefix(r[1], "/api/") {
			require.Equal(t, "no-store", res.Header.Get("Cache-Control"), r)
		}
		require.Empty(t, res.Header.Get("Access-Control-Allow-Origin"), r)
	}
}

func TestPage(t *testing.T) {
	s := newSite(t, web.Config{})
	for _, path := range []string{"/", "/index.html", "/cameras/door", "/a/b/c"} {
		res, body := s.do("GET", path, "")
		require.Equal(t, 200, res.StatusCode, path)
		require.Contains(t, body, "<title>detectd</title>")
		require.Equal(t, "no-store", res.Header.Get("Cache-Control"))
		require.Equal(t, "text/html; charset=utf-8", res.Header.Get("Content-Type"))
	}
	res, body := s.do("GET", "/assets/index-a1b2.js", "")
	require.Equal(t, "export {}", body)
	require.Contains(t, res.Header.Get("Cache-Control"), "immutable")
	require.Contains(t, res.Header.Get("Content-Type"), "javascript")
	res, _ = s.do("GET", "/favicon.svg", "")
	require.Equal(t, "no-cache", res.Header.Get("Cache-Control"))
	for _, path := range []string{"/assets/none.js", "/assets/", "/none.png", "/../web_test.go"} {
		res, _ = s.do("GET", path, "")
		require.NotEqual(t, 200, res.StatusCode, path)
	}
	res, _ = s.do("POST", "/", "")
	require.Equal(t, 405, res.StatusCode)
	res, body = s.do("HEAD", "/", "")
	require.Equal(t, 200, res.StatusCode)
	require.Empty(t, body)
}

func TestMissingPage(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	server, err := web.New(web.Config{Listen: "127.0.0.1:0"}, http.NotFoundHandler(), http.NotFoundHandler(), fstest.MapFS{}, log)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }()
	s := &site{t: t, server: server, client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}}
	res, body := s.do("GET", "/", "")
	require.Equal(t, 503, res.StatusCode)
	require.Contains(t, body, "make build")
	cancel()
	require.NoError(t, <-ended)
}

func TestHealth(t *testing.T) {
	s := newSite(t, web.Config{})
	res, body := s.do("GET", "/healthz", "")
	require.Equal(t, 200, res.StatusCode)
	require.Equal(t, "ok", body)
	res, body = s.do("GET", "/readyz", "")
	require.Equal(t, 200, res.StatusCode)
	require.JSONEq(t, `{"ready":true,"checks":{"store":"ok"}}`, body)
}

func TestLongHeadersAreRefused(t *testing.T) {
	s := newSite(t, web.Config{})
	res, _ := s.do("GET", "/api/v1/clients", "", "X-Long", strings.Repeat("x", 80<<10))
	require.Equal(t, http.StatusRequestHeaderFieldsTooLarge, res.StatusCode)
}

func TestSlowHeadersAreCutOff(t *testing.T) {
	s := newSite(t, web.Config{ReadHeaderTimeout: 50 * time.Millisecond})
	conn, err := net.Dial("tcp", s.server.Addr())
	require.NoError(t, err)
	defer conn.Close()
	_, err = conn.Write([]byte("GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: "))
	require.NoError(t, err)
	_, err = io.Copy(io.Discard, conn) // ends when the server closes
	require.NoError(t, err)
}

func TestPanics(t *testing.T) {
	log := &apitest.Log{}
	api := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/late" {
			_, _ = w.Write([]byte("begun"))
			_ = http.NewResponseController(w).Flush()
		}
		panic("the cause")
	})
	server, err := web.New(web.Config{Listen: "127.0.0.1:0"}, api, api, builtPage, slog.New(slog.NewTextHandler(log, nil)))
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }()
	s := &site{t: t, server: server, client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}}
	res, body := s.do("GET", "/api/early", "")
	require.Equal(t, 500, res.StatusCode)
	require.NotContains(t, body, "the cause")
	require.Contains(t, log.String(), "the cause")

	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL()+"api/late", nil)
	require.NoError(t, err)
	res, err = s.client.Do(r)
	require.NoError(t, err)
	_, err = io.ReadAll(res.Body)
	require.Error(t, err) // cut off, so that half an answer is not taken for a whole one
	require.NoError(t, res.Body.Close())
	cancel()
	require.NoError(t, <-ended)
}

func TestStreamsEndWithTheServer(t *testing.T) {
	s := newSite(t, web.Config{})
	res, _ := s.do("POST", "/api/v1/cameras", `{"name":"door","url":"rtsp://h/x"}`)
	require.Equal(t, 201, res.StatusCode)
	open := func(path string) io.ReadCloser {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.server.URL()+path, nil)
		require.NoError(t, err)
		res, err := s.client.Do(r)
		require.NoError(t, err)
		require.Equal(t, 200, res.StatusCode)
		return res.Body
	}
	events := open("api/v1/events/stream")
	defer events.Close()
	pictures := open("api/v1/cameras/door/live.mjpeg")
	defer pictures.Close()
	line, err := bufio.NewReader(events).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "event: health\n", line)
	s.stop()
	_, err = io.ReadAll(events)
	require.NoError(t, err)
	_, err = io.ReadAll(pictures)
	require.NoError(t, err)
}
