package mlflow

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAuth(t *testing.T) {
	inside := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	basic := func(user, password string) func(*http.Request) {
		return func(r *http.Request) { r.SetBasicAuth(user, password) }
	}
	bearer := func(token string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
	}
	both := Auth{User: "ann", Password: "secret", Token: "t0ken"}
	for name, c := range map[string]struct {
		auth   Auth
		shows  func(*http.Request)
		status int
	}{
		"nothing asked, nothing shown":   {Auth{}, nil, 200},
		"nothing asked, something shown": {Auth{}, basic("x", "y"), 200},
		"nothing shown":                  {both, nil, 401},
		"right password":                 {both, basic("ann", "secret"), 200},
		"wrong password":                 {both, basic("ann", "secre"), 401},
		"wrong user":                     {both, basic("bob", "secret"), 401},
		"right token":                    {both, bearer("t0ken"), 200},
		"wrong token":                    {both, bearer("token"), 401},
		"no token is no token":           {Auth{User: "ann", Password: "secret"}, bearer(""), 401},
		"no user is no user":             {Auth{Token: "t0ken"}, basic("", ""), 401},
		"something else":                 {both, func(r *http.Request) { r.Header.Set("Authorization", "Digest x") }, 401},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/2.0/mlflow/experiments/search", nil)
			if c.shows != nil {
				c.shows(r)
			}
			w := httptest.NewRecorder()
			c.auth.protect(inside).ServeHTTP(w, r)
			require.Equal(t, c.status, w.Code)
			if c.status == http.StatusUnauthorized {
				require.Contains(t, w.Header().Get("WWW-Authenticate"), "Basic")
				require.Contains(t, w.Body.String(), "UNAUTHENTICATED")
				require.NotContains(t, w.Body.String(), "secret")
			}
		})
	}
}
