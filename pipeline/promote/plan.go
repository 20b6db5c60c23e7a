package promote

import (
	"fmt"
	"slices"

	"detectd/store"
)

// signature is who promotions are in the histories of what they change.
func signature(id string) string { return "promotion/" + id }

// place names a running-model record.
type place struct{ client, camera string }

func placeOf(r store.RunningModel) place { return place{r.ClientID, r.CameraID} }

// records are the running-model records by place.
type records map[place]store.RunningModel

func newRecords(list []store.RunningModel) records {
	out := records{}
	for _, r := range list {
		out[placeOf(r)] = r
	}
	return out
}

// undo is the step that brings back what a place has now. The store fills in the
// revision that it goes by.
func (r records) undo(p place) store.RunningStep {
	if old, ok := r[p]; ok {
		return store.RunningStep{Record: old}
	}
	return store.RunningStep{Record: store.RunningModel{ClientID: p.client, CameraID: p.camera, Deleted: true}}
}

// set is the step that makes a place run the candidate, with all else that is set
// for it now.
func set(p store.Promotion, old store.RunningModel, at place, expect int64) store.RunningStep {
	next := old
	next.ClientID, next.CameraID, next.Model, next.Version, next.Alias, next.Deleted = at.client, at.camera, p.Model, p.Version, "", false
	next.UpdatedBy, next.Reason = signature(p.ID), p.Reason
	return store.RunningStep{Record: next, Expect: expect}
}

// canarySteps makes the cameras of a promotion run the candidate, each with a record
// of its own, and adds what undoes that to the promotion.
func canarySteps(p *store.Promotion, running []store.RunningModel, defaultModel string) (steps []store.RunningStep) {
	now := newRecords(running)
	for _, camera := range p.Cameras {
		at := place{p.ClientID, camera}
		p.Before = append(p.Before, now.undo(at))
		steps = append(steps, set(*p, store.Effective(running, p.ClientID, camera, defaultModel), at, now[at].Revision))
	}
	return steps
}

// promoteSteps makes all of the client that runs the champion run the candidate:
// its own record, and those of its cameras that name the champion. Cameras of the
// canary that had no record of their own follow the client again. Records that name
// another model, or follow the alias that is moved, stay. What undoes it all is
// added to the promotion. resolve tells the version that a record stands for.
func promoteSteps(p *store.Promotion, running []store.RunningModel, resolve func(store.RunningModel) int) (steps []store.RunningStep) {
	now := newRecords(running)
	follows := func(r store.RunningModel) bool { return p.Alias != "" && r.Model == p.Model && r.Alias == p.Alias }
	runsChampion := func(r store.RunningModel) bool {
		return r.Model == p.ChampionModel && !follows(r) && resolve(r) == p.ChampionVersion
	}
	client := place{p.ClientID, ""}
	own, has := now[client]
	follow := has && follows(own) // whether cameras without a record get the candidate
	if !has || runsChampion(own) {
		follow = true
		p.Before = append(p.Before, now.undo(client))
		steps = append(steps, set(*p, own, client, own.Revision))
	}
	for _, r := range running {
		at := placeOf(r)
		if r.ClientID != p.ClientID || r.CameraID == "" {
			continue
		}
		i := slices.IndexFunc(p.Before, func(b store.RunningStep) bool { return placeOf(b.Record) == at })
		switch {
		case i >= 0 && p.Before[i].Record.Deleted && r.Revision == p.Before[i].Expect && follow:
			gone := r
			gone.Deleted, gone.UpdatedBy, gone.Reason = true, signature(p.ID), p.Reason
			steps = append(steps, store.RunningStep{Record: gone, Expect: r.Revision})
		case i >= 0 && !p.Before[i].Record.Deleted && follows(p.Before[i].Record) && r.Revision == p.Before[i].Expect:
			back := p.Before[i].Record
			back.UpdatedBy, back.Reason = signature(p.ID), p.Reason
			steps = append(steps, store.RunningStep{Record: back, Expect: r.Revision})
		case i < 0 && runsChampion(r):
			p.Before = append(p.Before, now.undo(at))
			steps = append(steps, set(*p, r, at, r.Revision))
		}
	}
	return steps
}

// rollBackSteps brings back what ran before, but where somebody has changed the
// record since: kept says where.
func rollBackSteps(p store.Promotion, running []store.RunningModel, cameras []store.Camera) (steps []store.RunningStep, kept []string) {
	now := newRecords(running)
	for _, b := range p.Before {
		at := placeOf(b.Record)
		gone := at.camera != "" && !slices.ContainsFunc(cameras, func(c store.Camera) bool { return c.ID == at.camera && c.ClientID == at.client })
		r, has := now[at]
		switch {
		case gone, !has && b.Record.Deleted:
		case r.Revision != b.Expect:
			kept = append(kept, named(at))
		default:
			back := b.Record
			back.ClientID, back.CameraID, back.UpdatedBy, back.Reason = at.client, at.camera, signature(p.ID), p.Reason
			if back.Deleted { // what is noted in the history is what was taken away
				back.Model, back.Version, back.Alias = r.Model, r.Version, r.Alias
			}
			steps = append(steps, store.RunningStep{Record: back, Expect: r.Revision})
		}
	}
	return steps, kept
}

func named(p place) string {
	if p.camera == "" {
		return "client " + p.client
	}
	return fmt.Sprintf("camera %s", p.camera)
}
