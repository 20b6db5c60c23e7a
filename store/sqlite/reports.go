package sqlite

import (
	"context"
	"database/sql"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"detectd/store"
)

const (
	defaultReports = 500
	mostReports    = 5000
)

// tally is what one hour of a camera and a model version adds up to, and also
// what hours add up to in a day.
type tally struct {
	start      time.Time
	camera     string
	model      string
	version    int
	frames     int64
	inferences int64
	errors     int64
	drops      map[string]int64
	classes    map[string]int64
	scoreSum   float64
	latency    store.Histogram
}

const selectHours = `SELECT hour_us, camera_id, model, version, frames, inferences, errors, drops, classes, score_sum, latency FROM report_hours`

func scanHour(r row) (*tally, error) {
	var t tally
	var hour int64
	var drops, classes string
	var latency []byte
	err := r.Scan(&hour, &t.camera, &t.model, &t.version, &t.frames, &t.inferences, &t.errors, &drops, &classes, &t.scoreSum, &latency)
	if err != nil {
		return nil, err
	}
	t.start = timeOf(hour)
	if _, err := binary.Decode(latency, binary.LittleEndian, &t.latency); err != nil {
		return nil, fmt.Errorf("decode latencies: %w", err)
	}
	return &t, errors.Join(json.Unmarshal([]byte(drops), &t.drops), json.Unmarshal([]byte(classes), &t.classes))
}

func (t *tally) add(o *tally) {
	t.frames += o.frames
	t.inferences += o.inferences
	t.errors += o.errors
	t.drops = addCounts(t.drops, o.drops)
	t.classes = addCounts(t.classes, o.classes)
	t.scoreSum += o.scoreSum
	t.latency.Merge(&o.latency)
}

func addCounts(sum, more map[string]int64) map[string]int64 {
	if sum == nil {
		sum = map[string]int64{}
	}
	for k, n := range more {
		sum[k] += n
	}
	return sum
}

func (t *tally) report(period string) store.Report {
	r := store.Report{
		Period: period, Start: t.start, CameraID: t.camera, Model: t.model, Version: t.version,
		Frames: t.frames, Inferences: t.inferences, Errors: t.errors,
		Drops: addCounts(nil, t.drops), Classes: addCounts(nil, t.classes),
		P50: t.latency.Quantile(0.50), P95: t.latency.Quantile(0.95), P99: t.latency.Quantile(0.99),
	}
	for _, n := range t.classes {
		r.Detections += n
	}
	if r.Detections > 0 {
		r.MeanScore = t.scoreSum / float64(r.Detections)
	}
	return r
}

// MergeReport implements store.Reports.
func (s *Store) MergeReport(ctx context.Context, d store.ReportDelta) error {
	sum := &tally{
		start: d.Hour.UTC().Truncate(time.Hour), camera: d.CameraID, model: d.Model, version: d.Version,
		frames: d.Frames, inferences: d.Inferences, errors: d.Errors,
		drops: addCounts(nil, d.Drops), classes: addCounts(nil, d.Classes), scoreSum: d.ScoreSum, latency: d.Latency,
	}
	return s.write(ctx, "merge report of "+cameraNamed(d.CameraID), func(tx *sql.Tx) error {
		old, err := one(ctx, tx, scanHour, "report", selectHours+` WHERE hour_us = ? AND camera_id = ? AND model = ? AND version = ?`,
			micros(sum.start), d.CameraID, d.Model, d.Version)
		switch {
		case err == nil:
			sum.add(old)
		case !errors.Is(err, store.ErrNotFound):
			return err
		}
		return putHour(ctx, tx, sum)
	})
}

func putHour(ctx context.Context, tx *sql.Tx, t *tally) error {
	drops, err := marshal(t.drops)
	if err != nil {
		return err
	}
	classes, err := marshal(t.classes)
	if err != nil {
		return err
	}
	latency, err := binary.Append(nil, binary.LittleEndian, &t.latency)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT OR REPLACE INTO report_hours
		(hour_us, camera_id, model, version, frames, inferences, errors, drops, classes, score_sum, latency)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		micros(t.start), t.camera, t.model, t.version, t.frames, t.inferences, t.errors, drops, classes, t.scoreSum, latency)
	return err
}

// ListReports implements store.Reports. An hour counts for the day it starts in.
func (s *Store) ListReports(ctx context.Context, q store.ReportQuery) ([]store.Report, error) {
	limit := defaultReports
	if q.Limit > 0 {
		limit = min(q.Limit, mostReports)
	}
	switch q.Period {
	case "hour":
		return s.hours(ctx, q, limit)
	case "day":
		return s.days(ctx, q, limit)
	}
	return nil, fmt.Errorf("list reports: period %q is neither hour nor day", q.Period)
}

// reportFilter is a query whose range bounds the starts of hours.
type reportFilter store.ReportQuery

func (q reportFilter) query() (string, []any) {
	var f filter
	f.equal("camera_id", q.CameraID)
	f.equal("model", q.Model)
	f.from("hour_us", q.From)
	f.before("hour_us", q.To)
	return selectHours + f.where() + ` ORDER BY hour_us DESC, camera_id, model, version`, f.args
}

func (s *Store) hours(ctx context.Context, q store.ReportQuery, limit int) ([]store.Report, error) {
	if !q.From.IsZero() {
		q.From = q.From.UTC().Truncate(time.Hour)
	}
	query, args := reportFilter(q).query()
	return list(ctx, s.r, func(r row) (store.Report, error) {
		t, err := scanHour(r)
		if err != nil {
			return store.Report{}, err
		}
		return t.report("hour"), nil
	}, "reports", query+` LIMIT ?`, append(args, limit)...)
}
