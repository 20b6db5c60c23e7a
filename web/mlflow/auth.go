package mlflow

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"

	"detectd/store"
)

// Auth is what clients have to show; with the zero value they need to show nothing,
// and what they show is not looked at.
type Auth struct {
	User     string       // with Password, HTTP basic (RFC 7617)
	Password store.Secret // MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD of clients
	Token    store.Secret // bearer (RFC 6750): MLFLOW_TRACKING_TOKEN of clients
}

// protect lets requests through that show what is asked for.
func (a Auth) protect(next http.Handler) http.Handler {
	if a == (Auth{}) {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a.allows(r) {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="detectd", charset="UTF-8"`)
		reply(w, http.StatusUnauthorized, failure{
			Code:    "UNAUTHENTICATED",
			Message: "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN, as the settings of detectd say (mlflow)",
		})
	})
}

func (a Auth) allows(r *http.Request) bool {
	if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		return a.Token != "" && same(token, string(a.Token))
	}
	user, password, ok := r.BasicAuth()
	return ok && a.User != "" && same(user, a.User) && same(password, string(a.Password))
}

// same takes as long for a wrong guess as for a right one.
func same(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}
