package web

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

// contentPolicy lets the page load only what this server serves; data: and
// blob: are for canvases, the player's buffers and its worker.
const contentPolicy = "default-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; worker-src 'self' blob:; " +
	"style-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

// protect puts the protections around a handler, the outermost first: request
// id and access log, panics, headers, host names, other origins, end of streams.
func (s *Server) protect(cfg Config, next http.Handler) http.Handler {
	origins := http.NewCrossOriginProtection()
	origins.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		problem(w, http.StatusForbidden, "changes from pages of another origin are refused")
	}))
	next = s.boundReads(next)
	next = origins.Handler(next)
	next = s.allowHosts(cfg, next)
	next = secure(next)
	next = s.recoverPanics(next)
	return s.logAccess(next)
}

// logAccess gives each request an id and logs it at debug level, without its
// query, header and body.
func (s *Server) logAccess(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := rand.Text()[:12]
		w.Header().Set("X-Request-Id", id)
		rec := &recorder{ResponseWriter: w}
		begin := time.Now()
		defer func() {
			s.log.DebugContext(r.Context(), "request", slog.String("request", id), slog.String("method", r.Method),
				slog.String("path", r.URL.Path), slog.Int("status", rec.status), slog.Int64("bytes", rec.bytes),
				slog.Duration("took", time.Since(begin)))
		}()
		next.ServeHTTP(rec, r)
	})
}

// recoverPanics turns a panic into a 500, or cuts the connection when the
// answer has begun.
func (s *Server) recoverPanics(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			cause := recover()
			if cause == nil {
				return
			}
			rec, _ := w.(*recorder)
			begun := rec != nil && rec.status != 0
			if cause == http.ErrAbortHandler || begun && r.Context().Err() != nil { //nolint:errorlint // the value that net/http documents
				panic(http.ErrAbortHandler) // the reader is gone
			}
			s.log.ErrorContext(r.Context(), "panic in a request", slog.String("request", w.Header().Get("X-Request-Id")),
				slog.String("method", r.Method), slog.String("path", r.URL.Path), slog.Any("panic", cause), slog.String("stack", string(debug.Stack())))
			if begun {
				panic(http.ErrAbortHandler)
			}
			problem(w, http.StatusInternalServerError, "something went wrong inside detectd; its log has the reason")
		}()
		next.ServeHTTP(w, r)
	})
}

// secure sets the headers that every answer carries.
func secure(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", contentPolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin") // other pages cannot show the pictures
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		next.ServeHTTP(w, r)
	})
}

// allowHosts refuses requests made under a foreign name: a page of that name
// could have had its DNS answer changed to this machine.
func (s *Server) allowHosts(cfg Config, next http.Handler) http.Handler {
	allowed := append([]string{"localhost"}, cfg.AllowedHosts...)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := hostname(r.Host)
		ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
		if err == nil && ip.IsLoopback() || slices.ContainsFunc(allowed, func(a string) bool { return strings.EqualFold(a, host) }) {
			next.ServeHTTP(w, r)
			return
		}
		problem(w, http.StatusMisdirectedRequest, "this server is not known by that name: use its address, or add the name to the allowed hosts")
	})
}

// hostname is a Host header without the port and without a final dot.
func hostname(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return strings.TrimSuffix(host, ".")
}

// boundReads ends reads with the server. Reads that are still going on then are streams.
func (s *Server) boundReads(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet || r.Method == http.MethodHead {
			ctx, cancel := context.WithCancel(r.Context())
			defer cancel()
			defer context.AfterFunc(s.reads, cancel)()
			r = r.WithContext(ctx)
		}
		next.ServeHTTP(w, r)
	})
}

// problem answers with problem details (RFC 9457).
func problem(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"title": http.StatusText(status), "status": status, "detail": detail})
}

// recorder remembers what was answered.
type recorder struct {
	http.ResponseWriter
	status int
	bytes  int64
}

// WriteHeader implements http.ResponseWriter.
func (r *recorder) WriteHeader(status int) {
	if r.status == 0 && status >= http.StatusOK {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (r *recorder) Write(p []byte) (int, error) {
	r.begin()
	n, err := r.ResponseWriter.Write(p)
	r.bytes += int64(n)
	return n, err
}

// ReadFrom implements io.ReaderFrom, which lets files be sent by the kernel.
func (r *recorder) ReadFrom(src io.Reader) (int64, error) {
	r.begin()
	n, err := io.Copy(r.ResponseWriter, src)
	r.bytes += n
	return n, err
}

// Flush implements http.Flusher.
func (r *recorder) Flush() {
	r.begin()
	_ = http.NewResponseController(r.ResponseWriter).Flush()
}

// Unwrap is for http.ResponseController.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

func (r *recorder) begin() {
	if r.status == 0 {
		r.status = http.StatusOK
	}
}
