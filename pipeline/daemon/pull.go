package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"

	"detectd/pipeline/pull"
	"detectd/pipeline/registry"
	"detectd/store"
	"detectd/web/api"
)

// openPull makes models of the catalogue available to the API.
func (d *Daemon) openPull(context.Context) error {
	d.pull = pull.NewPuller(pull.Config{
		Fetcher: &pull.Fetcher{}, Dir: d.folder.Pulls(), MaxBytes: registry.MaxBytes, Add: d.addPulled, Changed: announcer{d}.ModelsChanged,
	})
	return nil
}

// addPulled takes in a file that was fetched.
func (d *Daemon) addPulled(ctx context.Context, e pull.Entry, file io.Reader) (int, error) {
	v, err := d.registry.Add(ctx, registry.New{
		Name: e.Name, Description: e.Description(), Licence: e.Licence, Source: e.URL, Contract: e.Contract,
	}, &roomyReader{Reader: file, d: d})
	if errors.Is(err, store.ErrExists) {
		err = nil
	}
	return v.Version, err
}

// cataloguePort lets the API pull models.
type cataloguePort struct{ d *Daemon }

// Models implements api.Catalogue.
func (p cataloguePort) Models() []api.CatalogueModel {
	jobs := map[string]*api.Pull{}
	for _, j := range p.d.pull.Jobs() {
		jobs[j.Name] = &api.Pull{State: string(j.State), Done: j.Done, Total: j.Total, Error: j.Error}
	}
	entries := pull.Catalogue()
	out := make([]api.CatalogueModel, len(entries))
	for i, e := range entries {
		out[i] = api.CatalogueModel{
			Name: e.Name, Title: e.Title, Licence: e.Licence, Source: e.Source, URL: e.URL, SHA256: e.SHA256, Bytes: e.Bytes,
			AP: e.AP, Width: e.Width, Height: e.Height, Pull: jobs[e.Name],
		}
	}
	return out
}

// Pull implements api.Catalogue.
func (p cataloguePort) Pull(_ context.Context, name string) error {
	if err := p.d.room(); err != nil {
		return err
	}
	_, err := p.d.pull.Start(name)
	switch {
	case errors.Is(err, pull.ErrUnknown):
		return fmt.Errorf("model %q of the catalogue: %w", name, store.ErrNotFound)
	case err != nil:
		return ofKind(store.ErrInUse, err)
	}
	return nil
}

// StopPull implements api.Catalogue.
func (p cataloguePort) StopPull(name string) error {
	if p.d.pull.Stop(name) != nil {
		return fmt.Errorf("pull of model %q: %w", name, store.ErrNotFound)
	}
	return nil
}
