package rtsp

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/bluenviron/gortsplib/v5/pkg/description"
	"github.com/bluenviron/gortsplib/v5/pkg/sdpunmarshaler"
)

// defaultSession is how long a session lives without a keep-alive when the camera
// does not say, in seconds (RFC 2326, 12.37).
const defaultSession = 60

// mend puts right what cameras get wrong in answers and gortsplib insists on.
// asked is the request that is answered; life is that of the session in seconds,
// as far as the camera has named it.
func mend(res *base.Response, asked *base.Request, life *int) {
	if res.StatusCode != base.StatusOK || asked == nil {
		return
	}
	mendSession(res, life)
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
func mendSession(res *base.Response, life *int) {
	if len(res.Header["Session"]) == 0 {
		return
	}
	id, rest, _ := strings.Cut(res.Header["Session"][0], ";")
	if *life == 0 {
		*life = defaultSession
	}
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
			*life = min(n, defaultSession)
		}
	}
	res.Header["Session"] = base.HeaderValue{fmt.Sprintf("%s;timeout=%d", strings.TrimSpace(id), *life/3+5)}
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
	if sections := sectionsOf(string(res.Body), asked); len(sections) > 1 {
		res.Body = []byte(strings.Join(readable(sections), ""))
	}
}

// sectionsOf cuts a description into what is said of all streams and of each, with
// the details put right that need no more than a line.
func sectionsOf(sdp string, asked *base.URL) []string {
	sections := []string{""}
	for line := range strings.SplitSeq(sdp, "\n") {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		if strings.HasPrefix(line, "m=") {
			sections = append(sections, "")
		}
		control, ok := strings.CutPrefix(line, "a=control:")
		switch {
		case ok && len(sections) == 1 && control != "*":
			u, ok := usable(control, asked)
			if !ok {
				continue // the base is as good
			}
			line = "a=control:" + u
		case strings.HasPrefix(line, "a=fmtp:"):
			line = mendSets(line)
		}
		sections[len(sections)-1] += line + "\r\n"
	}
	return sections
}

// readable leaves out streams beside the video that gortsplib cannot read: a
// camera's odd sound or text is nothing to fail for.
func readable(sections []string) []string {
	kept := sections[:1:1]
	for _, s := range sections[1:] {
		if strings.HasPrefix(s, "m=video") || reads(sections[0]+s) {
			kept = append(kept, s)
		}
	}
	if len(kept) == 1 {
		return sections
	}
	return kept
}

func reads(sdp string) bool {
	s, err := sdpunmarshaler.Unmarshal([]byte(sdp))
	if err != nil {
		return false
	}
	var desc description.Session
	return desc.Unmarshal2(s) == nil
}

// mendSets leaves parameter sets out that are not coded as they must be. Those of
// the stream count anyway.
func mendSets(fmtp string) string {
	name, params, _ := strings.Cut(fmtp, " ")
	var kept []string
	for p := range strings.SplitSeq(params, ";") {
		key, value, _ := strings.Cut(strings.TrimSpace(p), "=")
		bad := false
		switch strings.ToLower(key) {
		case "sprop-parameter-sets", "sprop-vps", "sprop-sps", "sprop-pps":
			for set := range strings.SplitSeq(value, ",") {
				_, err := base64.StdEncoding.DecodeString(set)
				bad = bad || err != nil
			}
		}
		if !bad {
			kept = append(kept, p)
		}
	}
	return name + " " + strings.Join(kept, ";")
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
