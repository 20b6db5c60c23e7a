package journal

import (
	"context"
	"fmt"
	"strings"
	"time"

	"detectd/pipeline/bus"
	"detectd/store"
)

// gap logs that nothing is recorded, and later for how long nothing was. That detectd
// was not running is over when it is told first.
func (s *Stage) gap(g bus.Gap, now time.Time) {
	down := store.GapReason(g.Reason) == store.GapDown
	if down && !g.Open {
		return
	}
	length := g.To.Sub(g.From).Round(time.Second)
	s.add(note{
		Event: store.Event{Time: now, Kind: RecordGap, CameraID: g.CameraID},
		data: struct {
			From    time.Time `json:"from"`
			Open    bool      `json:"open"`
			Seconds float64   `json:"seconds"`
			Reason  string    `json:"reason"`
			Detail  string    `json:"detail,omitempty"`
		}{g.From, g.Open, length.Seconds(), g.Reason, g.Detail},
		say: func(ctx context.Context, n *names) string {
			name, why := n.camera(ctx, g.CameraID).Name, gapWords(g)
			if g.Open && !down {
				return fmt.Sprintf("nothing is recorded of camera %s: %s", name, why)
			}
			return fmt.Sprintf("nothing was recorded of camera %s for %s: %s", name, length, why)
		},
	})
}

func gapWords(g bus.Gap) string {
	words := map[store.GapReason]string{
		store.GapCamera: "the camera was not there", store.GapNoVideo: "it sent nothing that can be recorded",
		store.GapDiskFull: "the disk was full", store.GapDisk: "the disk refused", store.GapDown: "detectd was not running",
		store.GapOverload: "the disk could not keep up", store.GapClock: "the machine's clock was set, or it slept",
		store.GapLost: "the file is gone",
	}[store.GapReason(g.Reason)]
	if words == "" {
		words = g.Reason
	}
	detail := g.Detail
	if store.GapReason(g.Reason) == store.GapCamera { // its state
		detail = strings.ReplaceAll(detail, "_", " ")
	}
	if detail != "" {
		words += " (" + detail + ")"
	}
	return words
}

// space logs how full the disk is. That old recordings make room is nothing new.
func (s *Stage) space(v bus.SpaceState, now time.Time) {
	words := ""
	disk := map[string]string{"files": "the disk is %s of files (it has no inodes for more)", "quota": "the disk is %s for this user (a quota)"}[v.ShortOf]
	if disk == "" {
		disk = "the disk is %s"
	}
	serious := func(level string) bool { return level == "refuse" || level == "stop" }
	switch {
	case v.Level == "stop":
		words = fmt.Sprintf(disk, "full") + ": nothing is recorded or taken in"
	case v.Level == "refuse":
		words = fmt.Sprintf(disk, "nearly full") + ": uploads and other things that can wait are refused"
	case serious(v.Was):
		words = "the disk has space again"
	default:
		return
	}
	s.add(note{
		Event: store.Event{Time: now, Kind: DiskSpace},
		data:  v,
		say:   func(context.Context, *names) string { return words },
	})
}
