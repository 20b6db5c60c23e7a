package rtsp

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bluenviron/gortsplib/v5"
	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/bluenviron/gortsplib/v5/pkg/description"
	"github.com/bluenviron/gortsplib/v5/pkg/format"
	"github.com/bluenviron/gortsplib/v5/pkg/liberrors"
	"github.com/pion/rtp"

	"detectd/pipeline"
)

var (
	errSilent   = errors.New("camera is silent")
	errRedirect = errors.New("redirect refused")
)

// maxRedirects bounds how often a camera may send us on.
const maxRedirects = 3

// session is one connection to a camera. Its timer ends it when the camera is
// silent: gortsplib's own time-outs have a granularity of a second and count any
// packet, not only video.
type session struct {
	*Source
	client    *gortsplib.Client
	timer     *time.Timer
	playing   atomic.Bool
	redirects int
	foreign   bool // the camera tried to send us to another host, or round in circles

	login      login
	asked      *base.Request // the newest request
	life       int           // of the RTSP session in seconds
	noGetParam bool          // the camera refuses GET_PARAMETER
	since      time.Time     // when playing began; owned by the goroutine that reads packets
	stage      atomic.Int32  // how far the video came

	media      sync.Mutex // over UDP, packets of sound and of video come from two goroutines
	wantsSound bool
	soundAsked bool // sound was set up, or tried to be
	accepted   bool // PLAY was
}

// How far the video of a session came, from the first packet to a picture.
const (
	stageNothing = iota
	stagePackets // packets that make no picture
	stageNoKey   // pictures, but none to start with
	stageNoSets  // key pictures without the parameter sets
	stageVideo
)

// reach notes how far the video came.
func (ss *session) reach(stage int32) {
	if ss.stage.Load() < stage {
		ss.stage.Store(stage)
	}
}

// play runs a session, and another without sound when asking for it may be what
// broke the first.
func (s *Source) play(ctx context.Context, sink pipeline.Sink, protocol gortsplib.Protocol) error {
	suspect, err := s.session(ctx, sink, protocol, !s.cfg.NoSound)
	if suspect && ctx.Err() == nil {
		s.log.Warn("the camera fails when it is asked for its sound, playing without", "error", err)
		_, err = s.session(ctx, sink, protocol, false)
	}
	return err
}

func (s *Source) session(parent context.Context, sink pipeline.Sink, protocol gortsplib.Protocol, sound bool) (suspect bool, err error) {
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	ss := &session{Source: s, login: login{cnonce: newCnonce}, wantsSound: sound}
	if s.url.User != nil {
		ss.login.user = s.url.User.Username()
		ss.login.password, _ = s.url.User.Password()
	}
	ss.timer = time.AfterFunc(s.cfg.DialTimeout, func() { cancel(errSilent) })
	defer ss.timer.Stop()
	ss.client = ss.newClient(protocol)
	if err := ss.client.Start(); err != nil {
		return false, failed("the RTSP client did not start", err)
	}
	closed := make(chan struct{})
	context.AfterFunc(ctx, func() { ss.client.Close(); close(closed) })

	err = ss.run(sink)
	silent := errors.Is(context.Cause(ctx), errSilent)
	cancel(nil)
	<-closed
	suspect = ss.soundAsked && !ss.accepted
	switch {
	case parent.Err() != nil:
		return false, nil
	case ss.foreign:
		return false, &pipeline.SourceError{
			State: pipeline.StateBadURL, Err: errRedirect,
			Reason: "the camera redirects to another address; enter that address if you trust it",
		}
	case silent:
		return suspect, ss.silence(err)
	}
	return suspect, ss.explain(err)
}

func (ss *session) silence(err error) *pipeline.SourceError {
	reason := "the camera did not answer in time"
	if ss.playing.Load() {
		reason = map[int32]string{
			stageNothing: "the camera answers but sends no video",
			stagePackets: "the camera sends video that cannot be read",
			stageNoKey:   "the camera sends no key frame; set its key frame interval to a few seconds",
			stageNoSets:  "the camera does not say how its video is coded (no SPS and PPS)",
			stageVideo:   "the camera stopped sending video",
		}[ss.stage.Load()]
	}
	return &pipeline.SourceError{State: pipeline.StateTimeout, Reason: reason, Err: errors.Join(errSilent, err)}
}

