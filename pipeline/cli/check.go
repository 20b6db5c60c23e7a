package cli

import (
	"context"
	"fmt"
	"time"

	"detectd/store/blob"
	"detectd/store/check"
	"detectd/store/folder"
)

type checkCommand struct {
	Data   string `default:"data" placeholder:"DIR" help:"Data folder (${default}). The detectd that owns it may run."`
	Config string `placeholder:"FILE" help:"Settings, when storage.blobs is set there."`
	Level  string `default:"size" enum:"presence,size,hash" help:"How closely to look: ${enum} (${default})."`
	JSON   bool   `name:"json" help:"Print JSON."`
	Repair bool   `help:"Move files without a row to quarantine, take rows without a file out. Nothing is deleted."`
}

// Help implements kong.HelpProvider.
func (checkCommand) Help() string {
	return `presence  the database is whole, every row has its file, every recording its row
size      and every file its size
hash      and every model, upload and result its SHA-256

Ends with exit code 1 when something is wrong and stays so.`
}

// checkSettle is how long what looks wrong beside a running detectd may take to
// become right.
const checkSettle = 3 * time.Second

// Run checks a data folder.
func (c checkCommand) Run(ctx context.Context, e *env) error {
	cfg, err := loadConfig(c.Config)
	if err != nil {
		return err
	}
	return withFolder(ctx, c.Data, cfg, func(f *folder.Folder, blobs *blob.Store, owned bool) error {
		t := check.Target{Folder: f, Blobs: blobs}
		if !owned {
			t.Settle = checkSettle
		}
		r, err := check.Run(ctx, t, check.Level(c.Level))
		if err != nil {
			return err
		}
		answer := checkAnswer{Report: r}
		if c.Repair && len(r.Findings) > 0 {
			done, err := check.Repair(ctx, t, r)
			if err != nil {
				return err
			}
			answer.Repaired = &done
			if answer.After, err = check.Run(ctx, t, check.Level(c.Level)); err != nil {
				return err
			}
		} else {
			answer.After = r
		}
		if err := answer.print(e, c.JSON); err != nil {
			return err
		}
		if len(answer.After.Findings) > 0 {
			return errTold
		}
		return nil
	})
}

type checkAnswer struct {
	check.Report
	Repaired *check.Repaired `json:"repaired,omitempty"`
	After    check.Report    `json:"-"`
}

func (a checkAnswer) print(e *env, asJSON bool) error {
	if asJSON {
		return printJSON(e.stdout, a)
	}
	for _, f := range a.Findings {
		fmt.Fprintf(e.stdout, "%s: %s %s: %s\n", f.Kind, f.File, f.Row, f.What)
	}
	if a.Repaired != nil {
		fmt.Fprintf(e.stdout, "repaired: %d files moved, %d rows taken out, kept in %s\n", a.Repaired.Files, a.Repaired.Rows, a.Repaired.Folder)
	}
	_, err := fmt.Fprintf(e.stdout, "%d rows, %d files, %s, %d unused blobs: %d findings\n",
		a.After.Rows, a.After.Files, inBytes(a.After.Bytes), a.After.Unused, len(a.After.Findings))
	return err
}
