package rtsp_test

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/stretchr/testify/require"

	"detectd/pipeline"
	"detectd/pipeline/simulate"
	"detectd/pipeline/source/rtsp"
)

var field = regexp.MustCompile(`(\w+)=(?:"((?:[^"\\]|\\.)*)"|([^,]*))`)

// letsIn checks a login as RFC 7616 says, without the code under test.
func letsIn(req *base.Request, user, password, algorithm, nonce string, qop bool) bool {
	header := strings.Join(req.Header["Authorization"], "")
	if algorithm == "Basic" {
		return header == "Basic "+base64.StdEncoding.EncodeToString([]byte(user+":"+password))
	}
	f := map[string]string{}
	for _, m := range field.FindAllStringSubmatch(strings.TrimPrefix(header, "Digest "), -1) {
		f[m[1]] = strings.NewReplacer(`\"`, `"`, `\\`, `\`).Replace(m[2]) + m[3]
	}
	h := func(s string) string {
		if strings.HasPrefix(algorithm, "SHA") {
			return fmt.Sprintf("%x", sha256.Sum256([]byte(s)))
		}
		return fmt.Sprintf("%x", md5.Sum([]byte(s)))
	}
	a1 := h(user + ":cam:" + password)
	if strings.HasSuffix(algorithm, "-sess") {
		a1 = h(a1 + ":" + nonce + ":" + f["cnonce"])
	}
	a2 := h(string(req.Method) + ":" + f["uri"])
	want := h(a1 + ":" + nonce + ":" + a2)
	if qop {
		if f["qop"] != "auth" || f["nc"] == "" || f["cnonce"] == "" {
			return false
		}
		want = h(strings.Join([]string{a1, nonce, f["nc"], f["cnonce"], "auth", a2}, ":"))
	}
	return f["response"] == want && f["nonce"] == nonce && f["username"] == user && f["realm"] == "cam" &&
		f["uri"] == req.URL.String()
}

func unauthorized(req *base.Request, challenges ...string) string {
	return reply(req, "401 Unauthorized", "WWW-Authenticate: "+strings.Join(challenges, "\r\nWWW-Authenticate: ")+"\r\n", "")
}

func TestQuirkLogin(t *testing.T) {
	clip := film(t, simulate.Spec{})
	for name, tc := range map[string]struct {
		algorithm  string
		qop        bool
		challenges []string
	}{
		"basic":       {"Basic", false, []string{`Basic realm="cam"`}},
		"no name":     {"MD5", false, []string{`Digest realm="cam", nonce="n1"`}},
		"MD5":         {"MD5", false, []string{`Digest realm="cam", nonce="n1", algorithm="MD5", opaque="o"`}},
		"MD5 qop":     {"MD5", true, []string{`Digest realm="cam",qop="auth,auth-int",nonce="n1",algorithm=MD5`}},
		"MD5-sess":    {"MD5-sess", true, []string{`Digest realm="cam", nonce="n1", algorithm=MD5-sess, qop="auth"`}},
		"SHA-256":     {"SHA-256", false, []string{`Digest realm="cam", nonce="n1", algorithm=SHA-256`}},
		"SHA-256 qop": {"SHA-256", true, []string{`Digest realm="cam", nonce="n1", algorithm="SHA-256", qop="auth", stale="FALSE"`}},
		"best of many": {"SHA-256", true, []string{
			`Basic realm="cam"`, `Digest realm="cam", nonce="n1", algorithm=SHA-512-256`,
			`Digest realm="cam", nonce="n1", qop="auth", algorithm=SHA-256`, `Digest realm="cam", nonce="n1"`,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, secret := range []string{`@:/%#é"\`, "plain", ""} {
				o := odd(t, &oddCamera{sdp: sdpOf(pipeline.H264, mode1), media: clip.plays(10)})
				o.answer = func(_ *visit, req *base.Request) string {
					if letsIn(req, "vie\"wer", secret, tc.algorithm, "n1", tc.qop) {
						return ""
					}
					return unauthorized(req, tc.challenges...)
				}
				cfg := rtsp.Config{URL: o.url(), Username: "vie\"wer", Password: secret}
				_, _, err := run(t, cfg, 5, nil)
				require.NoError(t, err)
				require.LessOrEqual(t, len(o.asked(base.Options)), 2)
			}
		})
	}
}

// TestQuirkStaleNonce: a nonce that runs out between any two requests.
func TestQuirkStaleNonce(t *testing.T) {
	clip := film(t, simulate.Spec{})
	for name, stale := range map[string]string{"says so": ", stale=true", "says FALSE": `, stale="FALSE"`, "says nothing": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var uses atomic.Int64
			o := odd(t, &oddCamera{sdp: sdpOf(pipeline.H264, mode1), media: clip.plays(10)})
			o.answer = func(_ *visit, req *base.Request) string {
				if req.Method == base.Options {
					return ""
				}
				nonce := fmt.Sprint("n", uses.Load()/2) // good for one refusal and one request
				uses.Add(1)
				if letsIn(req, "viewer", password, "MD5", nonce, true) {
					return ""
				}
				return unauthorized(req, `Digest realm="cam", qop="auth", nonce="`+fmt.Sprint("n", uses.Load()/2)+`"`+stale)
			}
			_, err := play(t, rtsp.Config{URL: o.url(), Username: "viewer", Password: password}, 5, nil)
			require.NoError(t, err)
			require.Len(t, o.asked(base.Setup), 2, "once with the old nonce, once with the new")
			require.Len(t, o.asked(base.Play), 2)
		})
	}
}

