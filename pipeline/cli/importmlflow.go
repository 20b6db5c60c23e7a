package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"detectd/detect/model"
	"detectd/pipeline/pull/mlflow"
	"detectd/pipeline/registry"
	"detectd/store"
	"detectd/web/api"
	server "detectd/web/mlflow"
)

type modelsImportCommand struct {
	MLflow modelsImportMLflowCommand `cmd:"" name:"mlflow" help:"Copy ONNX models, tags and aliases from an MLflow server."`
}

type modelsImportMLflowCommand struct {
	Server string   `arg:"" help:"Address of the server, as in http://host:5000."`
	Models []string `arg:"" optional:"" help:"Registered models to copy (default: all)."`
	Move   bool     `help:"Also move aliases that name another version here."`
	DryRun bool     `help:"Only say what would be copied."`
}

// Help implements kong.HelpProvider.
func (modelsImportMLflowCommand) Help() string {
	return `Versions are copied in their order and get numbers of detectd's own; the same file is
not copied twice, so that the command can be run again. What detectd cannot take, as
models that are no ONNX, is left out and told. User and password may stand in the
address or in MLFLOW_TRACKING_USERNAME, MLFLOW_TRACKING_PASSWORD or MLFLOW_TRACKING_TOKEN.
Tags detectd.family, detectd.licence and detectd.contract.KEY say what a file does not.`
}

// importer copies from a server into a book.
type importer struct {
	modelsImportMLflowCommand
	env    *env
	book   modelBook
	client *mlflow.Client

	copied, present, skipped, failed int
}

// Run copies the models. Exit code 1 when anything that could be copied was not.
func (c modelsImportMLflowCommand) Run(ctx context.Context, e *env, parent *modelsCommand) error {
	client, err := mlflow.New(c.Server, os.Getenv)
	if err != nil {
		return usageError{err}
	}
	defer client.Close()
	models, err := client.Models(ctx, c.Models)
	if err != nil {
		return err
	}
	return withBook(ctx, e, parent, func(b modelBook) error {
		i := &importer{modelsImportMLflowCommand: c, env: e, book: b, client: client}
		for _, m := range models {
			if err := i.model(ctx, m); err != nil {
				return err
			}
		}
		if _, err := fmt.Fprintf(e.stdout, "copied %d versions, %d were here already, %d left out, %d failed\n", i.copied, i.present, i.skipped, i.failed); err != nil {
			return err
		}
		if i.failed > 0 {
			return errors.New("not all could be copied")
		}
		return nil
	})
}

// say prints a line about a version.
func (i *importer) say(v mlflow.Version, format string, args ...any) {
	fmt.Fprintf(i.env.stdout, "%s/%d: %s\n", v.Model, v.Number, fmt.Sprintf(format, args...))
}

// model copies a registered model: its versions, then what is said of it.
func (i *importer) model(ctx context.Context, m mlflow.Model) error {
	name := store.Slug(m.Name, "model")
	here := map[int]int{} // the version of detectd by that of the server
	for _, v := range m.Versions {
		if i.DryRun {
			i.say(v, "would be copied to %s", name)
			continue
		}
		got, err := i.version(ctx, name, m, v)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, mlflow.ErrSkip):
			i.skipped++
			i.say(v, "%v", err)
		case errors.Is(err, store.ErrExists):
			i.present++
			here[v.Number] = got.Version
			i.say(v, "is %s@%d already", name, got.Version)
		case err != nil:
			i.failed++
			i.say(v, "failed: %v", err)
		default:
			i.copied++
			here[v.Number] = got.Version
			i.say(v, "copied to %s@%d (%s)", name, got.Version, got.Family)
		}
	}
	if len(here) == 0 {
		return nil
	}
	change := store.ModelChange{SetTags: m.Tags}
	if m.Description != "" {
		change.Description = &m.Description
	}
	if change.Description != nil || len(m.Tags) > 0 {
		if err := i.book.Note(ctx, name, 0, change); err != nil {
			return fmt.Errorf("describe model %s: %w", name, err)
		}
	}
	return i.aliases(ctx, name, m, here)
}

