package cli

import (
	"context"
	"errors"
	"fmt"

	"detectd/store"
	"detectd/store/blob"
	"detectd/store/folder"
	"detectd/store/garbage"
	"detectd/store/sqlite"
)

type gcCommand struct {
	Data   string `default:"data" placeholder:"DIR" help:"Data folder (${default})."`
	Config string `placeholder:"FILE" help:"Settings, when storage.blobs is set there."`
	DryRun bool   `help:"Say only what would be deleted. The detectd that owns the folder may run."`
}

// Help implements kong.HelpProvider.
func (gcCommand) Help() string {
	return `Deletes the files of models, uploads and results that no record names. A running
detectd does so by itself, every ten minutes.`
}

// Run deletes unused blobs.
func (c gcCommand) Run(ctx context.Context, e *env) error {
	cfg, err := loadConfig(c.Config)
	if err != nil {
		return err
	}
	return withFolder(ctx, c.Data, cfg, func(f *folder.Folder, blobs *blob.Store, owned bool) (err error) {
		if !owned && !c.DryRun {
			return fmt.Errorf("%w, which deletes unused files by itself; add --dry-run to see them", store.ErrLocked)
		}
		if err := cfg.MayUseBlobs(f); err != nil && !c.DryRun {
			return err
		}
		log := e.logger("warn", "text")
		records, err := sqlite.Open(ctx, f.DB(), log)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, records.Close()) }()
		r, err := garbage.New(garbage.Config{Alone: f.Unheld}, blobs, records, log).Sweep(ctx, c.DryRun)
		if err != nil {
			return err
		}
		done := "deleted"
		if c.DryRun {
			done = "to be deleted"
		}
		_, err = fmt.Fprintf(e.stdout, "%d files, %s; %d unused, %s %s\n", r.Blobs, inBytes(r.Bytes), r.Unused, inBytes(r.Freed), done)
		if err == nil && r.Skipped > 0 {
			_, err = fmt.Fprintf(e.stdout, "%d unused, but needed by a backup that is being made\n", r.Skipped)
		}
		return err
	})
}
