package rtsp

import (
	"net"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"detectd/pipeline"
)

// maxURLBytes bounds what people may paste into a URL field.
const maxURLBytes = 2048

// ParseURL splits an rtsp:// or rtsps:// URL into the URL without credentials
// and the user and password, percent-decoded. A password in its path or query is
// taken out as well, *** stands for it then. The error is a
// *pipeline.SourceError with StateBadURL that repeats no part of the URL, which
// may hold a password.
func ParseURL(raw string) (clean, user, pass string, err error) {
	raw = strings.TrimSpace(raw)
	scheme, rest, ok := strings.Cut(raw, "://")
	scheme = strings.ToLower(scheme)
	switch {
	case raw == "":
		return "", "", "", badURL("the URL is empty")
	case len(raw) > maxURLBytes:
		return "", "", "", badURL("the URL is too long")
	case !utf8.ValidString(raw):
		return "", "", "", badURL("the URL contains unreadable characters")
	case strings.ContainsFunc(raw, func(r rune) bool { return r <= ' ' || r == 0x7f }):
		return "", "", "", badURL("the URL contains spaces or control characters")
	case !ok || scheme != "rtsp" && scheme != "rtsps":
		return "", "", "", badURL("the URL must start with rtsp:// or rtsps://")
	}
	authority, path := rest, ""
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		authority, path = rest[:i], rest[i:]
	}
	host := authority
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		host = authority[i+1:]
		user, pass, _ = strings.Cut(authority[:i], ":")
		user, pass = unescape(user), unescape(pass)
	}
	if inPath, u, p, found := hidePassword(path); found {
		if p != "" && pass != "" && p != pass {
			return "", "", "", badURL("the URL holds two passwords; leave one of them out")
		}
		path = inPath
		if user == "" {
			user = u
		}
		if pass == "" {
			pass = p
		}
	}
	if err := checkHost(host, path); err != nil {
		return "", "", "", err
	}
	if strings.Contains(path, "#") {
		return "", "", "", badURL("the URL contains #; write it as %23")
	}
	u, perr := url.Parse(scheme + "://" + host + path)
	if perr != nil || u.Host == "" || u.User != nil {
		return "", "", "", badURL("the URL cannot be read; check the host and the % signs")
	}
	if clean = u.String(); len(clean) > maxURLBytes {
		return "", "", "", badURL("the URL is too long")
	}
	return clean, user, pass, nil
}

func checkHost(host, path string) error {
	name := host
	if strings.HasPrefix(host, "[") || strings.Count(host, ":") == 1 {
		if i := strings.LastIndexByte(host, ':'); i > strings.LastIndexByte(host, ']') {
			name = host[:i]
			if n, err := strconv.ParseUint(host[i+1:], 10, 16); err != nil || n == 0 {
				if strings.Contains(path, "@") {
					return badURL("the user or password contains /, ? or #; write them as %2F, %3F and %23")
				}
				return badURL("the port must be a number from 1 to 65535")
			}
		}
	}
	switch literal := strings.Trim(name, "[]"); {
	case literal == "":
		return badURL("the URL has no host")
	case strings.Contains(literal, ":") && net.ParseIP(strings.SplitN(literal, "%", 2)[0]) == nil:
		return badURL("the host is neither a name nor an IP address")
	case strings.Contains(literal, ":") && !strings.HasPrefix(name, "["):
		return badURL("an IPv6 address must stand in square brackets")
	}
	return nil
}

// unescape decodes percent signs, and leaves a text alone that only looks so:
// people paste passwords as they are.
func unescape(s string) string {
	if d, err := url.PathUnescape(s); err == nil {
		return d
	}
	return s
}

func hasUserinfo(raw string) bool {
	_, rest, _ := strings.Cut(raw, "://")
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		rest = rest[:i]
	}
	return strings.Contains(rest, "@")
}

func badURL(reason string) *pipeline.SourceError {
	return &pipeline.SourceError{State: pipeline.StateBadURL, Reason: reason}
}
