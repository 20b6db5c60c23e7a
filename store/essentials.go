package store

import (
	"context"
	"errors"
	"time"
)

// Essentials are the records without which detection cannot start: whose cameras
// there are, what they run, and where the files of that are.
type Essentials struct {
	Taken   time.Time
	Clients []Client
	Cameras []Camera
	Models  []Model // each with the versions and aliases that are run or followed
	Running []RunningModel
	Zones   []ZoneMap
}

// ReadEssentials reads them. Of models it takes what the running models name, and
// the default model.
func ReadEssentials(ctx context.Context, r Records, defaultModel string) (Essentials, error) {
	e := Essentials{Taken: time.Now()}
	var errs [4]error
	e.Clients, errs[0] = r.ListClients(ctx)
	e.Cameras, errs[1] = r.ListCameras(ctx, "")
	e.Running, errs[2] = r.ListRunningModels(ctx)
	e.Zones, errs[3] = r.ListZoneMaps(ctx)
	if err := errors.Join(errs[:]...); err != nil {
		return e, err
	}
	for _, named := range append([]RunningModel{{Model: defaultModel}}, e.Running...) {
		if err := e.AddVersion(ctx, r, named); err != nil {
			return e, err
		}
	}
	return e, nil
}

// AddVersion adds the version that a running model names, and the alias by which it
// does, unless they are there. A version that does not exist is left out.
func (e *Essentials) AddVersion(ctx context.Context, r Records, named RunningModel) error {
	var v ModelVersion
	var err error
	if named.Alias != "" {
		v, err = r.AliasVersion(ctx, named.Model, named.Alias)
	} else {
		v, err = r.ModelVersion(ctx, named.Model, named.Version)
	}
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	m := e.model(v.Model)
	if named.Alias != "" {
		m.Aliases[named.Alias] = v.Version
	}
	for _, known := range m.Versions {
		if known.Version == v.Version {
			return nil
		}
	}
	v.Check = nil
	m.Versions = append(m.Versions, v)
	return nil
}

func (e *Essentials) model(name string) *Model {
	for i := range e.Models {
		if e.Models[i].Name == name {
			return &e.Models[i]
		}
	}
	e.Models = append(e.Models, Model{Name: name, Aliases: map[string]int{}})
	return &e.Models[len(e.Models)-1]
}
