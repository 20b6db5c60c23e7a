// Package health answers whether the daemon lives (/healthz), whether it can do
// its work (/readyz), and how it is doing (/metrics, for Prometheus).
package health

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// checkTimeout is how long one check may take.
const checkTimeout = 2 * time.Second

// Check is one thing that must work for the daemon to be ready.
type Check struct {
	Name string                          // key in the answer of /readyz: store, bus, detector, …
	Run  func(ctx context.Context) error // its error's text is shown, so it holds no secret
}

// Degraded is the error of a check that passes and still has something to tell: it is
// shown, and the daemon is ready.
type Degraded string

// Error implements error.
func (d Degraded) Error() string { return "degraded: " + string(d) }

// New returns the handler of /healthz, /readyz and /metrics.
func New(reg *prometheus.Registry, checks []Check, log *slog.Logger) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		_, _ = w.Write([]byte("ok"))
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) { ready(w, r, checks, log) })
	mux.Handle("GET /metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn), ErrorHandling: promhttp.ContinueOnError,
	}))
	return mux
}

// ready runs all checks side by side.
func ready(w http.ResponseWriter, r *http.Request, checks []Check, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(r.Context(), checkTimeout)
	defer cancel()
	errs := make([]error, len(checks))
	var wg sync.WaitGroup
	for i, c := range checks {
		wg.Go(func() { errs[i] = c.Run(ctx) })
	}
	wg.Wait()
	answer := struct {
		Ready    bool              `json:"ready"`
		Degraded bool              `json:"degraded,omitempty"` // it works, but not all of it
		Checks   map[string]string `json:"checks"`
	}{Ready: true, Checks: map[string]string{}}
	for i, c := range checks {
		answer.Checks[c.Name] = "ok"
		if errs[i] != nil {
			_, soft := errors.AsType[Degraded](errs[i])
			answer.Ready = answer.Ready && soft
			answer.Degraded = answer.Degraded || soft
			answer.Checks[c.Name] = errs[i].Error()
			log.Warn("not ready", slog.String("check", c.Name), slog.Any("error", errs[i]))
		}
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if !answer.Ready {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(answer)
}
