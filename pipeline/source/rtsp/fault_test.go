package rtsp_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/bluenviron/gortsplib/v5/pkg/conn"
	"github.com/stretchr/testify/require"

	"detectd/pipeline"
	"detectd/pipeline/source/rtsp"
)

// scripted is a server that answers as told and keeps what it was asked.
type scripted struct {
	ln     net.Listener
	answer func(*base.Request) *base.Response // nil closes the connection

	mu       sync.Mutex
	requests []*base.Request
	conns    int
	wg       sync.WaitGroup
}

func script(t *testing.T, answer func(*base.Request) *base.Response) *scripted {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := &scripted{ln: ln, answer: answer}
	s.wg.Go(s.accept)
	t.Cleanup(func() {
		_ = ln.Close()
		s.wg.Wait()
	})
	return s
}

func (s *scripted) url() string { return "rtsp://" + s.ln.Addr().String() + "/live" }

func (s *scripted) accept() {
	for {
		c, err := s.ln.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.conns++
		s.mu.Unlock()
		s.wg.Go(func() { s.talk(c) })
	}
}

func (s *scripted) talk(c net.Conn) {
	defer c.Close()
	rc := conn.NewConn(bufio.NewReader(c), c)
	for {
		req, err := rc.ReadRequest()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.requests = append(s.requests, req)
		s.mu.Unlock()
		res := s.answer(req)
		if res == nil {
			return
		}
		if res.Header == nil {
			res.Header = base.Header{}
		}
		res.Header["CSeq"] = req.Header["CSeq"]
		if rc.WriteResponse(res) != nil {
			return
		}
	}
}

func (s *scripted) asked() ([]*base.Request, int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*base.Request(nil), s.requests...), s.conns
}

func status(code base.StatusCode) *base.Response {
	return &base.Response{StatusCode: code, StatusMessage: "as told " + password}
}

// describe answers OPTIONS and DESCRIBE with the media lines of an SDP, and the
// rest with next.
func describe(sdp string, next func(*base.Request) *base.Response) func(*base.Request) *base.Response {
	return func(req *base.Request) *base.Response {
		switch req.Method {
		case base.Options:
			return status(base.StatusOK)
		case base.Describe:
			return &base.Response{
				StatusCode: base.StatusOK,
				Header:     base.Header{"Content-Type": base.HeaderValue{"application/sdp"}},
				Body:       []byte("v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n" + sdp),
			}
		}
		return next(req)
	}
}

const (
	audioSDP = "m=audio 0 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
	vp8SDP   = "m=video 0 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n"
	h264SDP  = "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1\r\na=control:trackID=0\r\n"
)

func hangUp(*base.Request) *base.Response { return nil }

func always(code base.StatusCode) func(*base.Request) *base.Response {
	return func(*base.Request) *base.Response { return status(code) }
}

func TestFaultyCameras(t *testing.T) {
	basic := func(*base.Request) *base.Response {
		r := status(base.StatusUnauthorized)
		r.Header = base.Header{"WWW-Authenticate": base.HeaderValue{`Basic realm="cam"`}}
		return r
	}
	for name, tc := range map[string]struct {
		answer func(*base.Request) *base.Response
		state  pipeline.State
		says   string
	}{
		"401 always":         {basic, pipeline.StateAuth, "another user or password"},
		"401 without method": {always(base.StatusUnauthorized), pipeline.StateAuth, "log in"},
		"403":                {always(base.StatusForbidden), pipeline.StateAuth, "another user"},
		"404":                {always(base.StatusNotFound), pipeline.StateNotFound, "path"},
		"503":                {always(base.StatusServiceUnavailable), pipeline.StateRefused, "busy"},
		"500":                {always(base.StatusInternalServerError), pipeline.StateRefused, "500"},
		"sound only":         {describe(audioSDP, hangUp), pipeline.StateNoVideo, "no video"},
		"VP8":                {describe(vp8SDP, hangUp), pipeline.StateCodec, "the camera sends VP8, which detectd does not take; set it to H.264, H.265 or MJPEG"},
		"broken SDP":         {describe("m=nonsense\r\n", hangUp), pipeline.StateFailed, "describes"},
		"hangs up":           {hangUp, pipeline.StateRefused, "closed the connection"},
		"hangs up at SETUP":  {describe(h264SDP, hangUp), pipeline.StateRefused, "closed the connection"},
		"no transport":       {describe(h264SDP, always(base.StatusUnsupportedTransport)), pipeline.StateRefused, "UDP"},
		"empty answer":       {always(base.StatusOK), pipeline.StateFailed, "does not behave"},
	} {
		t.Run(name, func(t *testing.T) {
			s := script(t, tc.answer)
			_, err := play(t, rtsp.Config{URL: s.url(), Username: user, Password: password}, 0, nil)
			state, reason := pipeline.StateOf(err)
			require.Equal(t, tc.state, state, reason)
			require.Contains(t, reason, tc.says)
			require.NotContains(t, reason, password)
		})
	}
}