// run goes through DESCRIBE, SETUP and PLAY and returns when the connection ends.
func (ss *session) run(sink pipeline.Sink) error {
	var desc *description.Session
	err := ss.again(func() (err error) {
		desc, _, err = ss.client.Describe((*base.URL)(ss.url))
		return err
	})
	if err != nil {
		return err
	}
	media, forma, err := chooseVideo(desc)
	if err != nil {
		return err
	}
	a, err := newAssembler(forma, sink, ss)
	if err != nil {
		return err
	}
	err = ss.again(func() error {
		_, err := ss.client.Setup(desc.BaseURL, media, 0, 0)
		return err
	})
	if err != nil {
		return err
	}
	ss.client.OnPacketRTCP(media, a.reports.packet)
	ss.client.OnPacketRTP(media, forma, func(pkt *rtp.Packet) {
		ss.media.Lock()
		defer ss.media.Unlock()
		a.packet(pkt)
	})
	if listening, ok := sink.(pipeline.SoundSink); ok {
		ss.listen(desc, listening, a)
	}
	err = ss.again(func() error {
		_, err := ss.client.Play(nil)
		return err
	})
	if err != nil {
		return err
	}
	ss.accepted = true
	if !ss.playing.Swap(true) {
		ss.timer.Reset(ss.cfg.VideoTimeout)
	}
	err = ss.client.Wait()
	if a.open {
		a.lost(0, 1) // its end never came
	}
	return err
}

// listen sets the sound up beside the video, and says why there is none. Whatever
// goes wrong with it, the video goes on, unless the connection ends.
func (ss *session) listen(desc *description.Session, sink pipeline.SoundSink, video *assembler) {
	if !ss.wantsSound {
		f := pipeline.SoundFormat{}
		if !ss.cfg.NoSound {
			f.Missing = "the camera fails when it is asked for its sound"
		}
		sink.SoundFormat(f)
		return
	}
	media, forma, c, missing := chooseSound(desc)
	if c == nil {
		sink.SoundFormat(pipeline.SoundFormat{Missing: missing})
		return
	}
	ss.soundAsked = true
	err := ss.again(func() error {
		_, err := ss.client.Setup(desc.BaseURL, media, 0, 0)
		return err
	})
	if err != nil {
		ss.log.Warn("the camera does not give its sound", "error", err)
		sink.SoundFormat(pipeline.SoundFormat{Missing: "the camera offers sound and does not give it"})
		return
	}
	l := newListener(c, sink, ss, video)
	sink.SoundFormat(c.format)
	l.format = c.format
	ss.client.OnPacketRTCP(media, l.reports.packet)
	ss.client.OnPacketRTP(media, forma, func(pkt *rtp.Packet) {
		ss.media.Lock()
		defer ss.media.Unlock()
		l.packet(pkt)
	})
}

// again makes a request once more whose login was refused because it had run out.
func (ss *session) again(request func() error) error {
	err := request()
	if status, ok := errors.AsType[liberrors.ErrClientBadStatusCode](err); ok &&
		status.Code == base.StatusUnauthorized && ss.login.renewed {
		err = request()
	}
	return err
}

// keyPatience is how many VideoTimeouts a camera has for its first key frame.
const keyPatience = 6

// alive says that a picture came: the camera has VideoTimeout for the next. While
// pictures cannot be shown, that goes on for a while only.
func (ss *session) alive(shown bool) {
	ss.playing.Store(true)
	if ss.since.IsZero() {
		ss.since = ss.now()
	}
	if shown || ss.now().Sub(ss.since) < (keyPatience-1)*ss.cfg.VideoTimeout {
		ss.timer.Reset(ss.cfg.VideoTimeout)
	}
}

func (ss *session) newClient(protocol gortsplib.Protocol) *gortsplib.Client {
	// Longer than any time-out of ours, which come first and say more.
	patience := ss.cfg.DialTimeout + ss.cfg.ReadTimeout + ss.cfg.VideoTimeout + 10*time.Second
	return &gortsplib.Client{
		Scheme:            ss.url.Scheme,
		Host:              ss.url.Host,
		Protocol:          &protocol,
		ReadTimeout:       patience,
		WriteTimeout:      ss.cfg.ReadTimeout,
		UserAgent:         "detectd",
		DialContext:       ss.dial,
		DialTLSContext:    ss.dialTLS,
		OnRequest:         ss.onRequest,
		OnResponse:        ss.onResponse,
		OnTransportSwitch: func(error) {},
		OnPacketsLost:     func(uint64) {}, // the assembler counts by itself
		OnDecodeError:     func(err error) { ss.log.Debug("camera sent a broken packet", "error", err) },
	}
}

