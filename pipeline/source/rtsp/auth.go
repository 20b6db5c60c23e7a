package rtsp

import (
	"crypto/md5" //nolint:gosec // RFC 2617 knows nothing else
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"strings"

	"github.com/bluenviron/gortsplib/v5/pkg/base"
)

// login answers a camera's challenges (RFC 7616: Basic, and Digest with MD5 or
// SHA-256, with and without qop and -sess) in place of gortsplib, which takes the
// first challenge of a session for good and leaves out qop. It is used by the
// goroutine of the client alone until a request of it has returned.
type login struct {
	user, password string

	challenge *challenge
	count     uint32 // requests under the challenge's nonce
	worked    bool   // a request that carried the login was let in
	sent      bool   // the request before carried it
	renewed   bool   // the refusal before brought a nonce worth another attempt
	cnonce    func() string
}

// challenge is what a camera wants to be told.
type challenge struct {
	scheme    string // basic or digest
	realm     string
	nonce     string
	opaque    string
	algorithm string // as the camera spells it
	qop       bool   // it takes qop=auth
	stale     bool
}

// parseChallenge reads one WWW-Authenticate header. False when it asks for
// something else than we know.
func parseChallenge(header string) (*challenge, bool) {
	scheme, rest, _ := strings.Cut(strings.TrimSpace(header), " ")
	p := parameters(rest)
	c := &challenge{
		scheme: strings.ToLower(scheme), realm: p["realm"], nonce: p["nonce"], opaque: p["opaque"],
		algorithm: p["algorithm"], stale: strings.EqualFold(p["stale"], "true"),
	}
	switch c.scheme {
	case "basic":
		return c, true
	case "digest":
	default:
		return nil, false
	}
	for q := range strings.SplitSeq(p["qop"], ",") {
		c.qop = c.qop || strings.EqualFold(strings.TrimSpace(q), "auth")
	}
	_, known := c.hash()
	return c, known && (c.qop || p["qop"] == "")
}

// parameters reads name=value pairs between commas; values may be quoted.
func parameters(s string) map[string]string {
	out := map[string]string{}
	for s != "" {
		name, rest, ok := strings.Cut(s, "=")
		if !ok {
			break
		}
		name, rest = strings.ToLower(strings.Trim(name, " ,\t")), strings.TrimLeft(rest, " ")
		var value string
		if quoted, ok := strings.CutPrefix(rest, `"`); ok {
			value, s, _ = strings.Cut(quoted, `"`)
		} else {
			value, s, _ = strings.Cut(rest, ",")
			value = strings.TrimSpace(value)
		}
		out[name] = value
	}
	return out
}

func (c *challenge) hash() (func() hash.Hash, bool) {
	switch strings.TrimSuffix(strings.ToUpper(c.algorithm), "-SESS") {
	case "", "MD5":
		return md5.New, true
	case "SHA-256":
		return sha256.New, true
	}
	return nil, false
}

// strength orders challenges, the best has the most.
func (c *challenge) strength() int {
	switch {
	case c.scheme == "basic":
		return 0
	case strings.HasPrefix(strings.ToUpper(c.algorithm), "SHA"):
		return 2
	}
	return 1
}

// refused takes the challenges of an answer 401 in. False when there is none that
// can be answered.
func (l *login) refused(headers base.HeaderValue) bool {
	var best *challenge
	for _, h := range headers {
		if c, ok := parseChallenge(h); ok && (best == nil || c.strength() > best.strength()) {
			best = c
		}
	}
	before := l.challenge
	l.renewed = false
	if best == nil {
		return false
	}
	if before == nil || before.nonce != best.nonce {
		// A camera whose nonce ran out says stale, or forgets to: then it counts that
		// the same login worked before. All else would be guessing at the password,
		// and cameras lock accounts for that.
		l.renewed = before != nil && l.sent && (best.stale || l.worked)
		l.count = 0
	}
	l.challenge = best
	return true
}

// accepted notes that a request was let in.
func (l *login) accepted() {
	l.renewed = false
	l.worked = l.worked || l.sent
}

// authorize puts the login into a request, or takes a foreign one out.
func (l *login) authorize(req *base.Request) {
	delete(req.Header, "Authorization")
	c := l.challenge
	l.sent = c != nil && (l.user != "" || l.password != "")
	if !l.sent {
		return
	}
	if c.scheme == "basic" {
		plain := base64.StdEncoding.EncodeToString([]byte(l.user + ":" + l.password))
		req.Header["Authorization"] = base.HeaderValue{"Basic " + plain}
		return
	}
	l.count++
	req.Header["Authorization"] = base.HeaderValue{l.digest(c, string(req.Method), req.URL.CloneWithoutCredentials().String())}
}

func (l *login) digest(c *challenge, method, uri string) string {
	algorithm, _ := c.hash()
	h := func(parts ...string) string {
		sum := algorithm()
		_, _ = sum.Write([]byte(strings.Join(parts, ":")))
		return hex.EncodeToString(sum.Sum(nil))
	}
	var cnonce string
	sess := strings.HasSuffix(strings.ToUpper(c.algorithm), "-SESS")
	if c.qop || sess {
		cnonce = l.cnonce()
	}
	ha1 := h(l.user, c.realm, l.password)
	if sess {
		ha1 = h(ha1, c.nonce, cnonce)
	}
	ha2 := h(method, uri)
	quote := func(s string) string { return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"` }
	var b strings.Builder
	fmt.Fprintf(&b, `Digest username=%s, realm="%s", nonce="%s", uri="%s"`, quote(l.user), c.realm, c.nonce, uri)
	if c.algorithm != "" {
		fmt.Fprintf(&b, ", algorithm=%s", c.algorithm)
	}
	if c.opaque != "" {
		fmt.Fprintf(&b, `, opaque="%s"`, c.opaque)
	}
	if c.qop {
		nc := fmt.Sprintf("%08x", l.count)
		fmt.Fprintf(&b, `, qop=auth, nc=%s, cnonce="%s", response="%s"`, nc, cnonce, h(ha1, c.nonce, nc, cnonce, "auth", ha2))
		return b.String()
	}
	if cnonce != "" {
		fmt.Fprintf(&b, `, cnonce="%s"`, cnonce)
	}
	fmt.Fprintf(&b, `, response="%s"`, h(ha1, c.nonce, ha2))
	return b.String()
}

func newCnonce() string { return rand.Text() }
