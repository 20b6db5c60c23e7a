package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"detectd/pipeline/bench/floor"
	"detectd/pipeline/decode"
	"detectd/pipeline/source/file"
)

// benchCardCommand measures G1 and G3: decoding on a card by bare loops, by detectd, and
// by detectd with some pictures read, one after the other in every round.
type benchCardCommand struct {
	Video   string        `arg:"" help:"File with H.264 or H.265."`
	Streams []int         `default:"16" help:"Streams at a time; several are measured one after the other."`
	For     time.Duration `default:"3s" help:"Of one measurement."`
	Rounds  int           `default:"3" help:"Of all; medians are printed."`
	Device  int           `help:"Number of the card."`
	Hz      float64       `default:"5" help:"Pictures read per second and stream, in the third measurement."`
}

// cardRow is a line of the answer.
type cardRow struct {
	Streams   int     `json:"streams"`
	What      string  `json:"what"` // bare, ours, or read: ours with pictures read
	FPS       float64 `json:"fps"`
	OfBare    float64 `json:"of_bare"` // G1
	CPUMillis float64 `json:"cpu_ms"`  // per picture: G3
	Fetched   float64 `json:"fetched"` // bytes of pictures that came over PCIe, by those of all: G3
}

// Run prints a JSON object per line.
func (c benchCardCommand) Run(ctx context.Context, e *env) error {
	decode.Quiet()
	info, err := file.Probe(c.Video)
	if err != nil {
		return fmt.Errorf("open %s: %w", c.Video, err)
	}
	whole := float64(info.Format.Width) * float64(info.Format.Height) * 1.5
	for _, n := range c.Streams {
		runs := map[string][]floor.Streams{}
		kinds := []string{"bare", "ours", "read"}
		for range c.Rounds {
			for _, what := range kinds {
				var s floor.Streams
				switch what {
				case "bare":
					s, err = floor.BareCard(ctx, c.Video, c.Device, n, c.For)
				case "ours":
					s, err = floor.OurCard(ctx, c.Video, c.Device, n, 0, c.For)
				default:
					s, err = floor.OurCard(ctx, c.Video, c.Device, n, c.Hz, c.For)
				}
				if err != nil {
					return fmt.Errorf("measure %s, %d streams: %w", what, n, err)
				}
				runs[what] = append(runs[what], s)
			}
		}
		out := json.NewEncoder(e.stdout)
		bare := middle(runs["bare"]).FPS
		for _, what := range kinds {
			m := middle(runs[what])
			err := out.Encode(cardRow{
				Streams: n, What: what, FPS: m.FPS, OfBare: m.FPS / bare, CPUMillis: float64(m.CPU) / float64(time.Millisecond),
				Fetched: float64(m.Card.Bytes) / (float64(m.Frames) * whole),
			})
			if err != nil {
				return fmt.Errorf("print: %w", err)
			}
		}
	}
	return nil
}

// middle is the run with the median rate.
func middle(runs []floor.Streams) floor.Streams {
	slices.SortFunc(runs, func(a, b floor.Streams) int { return cmp.Compare(a.FPS, b.FPS) })
	return runs[len(runs)/2]
}
