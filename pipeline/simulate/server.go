package simulate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/bluenviron/gortsplib/v5"
	"github.com/bluenviron/gortsplib/v5/pkg/auth"
)

// Config says what the simulator serves.
type Config struct {
	Listen   string   // host:port of RTSP; port 0 picks a free one
	Files    []string // videos and pictures, one camera each
	FPS      float64  // frames per second instead of each file's own rate; 0 keeps it
	Username string   // empty lets everybody in
	Password string
	Auth     string       // "basic" or "digest"; empty offers both
	Logger   *slog.Logger // nil discards
}

// Server plays files as RTSP cameras.
type Server struct {
	cfg     Config
	log     *slog.Logger
	ln      net.Listener
	udp     [2]net.PacketConn // RTP, RTCP
	cameras map[string]*camera
	names   []string
	ready   chan struct{}
	ending  chan struct{} // closed when Run returns
	rtsp    *gortsplib.Server

	mu    sync.Mutex // guards conns
	conns map[*gortsplib.ServerConn]struct{}
}

// New checks the files and binds the ports. The server answers when Run is on.
func New(cfg Config) (*Server, error) {
	if len(cfg.Files) == 0 {
		return nil, errors.New("simulate cameras: no files given")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Server{
		cfg: cfg, log: cfg.Logger, cameras: map[string]*camera{}, ready: make(chan struct{}), ending: make(chan struct{}),
		conns: map[*gortsplib.ServerConn]struct{}{},
	}
	methods, err := authMethods(cfg.Auth)
	if err != nil {
		return nil, err
	}
	for i, name := range uniqueNames(cfg.Files) {
		c, err := newCamera(cfg.Files[i], cfg.FPS)
		if err != nil {
			return nil, err
		}
		s.cameras[name] = c
		s.names = append(s.names, name)
	}
	if err := s.bind(); err != nil {
		return nil, err
	}
	s.rtsp = &gortsplib.Server{
		Handler: &handler{s}, RTSPAddress: s.ln.Addr().String(), AuthMethods: methods,
		UDPRTPAddress: s.udp[0].LocalAddr().String(), UDPRTCPAddress: s.udp[1].LocalAddr().String(),
		Listen:         func(string, string) (net.Listener, error) { return s.ln, nil },
		ListenPacket:   s.listenPacket,
		WriteQueueSize: 1024,
	}
	return s, nil
}

func authMethods(name string) ([]auth.VerifyMethod, error) {
	switch name {
	case "":
		return nil, nil
	case "basic":
		return []auth.VerifyMethod{auth.VerifyMethodBasic}, nil
	case "digest":
		return []auth.VerifyMethod{auth.VerifyMethodDigestMD5}, nil
	}
	return nil, fmt.Errorf("simulate cameras: unknown authentication %q", name)
}

// listenPacket gives gortsplib the sockets that bind opened.
func (s *Server) listenPacket(_, address string) (net.PacketConn, error) {
	for _, pc := range s.udp {
		if pc.LocalAddr().String() == address {
			return pc, nil
		}
	}
	return nil, fmt.Errorf("no socket bound at %s", address)
}

// bind opens the RTSP port and an even UDP port for RTP with the next for RTCP.
func (s *Server) bind() error {
	ln, err := net.Listen("tcp", s.cfg.Listen)
	if err != nil {
		return fmt.Errorf("listen for RTSP: %w", err)
	}
	s.ln = ln
	host, _, err := net.SplitHostPort(ln.Addr().String())
	if err != nil {
		return errors.Join(fmt.Errorf("read address of RTSP: %w", err), ln.Close())
	}
	const attempts = 50
	for range attempts {
		if s.udp, err = udpPair(host); err == nil {
			return nil
		}
	}
	return errors.Join(fmt.Errorf("find two UDP ports in a row: %w", err), ln.Close())
}

func udpPair(host string) (pair [2]net.PacketConn, err error) {
	rtp, err := net.ListenPacket("udp", net.JoinHostPort(host, "0"))
	if err != nil {
		return pair, err
	}
	port := rtp.LocalAddr().(*net.UDPAddr).Port
	if port%2 != 0 {
		return pair, errors.Join(fmt.Errorf("port %d is odd", port), rtp.Close())
	}
	rtcp, err := net.ListenPacket("udp", net.JoinHostPort(host, strconv.Itoa(port+1)))
	if err != nil {
		return pair, errors.Join(err, rtp.Close())
	}
	return [2]net.PacketConn{rtp, rtcp}, nil
}

// URLs are the addresses of the cameras, in the order of Config.Files.
func (s *Server) URLs() []string {
	urls := make([]string, len(s.names))
	addr := s.ln.Addr().(*net.TCPAddr)
	host := addr.IP.String()
	if addr.IP.IsUnspecified() {
		host = "127.0.0.1"
	}
	for i, name := range s.names {
		urls[i] = "rtsp://" + net.JoinHostPort(host, strconv.Itoa(addr.Port)) + "/" + name
	}
	return urls
}

// Ready is closed when Run has coded what had to be coded and answers cameras'
// clients. Clients that come before wait.
func (s *Server) Ready() <-chan struct{} { return s.ready }

// Close frees the ports of a server that never ran.
func (s *Server) Close() error {
	return errors.Join(s.ln.Close(), s.udp[0].Close(), s.udp[1].Close())
}

// Run codes the files that no camera could send as they are, then serves until
// ctx ends. A server runs once.
func (s *Server) Run(ctx context.Context) error {
	for _, name := range s.names {
		c := s.cameras[name]
		began := time.Now()
		if err := c.prepare(ctx); err != nil {
			if ctx.Err() != nil {
				return s.Close()
			}
			return errors.Join(fmt.Errorf("prepare camera %s: %w", name, err), s.Close())
		}
		s.log.Debug("camera prepared", "camera", name, "codec", string(c.format.Codec), "took", time.Since(began).String())
	}
	if err := s.rtsp.Start(); err != nil {
		return errors.Join(fmt.Errorf("start RTSP server: %w", err), s.Close())
	}
	defer s.rtsp.Close()
	defer close(s.ending) // requests that wait for ready keep Close from returning
	for _, c := range s.cameras {
		if err := c.open(s.rtsp); err != nil {
			return err
		}
		defer c.stream.Close()
	}
	close(s.ready)

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	broken := make(chan error, len(s.cameras))
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	for _, c := range s.cameras {
		wg.Go(func() { broken <- c.play(ctx) })
	}
	select {
	case <-ctx.Done():
		return nil
	case err := <-broken:
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("play file: %w", err)
	}
}

// DropClients closes every connection, as a camera that restarts does.
func (s *Server) DropClients() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.Close()
	}
}

// Pause stops all video; connections stay and time goes on.
func (s *Server) Pause() {
	for _, c := range s.cameras {
		c.paused.Store(true)
	}
}

// Resume sends video again after Pause.
func (s *Server) Resume() {
	for _, c := range s.cameras {
		c.paused.Store(false)
	}
}

// Lose leaves out the next n RTP packets of every camera, as a bad network does:
// clients see a gap in the sequence numbers.
func (s *Server) Lose(n int) {
	for _, c := range s.cameras {
		c.lose.Store(int64(n))
	}
}

// SetClock sets the wall clock of every camera, as its sender reports tell it, off
// from the machine's. The video itself goes on as before.
func (s *Server) SetClock(off time.Duration) {
	for _, c := range s.cameras {
		c.shift.Store(int64(off))
	}
}
