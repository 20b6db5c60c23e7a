package rtsp

import (
	"bytes"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/bluenviron/gortsplib/v5/pkg/base"
)

// defaultSession is how long a session lives without a keep-alive when the camera
// does not say, in seconds (RFC 2326, 12.37).
const defaultSession = 60

// mend puts right what cameras get wrong in answers and gortsplib insists on.
// asked is the request that is answered.
func mend(res *base.Response, asked *base.Request) {
	if res.StatusCode != base.StatusOK || asked == nil {
		return
	}
	mendSession(res)
	switch asked.Method {
	case base.Describe:
		mendDescription(res, asked.URL)
	case base.Setup:
		mendTransport(res, asked)
	}
}

// mendSession has gortsplib send a keep-alive three times in the life of a
// session, so that one may be refused or lost: it sends one five seconds before
// the end of what it reads here.
func mendSession(res *base.Response) {
	if len(res.Header["Session"]) == 0 {
		return
	}
	id, rest, _ := strings.Cut(res.Header["Session"][0], ";")
	life := defaultSession
	for part := range strings.SplitSeq(rest, ";") {
		name, value, _ := strings.Cut(part, "=")
		if !strings.EqualFold(strings.TrimSpace(name), "timeout") {
			continue
		}
		digits := strings.TrimSpace(value)
		if n := strings.IndexFunc(digits, func(r rune) bool { return r < '0' || r > '9' }); n >= 0 {
			digits = digits[:n]
		}
		if n, err := strconv.Atoi(digits); err == nil && n > 0 {
			life = min(n, defaultSession)
		}
	}
	res.Header["Session"] = base.HeaderValue{fmt.Sprintf("%s;timeout=%d", strings.TrimSpace(id), life/3+5)}
}

// mendDescription makes the description one that names its type and whose base can
// be read, with usual line ends.
func mendDescription(res *base.Response, asked *base.URL) {
	res.Body = bytes.ReplaceAll(res.Body, []byte("\r\n"), []byte("\n"))
	res.Body = bytes.ReplaceAll(res.Body, []byte("\r"), []byte("\n"))
	res.Body = bytes.Trim(res.Body, "\x00\n\t \ufeff")
	if bytes.HasPrefix(res.Body, []byte("v=0")) {
		res.Header["Content-Type"] = base.HeaderValue{"application/sdp"}
	}
	if at := res.Header["Content-Base"]; len(at) > 0 {
		if u, ok := usable(at[0], asked); ok {
			res.Header["Content-Base"] = base.HeaderValue{u}
		} else {
			delete(res.Header, "Content-Base")
		}
	}
	var lines []string
	general := true
	for line := range strings.SplitSeq(string(res.Body), "\n") {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		general = general && !strings.HasPrefix(line, "m=")
		if control, ok := strings.CutPrefix(line, "a=control:"); ok && general && control != "*" {
			u, ok := usable(control, asked)
			if !ok {
				continue // the base is as good
			}
			line = "a=control:" + u
		}
		lines = append(lines, line)
	}
	if len(lines) > 0 {
		res.Body = []byte(strings.Join(lines, "\r\n") + "\r\n")
	}
}

// usable is the URL that a camera names as the base of its streams: without its
// idea of a user and password, and at the address that we reach it at, which it
// need not know.
func usable(named string, asked *base.URL) (string, bool) {
	u, err := base.ParseURL(strings.TrimSpace(named))
	if err != nil {
		path := strings.TrimSpace(named)
		if !strings.HasPrefix(path, "/") {
			return "", false
		}
		if u, err = base.ParseURL(asked.Scheme + "://" + asked.Host + path); err != nil {
			return "", false
		}
	}
	u.User, u.Host, u.Scheme = nil, asked.Host, asked.Scheme
	return (*url.URL)(u).String(), true
}

// mendTransport fills in the channels of video over TCP where the camera takes
// them for granted.
func mendTransport(res *base.Response, asked *base.Request) {
	wanted, answer := asked.Header["Transport"], res.Header["Transport"]
	if len(wanted) == 0 {
		return
	}
	_, channels, tcp := strings.Cut(wanted[0], "interleaved=")
	if !tcp {
		return
	}
	channels, _, _ = strings.Cut(channels, ";")
	switch {
	case len(answer) == 0:
		res.Header["Transport"] = wanted
	case strings.Contains(answer[0], "RTP/AVP/TCP") && !strings.Contains(answer[0], "interleaved="):
		res.Header["Transport"] = base.HeaderValue{strings.TrimSuffix(answer[0], ";") + ";interleaved=" + channels}
	}
}