// onRequest logs in.
func (ss *session) onRequest(req *base.Request) {
	if req.Method == base.GetParameter && ss.noGetParam {
		req.Method = base.Options
	}
	ss.asked = req
	ss.login.authorize(req)
	if !ss.playing.Load() {
		ss.timer.Reset(ss.cfg.ReadTimeout)
	}
}

// onResponse sees every answer before gortsplib acts on it.
func (ss *session) onResponse(res *base.Response) {
	switch {
	case res.StatusCode == base.StatusUnauthorized:
		known := ss.login.refused(res.Header["WWW-Authenticate"])
		delete(res.Header, "WWW-Authenticate")
		if known { // what gortsplib makes of this is replaced in onRequest
			res.Header["WWW-Authenticate"] = base.HeaderValue{`Digest realm="", nonce=""`}
		}
	case res.StatusCode < 400:
		ss.login.accepted()
	case ss.asked != nil && ss.asked.Method == base.Options:
		res.StatusCode = base.StatusOK // not all cameras have OPTIONS, and DESCRIBE will tell
	case ss.asked != nil && ss.asked.Method == base.GetParameter:
		ss.noGetParam = true // the next keep-alive is an OPTIONS
	}
	mend(res, ss.asked, &ss.life)
	ss.onRedirect(res)
}

// onRedirect takes the Location out of a redirect to another host, so that
// gortsplib follows none: it would take the user and the password along.
func (ss *session) onRedirect(res *base.Response) {
	location := res.Header["Location"]
	if res.StatusCode < 300 || res.StatusCode > 399 || len(location) == 0 {
		return
	}
	ss.redirects++
	u, err := base.ParseURL(location[0])
	if err == nil && ss.redirects <= maxRedirects && strings.EqualFold(u.Hostname(), ss.url.Hostname()) {
		return
	}
	ss.foreign = true
	delete(res.Header, "Location")
}

func (ss *session) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil || !strings.EqualFold(host, ss.url.Hostname()) {
		return nil, errRedirect
	}
	return (&net.Dialer{Timeout: ss.cfg.DialTimeout}).DialContext(ctx, network, address)
}

func (ss *session) dialTLS(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := ss.dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	cfg := ss.cfg.TLS.Clone()
	if cfg == nil {
		cfg = &tls.Config{}
	}
	if cfg.ServerName == "" {
		cfg.ServerName = ss.url.Hostname()
	}
	ctx, cancel := context.WithTimeout(ctx, ss.cfg.DialTimeout)
	defer cancel()
	c := tls.Client(conn, cfg)
	if err := c.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return c, nil
}

// chooseVideo picks the first video stream that we can take.
func chooseVideo(desc *description.Session) (*description.Media, format.Format, error) {
	var other format.Format
	video := false
	for _, m := range desc.Medias {
		if m.Type != description.MediaTypeVideo || m.IsBackChannel {
			continue
		}
		video = true
		for _, f := range m.Formats {
			switch f.(type) {
			case *format.H264, *format.H265, *format.MJPEG:
				return m, f, nil
			}
			other = f
		}
	}
	if !video || other == nil {
		return nil, nil, &pipeline.SourceError{State: pipeline.StateNoVideo, Reason: "the camera offers no video, only other streams"}
	}
	return nil, nil, &pipeline.SourceError{
		State:  pipeline.StateCodec,
		Reason: "the camera sends " + codecName(other) + ", which detectd does not take; set it to H.264, H.265 or MJPEG",
	}
}

// codecName is the name in the stream's description, made safe to show.
func codecName(f format.Format) string {
	name, _, _ := strings.Cut(f.RTPMap(), "/")
	name = strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' || r == '-' || r == '.' {
			return r
		}
		return -1
	}, name)
	if name == "" || len(name) > 24 {
		return "an unknown codec"
	}
	return name
}
