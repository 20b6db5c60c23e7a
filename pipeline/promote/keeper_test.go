package promote

import (
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/store"
	"detectd/store/sqlite"
)

// openRecords is a store with the versions 1 to 3 of the model "yard"; the
// self-check of the third has failed.
func openRecords(t *testing.T) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "test.db"), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	for i, verdict := range []string{"pass", "pass", "fail"} {
		_, err := s.AddModelVersion(t.Context(), store.Model{Name: "yard"}, store.ModelVersion{
			SHA256: string(rune('a' + i)), Size: 1000, Contract: []byte(`{}`), Check: []byte(`{"verdict":"` + verdict + `"}`),
		})
		require.NoError(t, err)
	}
	return s
}

func events(t *testing.T, s *sqlite.Store) (kinds, messages []string) {
	t.Helper()
	list, _, err := s.ListEvents(t.Context(), "", "", store.Range{}, store.Page{})
	require.NoError(t, err)
	for i := range list {
		e := list[len(list)-1-i]
		kinds, messages = append(kinds, e.Kind), append(messages, e.Message)
	}
	return kinds, messages
}

func TestKeeper(t *testing.T) {
	s := openRecords(t)
	k := NewKeeper(s, "here")
	ctx := t.Context()
	to := func(version, expect int) store.AliasChange {
		return store.AliasChange{Model: "yard", Alias: "champion", Version: version, Expect: expect, By: "me", Reason: "tried"}
	}
	require.NoError(t, k.Move(ctx, to(1, 0)), "a version whose check has not failed")
	err := k.Move(ctx, to(3, 1))
	require.ErrorIs(t, err, store.ErrGate)
	require.EqualError(t, err, "yard@3 may not become yard@champion: self-check: no failure is wanted, it is fail")

	g, err := k.SetRules(ctx, store.Gates{Model: "yard", Alias: "champion", UpdatedBy: "me", Reason: "fast enough", Rules: store.GateRules{
		SelfCheck: store.CheckPassed, MaxP95: 10 * time.Millisecond, MaxSlowdown: new(0.1),
	}}, 0)
	require.NoError(t, err)
	require.Equal(t, int64(1), g.Revision)
	require.ErrorContains(t, k.Move(ctx, to(2, 1)), "p95 of a call: at most 10.0 ms is wanted, it is not measured on this machine (here)")
	for version, p95 := range map[int]time.Duration{1: 8 * time.Millisecond, 2: 9 * time.Millisecond} {
		_, err = s.AddMeasurement(ctx, store.Measurement{Model: "yard", Version: version, Kind: store.Speed, Machine: "here", P95: p95})
		require.NoError(t, err)
	}
	require.ErrorContains(t, k.Move(ctx, to(2, 1)), "p95 against yard@1: at most 10 % more is wanted, it is 9.0 ms, yard@1 has 8.0 ms")
	_, results, err := k.Check(ctx, "yard", "champion", 1)
	require.NoError(t, err)
	require.True(t, Passed(results), "the holder is not compared with itself")
	require.Len(t, results, 2)

	forced := to(2, 1)
	forced.Force = true
	require.NoError(t, k.Move(ctx, forced))
	require.ErrorIs(t, k.Move(ctx, to(1, 1)), store.ErrRevision)
	require.ErrorIs(t, k.Move(ctx, to(9, 2)), store.ErrNotFound)
	forced.Expect = 2
	require.NoError(t, k.Move(ctx, forced), "nothing changes, nothing is told")
	kinds, messages := events(t, s)
	require.Equal(t, []string{EventAliasMoved, EventAliasRefused, EventAliasRules, EventAliasRefused, EventAliasRefused, EventAliasForced}, kinds)
	require.Equal(t, "yard@champion names version 1: tried", messages[0])
	require.Equal(t, "the rules of yard@champion were changed: fast enough", messages[2])
	require.Contains(t, messages[5], "yard@champion names version 2, before version 1: tried (against its rules: ")
}
