package daemon

import (
	"context"
	"fmt"
	"time"

	"detectd/store/check"
	"detectd/web/api"
)

const (
	// checkAfter keeps the check out of the way of cameras that start, and gives
	// the recorders time to take up what an earlier run left.
	checkAfter = 20 * time.Second
	// checkSettle is how long what looks wrong may take to become right.
	checkSettle = 10 * time.Second
	// mostFindings is how many an event lists.
	mostFindings = 20
)

// checkOnce compares rows and files after the start, and tells people what is wrong.
func (d *Daemon) checkOnce(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-time.After(checkAfter):
	}
	d.check(ctx)
	<-ctx.Done()
	return nil
}

func (d *Daemon) check(ctx context.Context) {
	r, err := check.Run(ctx, check.Target{Folder: d.folder, Blobs: d.blobs, Settle: checkSettle}, check.Presence)
	switch {
	case ctx.Err() != nil: // stopped in the middle
	case err != nil:
		d.log.Error("the data folder could not be checked", "error", err)
	case len(r.Findings) > 0:
		d.log.Error("the data folder is not whole; detectd check says more", "findings", len(r.Findings), "first", r.Findings[0].What)
		d.tell("storage.damaged", fmt.Sprintf("%d things are wrong in the data folder; detectd check lists them", len(r.Findings)),
			map[string]any{"findings": r.Findings[:min(len(r.Findings), mostFindings)], "total": len(r.Findings)})
	default:
		d.log.Debug("the data folder is whole", "rows", r.Rows, "files", r.Files)
	}
}

// Check implements api.System.
func (p systemPort) Check(ctx context.Context, level string) (api.CheckReport, error) {
	r, err := check.Run(ctx, check.Target{Folder: p.d.folder, Blobs: p.d.blobs, Settle: time.Second}, check.Level(level))
	if err != nil {
		return api.CheckReport{}, err
	}
	answer := api.CheckReport{Schema: r.Schema, Rows: r.Rows, Files: r.Files, Bytes: r.Bytes, UnusedBlobs: r.Unused, Findings: []api.CheckFinding{}}
	for _, f := range r.Findings {
		answer.Findings = append(answer.Findings, api.CheckFinding{Kind: f.Kind, File: f.File, Row: f.Row, What: f.What})
	}
	return answer, nil
}
