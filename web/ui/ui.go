// Package ui holds the built web page: static files written to dist by
// `npm run build`, embedded into the binary. Before the first build dist is
// empty but for a marker, so that the Go code compiles without Node.
package ui

import (
	"embed"
	"io/fs"
)

//go:embed all:dist
var dist embed.FS

// FS returns the page's files with index.html at its root. It has no
// index.html when the page has not been built.
func FS() fs.FS {
	sub, err := fs.Sub(dist, "dist")
	if err != nil {
		panic("ui: " + err.Error()) // the path is a constant and valid
	}
	return sub
}
