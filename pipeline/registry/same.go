package registry

import (
	"cmp"
	"encoding/json"
	"fmt"
	"reflect"

	"detectd/detect"
	"detectd/detect/model"
	"detectd/store"
)

// sameContract refuses to take the version that has a file already for the one that
// is asked for, when that would have another contract: it would be ignored unseen.
func sameContract(v store.ModelVersion, m New) error {
	var has detect.Contract
	if err := json.Unmarshal(v.Contract, &has); err != nil {
		return fmt.Errorf("read contract of %s@%d: %w", v.Model, v.Version, err)
	}
	wanted, err := model.Override(has, m.Contract)
	if err != nil {
		return err
	}
	wanted.Family = cmp.Or(m.Family, has.Family)
	if reflect.DeepEqual(has, wanted) {
		return nil
	}
	return &contractError{v.Model, v.Version}
}

// contractError is a store.ErrInUse: the version that has the file has to go first.
type contractError struct {
	model   string
	version int
}

// Error says what to do.
func (e *contractError) Error() string {
	return fmt.Sprintf("%s@%d is this file with another contract; remove that version first, or add the file under another name", e.model, e.version)
}

// Unwrap returns the kind of error.
func (e *contractError) Unwrap() error { return store.ErrInUse }
