package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"detectd/detect"
	"detectd/store"
)

// mayRun refuses a version whose self-check has failed and that the record names by
// its number, unless that is forced with a reason: it returns the reason, for the
// history, with what the check has found. The rules of an alias are the alias's own
// matter; the newest version is always one that has not failed. What runs already
// may go on with other settings.
func (s *server) mayRun(ctx context.Context, r store.RunningModel, v store.ModelVersion, force bool) (reason string, err error) {
	if r.Alias != "" || r.Version == 0 || !v.CheckFailed() {
		return r.Reason, nil
	}
	old, err := s.Records.RunningModel(ctx, r.ClientID, r.CameraID)
	if err == nil && old.Model == r.Model && old.Version == r.Version {
		return r.Reason, nil
	}
	_, results, err := s.Aliases.Check(ctx, v.Model, "", v.Version) // as for an alias without rules
	if err != nil {
		return "", s.fail(ctx, err)
	}
	refused := &store.GateError{Model: v.Model, Version: v.Version, Run: true, Results: results}
	switch {
	case !force:
		return "", s.failGate(ctx, refused)
	case r.Reason == "":
		return "", invalid("body.reason", "force needs a reason")
	}
	return r.Reason + " (forced, the self-check says: " + results[0].Measured + ")", nil
}

// checkRunning answers 422 when a running model cannot be meant: there is no such
// model, it has no such classes, the camera has no such zones. It returns the version
// that is meant now.
func (s *server) checkRunning(ctx context.Context, r store.RunningModel) (store.ModelVersion, error) {
	v, err := s.checkVersion(ctx, r)
	if err != nil {
		return v, err
	}
	return v, s.checkSettings(ctx, r, v)
}

func (s *server) checkSettings(ctx context.Context, r store.RunningModel, v store.ModelVersion) error {
	var c detect.Contract
	if err := json.Unmarshal(v.Contract, &c); err != nil {
		return s.fail(ctx, fmt.Errorf("read contract of model %s: %w", r.Model, err))
	}
	for i, class := range r.Classes {
		if !slices.Contains(c.Labels, class) {
			return invalid(fmt.Sprintf("body.classes[%d]", i), fmt.Sprintf("model %s@%d has no class %q", v.Model, v.Version, class))
		}
	}
	for member, limits := range map[string]map[string]float64{"min_scores": r.MinScores, "nms_ious": r.NMSIoUs} {
		for _, class := range slices.Sorted(maps.Keys(limits)) {
			where := "body." + member + "." + class
			if !slices.Contains(c.Labels, class) {
				return invalid(where, fmt.Sprintf("model %s@%d has no class %q", v.Model, v.Version, class))
			}
			if x := limits[class]; !(x > 0 && x <= 1) {
				return invalid(where, fmt.Sprintf("%g is not above 0 and at most 1", x))
			}
		}
	}
	if r.Provider != "" {
		if err := s.Models.CheckProvider(r.Provider); err != nil {
			return invalid("body.provider", err.Error())
		}
	}
	return s.checkZones(ctx, r)
}

func (s *server) checkVersion(ctx context.Context, r store.RunningModel) (store.ModelVersion, error) {
	if r.Alias != "" && r.Version != 0 {
		return store.ModelVersion{}, invalid("body.alias", "give a version or an alias, not both")
	}
	v, err := s.version(ctx, r.Model, r.Version, r.Alias)
	switch {
	case errors.Is(err, store.ErrNotFound) && r.Alias != "":
		return v, invalid("body.alias", fmt.Sprintf("there is no model %s@%s", r.Model, r.Alias))
	case errors.Is(err, store.ErrNotFound) && r.Version != 0:
		return v, invalid("body.version", fmt.Sprintf("there is no model %s@%d", r.Model, r.Version))
	case err != nil:
		return v, s.failReference(ctx, err, "body.model", "there is no model "+r.Model)
	}
	return v, nil
}

// checkZones looks whether the camera has the zones. Those of a client's record are
// looked up by each camera.
func (s *server) checkZones(ctx context.Context, r store.RunningModel) error {
	if r.CameraID == "" || len(r.Zones) == 0 {
		return nil
	}
	m, err := s.Records.ZoneMap(ctx, r.CameraID)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return s.fail(ctx, err)
	}
	for i, id := range r.Zones {
		if !slices.ContainsFunc(m.Zones, func(z store.Zone) bool { return z.ID == id }) {
			return invalid(fmt.Sprintf("body.zones[%d]", i), fmt.Sprintf("camera %s has no zone %q", r.CameraID, id))
		}
	}
	return nil
}
