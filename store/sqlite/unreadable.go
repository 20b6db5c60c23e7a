package sqlite

import (
	"errors"
	"io/fs"

	"github.com/mattn/go-sqlite3"
)

// Unreadable says whether an error of Open, or of reading, means that the database
// file is damaged or cannot be got at, rather than that it must not be used.
func Unreadable(err error) bool {
	if e, is := errors.AsType[sqlite3.Error](err); is {
		switch e.Code {
		case sqlite3.ErrCorrupt, sqlite3.ErrNotADB, sqlite3.ErrIoErr, sqlite3.ErrCantOpen, sqlite3.ErrPerm:
			return true
		}
		return false
	}
	_, is := errors.AsType[*fs.PathError](err)
	return is
}
