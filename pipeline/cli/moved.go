package cli

import (
	"context"
	"fmt"

	"detectd/store/folder"
)

type movedCommand struct {
	Data string `default:"data" placeholder:"DIR" help:"Data folder (${default})."`
}

// Help implements kong.HelpProvider.
func (movedCommand) Help() string {
	return `Where the files of models, uploads and results are in a bucket, a data folder that was
moved to another disk, or copied, is refused: two folders with one bucket delete each
other's files. This says that the folder was moved, and that the one it was made of is
no longer used.`
}

// Run makes the place where the folder is its own.
func (c movedCommand) Run(_ context.Context, e *env) error {
	if _, _, err := folder.Beside(c.Data); err != nil {
		return err // folder.Open would make one
	}
	f, err := folder.Open(c.Data)
	if err != nil {
		return err
	}
	moved := f.Moved()
	if err := f.Settle(); err != nil {
		_ = f.Close()
		return err
	}
	said := "it is where it was"
	if moved {
		said = "it is taken as moved"
	}
	if _, err := fmt.Fprintf(e.stdout, "%s: %s\n", f.Path(), said); err != nil {
		_ = f.Close()
		return err
	}
	return f.Close()
}
