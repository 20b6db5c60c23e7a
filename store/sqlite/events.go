package sqlite

import (
	"context"
	"database/sql"
	"strings"
	"time"

	"detectd/store"
)

const selectEvents = `SELECT id, time_us, kind, camera_id, client_id, message, data, clock, time_error_us FROM events`

func scanEvent(r row) (e store.Event, err error) {
	var at, timeError int64
	var data string
	err = r.Scan(&e.ID, &at, &e.Kind, &e.CameraID, &e.ClientID, &e.Message, &data, &e.Clock, &timeError)
	e.Time, e.Data, e.TimeError = timeOf(at), raw(data), time.Duration(timeError)*time.Microsecond
	return e, err
}

func eventPages() paged[store.Event, int64] {
	return paged[store.Event, int64]{
		what: "events", query: selectEvents, timeIn: "time_us", idIn: "id", scan: scanEvent,
		at: func(e store.Event) position[int64] { return position[int64]{micros(e.Time), e.ID} },
	}
}

// AddEvent implements store.Events. A zero time takes the present.
func (s *Store) AddEvent(ctx context.Context, e store.Event) (store.Event, error) {
	if e.Time = stored(e.Time); e.Time.IsZero() {
		e.Time = s.time()
	}
	err := s.together(ctx, "add event "+e.Kind, func(ctx context.Context, tx *sql.Tx) error { return addEvent(ctx, tx, &e) })
	if err != nil {
		return store.Event{}, err
	}
	return e, nil
}

// AddEvents implements store.Events. Zero times take the present.
func (s *Store) AddEvents(ctx context.Context, es []store.Event) error {
	if len(es) == 0 {
		return nil
	}
	now := s.time()
	return s.together(ctx, "add events", func(ctx context.Context, tx *sql.Tx) error {
		for i := range es {
			if es[i].Time = stored(es[i].Time); es[i].Time.IsZero() {
				es[i].Time = now
			}
			if err := addEvent(ctx, tx, &es[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

func addEvent(ctx context.Context, tx *sql.Tx, e *store.Event) error {
	return tx.QueryRowContext(ctx, `INSERT INTO events (time_us, kind, camera_id, client_id, message, data, clock, time_error_us)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING id`,
		micros(e.Time), e.Kind, e.CameraID, e.ClientID, e.Message, string(e.Data),
		e.Clock, e.TimeError.Microseconds()).Scan(&e.ID)
}

// ListEvents implements store.Events.
func (s *Store) ListEvents(ctx context.Context, cameraID, kind string, r store.Range, p store.Page) ([]store.Event, string, error) {
	return eventPages().read(ctx, s.r, eventFilter(cameraID, kind, r), p)
}

func eventFilter(cameraID, kind string, r store.Range) (f filter) {
	f.equal("camera_id", cameraID)
	if without, excluded := strings.CutPrefix(kind, "!"); excluded {
		f.add("substr(kind, 1, length(?)) <> ?", without, without)
	} else {
		f.equal("kind", kind)
	}
	f.from("time_us", r.From)
	f.before("time_us", r.To)
	return f
}
