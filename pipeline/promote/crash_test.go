package promote

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/detect"
	"detectd/store"
	"detectd/store/blob"
	"detectd/store/check"
	"detectd/store/folder"
	"detectd/store/garbage"
	"detectd/store/sqlite"
)

// crashDir in the environment makes the test binary the process that promotes.
const crashDir = "DETECTD_TEST_PROMOTE_DIR"

// told is one line of the promoting process: a state that is kept.
type told struct{ ID, State string }

// noShadows runs none.
type noShadows struct{}

func (noShadows) Set([]ShadowTask)                              {}
func (noShadows) Report(string) (r store.ShadowReport, ok bool) { return r, false }

// plant is a data folder with a manager on it.
type plant struct {
	folder  *folder.Folder
	records *sqlite.Store
	blobs   *garbage.Blobs
	manager *Manager
}

func openPlant(ctx context.Context, dir string) (*plant, error) {
	log := slog.New(slog.DiscardHandler)
	f, err := folder.Open(dir)
	if err != nil {
		return nil, err
	}
	records, err := sqlite.Open(ctx, f.DB(), log)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	files, err := blob.Open(f.BlobsURL())
	if err != nil {
		return nil, errors.Join(err, records.Close(), f.Close())
	}
	p := &plant{folder: f, records: records, blobs: garbage.New(garbage.Config{Lease: time.Second, Interval: 10 * time.Millisecond, Alone: f.Unheld}, files, records, log)}
	starts, err := records.Start(ctx, f.Starts())
	if err == nil {
		err = errors.Join(records.BindFolder(ctx, f.ID()), f.Count(starts))
	}
	if err != nil {
		return nil, errors.Join(err, p.close())
	}
	p.manager = New(Config{Default: "yard"}, Deps{
		Records: records, Keeper: NewKeeper(records, "here"), Bus: noBus{}, Shadows: noShadows{}, Log: log,
		Assigned: func(string) (detect.Ref, string) { return detect.Ref{}, "" },
		Changed:  func(store.Promotion, []store.RunningModel, bool) {},
	})
	return p, p.manager.load(ctx)
}

func (p *plant) close() error {
	return errors.Join(p.blobs.Close(), p.records.Close(), p.folder.Close())
}

// upload adds a version with a file of its own.
func (p *plant) upload(ctx context.Context, content string) (store.ModelVersion, error) {
	sha, size, err := p.blobs.Put(ctx, strings.NewReader(strings.Repeat(content, 1<<12)))
	if err != nil {
		return store.ModelVersion{}, err
	}
	return p.records.AddModelVersion(ctx, store.Model{Name: "yard"}, store.ModelVersion{
		SHA256: sha, Size: size, Contract: []byte(`{}`), Check: []byte(`{"verdict":"pass"}`),
	})
}

const site = "site"

// furnish makes the client with its cameras, one of which has its own record, and the
// champion with a rule for its alias.
func (p *plant) furnish(ctx context.Context) error {
	if _, err := p.records.Client(ctx, site); err == nil {
		return nil
	}
	if _, err := p.records.CreateClient(ctx, store.Client{ID: site}); err != nil {
		return err
	}
	for _, id := range []string{"a", "b", "c"} {
		if _, err := p.records.CreateCamera(ctx, store.Camera{ID: id, ClientID: site, URL: "rtsp://h/" + id}); err != nil {
			return err
		}
	}
	v, err := p.upload(ctx, "the first")
	if err != nil {
		return err
	}
	_, err = p.records.PutGates(ctx, store.Gates{Model: "yard", Alias: "champion", Rules: store.GateRules{SelfCheck: store.CheckPassed, MaxBytes: 1 << 30}}, 0)
	if err == nil {
		err = p.records.SetAlias(ctx, "yard", "champion", v.Version, 0, store.Author{})
	}
	for _, r := range []store.RunningModel{{Model: "yard", Version: v.Version, MinScore: 0.4}, {CameraID: "b", Model: "yard", Version: v.Version, DetectFPS: 9}} {
		if err == nil {
			r.ClientID = site
			_, err = p.records.PutRunningModel(ctx, r, 0)
		}
	}
	return err
}

