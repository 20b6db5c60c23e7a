package store

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"time"
)

// Registry is what people do with registered models beside adding and deleting
// versions: describing, tagging, naming by alias, finding.
type Registry interface {
	// CreateModel registers a model that has no versions yet, under its name and
	// its label. ErrExists when a registered model has either.
	CreateModel(ctx context.Context, m Model) (Model, error)
	// Model returns a model without its versions, by name or, with label, by label.
	Model(ctx context.Context, name string, label bool) (Model, error)
	// ChangeModel applies a change when the model's revision is still expect.
	ChangeModel(ctx context.Context, name string, c ModelChange, expect int64) (Model, error)
	// ChangeVersion applies a change; Label of it is not used.
	ChangeVersion(ctx context.Context, model string, version int, c ModelChange) (ModelVersion, error)
	// SetModelCheck replaces the self-check of a version: report, the blob of its
	// picture ("" for none) and its time, which is now. It returns the version, and
	// the blob that the record named before.
	SetModelCheck(ctx context.Context, model string, version int, report json.RawMessage, overlay string) (v ModelVersion, before string, err error)
	// DeleteModel deletes a model with all its versions and returns the blobs they
	// named. ErrInUse while one of them runs anywhere.
	DeleteModel(ctx context.Context, name string) (blobs []string, err error)
	// SetAlias lets alias name a version when it still names version expect: 0 when
	// it is new, AnyVersion whatever it names. An *AliasError else. The move is
	// noted in the same step; setting an alias to what it names is none.
	SetAlias(ctx context.Context, model, alias string, version, expect int, a Author) error
	// DeleteAlias takes an alias away under the same condition. ErrInUse while a
	// running model follows it.
	DeleteAlias(ctx context.Context, model, alias string, expect int, a Author) error
	// AliasHistory lists the moves of an alias, or of all aliases of a model with
	// alias "", newest first.
	AliasHistory(ctx context.Context, model, alias string) ([]AliasMove, error)
	// AliasVersion returns the version that an alias names.
	AliasVersion(ctx context.Context, model, alias string) (ModelVersion, error)
	// SearchModels finds models, without their versions. Fields: name, label,
	// created, updated, versions (how many there are), empty (1 without
	// any, else 0); tag (with a key); of any of
	// their versions alias, family and licence; and text, which is all of these in a row.
	SearchModels(ctx context.Context, q Search) ([]Model, error)
	// LatestVersions lists the newest version of each stage that the versions of the
	// models have, by model, the newest first.
	LatestVersions(ctx context.Context, models ...string) ([]ModelVersion, error)
	// SearchVersions finds versions. Fields: name (the model's), label, version,
	// run, source, family, licence, stage, sha256, created, updated; tag, alias.
	SearchVersions(ctx context.Context, q Search) ([]ModelVersion, error)
}

// Author is who makes a change, and why, in their own words. Both may be "".
type Author struct {
	By, Why string
}

// AliasMove is one change of what an alias names.
type AliasMove struct {
	Model, Alias string
	From, To     int // versions; 0: the alias was new, or was deleted
	At           time.Time
	Author
}

// AnyVersion as the expected version of an alias accepts whatever it names.
const AnyVersion = -1

// ModelChange changes what is said about a model or a version; nil leaves a part as it is.
type ModelChange struct {
	Label       *string // of a model only
	Stage       *string // of a version only
	Licence     *string // of a version only
	Source      *string // of a version only
	Description *string
	SetTags     map[string]string
	RemoveTags  []string
	Keep        bool // a model stays registered also without versions
}

// AliasError is returned for a change of an alias that names another version
// than expected. It matches ErrRevision.
type AliasError struct {
	Model, Alias string
	Given        int // the version the change was based on; 0: the alias was to be new
	Current      int // the version it names; 0 when there is no such alias
}

// Error implements error.
func (e *AliasError) Error() string {
	names := func(version int) string {
		if version == 0 {
			return "no version"
		}
		return fmt.Sprint("version ", version)
	}
	return fmt.Sprintf("%s@%s names %s, the change expects %s", e.Model, e.Alias, names(e.Current), names(e.Given))
}

// Is makes errors.Is(err, ErrRevision) true.
func (e *AliasError) Is(target error) bool { return target == ErrRevision }

// CheckAlias says why a name cannot be an alias; nil when it can.
func CheckAlias(alias string) error {
	switch {
	case !regexp.MustCompile(`^[A-Za-z_][\w-]{0,254}$`).MatchString(alias):
		return fmt.Errorf("alias %.300q: an alias is letters, digits, '_' and '-', begins with no digit, 255 at most", alias)
	case alias == "latest", regexp.MustCompile(`^[vV]\d+$`).MatchString(alias):
		return fmt.Errorf("alias %q is reserved: it reads as a version", alias)
	}
	return nil
}

// Search selects rows by terms that all hold.
type Search struct {
	Terms  []Term
	Order  []Order
	Limit  int // 0: no limit
	Offset int
}

// Term compares a field with a value.
type Term struct {
	Field string // what a method lists
	Key   string // of tag, param and metric
	Op    string // =, !=, <, <=, >, >=, LIKE, ILIKE, IN, NOT IN
	Value any    // string, float64, or []string for IN
}

// Order sorts by a field.
type Order struct {
	Field string
	Key   string
	Desc  bool
}
