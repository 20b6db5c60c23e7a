package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"detectd/store"
)

// Coverage says how much of a span of time was recorded.
type Coverage struct {
	Start    Time               `json:"start" doc:"Where the accounted part begins."`
	End      Time               `json:"end" doc:"Where it ends; what is later is not accounted for yet."`
	Covered  float64            `json:"covered_s" example:"86280" doc:"Seconds that were recorded."`
	Missing  float64            `json:"missing_s" example:"120" doc:"Seconds that were to be recorded and were not."`
	Unwanted float64            `json:"not_wanted_s" doc:"Seconds that were not to be recorded, or are no longer kept."`
	Reasons  map[string]float64 `json:"reasons" doc:"Seconds that are not there, by reason: camera, no_video, disk_full, disk_error, process_down, overload, clock_jump and file_lost are missing; off, disabled, ended, not_kept and expired were not wanted."`
}

// Gap is a span of time without a recording.
type Gap struct {
	Start  Time   `json:"start" doc:"Where it begins."`
	End    Time   `json:"end" doc:"Where it ends, as far as it is accounted for."`
	Reason string `json:"reason" example:"camera" doc:"Why."`
	Detail string `json:"detail" example:"refused" doc:"Of the reason camera: the camera's state."`
	Wanted bool   `json:"wanted" doc:"Whether a recording should have been there."`
}

// CameraCoverage is the coverage of a camera with its days and gaps.
type CameraCoverage struct {
	CameraID string `json:"camera_id" example:"door" doc:"The camera."`
	Coverage
	Days []Coverage `json:"days" nullable:"false" doc:"Day by day, at most 366."`
	Gaps []Gap      `json:"gaps" nullable:"false" doc:"What is not there, oldest first, at most a thousand spans."`
}

const mostDays = 366

func (s *server) routeCoverage() {
	huma.Register(s.huma, operation(http.MethodGet, "/cameras/{camera_id}/coverage", "get-coverage", "Recordings",
		"Get what was recorded", "How much of a span of time was recorded, and why the rest was not. "+
			"Every second that is accounted for is covered, missing or not wanted. Without from: the last day.", 404), s.getCoverage)
}

func (s *server) getCoverage(ctx context.Context, in *struct {
	CameraPath
	Span
	TZ string `query:"tz" maxLength:"64" default:"UTC" example:"Europe/Berlin" doc:"Time zone of the days."`
},
) (*answered[CameraCoverage], error) {
	zone, err := location(in.TZ)
	if err != nil {
		return nil, err
	}
	if err := s.cameraExists(ctx, in.CameraID); err != nil {
		return nil, err
	}
	span := in.Span.store()
	if span.To.IsZero() {
		span.To = time.Now()
	}
	if span.From.IsZero() {
		span.From = span.To.Add(-24 * time.Hour)
	}
	total, err := s.Records.Coverage(ctx, in.CameraID, span)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	out := CameraCoverage{CameraID: in.CameraID, Coverage: newCoverage(total), Days: []Coverage{}, Gaps: []Gap{}}
	for at := total.From; at.Before(total.To) && len(out.Days) < mostDays; {
		y, m, d := at.In(zone).Date()
		next := time.Date(y, m, d+1, 0, 0, 0, 0, zone)
		if next.After(total.To) {
			next = total.To
		}
		day, err := s.Records.Coverage(ctx, in.CameraID, store.Range{From: at, To: next})
		if err != nil {
			return nil, s.fail(ctx, err)
		}
		out.Days = append(out.Days, newCoverage(day))
		at = next
	}
	gaps, _, err := s.Records.ListGaps(ctx, in.CameraID, span, store.Page{Limit: 1000})
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	for _, g := range gaps {
		out.Gaps = append(out.Gaps, Gap{Time{g.From}, Time{g.To}, string(g.Reason), g.Detail, g.Reason.Wanted()})
	}
	return &answered[CameraCoverage]{Body: out}, nil
}

// location returns the time zone of a query.
func location(name string) (*time.Location, error) {
	zone, err := time.LoadLocation(name)
	if err != nil || name == "Local" {
		return nil, invalid("query.tz", "there is no time zone "+name)
	}
	return zone, nil
}

func newCoverage(c store.Coverage) Coverage {
	out := Coverage{
		Start: Time{c.From}, End: Time{c.To}, Reasons: map[string]float64{},
		Covered: c.Covered.Seconds(), Missing: c.Missing.Seconds(), Unwanted: c.Unwanted.Seconds(),
	}
	for reason, d := range c.Reasons {
		out.Reasons[string(reason)] = d.Seconds()
	}
	return out
}

// addCoverage tells with every report how much of its time was recorded.
func (s *server) addCoverage(ctx context.Context, list []Report, zone *time.Location) error {
	type key struct {
		camera string
		start  time.Time
	}
	known := map[key]*Coverage{}
	for i, r := range list {
		k := key{r.CameraID, r.Start.Time}
		if known[k] == nil {
			end := r.Start.Add(time.Hour)
			if r.Period == "day" {
				y, m, d := r.Start.In(zone).Date()
				end = time.Date(y, m, d+1, 0, 0, 0, 0, zone)
			}
			c, err := s.Records.Coverage(ctx, r.CameraID, store.Range{From: r.Start.Time, To: end})
			if err != nil {
				return s.fail(ctx, err)
			}
			coverage := newCoverage(c)
			known[k] = &coverage
		}
		list[i].Recorded = known[k]
	}
	return nil
}