// TestQuirkLockOut: cameras lock accounts after a few wrong passwords, so each
// attempt at a session sends it once, or twice when the nonce is called stale.
func TestQuirkLockOut(t *testing.T) {
	for name, tc := range map[string]struct {
		stale string
		most  int
	}{"new nonces": {"", 1}, "always stale": {", stale=true", 2}} {
		var n atomic.Int64
		o := odd(t, &oddCamera{sdp: sdpOf(pipeline.H264, mode1)})
		o.answer = func(_ *visit, req *base.Request) string {
			return unauthorized(req, fmt.Sprintf(`Digest realm="cam", nonce="n%d"%s`, n.Add(1), tc.stale))
		}
		_, err := play(t, rtsp.Config{URL: o.url(), Username: user, Password: password}, 0, nil)
		state, reason := pipeline.StateOf(err)
		require.Equal(t, pipeline.StateAuth, state, name)
		require.Contains(t, reason, "another user or password")
		logins := 0
		for _, m := range []base.Method{base.Options, base.Describe, base.Setup} {
			for _, r := range o.asked(m) {
				logins += len(r.Header["Authorization"])
			}
		}
		require.LessOrEqual(t, logins, tc.most, name)
		require.Positive(t, logins, name)
	}
}

func TestQuirkUnknownLogin(t *testing.T) {
	for _, challenge := range []string{`NTLM`, `Digest realm="cam", nonce="n", algorithm=SHA-512-256`, `Digest realm="cam", nonce="n", qop="auth-int"`, ""} {
		o := odd(t, &oddCamera{sdp: sdpOf(pipeline.H264, mode1)})
		o.answer = func(_ *visit, req *base.Request) string { return unauthorized(req, challenge) }
		_, err := play(t, rtsp.Config{URL: o.url(), Username: user, Password: password}, 0, nil)
		state, reason := pipeline.StateOf(err)
		require.Equal(t, pipeline.StateAuth, state, challenge)
		require.Contains(t, reason, "a way to log in", challenge)
	}
}

// TestQuirkKeepAlive: the session of each of these cameras ends after three
// seconds without a keep-alive that it likes. It has to live for five.
func TestQuirkKeepAlive(t *testing.T) {
	clip := film(t, simulate.Spec{})
	const life = 3 * time.Second
	for name, likes := range map[string]func(n int, req *base.Request) (status string, liked bool){
		"GET_PARAMETER": func(_ int, req *base.Request) (string, bool) { return "200 OK", req.Method == base.GetParameter },
		"refuses GET_PARAMETER": func(_ int, req *base.Request) (string, bool) {
			if req.Method == base.GetParameter {
				return "405 Method Not Allowed", false
			}
			return "200 OK", req.Method == base.Options
		},
		"does not understand it": func(_ int, req *base.Request) (string, bool) {
			if req.Method == base.GetParameter {
				return "451 Parameter Not Understood", false
			}
			return "200 OK", true
		},
		"stale nonce": func(n int, req *base.Request) (string, bool) {
			nonce := fmt.Sprint("n", n/3)
			if letsIn(req, "viewer", password, "MD5", nonce, false) {
				return "200 OK", true
			}
			return "401 Unauthorized\r\nWWW-Authenticate: Digest realm=\"cam\", stale=true, nonce=\"" + nonce + "\"", false
		},
		"never answers": func(int, *base.Request) (string, bool) { return "", true },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var liked atomic.Int64
			var n atomic.Int64
			playing := make(chan struct{})
			o := odd(t, &oddCamera{
				sdp:  sdpOf(pipeline.H264, mode1),
				more: map[base.Method]string{base.Setup: "Session: 4711;timeout=3\r\n"},
			})
			o.answer = func(_ *visit, req *base.Request) string {
				select {
				case <-playing:
				default:
					return ""
				}
				status, ok := likes(int(n.Add(1)), req)
				if ok {
					liked.Store(time.Now().UnixNano())
				}
				if status == "" {
					return "\r\n" // nothing that means anything
				}
				return reply(req, status, "", "")
			}
			o.media = func(v *visit) {
				liked.Store(time.Now().UnixNano())
				close(playing)
				for i := 0; time.Now().UnixNano()-liked.Load() < int64(life); i++ {
					v.send(v.packets.of(clip.codec, clip.full(i), ticks(i))...)
					<-time.After(40 * time.Millisecond)
					if v.conn.SetReadDeadline(time.Time{}) != nil {
						return
					}
				}
				_ = v.conn.Close()
			}
			_, err := play(t, rtsp.Config{URL: o.url(), Username: "viewer", Password: password}, 5*25, nil)
			require.NoError(t, err)
		})
	}
}