// promoteForEver takes one version after another from shadow to everywhere, every
// other one back, and deletes those that are not needed, until it is killed.
func promoteForEver(dir string) error {
	ctx := context.Background()
	p, err := openPlant(ctx, dir)
	if err != nil {
		return err
	}
	if err := p.furnish(ctx); err != nil {
		return err
	}
	go func() { _ = p.blobs.Run(ctx) }()
	for id := range p.manager.active { // what a kill has left is ended first
		if _, err := p.manager.RollBack(ctx, id, "ann", "found after a start"); err != nil {
			return err
		}
	}
	tell := func(r store.Promotion, err error) error {
		if err == nil {
			line, _ := json.Marshal(told{r.ID, r.State})
			_, err = os.Stdout.Write(append(line, '\n'))
		}
		return err
	}
	for n := 0; ; n++ {
		v, err := p.upload(ctx, fmt.Sprint(time.Now().UnixNano(), n))
		if err != nil {
			return err
		}
		r, err := p.manager.Start(ctx, Request{Model: "yard", Version: v.Version, Alias: "champion", ClientID: site, Cameras: []string{"a", "b"}, Period: time.Hour, By: "ann", Reason: "round"})
		if err := tell(r, err); err != nil {
			return err
		}
		if err := tell(p.manager.Canary(ctx, r.ID, nil, "ann", "they agree")); err != nil {
			return err
		}
		last := p.manager.RollBack
		if n%2 == 0 {
			if err := tell(p.manager.Promote(ctx, r.ID, "ann", "it held", false)); err != nil {
				return err
			}
			if n%4 == 0 {
				last = p.manager.Finish
			}
		}
		if err := tell(last(ctx, r.ID, "ann", "the end")); err != nil {
			return err
		}
		if err := p.forget(ctx); err != nil {
			return err
		}
	}
}

