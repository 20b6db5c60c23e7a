package daemon

import (
	"context"
	"errors"

	"detectd/detect"
	"detectd/pipeline/bus"
	"detectd/pipeline/promote"
	"detectd/pipeline/stage/shadow"
	"detectd/store"
	"detectd/web/api"
)

// openPromotions builds what promotes models. The inference stage is there.
func (d *Daemon) openPromotions(spare shadow.Spare) {
	d.shadow = shadow.New(func(ctx context.Context, ref detect.Ref, provider string) (detect.Detector, error) {
		v, err := d.registry.Find(ctx, ref)
		if err != nil {
			return nil, err
		}
		return d.load(ctx, v, provider)
	}, spare, d.log)
	d.promotions = promote.New(promote.Config{Default: d.cfg.Detect.Model}, promote.Deps{
		Records: d.records, Keeper: d.keeper, Bus: d.bus, Shadows: shadows{d.shadow}, Assigned: d.assigned, Changed: d.promoted, Log: d.log,
	})
}

// shadows lets promotions use the stage.
type shadows struct{ *shadow.Stage }

// Set implements promote.Shadows.
func (s shadows) Set(tasks []promote.ShadowTask) {
	list := make([]shadow.Task, len(tasks))
	for i, t := range tasks {
		list[i] = shadow.Task(t)
	}
	s.Stage.Set(list)
}

// assigned tells what a camera runs, and why not what it should.
func (d *Daemon) assigned(cameraID string) (ref detect.Ref, trouble string) {
	a := d.infer.Assignment(cameraID)
	return a.Ref, a.Err
}

// promoted tells the stages and the pages of a decision.
func (d *Daemon) promoted(p store.Promotion, running []store.RunningModel, alias bool) {
	tell := announcer{d}
	for _, r := range running {
		tell.RunningModelChanged(r.ClientID, r.CameraID, r.Revision)
	}
	if alias {
		tell.ModelsChanged()
	}
	d.bus.Publish(bus.Subject(bus.Promotions, p.ID), bus.Change{ID: p.ID, ClientID: p.ClientID, Action: p.State, Revision: p.Revision})
}

// promotionPort lets the API promote models.
type promotionPort struct{ m *promote.Manager }

func (p promotionPort) answer(r store.Promotion, err error) (store.Promotion, error) {
	switch {
	case errors.Is(err, promote.ErrInvalid):
		err = ofKind(api.ErrInvalid, err)
	case errors.Is(err, promote.ErrState):
		err = ofKind(api.ErrConflict, err)
	}
	return r, err
}

// Start implements api.Promotions.
func (p promotionPort) Start(ctx context.Context, r api.PromotionRequest) (store.Promotion, error) {
	return p.answer(p.m.Start(ctx, promote.Request(r)))
}

// View implements api.Promotions.
func (p promotionPort) View(ctx context.Context, id string) (store.Promotion, error) {
	return p.m.View(ctx, id)
}

// Step implements api.Promotions.
func (p promotionPort) Step(ctx context.Context, id string, s api.PromotionStep) (store.Promotion, error) {
	switch s.To {
	case store.PromotionCanary:
		return p.answer(p.m.Canary(ctx, id, s.Cameras, s.By, s.Reason))
	case store.PromotionWatch:
		return p.answer(p.m.Promote(ctx, id, s.By, s.Reason, s.Force))
	case store.PromotionDone:
		return p.answer(p.m.Finish(ctx, id, s.By, s.Reason))
	default:
		return p.answer(p.m.RollBack(ctx, id, s.By, s.Reason))
	}
}
