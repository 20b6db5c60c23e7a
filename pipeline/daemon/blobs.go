package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"detectd/store"
	"detectd/store/blob"
	"detectd/store/garbage"
)

// openBlobs opens the files of models, uploads and results.
func (d *Daemon) openBlobs(ctx context.Context) error {
	if err := d.cfg.MayUseBlobs(d.folder); err != nil {
		return err
	}
	files, err := blob.Open(d.cfg.BlobsURL(d.folder))
	if err != nil {
		return err
	}
	files.SpoolTo(d.folder.Temp())
	err = files.Bind(ctx, d.folder.ID())
	if err == nil {
		err = d.records.SetBlobs(ctx, d.cfg.BlobsPlace())
	}
	if err != nil {
		return errors.Join(err, files.Close())
	}
	d.blobs = garbage.New(garbage.Config{Alone: d.folder.Unheld, Collected: d.collected}, files, d.records, d.log)
	d.onClose(d.blobs.Close)
	return errors.Join(d.measureStorage(), d.settle())
}

// measureStorage registers what cleaning up has freed.
func (d *Daemon) measureStorage() error {
	for name, c := range map[string]struct {
		help  string
		value func() float64
	}{
		"series_freed_bytes_total":  {"Bytes that cleaning up annotations and metrics has freed.", func() float64 { return float64(d.series.Freed()) }},
		"blobs_deleted_total":       {"Unused files of models, uploads and results deleted.", func() float64 { n, _ := d.blobs.Collected(); return float64(n) }},
		"blobs_deleted_bytes_total": {"Bytes that deleting unused files has freed.", func() float64 { _, n := d.blobs.Collected(); return float64(n) }},
	} {
		if err := d.metrics.Register(prometheus.NewCounterFunc(prometheus.CounterOpts{Namespace: "detectd", Name: name, Help: c.help}, c.value)); err != nil {
			return fmt.Errorf("register metric: %w", err)
		}
	}
	return nil
}

// collected tells people what a sweep has deleted.
func (d *Daemon) collected(blobs int, bytes int64) {
	d.tell("storage.collected", fmt.Sprintf("%d unused files deleted, %d bytes freed", blobs, bytes), map[string]any{"blobs": blobs, "bytes": bytes})
}

// tell writes an event that comes from no stage.
func (d *Daemon) tell(kind, message string, data map[string]any) {
	text, err := json.Marshal(data)
	if err == nil {
		_, err = d.records.AddEvent(context.Background(), store.Event{Kind: kind, Message: message, Data: text})
	}
	if err != nil {
		d.log.Error("write event", "kind", kind, "error", err)
	}
}
