package pull

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// content is the file of these tests: its parts are told apart.
var content = func() []byte {
	out := make([]byte, 3<<20)
	for i := range out {
		out[i] = byte(i / 4093)
	}
	return out
}()

func sumOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// serve answers as http.ServeContent does, but for what a test does to it.
func serve(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	return s.URL + "/model.onnx"
}

func plain(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("ETag", `"one"`)
	http.ServeContent(w, r, "model.onnx", time.Time{}, bytes.NewReader(content))
}

// cut sends the head of an answer that promises all, and ends the connection after n bytes.
func cut(w http.ResponseWriter, r *http.Request, n int) {
	w.Header().Set("ETag", `"one"`)
	w.Header().Set("Content-Length", fmt.Sprint(len(content)))
	_, _ = w.Write(content[:n]) // the client may be gone
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

func fetcher() *Fetcher {
	return &Fetcher{Client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}, Pause: time.Millisecond, Stall: 5 * time.Second}
}

func file(t *testing.T, address string) File {
	t.Helper()
	return File{URL: address, SHA256: sumOf(content), MaxBytes: 10 << 20, Dir: t.TempDir()}
}

func requireWhole(t *testing.T, got Fetched) {
	t.Helper()
	data, err := os.ReadFile(got.Path)
	require.NoError(t, err)
	require.True(t, bytes.Equal(content, data))
	require.Equal(t, sumOf(content), got.SHA256)
	require.EqualValues(t, len(content), got.Bytes)
}

func TestFetch(t *testing.T) {
	f := file(t, serve(t, plain))
	var last, most int64
	f.Progress = func(done, total int64) {
		require.Greater(t, done, last)
		last, most = done, total
	}
	got, err := fetcher().Fetch(t.Context(), f)
	require.NoError(t, err)
	requireWhole(t, got)
	require.EqualValues(t, len(content), last)
	require.EqualValues(t, len(content), most)
	left, err := os.ReadDir(f.Dir)
	require.NoError(t, err)
	require.Len(t, left, 1, "only the file")
}

// TestGoesOn: connections that end early or stall cost a request, not the file.
func TestGoesOn(t *testing.T) {
	for name, wrong := range map[string]func(w http.ResponseWriter, r *http.Request){
		"ends early": func(w http.ResponseWriter, r *http.Request) { cut(w, r, 1<<20) },
		"stalls": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("ETag", `"one"`)
			w.Header().Set("Content-Length", fmt.Sprint(len(content)))
			_, _ = w.Write(content[:1<<20])
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		},
		"busy": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "later", http.StatusServiceUnavailable) },
	} {
		t.Run(name, func(t *testing.T) {
			var n atomic.Int32
			var ranged atomic.Bool
			f := file(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
				if n.Add(1) <= 2 {
					wrong(w, r)
					return
				}
				ranged.Store(r.Header.Get("Range") == "bytes=1048576-" && r.Header.Get("If-Range") == `"one"`)
				plain(w, r)
			}))
			fetcher := fetcher()
			if name == "stalls" {
				fetcher.Stall = 300 * time.Millisecond
			}
			got, err := fetcher.Fetch(t.Context(), f)
			require.NoError(t, err)
			requireWhole(t, got)
			require.Equal(t, name != "busy", ranged.Load(), "it went on where it had ended")
		})
	}
}

// TestNextFetchGoesOn: what a fetch that was given up has left is used.
func TestNextFetchGoesOn(t *testing.T) {
	var good atomic.Bool
	var asked atomic.Value
	f := file(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		if good.Load() {
			asked.Store(r.Header.Get("Range"))
			plain(w, r)
			return
		}
		if r.Header.Get("Range") != "" {
			http.Error(w, "no", http.StatusBadGateway)
			return
		}
		cut(w, r, 1<<20)
	}))
	_, err := fetcher().Fetch(t.Context(), f)
	require.ErrorContains(t, err, "the next pull goes on from there")
	good.Store(true)
	got, err := fetcher().Fetch(t.Context(), f)
	require.NoError(t, err)
	requireWhole(t, got)
	require.Equal(t, "bytes=1048576-", asked.Load())
}

// TestFileThatChangesMeanwhile begins anew, by ETag and, where the server does not
// heed that, by the checksum.
func TestFileThatChangesMeanwhile(t *testing.T) {
	old := bytes.Repeat([]byte{7}, len(content))
	for name, handler := range map[string]http.HandlerFunc{
		"another ETag": plain,
		"no ETag, another part": func(w http.ResponseWriter, r *http.Request) {
			r.Header.Del("If-Range")
			plain(w, r)
		},
		"another size": func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Range") != "" {
				w.Header().Set("Content-Range", "bytes 1048576-2097151/2097152")
				w.WriteHeader(http.StatusPartialContent)
				return
			}
			plain(w, r)
		},
		"another part than asked for": func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Range") != "" {
				w.Header().Set("Content-Range", fmt.Sprintf("bytes 0-%d/%d", len(content)-1, len(content)))
				w.WriteHeader(http.StatusPartialContent)
				_, _ = w.Write(content)
				return
			}
			plain(w, r)
		},
	} {
		t.Run(name, func(t *testing.T) {
			var n atomic.Int32
			f := file(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
				if n.Add(1) > 1 {
					handler(w, r)
					return
				}
				w.Header().Set("ETag", `"zero"`)
				w.Header().Set("Content-Length", fmt.Sprint(len(old)))
				_, _ = w.Write(old[:1<<20])
				_ = http.NewResponseController(w).Flush()
				panic(http.ErrAbortHandler)
			}))
			got, err := fetcher().Fetch(t.Context(), f)
			require.NoError(t, err)
			requireWhole(t, got)
		})
	}
}

