package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"detectd/detect"
	"detectd/store"
	"detectd/web/api"
)

// noteBook is the part of a modelBook that is about what is said of models.
type noteBook interface {
	// Note changes description and tags of a version, or of the model for version 0.
	Note(ctx context.Context, model string, version int, c store.ModelChange) error
}

type modelsTagCommand struct {
	Model       string   `arg:"" help:"NAME, or NAME@VERSION for one version."`
	Tags        []string `arg:"" optional:"" help:"KEY=VALUE to set."`
	Remove      []string `placeholder:"KEY" sep:"none" help:"Tag to remove; may be repeated."`
	Description *string  `placeholder:"TEXT" help:"What it is, for people."`
	Licence     *string  `placeholder:"TEXT" help:"Of a version: under which terms it may be used."`
	Source      *string  `placeholder:"TEXT" help:"Of a version: where its file came from."`
}

// Help implements kong.HelpProvider.
func (modelsTagCommand) Help() string {
	return `Three tags tell where a version comes from, and show as its lineage: detectd.job (what
trained it), detectd.dataset (the data, with its version) and detectd.parent (the version
that it was trained from).`
}

// Run changes tags and description.
func (c modelsTagCommand) Run(ctx context.Context, e *env, parent *modelsCommand) error {
	ref, err := detect.ParseRef(c.Model)
	if err != nil {
		return usageError{err}
	}
	if ref.Version == 0 && ref.Alias == "" && (c.Licence != nil || c.Source != nil) {
		return usageError{fmt.Errorf("--licence and --source belong to a version: NAME@VERSION, as in %s@1", ref.Model)}
	}
	change := store.ModelChange{Description: c.Description, Licence: c.Licence, Source: c.Source, SetTags: map[string]string{}, RemoveTags: c.Remove}
	for _, text := range c.Tags {
		key, value, ok := strings.Cut(text, "=")
		if !ok || key == "" {
			return usageError{fmt.Errorf("%q: a tag is KEY=VALUE", text)}
		}
		change.SetTags[key] = value
	}
	if len(c.Tags)+len(c.Remove) == 0 && c.Description == nil && c.Licence == nil && c.Source == nil {
		return usageError{errors.New("give KEY=VALUE, --remove KEY, --description, --licence or --source TEXT")}
	}
	return withBook(ctx, e, parent, func(b modelBook) error {
		if ref.Alias != "" {
			models, err := b.List(ctx)
			if err != nil {
				return err
			}
			_, v, err := pick(models, ref)
			if err != nil {
				return err
			}
			ref = detect.Ref{Model: v.Model, Version: v.Version}
		}
		if err := b.Note(ctx, ref.Model, ref.Version, change); err != nil {
			return err
		}
		_, err := fmt.Fprintln(e.stdout, "changed", ref)
		return err
	})
}

// Note implements noteBook.
func (b *folderBook) Note(ctx context.Context, model string, version int, c store.ModelChange) error {
	if version > 0 {
		_, err := b.records.ChangeVersion(ctx, model, version, c)
		return err
	}
	m, err := b.records.Model(ctx, model, false)
	if err == nil {
		_, err = b.records.ChangeModel(ctx, model, c, m.Revision)
	}
	return err
}

// Note implements noteBook.
func (b *daemonBook) Note(ctx context.Context, model string, version int, c store.ModelChange) error {
	notes := api.ModelNotes{Description: c.Description, Licence: c.Licence, Source: c.Source, SetTags: maps.Clone(c.SetTags), RemoveTags: c.RemoveTags}
	path, revision := "/models/"+url.PathEscape(model), ""
	if version > 0 {
		path += fmt.Sprint("/versions/", version)
	} else {
		m, err := b.records.Model(ctx, model, false)
		if err != nil {
			return err
		}
		revision = strconv.FormatInt(m.Revision, 10)
	}
	return b.send(ctx, http.MethodPatch, path, revision, notes, nil)
}