// forget deletes the versions that nothing names.
func (p *plant) forget(ctx context.Context) error {
	models, err := p.records.ListModels(ctx)
	if err != nil {
		return err
	}
	for _, m := range models {
		for _, v := range m.Versions {
			err := p.records.DeleteModelVersion(ctx, v.Model, v.Version)
			switch {
			case errors.Is(err, store.ErrInUse):
			case err != nil:
				return err
			default:
				if err := p.blobs.Delete(ctx, v.SHA256); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// TestKilledWhilePromoting kills the promoting process at points that chance picks.
// Whatever it had come to, state, running models, alias and event say the same, and
// the promotion goes on from there, or back.
func TestKilledWhilePromoting(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	chance := rand.New(rand.NewPCG(3, 4))
	points, seen := 20, map[string]int{}
	if testing.Short() {
		points = 4
	}
	for n := range points {
		lines := killAfter(t, dir, 1+chance.IntN(16), time.Duration(chance.IntN(4000))*time.Microsecond)
		p, err := openPlant(t.Context(), dir)
		require.NoError(t, err)
		for _, l := range lines {
			r, err := p.records.Promotion(t.Context(), l.ID)
			require.NoError(t, err)
			require.GreaterOrEqual(t, stage(r.State), stage(l.State), "%s was told and it is %s", l.State, r.State)
		}
		seen[p.consistent(t)]++
		p.goesOn(t, n)
		p.clean(t)
		require.NoError(t, p.close())
	}
	t.Logf("%d points; found after the kill: %v", points, seen)
}

func stage(state string) int {
	return map[string]int{store.PromotionShadow: 1, store.PromotionCanary: 2, store.PromotionWatch: 3}[state] + map[bool]int{true: 4}[state == store.PromotionDone || state == store.PromotionRolledBack]
}

// killAfter runs the promoting process until it has told some states, and a moment more.
func killAfter(t *testing.T, dir string, states int, moment time.Duration) (lines []told) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), crashDir+"="+dir, "GORACE=atexit_sleep_ms=0")
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	scanner := bufio.NewScanner(out)
	for scanner.Scan() {
		var l told
		if json.Unmarshal(scanner.Bytes(), &l) != nil {
			continue // cut in the middle
		}
		if lines = append(lines, l); len(lines) == states {
			time.AfterFunc(moment, func() { _ = cmd.Process.Kill() })
		}
	}
	require.ErrorContains(t, cmd.Wait(), "killed", "%s", &said)
	return lines
}

// consistent requires that all records agree with the newest promotion, and returns
// its state.
func (p *plant) consistent(t *testing.T) string {
	t.Helper()
	ctx := t.Context()
	list, _, err := p.records.ListPromotions(ctx, "", store.Page{Limit: 1})
	require.NoError(t, err)
	require.Len(t, list, 1)
	r := list[0]
	events, _, err := p.records.ListEvents(ctx, "", "promotion."+r.State, store.Range{}, store.Page{Limit: 1000})
	require.NoError(t, err)
	mine := 0
	for _, e := range events {
		if strings.Contains(string(e.Data), r.ID) {
			mine++
			require.Contains(t, e.Message, r.Reason)
		}
	}
	require.Equal(t, 1, mine, "one event says that %s is %s", r.ID, r.State)

	runs, champion := map[string]int{}, r.ChampionVersion
	running, err := p.records.ListRunningModels(ctx)
	require.NoError(t, err)
	for _, camera := range []string{"a", "b", "c"} {
		runs[camera] = store.Effective(running, site, camera, "").Version
	}
	want := map[string]int{"a": champion, "b": champion, "c": champion}
	switch r.State {
	case store.PromotionCanary:
		want["a"], want["b"] = r.Version, r.Version
	case store.PromotionWatch, store.PromotionDone:
		want, champion = map[string]int{"a": r.Version, "b": r.Version, "c": r.Version}, r.Version
	}
	require.Equal(t, want, runs, r.State)
	require.InDelta(t, 9, store.Effective(running, site, "b", "").DetectFPS, 0, "settings stay")
	v, err := p.records.AliasVersion(ctx, "yard", "champion")
	require.NoError(t, err)
	require.Equal(t, champion, v.Version, "the alias in state %s", r.State)
	for _, version := range []int{r.Version, r.ChampionVersion} {
		if r.Active() {
			_, err := p.records.ModelVersion(ctx, "yard", version)
			require.NoError(t, err, "neither side of a promotion is deleted")
		}
	}
	return r.State
}

// goesOn requires that a promotion that had not ended is taken up, and takes it on or
// back.
func (p *plant) goesOn(t *testing.T, n int) {
	t.Helper()
	ctx := t.Context()
	list, err := p.records.ActivePromotions(ctx)
	require.NoError(t, err)
	require.Len(t, p.manager.active, len(list))
	if len(list) == 0 {
		return
	}
	id := list[0].ID
	p.manager.Look(ctx) // harms nothing
	require.Contains(t, p.manager.active, id)
	if n%2 == 0 {
		_, err = p.manager.RollBack(ctx, id, "ann", "after the kill "+strconv.Itoa(n))
	} else {
		if list[0].State != store.PromotionWatch {
			_, err = p.manager.Promote(ctx, id, "ann", "after the kill", false)
			require.NoError(t, err)
			p.consistent(t)
		}
		_, err = p.manager.Finish(ctx, id, "ann", "after the kill "+strconv.Itoa(n))
	}
	require.NoError(t, err)
	if state := p.consistentOrCancelled(t); n%2 == 1 {
		require.Equal(t, store.PromotionDone, state)
	}
}

func (p *plant) consistentOrCancelled(t *testing.T) string {
	t.Helper()
	state := p.consistent(t)
	require.Contains(t, []string{store.PromotionDone, store.PromotionRolledBack, store.PromotionCancelled}, state)
	return state
}

// clean requires that no file is left without its record once what a start does is done.
func (p *plant) clean(t *testing.T) {
	t.Helper()
	require.NoError(t, p.forget(t.Context()))
	_, err := p.blobs.Sweep(t.Context(), false)
	require.NoError(t, err)
	r, err := check.Run(t.Context(), check.Target{Folder: p.folder, Blobs: p.blobs}, check.Hash)
	require.NoError(t, err)
	require.Empty(t, r.Findings)
	require.Zero(t, r.Unused, "orphan bytes")
}
