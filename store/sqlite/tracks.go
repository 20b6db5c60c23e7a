package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"detectd/store"
)

const trackColumns = `id, camera_id, class_id, label, start_us, end_us, ended, frames,
	best_score, best_us, best_x, best_y, best_w, best_h, model, version, clock, time_error_us`

const selectTracks = `SELECT ` + trackColumns + ` FROM tracks`

func scanTrack(r row) (t store.Track, err error) {
	var start, end, best, timeError int64
	err = r.Scan(&t.ID, &t.CameraID, &t.ClassID, &t.Label, &start, &end, &t.Ended, &t.Frames,
		&t.BestScore, &best, &t.BestBox[0], &t.BestBox[1], &t.BestBox[2], &t.BestBox[3], &t.Model, &t.Version, &t.Clock, &timeError)
	t.Start, t.End, t.BestTime = timeOf(start), timeOf(end), timeOf(best)
	t.TimeError = time.Duration(timeError) * time.Microsecond
	return t, err
}

func trackPages() paged[store.Track, string] {
	return paged[store.Track, string]{
		what: "tracks", query: selectTracks, timeIn: "start_us", idIn: "id", scan: scanTrack,
		at: func(t store.Track) position[string] { return position[string]{micros(t.Start), t.ID} },
	}
}

// PutTrack implements store.Tracks. It returns ErrNotFound when the camera is gone.
func (s *Store) PutTrack(ctx context.Context, t store.Track) error {
	return s.together(ctx, fmt.Sprintf("write track %q", t.ID), func(ctx context.Context, tx *sql.Tx) error {
		err := putTrack(ctx, tx, t)
		if isDangling(err) {
			return notFound(cameraNamed(t.CameraID))
		}
		return err
	})
}

// PutTracks implements store.Tracks.
func (s *Store) PutTracks(ctx context.Context, ts []store.Track) error {
	if len(ts) == 0 {
		return nil
	}
	return s.together(ctx, fmt.Sprintf("write %d tracks", len(ts)), func(ctx context.Context, tx *sql.Tx) error {
		for _, t := range ts {
			if err := putTrack(ctx, tx, t); err != nil && !isDangling(err) {
				return err
			}
		}
		return nil
	})
}

func putTrack(ctx context.Context, tx *sql.Tx, t store.Track) error {
	_, err := tx.ExecContext(ctx, `INSERT OR REPLACE INTO tracks (`+trackColumns+`)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		t.ID, t.CameraID, t.ClassID, t.Label, micros(t.Start), micros(t.End), t.Ended, t.Frames,
		t.BestScore, micros(t.BestTime), t.BestBox[0], t.BestBox[1], t.BestBox[2], t.BestBox[3], t.Model, t.Version,
		t.Clock, t.TimeError.Microseconds())
	return err
}

// Track implements store.Tracks.
func (s *Store) Track(ctx context.Context, id string) (store.Track, error) {
	return one(ctx, s.r, scanTrack, fmt.Sprintf("track %q", id), selectTracks+` WHERE id = ?`, id)
}

// ListTracks implements store.Tracks.
func (s *Store) ListTracks(ctx context.Context, cameraID, label string, r store.Range, p store.Page) ([]store.Track, string, error) {
	return trackPages().read(ctx, s.r, trackFilter(cameraID, label, r), p)
}

func trackFilter(cameraID, label string, r store.Range) (f filter) {
	f.equal("camera_id", cameraID)
	f.equal("label", label)
	f.from("end_us", r.From)
	f.before("start_us", r.To)
	return f
}