func TestRefused(t *testing.T) {
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		change  func(*File)
		text    string
	}{
		"another file":  {plain, func(f *File) { f.SHA256 = strings.Repeat("0", 64) }, "not 0000"},
		"a web page":    {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<!DOCTYPE html><p>Sign in")) }, nil, "a web page"},
		"nothing there": {http.NotFound, nil, "404"},
		"too large":     {plain, func(f *File) { f.MaxBytes = 1 << 20 }, "more than the 1048576"},
		"too large, and does not say so": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/octet-stream")
			_ = http.NewResponseController(w).Flush()
			_, _ = w.Write(content)
		}, func(f *File) { f.MaxBytes = 1 << 20 }, "more than the 1048576"},
		"proxy":      {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusProxyAuthRequired) }, nil, "HTTPS_PROXY="},
		"no address": {plain, func(f *File) { f.URL = "ftp://user:secret@host/x" }, "it begins with https://"},
		"always busy": {func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "later", http.StatusServiceUnavailable)
		}, nil, "503"},
	} {
		t.Run(name, func(t *testing.T) {
			f := file(t, serve(t, c.handler))
			if c.change != nil {
				c.change(&f)
			}
			_, err := fetcher().Fetch(t.Context(), f)
			require.ErrorContains(t, err, c.text)
			require.NotContains(t, err.Error(), "secret")
			require.NotContains(t, err.Error(), "\n")
			if name == "another file" {
				require.ErrorIs(t, err, ErrChanged)
			}
		})
	}
}

// TestClosedNetwork says in one line what is wrong and what helps.
func TestClosedNetwork(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(plain))
	s.Close() // its port refuses connections now
	_, err := fetcher().Fetch(t.Context(), file(t, s.URL+"/model.onnx"))
	require.ErrorIs(t, err, ErrUnreachable)
	require.ErrorContains(t, err, "HTTPS_PROXY=")
	require.Equal(t, 1, strings.Count(err.Error(), "model.onnx"), "%v", err)
}

// TestThroughProxy goes through a proxy for what is not reached otherwise.
func TestThroughProxy(t *testing.T) {
	var asked atomic.Value
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Store(r.URL.String())
		plain(w, r)
	}))
	t.Cleanup(proxy.Close)
	at, err := url.Parse(proxy.URL)
	require.NoError(t, err)
	fetcher := fetcher()
	fetcher.Client = &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(at), DisableKeepAlives: true}}
	got, err := fetcher.Fetch(t.Context(), file(t, "http://models.invalid/model.onnx"))
	require.NoError(t, err)
	requireWhole(t, got)
	require.Equal(t, "http://models.invalid/model.onnx", asked.Load())
}

func TestStopped(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	f := file(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	}))
	_, err := fetcher().Fetch(ctx, f)
	require.ErrorIs(t, err, context.Canceled)
}

// TestNotToPlainHTTP follows redirects, but not to where anybody can change the file.
func TestNotToPlainHTTP(t *testing.T) {
	target := serve(t, plain)
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, target, http.StatusFound)
	}))
	t.Cleanup(s.Close)
	f := fetcher()
	client := (&Fetcher{}).client()
	client.Transport = s.Client().Transport
	t.Cleanup(client.CloseIdleConnections)
	f.Client = client
	_, err := f.Fetch(t.Context(), file(t, s.URL+"/model.onnx"))
	require.ErrorContains(t, err, "not encrypted")

	got, err := fetcher().Fetch(t.Context(), file(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, target, http.StatusFound)
	})))
	require.NoError(t, err)
	requireWhole(t, got)
}

func TestCatalogue(t *testing.T) {
	seen := map[string]bool{}
	last := int64(0)
	for _, e := range Catalogue() {
		require.False(t, seen[e.Name], e.Name)
		seen[e.Name] = true
		require.Len(t, e.SHA256, 64, e.Name)
		require.True(t, strings.HasPrefix(e.URL, "https://"), e.Name)
		require.NotContains(t, e.URL, "/main/", "%s: an address that does not change", e.Name)
		require.Contains(t, []string{"Apache-2.0", "MIT", "BSD-3-Clause"}, e.Licence, e.Name)
		require.Greater(t, e.Bytes, last, "the smallest first")
		last = e.Bytes
		found, ok := Find(e.Name)
		require.True(t, ok)
		require.Equal(t, e, found)
	}
	_, ok := Find("none")
	require.False(t, ok)
}
