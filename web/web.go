// Package web is the HTTP server: the page, the API below /api, health and
// metrics, behind one chain of protections (see middleware.go).
//
// There is no access control yet, so it listens on loopback addresses only.
package web

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"syscall"
	"time"
)

// ErrNotLoopback is returned for an address that other machines could reach.
var ErrNotLoopback = errors.New("only loopback addresses are allowed, because access control does not exist yet: use 127.0.0.1 or [::1], and an SSH tunnel to reach it from elsewhere")

// Config is what the server is built with.
type Config struct {
	Listen            string        // host:port, loopback only; port 0 takes any free one
	Listener          net.Listener  // what Listen gave for it; nil binds it
	AllowedHosts      []string      // names beside loopback under which it may be asked, without ports
	ReadHeaderTimeout time.Duration // 0 takes 5 s
	// Handlers serve further paths, by pattern of net/http.
	Handlers map[string]http.Handler
}

const (
	defaultReadHeaderTimeout = 5 * time.Second
	idleTimeout              = 2 * time.Minute
	maxHeaderBytes           = 64 << 10
	// readGrace is how long reads may go on when the server stops. Reads that
	// take longer are streams, which would never end by themselves.
	readGrace = 200 * time.Millisecond
	// shutdownGrace is how long changes and uploads may go on.
	shutdownGrace = 10 * time.Second
)

// Server serves the page and the API. Make it with New, which binds the port,
// then call Run; call Close instead when Run is not going to be called.
type Server struct {
	log      *slog.Logger
	listener net.Listener
	http     *http.Server
	// reads ends when streams have to.
	reads    context.Context
	endReads context.CancelFunc
}

// CheckListen says whether the server would take the address.
func CheckListen(address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("listen address %q must be host:port, as in 127.0.0.1:8080", address)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Errorf("cannot listen on %s: port %q is not a number from 0 to 65535", address, port)
	}
	if host == "localhost" {
		return nil
	}
	if ip, err := netip.ParseAddr(host); err != nil || !ip.IsLoopback() {
		return fmt.Errorf("cannot listen on %s: %w", address, ErrNotLoopback)
	}
	return nil
}

// Listen binds an address that CheckListen accepts.
func Listen(address string) (net.Listener, error) {
	if err := CheckListen(address); err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("cannot listen on %s: another program has this port; stop it, or choose another address with --listen (port 0 takes any free one)", address)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s: %w", address, err)
	}
	return listener, nil
}

// New binds the address, unless that is done. api serves everything below /api; health serves
// /healthz, /readyz and /metrics; ui holds the built page and may be nil or
// empty, which shows how to build it.
func New(cfg Config, api, health http.Handler, ui fs.FS, log *slog.Logger) (*Server, error) {
	listener := cfg.Listener
	if listener == nil {
		var err error
		if listener, err = Listen(cfg.Listen); err != nil {
			return nil, err
		}
	}
	if cfg.ReadHeaderTimeout == 0 {
		cfg.ReadHeaderTimeout = defaultReadHeaderTimeout
	}
	s := &Server{log: log, listener: listener}
	s.reads, s.endReads = context.WithCancel(context.Background())
	s.http = &http.Server{
		Handler:           s.protect(cfg, routes(cfg.Handlers, api, health, ui)),
		ReadHeaderTimeout: cfg.ReadHeaderTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	return s, nil
}

func routes(more map[string]http.Handler, api, health http.Handler, ui fs.FS) http.Handler {
	mux := http.NewServeMux()
	for pattern, handler := range more {
		mux.Handle(pattern, handler)
	}
	mux.Handle("/api/", api)
	for _, path := range []string{"/healthz", "/readyz", "/metrics"} {
		mux.Handle(path, health)
	}
	mux.Handle("/", page(ui))
	return mux
}

// Addr is the address the server listens on, with the port in fact taken.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// URL is the address of the page.
func (s *Server) URL() string { return "http://" + s.Addr() + "/" }

// Close frees the port at once, ending requests. Idempotent.
func (s *Server) Close() error {
	s.endReads()
	// Serve has to see the listener for the server to close it.
	return errors.Join(ignoreClosed(s.http.Close()), ignoreClosed(s.listener.Close()))
}

// Run serves until ctx ends, then lets changes and uploads finish and ends streams.
func (s *Server) Run(ctx context.Context) error {
	served := make(chan error, 1)
	go func() { served <- s.http.Serve(s.listener) }()
	select {
	case err := <-served:
		return errors.Join(fmt.Errorf("serve %s: %w", s.Addr(), err), s.Close())
	case <-ctx.Done():
	}
	streams := time.AfterFunc(readGrace, s.endReads)
	defer streams.Stop()
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownGrace)
	defer cancel()
	err := s.http.Shutdown(grace)
	if end := <-served; !errors.Is(end, http.ErrServerClosed) {
		return errors.Join(fmt.Errorf("serve %s: %w", s.Addr(), end), s.Close())
	}
	if err != nil {
		s.log.Warn("requests were cut off at the end", slog.Any("error", err))
	}
	return s.Close()
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
