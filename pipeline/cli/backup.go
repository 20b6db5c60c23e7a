package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"detectd/store/backup"
	"detectd/store/blob"
	"detectd/store/folder"
)

type backupCommand struct {
	Out    string `arg:"" help:"File to write, a tar archive."`
	Data   string `default:"data" placeholder:"DIR" help:"Data folder (${default}). The detectd that owns it may run."`
	Media  bool   `help:"Include the recordings."`
	Config string `placeholder:"FILE" help:"Settings to include."`
}

// Help implements kong.HelpProvider.
func (backupCommand) Help() string {
	return `Holds the records as they were at one moment, with all models, uploads and
results, and the recordings if asked. The file has the passwords of the cameras in
it: keep it as safe as the data folder. It is there when it is whole.`
}

// Run writes a backup.
func (c backupCommand) Run(ctx context.Context, e *env) error {
	cfg, err := loadConfig(c.Config)
	if err != nil {
		return err
	}
	return withFolder(ctx, c.Data, cfg, func(f *folder.Folder, blobs *blob.Store, _ bool) error {
		s, err := backup.Write(ctx, f, blobs, c.Out, backup.Options{Media: c.Media, Config: c.Config, Version: e.version})
		if err != nil {
			return err
		}
		if s.Skipped > 0 {
			fmt.Fprintf(e.stderr, "%d recordings have been deleted meanwhile and are not in it\n", s.Skipped)
		}
		_, err = fmt.Fprintf(e.stdout, "%s: %d files, %s\n", c.Out, s.Files, inBytes(s.Bytes))
		return err
	})
}

type restoreCommand struct {
	In   string `arg:"" help:"Backup to restore."`
	Data string `required:"" placeholder:"DIR" help:"Data folder to make: missing or empty."`

	Config string `placeholder:"FILE" help:"Settings it will run with: a bucket that they name takes the files."`
}

// Help implements kong.HelpProvider.
func (restoreCommand) Help() string {
	return `Checks the backup as a whole before anything is put in place. After an error the
folder is as it was. Settings in the backup become config.yaml in the folder, for
detectd run --config. Models, uploads and results go into the folder, or into the
bucket that the settings name (storage.blobs), which must belong to no data folder.`
}

// Run restores a backup.
func (c restoreCommand) Run(ctx context.Context, e *env) (err error) {
	cfg, err := loadConfig(c.Config)
	if err != nil {
		return err
	}
	files := backup.Files{Place: cfg.BlobsPlace()}
	if cfg.BlobsInBucket() {
		if files.Bucket, err = blob.Open(cfg.Storage.Blobs); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, files.Bucket.Close()) }()
	}
	s, err := backup.Restore(ctx, c.In, c.Data, files)
	if err != nil {
		return err
	}
	if s.Blobs != "" && s.Blobs != files.Place {
		fmt.Fprintf(e.stderr, "detectd: models, uploads and results were at %s and are at %s now; run with storage.blobs: %s\n", s.Blobs, files.Place, files.Place)
	}
	_, err = fmt.Fprintf(e.stdout, "%s: %d files, %s, as of %s\n", c.Data, s.Files, inBytes(s.Bytes), s.Created.Local().Format(time.DateTime))
	return err
}
