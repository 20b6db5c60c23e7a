package web

import (
	"io/fs"
	"net/http"
	"path"
	"strings"
)

const index = "index.html"

// missingPage is shown when detectd was built without its page.
const missingPage = "detectd runs, but it was built without its page.\n" +
	"Run \"make build\" in its source folder and start it again.\n" +
	"The API is at /api/v1, its description at /api/openapi.json.\n"

// page serves the built page. Addresses that are no files belong to the page's
// own router and are answered with index.html.
func page(ui fs.FS) http.Handler {
	if ui == nil || !isFile(ui, index) {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			w.Header().Set("Cache-Control", "no-store")
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = w.Write([]byte(missingPage))
		})
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			problem(w, http.StatusMethodNotAllowed, r.Method+" is not possible here")
			return
		}
		name := strings.TrimPrefix(path.Clean("/"+r.URL.Path), "/")
		switch {
		case name == "" || name == index:
			serveIndex(w, r, ui)
		case isFile(ui, name):
			// The build puts a hash of the content into the names of assets.
			if strings.HasPrefix(name, "assets/") {
				w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
			} else {
				w.Header().Set("Cache-Control", "no-cache")
			}
			http.ServeFileFS(w, r, ui, name)
		case path.Ext(name) != "" || strings.HasPrefix(name+"/", "assets/"):
			problem(w, http.StatusNotFound, "there is nothing at "+r.URL.Path)
		default:
			serveIndex(w, r, ui)
		}
	})
}

func serveIndex(w http.ResponseWriter, r *http.Request, ui fs.FS) {
	content, err := fs.ReadFile(ui, index)
	if err != nil {
		problem(w, http.StatusInternalServerError, "the page cannot be read")
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	if r.Method == http.MethodGet {
		_, _ = w.Write(content)
	}
}

func isFile(ui fs.FS, name string) bool {
	info, err := fs.Stat(ui, name)
	return err == nil && info.Mode().IsRegular()
}
