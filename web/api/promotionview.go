package api

import (
	"cmp"
	"slices"
	"time"

	"detectd/store"
)

// record fills what is absent from the defaults.
func (b PromotionBands) record() store.Bands {
	d := store.DefaultBands()
	return store.Bands{
		MinSamples: cmp.Or(b.MinSamples, d.MinSamples), Window: cmp.Or(time.Duration(b.Window*float64(time.Second)), d.Window),
		MaxErrors: cmp.Or(b.MaxErrors, d.MaxErrors), MaxNotFinite: cmp.Or(b.MaxNaN, d.MaxNotFinite),
		MaxSlowdown: cmp.Or(b.MaxSlowdown, d.MaxSlowdown), MaxDropped: cmp.Or(b.MaxDropped, d.MaxDropped),
		MinFound: cmp.Or(b.MinFound, d.MinFound), MaxFound: cmp.Or(b.MaxFound, d.MaxFound),
	}
}

func newPromotion(p store.Promotion) Promotion {
	b := p.Bands
	out := Promotion{
		ID: p.ID, Model: p.Model, Version: p.Version, Alias: p.Alias, ClientID: p.ClientID, Cameras: append([]string{}, p.Cameras...),
		State: p.State, Share: p.Share, Provider: p.Provider, Period: p.Period.Seconds(), ChampionModel: p.ChampionModel, ChampionVersion: p.ChampionVersion,
		By: p.By, Reason: p.Reason, StageSince: Time{p.StageSince}, CreatedAt: Time{p.CreatedAt}, UpdatedAt: Time{p.UpdatedAt}, Revision: p.Revision,
		Bands: PromotionBands{
			MinSamples: b.MinSamples, Window: b.Window.Seconds(), MaxErrors: b.MaxErrors, MaxNaN: b.MaxNotFinite, MaxSlowdown: b.MaxSlowdown,
			MaxDropped: b.MaxDropped, MinFound: b.MinFound, MaxFound: b.MaxFound,
		},
		Shadow: newShadowFigures(p.Shadow), Beside: newShadowFigures(p.Beside),
	}
	if f := p.Figures; f != nil {
		out.Figures = &PromotionLook{
			At: Time{f.At}, Cameras: f.Cameras, Inferences: f.Inferences, Errors: f.Errors, NaN: f.NotFinite, Dropped: f.Dropped,
			Detections: f.Detections, P95: ms(f.P95), Inference: ms(f.Inference), Alone: f.Alone, Rules: newRuleResults(f.Rules), Enough: f.Enough, Fault: f.Fault,
		}
	}
	return out
}

func newShadowFigures(r *store.ShadowReport) *ShadowFigures {
	if r == nil {
		return nil
	}
	out := &ShadowFigures{
		Model: r.Model, Version: r.Version, Since: Time{r.Since}, Offered: r.Offered, Chosen: r.Chosen, Busy: r.Busy, NoRoom: r.NoRoom,
		Looked: r.Looked, Failed: r.Failed, NaN: r.NotFinite, Same: mean(float64(r.Same), r.Looked), Agreement: r.Total().Agreement(),
		Classes: []ClassAgreement{}, P50: ms(r.Took.Quantile(0.5)), P95: ms(r.Took.Quantile(0.95)),
		Mean: mean(ms(r.Wall), r.Looked), CPU: mean(ms(r.CPU), r.Looked), Error: r.Error,
	}
	if all := r.Active.Seconds() * float64(r.Cores); all > 0 {
		out.CPUShare = r.CPU.Seconds() / all
	}
	for label, c := range r.Classes {
		out.Classes = append(out.Classes, ClassAgreement{
			Label: label, Matched: c.Matched, Extra: c.Extra, Missing: c.Missing, Agreement: c.Agreement(),
			ScoreDiff: mean(c.ScoreDiff, c.Matched), AbsDiff: mean(c.AbsScoreDiff, c.Matched),
		})
	}
	slices.SortFunc(out.Classes, func(a, b ClassAgreement) int {
		return cmp.Or(cmp.Compare(b.Matched+b.Extra+b.Missing, a.Matched+a.Extra+a.Missing), cmp.Compare(a.Label, b.Label))
	})
	return out
}

// mean is a sum over n; 0 of none.
func mean(sum float64, n int64) float64 {
	if n == 0 {
		return 0
	}
	return sum / float64(n)
}
