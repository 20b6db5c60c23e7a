package registry

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"

	"detectd/detect"
	"detectd/detect/model"
	"detectd/store"
)

// maxSame bounds the versions of a model with one file that are looked at.
const maxSame = 100

// same finds the newest version of the model that has the file and the contract that
// is asked for, and returns it with store.ErrExists. There is none, and no error,
// where the file is to be read in another way.
func (r *Registry) same(ctx context.Context, m New, sha string) (store.ModelVersion, error) {
	all, err := r.records.SearchVersions(ctx, store.Search{Terms: []store.Term{
		{Field: "name", Op: "=", Value: m.Name}, {Field: "sha256", Op: "=", Value: sha},
	}, Limit: maxSame})
	if err != nil {
		return store.ModelVersion{}, err
	}
	slices.SortFunc(all, func(a, b store.ModelVersion) int { return cmp.Compare(b.Version, a.Version) })
	for _, v := range all {
		asked, err := asksFor(m, v)
		if err != nil {
			return store.ModelVersion{}, err
		}
		if asked {
			return v, fmt.Errorf("this file is %s@%d: %w", v.Model, v.Version, store.ErrExists)
		}
	}
	return store.ModelVersion{}, nil
}

// asksFor tells whether the contract of a version with the file is what is asked for:
// where nothing is said about it, any is.
func asksFor(m New, v store.ModelVersion) (bool, error) {
	var has, wanted detect.Contract
	if err := json.Unmarshal(v.Contract, &has); err != nil {
		return false, fmt.Errorf("read contract of %s@%d: %w", v.Model, v.Version, err)
	}
	start := v.Contract
	if len(m.Known) > 0 {
		start = m.Known
	}
	if err := json.Unmarshal(start, &wanted); err != nil {
		return false, fmt.Errorf("read contract of %s: %w", m.Source, err)
	}
	wanted, err := model.Override(wanted, m.Contract)
	if err != nil {
		return false, err
	}
	wanted.Family = cmp.Or(m.Family, wanted.Family)
	return reflect.DeepEqual(has, wanted), nil
}