func TestAutoFallsBackToUDP(t *testing.T) {
	s := script(t, describe(h264SDP, always(base.StatusUnsupportedTransport)))
	_, err := play(t, rtsp.Config{URL: s.url()}, 0, nil)
	require.Error(t, err)
	requests, conns := s.asked()
	require.Equal(t, 2, conns)
	var transports []string
	for _, r := range requests {
		if r.Method == base.Setup {
			transports = append(transports, r.Header["Transport"][0])
		}
	}
	require.Len(t, transports, 2)
	require.Contains(t, transports[0], "RTP/AVP/TCP")
	require.Contains(t, transports[1], "RTP/AVP;unicast")
}

func TestRefusedPort(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, ln.Close())
	_, err = play(t, rtsp.Config{URL: "rtsp://" + ln.Addr().String() + "/", Username: user, Password: password}, 0, nil)
	require.Equal(t, "refused: the camera refused the connection", err.Error())
}

func TestNeverAnswers(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0") // the kernel accepts, nobody answers
	require.NoError(t, err)
	defer ln.Close()
	for _, scheme := range []string{"rtsp://", "rtsps://"} {
		_, err = play(t, rtsp.Config{
			URL: scheme + ln.Addr().String() + "/", Username: user, Password: password,
			DialTimeout: 200 * time.Millisecond, ReadTimeout: 200 * time.Millisecond,
		}, 0, nil)
		state, reason := pipeline.StateOf(err)
		require.Equal(t, pipeline.StateTimeout, state, reason)
	}
}

func TestUntrustedCertificate(t *testing.T) {
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	url := "rtsps://" + server.Listener.Addr().String() + "/"
	_, err := play(t, rtsp.Config{URL: url}, 0, nil)
	state, reason := pipeline.StateOf(err)
	require.Equal(t, pipeline.StateRefused, state, reason)
	require.Contains(t, reason, "certificate")

	// A certificate that the configuration trusts is taken; what speaks HTTP is no camera.
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	_, err = play(t, rtsp.Config{URL: url, TLS: &tls.Config{RootCAs: roots}}, 0, nil)
	_, reason = pipeline.StateOf(err)
	require.NotContains(t, reason, "certificate")
}

func TestRedirectToSameHost(t *testing.T) {
	end := script(t, describe(vp8SDP, hangUp))
	start := script(t, func(req *base.Request) *base.Response {
		if req.Method == base.Options {
			return status(base.StatusOK)
		}
		r := status(base.StatusMovedPermanently)
		r.Header = base.Header{"Location": base.HeaderValue{end.url()}}
		return r
	})
	_, err := play(t, rtsp.Config{URL: start.url(), Username: user, Password: password}, 0, nil)
	state, _ := pipeline.StateOf(err)
	require.Equal(t, pipeline.StateCodec, state, "the second server was asked")
}

func TestRedirectToOtherHost(t *testing.T) {
	for _, location := range []string{"rtsp://localhost:PORT/live", "rtsp://127.0.0.2:PORT/live", "http://127.0.0.1/", "nonsense"} {
		other := script(t, describe(vp8SDP, hangUp))
		_, port, err := net.SplitHostPort(other.ln.Addr().String())
		require.NoError(t, err)
		start := script(t, func(req *base.Request) *base.Response {
			switch {
			case req.Method == base.Options:
				return status(base.StatusOK)
			case len(req.Header["Authorization"]) == 0:
				r := status(base.StatusUnauthorized)
				r.Header = base.Header{"WWW-Authenticate": base.HeaderValue{`Basic realm="cam"`}}
				return r
			}
			r := status(base.StatusFound)
			r.Header = base.Header{"Location": base.HeaderValue{strings.Replace(location, "PORT", port, 1)}}
			return r
		})
		_, err = play(t, rtsp.Config{URL: start.url(), Username: user, Password: password}, 0, nil)
		state, reason := pipeline.StateOf(err)
		require.Equal(t, pipeline.StateBadURL, state, reason)
		require.Contains(t, reason, "redirects")
		_, conns := other.asked()
		require.Zero(t, conns)
	}
}

func TestRedirectLoop(t *testing.T) {
	var s *scripted
	s = script(t, func(req *base.Request) *base.Response {
		if req.Method == base.Options {
			return status(base.StatusOK)
		}
		r := status(base.StatusMovedPermanently)
		r.Header = base.Header{"Location": base.HeaderValue{s.url()}}
		return r
	})
	_, err := play(t, rtsp.Config{URL: s.url()}, 0, nil)
	state, _ := pipeline.StateOf(err)
	require.Equal(t, pipeline.StateBadURL, state)
}
