package store_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"detectd/store"
)

func TestSlug(t *testing.T) {
	for name, want := range map[string]string{
		"Front Door": "front-door", "  Täst 3 ": "t-st-3", "***": "camera", "": "camera", "a--b": "a-b",
		strings.Repeat("long ", 20): "long-long-long-long-long-long-long-long-long-lon",
	} {
		require.Equal(t, want, store.Slug(name, "camera"))
	}
}

func FuzzSlug(f *testing.F) {
	f.Add("Front Door")
	f.Add("\xff-\x00-ß")
	id := regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,62}$`)
	f.Fuzz(func(t *testing.T, name string) {
		require.Regexp(t, id, store.Slug(name, "camera")+"-1000")
	})
}

func TestCreateUnique(t *testing.T) {
	taken := map[string]bool{"door": true, "door-2": true}
	create := func(id string) (string, error) {
		if taken[id] {
			return "", store.ErrExists
		}
		return id, nil
	}
	id, err := store.CreateUnique("door", create)
	require.NoError(t, err)
	require.Equal(t, "door-3", id)
	id, err = store.CreateUnique("gate", create)
	require.NoError(t, err)
	require.Equal(t, "gate", id)
	_, err = store.CreateUnique("door", func(string) (string, error) { return "", store.ErrLocked })
	require.ErrorIs(t, err, store.ErrLocked)
}