// aliases lets the aliases of a model name the copies of what they name there.
func (i *importer) aliases(ctx context.Context, name string, m mlflow.Model, here map[int]int) error {
	models, err := i.book.List(ctx)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(models, func(x store.Model) bool { return x.Name == name })
	if at < 0 {
		return fmt.Errorf("model %s: %w", name, store.ErrNotFound)
	}
	for alias, number := range m.Aliases {
		to, now := here[number], models[at].Aliases[alias]
		switch {
		case to == 0:
			fmt.Fprintf(i.env.stdout, "%s@%s: version %d, which it names, was not copied\n", m.Name, alias, number)
		case to == now:
		case now != 0 && !i.Move:
			i.failed++
			fmt.Fprintf(i.env.stdout, "%s@%s: names %s@%d here, and %s@%d there; --move moves it\n", m.Name, alias, name, now, name, to)
		default:
			if err := i.book.Move(ctx, store.AliasChange{Model: name, Alias: alias, Version: to, Expect: now, By: "cli", Reason: "imported from " + i.client.Address()}); err != nil {
				i.failed++
				fmt.Fprintf(i.env.stdout, "%s@%s: %v\n", m.Name, alias, err)
				continue
			}
			fmt.Fprintf(i.env.stdout, "%s@%s: names %s@%d\n", m.Name, alias, name, to)
		}
	}
	return nil
}

// version copies one version. store.ErrExists comes with the one that has its file.
func (i *importer) version(ctx context.Context, name string, m mlflow.Model, v mlflow.Version) (got store.ModelVersion, err error) {
	dir, err := os.MkdirTemp("", "detectd-import-")
	if err != nil {
		return got, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	files, err := i.client.Fetch(ctx, v, dir, registry.MaxBytes)
	if err != nil {
		return got, err
	}
	n := api.NewModel{Name: name, Source: fmt.Sprintf("%s models:/%s/%d", i.client.Address(), v.Model, v.Number), Contract: map[string]string{}}
	server.ReadTags(&n, m.Tags, v.Tags)
	file, err := i.whole(files)
	if err != nil {
		return got, err
	}
	defer func() { _ = file.Close() }()
	got, err = i.book.Add(ctx, registry.New(n), file)
	if err != nil {
		return got, err
	}
	change := store.ModelChange{SetTags: v.Tags}
	if v.Description != "" {
		change.Description = &v.Description
	}
	if change.Description != nil || len(v.Tags) > 0 {
		err = i.book.Note(ctx, name, got.Version, change)
	}
	return got, err
}

// whole is the model in one file; tensors that lie beside it are taken in.
func (i *importer) whole(f mlflow.Files) (io.ReadCloser, error) {
	at := filepath.Join(f.Dir, filepath.FromSlash(f.ONNX))
	beside, err := os.ReadDir(filepath.Dir(at))
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(beside, func(e os.DirEntry) bool {
		return e.Type().IsRegular() && e.Name() != filepath.Base(at) && e.Name() != "MLmodel"
	}) {
		return os.Open(at)
	}
	data, err := os.ReadFile(at)
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(filepath.Dir(at)) // names in the model lead nowhere else
	if err != nil {
		return nil, err
	}
	defer func() { _ = root.Close() }()
	data, err = model.Inline(data, 1<<30, func(name string) (io.ReadSeekCloser, int64, error) {
		file, err := root.Open(name)
		if err != nil {
			return nil, 0, err
		}
		info, err := file.Stat()
		if err != nil {
			return nil, 0, errors.Join(err, file.Close())
		}
		return file, info.Size(), nil
	})
	if err != nil {
		return nil, err
	}
	return io.NopCloser(bytes.NewReader(data)), nil
}
