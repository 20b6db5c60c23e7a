package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"detectd/detect/model"
	"detectd/pipeline/pull"
	"detectd/pipeline/registry"
	"detectd/store"
)

type modelsPullCommand struct {
	Model    string   `arg:"" optional:"" help:"NAME of the catalogue, or address of an ONNX file. Without it, the catalogue is printed."`
	Name     string   `placeholder:"NAME" help:"Model to add it to (default: the name in the catalogue, or the file's)."`
	SHA256   string   `name:"sha256" placeholder:"HEX" help:"Checksum that the file must have; also accepts a file that has changed."`
	Licence  string   `help:"Its licence, where the catalogue does not know it."`
	Family   string   `placeholder:"F" help:"How its outputs are laid out, when that cannot be found out."`
	Contract []string `placeholder:"KEY=VALUE" sep:"none" help:"A part of its contract that cannot be found out; may be repeated."`
	JSON     bool     `name:"json" help:"Print the catalogue as JSON."`
}

// Help implements kong.HelpProvider.
func (modelsPullCommand) Help() string {
	return `What was fetched of a file is kept when the connection breaks or this program ends,
and the next pull goes on from there. Files of the catalogue have a checksum. Of
other addresses, the first pull decides: a later one that brings another file is
refused, unless --sha256 names that one.

HTTPS_PROXY, HTTP_PROXY and NO_PROXY are heeded.`
}

// wanted is a file to pull, and the model that it becomes.
type wanted struct {
	registry.New
	url    string
	sha256 string // "" when it is not known
}

// Run pulls a model, or prints the catalogue.
func (c modelsPullCommand) Run(ctx context.Context, e *env, parent *modelsCommand) error {
	if c.Model == "" {
		return c.catalogue(e.stdout)
	}
	w, err := c.wanted()
	if err != nil {
		return usageError{err}
	}
	return withBook(ctx, e, parent, func(b modelBook) error {
		models, err := b.List(ctx)
		if err != nil {
			return err
		}
		if w.sha256 == "" {
			w.sha256 = pinned(models, w.url)
		}
		if v, ok := versionWith(models, w.Name, w.sha256); ok {
			_, err := fmt.Fprintf(e.stdout, "%s is %s@%d already\n", c.Model, v.Model, v.Version)
			return err
		}
		return c.pull(ctx, e, b, w)
	})
}

// checksum reads --sha256, which may be left out.
func checksum(text string) (string, error) {
	if sum, err := hex.DecodeString(text); text != "" && (err != nil || len(sum) != sha256.Size) {
		return "", fmt.Errorf("--sha256 %q: a SHA-256 is 64 hexadecimal digits", text)
	}
	return strings.ToLower(text), nil
}

// wanted is what the command line asks for.
func (c modelsPullCommand) wanted() (w wanted, err error) {
	if w.sha256, err = checksum(c.SHA256); err != nil {
		return w, err
	}
	if w.Contract, err = model.ParseOverrides(c.Contract); err != nil {
		return w, err
	}
	w.Name, w.Family, w.Licence = c.Name, c.Family, c.Licence
	if strings.Contains(c.Model, "://") {
		w.url, w.Source = c.Model, c.Model
		if w.Name == "" {
			file, _, _ := strings.Cut(path.Base(c.Model), "?")
			w.Name = store.Slug(strings.TrimSuffix(file, path.Ext(file)), "model")
		}
		return w, nil
	}
	entry, ok := pull.Find(c.Model)
	if !ok {
		return w, fmt.Errorf("the catalogue has no %q; it has %s, and an address (https://…) works too", c.Model, strings.Join(names(), ", "))
	}
	contract := entry.Contract
	maps.Copy(contract, w.Contract) // what is asked for counts
	given := w
	w.New = registry.New{Name: entry.Name, Description: entry.Description(), Licence: entry.Licence, Source: entry.URL}
	w.Contract, w.url = contract, entry.URL
	if given.Name != "" {
		w.Name = given.Name
	}
	if given.Family != "" {
		w.Family = given.Family
	}
	if w.sha256 == "" {
		w.sha256 = entry.SHA256
	}
	return w, nil
}

