// Package rules has no code, only tests that hold the whole repository to its
// own rules: who may import whom, what must be documented, how long a file may
// be, and what must not be left behind in it. Each rule is itself tested with an
// example that breaks it.
//
// A new folder needs a row in the table of direction_test.go.
package rules
