// Package rtsp is the source that plays an RTSP camera.
//
// RTSP, RTP and SDP are parsed in Go by gortsplib. The source takes H.264, H.265
// and Motion JPEG over TCP or UDP, with basic or digest authentication, and for
// sinks that listen AAC, Opus and G.711. It delivers access units whose time stamps
// start at 0 with each Run: who runs it again after an error adds the offset that
// keeps the timeline of the camera going.
package rtsp

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net/url"
	"time"

	"github.com/bluenviron/gortsplib/v5"

	"detectd/pipeline"
)

// Transport is how RTP packets travel.
type Transport string

// The transports.
const (
	TransportAuto Transport = "auto" // TCP, or UDP when the camera refuses TCP
	TransportTCP  Transport = "tcp"
	TransportUDP  Transport = "udp"
)

// Config says which camera to play and how.
type Config struct {
	URL          string // rtsp:// or rtsps://, without user and password (see ParseURL)
	Username     string
	Password     string
	Transport    Transport     // empty means TransportAuto
	DialTimeout  time.Duration // for the connection, TLS included; 0 means 5 s
	ReadTimeout  time.Duration // for each answer of the camera; 0 means 5 s
	VideoTimeout time.Duration // for the next access unit; 0 means 10 s
	NoSound      bool          // the camera's sound is not even asked for
	TLS          *tls.Config   // for rtsps; nil checks the camera's certificate as usual
	Logger       *slog.Logger  // nil discards
}

// Source plays one camera.
type Source struct {
	cfg Config
	url *url.URL // with the credentials
	log *slog.Logger
	now func() time.Time
}

var _ pipeline.Source = (*Source)(nil)

// New checks cfg and returns a source that connects when it is run. The error is
// a *pipeline.SourceError.
func New(cfg Config) (*Source, error) {
	clean, _, pass, err := ParseURL(cfg.URL)
	if err != nil {
		return nil, err
	}
	if pass != "" || clean != cfg.URL && hasUserinfo(cfg.URL) {
		return nil, badURL("the URL holds a user or password; give them separately")
	}
	u, err := url.Parse(clean)
	if err != nil {
		return nil, badURL("the URL cannot be read")
	}
	fillPassword(u, cfg.Password)
	if cfg.Username != "" || cfg.Password != "" {
		u.User = url.UserPassword(cfg.Username, cfg.Password)
	}
	switch cfg.Transport {
	case "":
		cfg.Transport = TransportAuto
	case TransportAuto, TransportTCP, TransportUDP:
	default:
		return nil, badURL("the transport must be auto, tcp or udp")
	}
	cfg.DialTimeout = orDefault(cfg.DialTimeout, 5*time.Second)
	cfg.ReadTimeout = orDefault(cfg.ReadTimeout, 5*time.Second)
	cfg.VideoTimeout = orDefault(cfg.VideoTimeout, 10*time.Second)
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Source{cfg: cfg, url: u, log: cfg.Logger, now: time.Now}, nil
}

func orDefault(d, otherwise time.Duration) time.Duration {
	if d <= 0 {
		return otherwise
	}
	return d
}

// Run implements pipeline.Source. TCP comes first in TransportAuto because its
// first picture is faster and complete.
func (s *Source) Run(ctx context.Context, sink pipeline.Sink) error {
	protocol := gortsplib.ProtocolTCP
	if s.cfg.Transport == TransportUDP {
		protocol = gortsplib.ProtocolUDP
	}
	err := s.play(ctx, sink, protocol)
	if s.cfg.Transport == TransportAuto && errors.Is(err, errNoTCP) {
		s.log.Info("camera does not offer video over TCP, using UDP")
		err = s.play(ctx, sink, gortsplib.ProtocolUDP)
	}
	return err
}
