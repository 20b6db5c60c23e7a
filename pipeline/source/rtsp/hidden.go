package rtsp

import (
	"net/url"
	"regexp"
	"strings"
)

// hidden stands in a URL where the password belongs.
const hidden = "***"

// Many cameras take the user and the password in the path or the query, between
// the usual signs or, as the XiongMai kind does, between underscores:
//
//	/cam/realmonitor?user=admin&password=secret
//	/user=admin_password=secret_channel=1_stream=0.sdp
var (
	passwordInPath = regexp.MustCompile(`(?i)([?&/;_](?:password|passwd|pass|pwd|psw)=)([^&/;?]*)`)
	userInPath     = regexp.MustCompile(`(?i)[?&/;_](?:username|user|usr)=([^&/;?_]*)`)
)

// hidePassword takes the password out of a path with its query; what goes around
// it stays. found says that there is one, or a place for one.
func hidePassword(path string) (clean, user, password string, found bool) {
	at := passwordInPath.FindStringSubmatchIndex(path)
	if at == nil {
		return path, "", "", false
	}
	start, end := at[4], at[5]
	if path[at[2]] == '_' { // the next sign of this kind ends it
		if i := strings.Index(path[start:end], "_"); i >= 0 {
			end = start + i
		}
	}
	if m := userInPath.FindStringSubmatch(path); m != nil {
		user = unescape(m[1])
	}
	if password = path[start:end]; password == hidden {
		password = ""
	}
	return path[:start] + hidden + path[end:], user, unescape(password), true
}

// fillPassword puts a password where hidePassword has taken one out.
func fillPassword(u *url.URL, password string) {
	fill := func(s, with string) string {
		at := passwordInPath.FindStringSubmatchIndex(s)
		if at == nil || !strings.HasPrefix(s[at[4]:], hidden) {
			return s
		}
		return s[:at[4]] + with + s[at[4]+len(hidden):]
	}
	if path := fill(u.Path, password); path != u.Path {
		u.Path, u.RawPath = path, fill(u.EscapedPath(), url.PathEscape(password))
		return
	}
	u.RawQuery = strings.TrimPrefix(fill("?"+u.RawQuery, url.QueryEscape(password)), "?")
}
