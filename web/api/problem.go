package api

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"detectd/detect"
	"detectd/store"
)

// RevisionProblem is the answer to a change that was based on a stale revision:
// a problem (RFC 9457) with the record as it is stored now.
type RevisionProblem struct {
	huma.ErrorModel
	Current any `json:"current" doc:"The record as it is stored now; null when there is none."`
}

// known maps errors whose text is meant for users to statuses.
func known() []struct {
	err    error
	status int
} {
	return []struct {
		err    error
		status int
	}{
		{store.ErrNotFound, http.StatusNotFound},
		{store.ErrExists, http.StatusConflict},
		{store.ErrInUse, http.StatusConflict},
		{store.ErrGate, http.StatusConflict},
		{store.ErrRevision, http.StatusPreconditionFailed},
		{store.ErrCursor, http.StatusUnprocessableEntity},
		{store.ErrBusy, http.StatusServiceUnavailable},
		{store.ErrDisk, http.StatusServiceUnavailable},
		{detect.ErrNotONNX, http.StatusUnprocessableEntity},
		{detect.ErrExternalData, http.StatusUnprocessableEntity},
		{detect.ErrNotDetector, http.StatusUnprocessableEntity},
		{ErrTooLarge, http.StatusRequestEntityTooLarge},
		{ErrUnsupported, http.StatusUnsupportedMediaType},
		{ErrUnprocessable, http.StatusUnprocessableEntity},
		{ErrInvalid, http.StatusUnprocessableEntity},
		{ErrConflict, http.StatusConflict},
		{ErrUnavailable, http.StatusServiceUnavailable},
		{ErrNoSpace, http.StatusInsufficientStorage},
		{ErrNoHLS, http.StatusNotFound},
	}
}

// fail turns err into the answer: known errors show their text, others are
// logged and answered without it.
func (s *server) fail(ctx context.Context, err error) error {
	if _, is := errors.AsType[huma.StatusError](err); is {
		return err
	}
	for _, k := range known() {
		if errors.Is(err, k.err) {
			return huma.NewError(k.status, err.Error())
		}
	}
	if ctx.Err() != nil {
		return huma.NewError(http.StatusServiceUnavailable, "the request was cancelled")
	}
	s.Log.ErrorContext(ctx, "request failed", slog.Any("error", err))
	return huma.NewError(http.StatusInternalServerError, "something went wrong inside detectd; its log has the reason")
}

// failRevision is fail for changes under a revision: a stale one is answered
// with the stored record, in its JSON form.
func (s *server) failRevision(ctx context.Context, err error, current func() (any, error)) error {
	if !errors.Is(err, store.ErrRevision) {
		return s.fail(ctx, err)
	}
	p := &RevisionProblem{ErrorModel: huma.ErrorModel{
		Title: http.StatusText(http.StatusPreconditionFailed), Status: http.StatusPreconditionFailed, Detail: err.Error(),
	}}
	if now, err := current(); err == nil {
		p.Current = now
	}
	return p
}

// invalid is a 422 that points at the part of the request that is wrong.
func invalid(location, message string) error {
	return huma.NewError(http.StatusUnprocessableEntity, message, &huma.ErrorDetail{Message: message, Location: location})
}

// redact takes what the sender sent out of validation errors when it might be a
// secret: whole bodies, addresses with credentials, passwords.
func redact(_ huma.Context, _ string, v any) (any, error) {
	var p *huma.ErrorModel
	switch e := v.(type) {
	case *huma.ErrorModel:
		p = e
	case *RevisionProblem:
		p = &e.ErrorModel
	case *GateProblem:
		p = &e.ErrorModel
	default:
		return v, nil
	}
	for _, d := range p.Errors {
		if d != nil && !mayShow(d) {
			d.Value = nil
		}
	}
	return v, nil
}

// mayShow says whether the value of a validation error may be sent back: only
// scalars, and in bodies only of members that never hold a secret.
func mayShow(d *huma.ErrorDetail) bool {
	switch d.Value.(type) {
	case string, bool, float64, int, int64:
	default:
		return false
	}
	if d.Location == "body" {
		return false
	}
	member, inBody := strings.CutPrefix(d.Location, "body.")
	if !inBody {
		return true
	}
	switch member {
	case "client_id", "name", "transport", "record", "detect_fps", "idle", "weight", "record_before_s", "record_after_s", "keep_days", "keep_events_days", "keep_bytes", "kind", "camera_id", "model", "version", "min_score":
		return true
	}
	return false
}

// WriteProblem answers with a problem (RFC 9457) outside of the API's own handlers.
func WriteProblem(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(huma.ErrorModel{Title: http.StatusText(status), Status: status, Detail: detail})
}