func (c modelsPullCommand) pull(ctx context.Context, e *env, b modelBook, w wanted) error {
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	var told time.Time
	var fetcher pull.Fetcher
	got, err := fetcher.Fetch(ctx, pull.File{
		URL: w.url, SHA256: w.sha256, MaxBytes: registry.MaxBytes, Dir: filepath.Join(cache, "detectd", "pull"),
		Progress: func(done, total int64) {
			if time.Since(told) < time.Second && done != total {
				return
			}
			told = time.Now()
			of := ""
			if total > 0 {
				of = fmt.Sprintf(" of %.1f", float64(total)/1e6)
			}
			fmt.Fprintf(e.stderr, "detectd: %s: %.1f%s MB\n", w.Name, float64(done)/1e6, of)
		},
	})
	switch {
	case errors.Is(err, pull.ErrUnreachable):
		return fmt.Errorf("%w; or fetch the file elsewhere and add it here: %s", err, w.byHand())
	case errors.Is(err, pull.ErrChanged):
		return fmt.Errorf("%w; --sha256 accepts it when you know that it is right", err)
	case err != nil:
		return err
	}
	defer func() { _ = os.Remove(got.Path) }()
	file, err := os.Open(got.Path)
	if err != nil {
		return fmt.Errorf("open what was fetched: %w", err)
	}
	defer func() { _ = file.Close() }()
	v, err := b.Add(ctx, w.New, file)
	if errors.Is(err, store.ErrExists) {
		_, err = fmt.Fprintf(e.stdout, "%s is %s@%d already\n", c.Model, v.Model, v.Version)
		return err
	}
	if err != nil {
		return fmt.Errorf("%s: %w", c.Model, err)
	}
	if _, err := fmt.Fprintf(e.stdout, "added %s@%d (%s), sha256 %s\n", v.Model, v.Version, v.Family, got.SHA256); err != nil {
		return err
	}
	return warnCheck(e, v)
}

// byHand is the command that adds the file without the network.
func (w wanted) byHand() string {
	parts := []string{"detectd models add FILE --name " + w.Name}
	if w.Licence != "" {
		parts = append(parts, "--licence "+w.Licence)
	}
	if w.Family != "" {
		parts = append(parts, "--family "+w.Family)
	}
	for key, value := range w.Contract {
		parts = append(parts, "--contract "+key+"="+value)
	}
	slices.Sort(parts[1:])
	return strings.Join(parts, " ")
}

func (c modelsPullCommand) catalogue(out io.Writer) error {
	if c.JSON {
		return printJSON(out, pull.Catalogue())
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tMODEL\tINPUT\tSIZE\tCOCO AP\tLICENCE\tBY")
	for _, m := range pull.Catalogue() {
		fmt.Fprintf(w, "%s\t%s\t%dx%d\t%.1f MB\t%.1f\t%s\t%s\n", m.Name, m.Title, m.Width, m.Height, float64(m.Bytes)/1e6, m.AP, m.Licence, m.Source)
	}
	return w.Flush()
}

func names() []string {
	entries := pull.Catalogue()
	out := make([]string, len(entries))
	for i, e := range entries {
		out[i] = e.Name
	}
	return out
}

// pinned is the checksum of the file that an address gave first; "" for a new one.
func pinned(models []store.Model, source string) (sha string) {
	var first time.Time
	for _, m := range models {
		for _, v := range m.Versions {
			if v.Source == source && (sha == "" || v.CreatedAt.Before(first)) {
				sha, first = v.SHA256, v.CreatedAt
			}
		}
	}
	return sha
}

// versionWith is the version of a model that has a file.
func versionWith(models []store.Model, name, sha string) (store.ModelVersion, bool) {
	for _, m := range models {
		for _, v := range m.Versions {
			if m.Name == name && sha != "" && v.SHA256 == sha {
				return v, true
			}
		}
	}
	return store.ModelVersion{}, false
}
