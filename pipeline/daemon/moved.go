package daemon

import (
	"fmt"

	"detectd/store/folder"
)

// MayUseBlobs refuses a bucket to a folder that was moved or copied: where the other one
// is still in use, each of the two would delete what only the records of the other name.
func (c Config) MayUseBlobs(f *folder.Folder) error {
	if !c.BlobsInBucket() || !f.Moved() {
		return nil
	}
	return fmt.Errorf("%w, and its files are at %s, where two folders delete each other's; "+
		"if the other one is no longer used, say so: detectd moved --data %s; else restore a backup with a bucket of its own (detectd backup, detectd restore)",
		folder.ErrMoved, c.BlobsPlace(), f.Path())
}

// settle makes the place where the folder is its own, and tells people when it was
// another before.
func (d *Daemon) settle() error {
	if d.emergency != "" {
		return nil // nobody would see it
	}
	if d.folder.Moved() {
		const text = "the data folder was moved or copied since it was used last; where the other one is in use, too, both record the same cameras, and each goes on by itself"
		d.log.Warn(text, "path", d.folder.Path(), "id", d.folder.ID())
		d.tell("storage.moved", text, map[string]any{"id": d.folder.ID(), "path": d.folder.Path()})
	}
	return d.folder.Settle()
}
