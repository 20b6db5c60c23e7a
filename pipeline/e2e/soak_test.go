package e2e

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/pipeline"
	"detectd/pipeline/simulate"
)

const (
	soakCameras = 8
	soakEvery   = 30 * time.Second // between two faults
)

// soakCamera is a simulated camera that can be taken away and brought back.
type soakCamera struct {
	address, file string
	server        *simulate.Server
	stop          func()
}

func (c *soakCamera) serve(t *testing.T) {
	t.Helper()
	c.server, c.stop = serve(t, simulate.Config{Listen: c.address, Files: []string{c.file}})
	c.address = strings.Split(c.server.URLs()[0], "/")[2]
}

// soak is a daemon on a disk of its own, and its cameras.
type soak struct {
	*daemon
	disk    string
	cameras [soakCameras]soakCamera
	checked time.Time // every second before is accounted for
	clients int       // created, and answered
}

// fault is something that happens to a soak, and what it costs at most.
type fault struct {
	name string
	kill bool
	do   func(t *testing.T, s *soak)
}

func faults() []fault {
	return []fault{
		{"a camera goes for a while", false, func(t *testing.T, s *soak) {
			c := &s.cameras[rand.IntN(soakCameras)]
			c.stop()
			pause(t, 10*time.Second)
			c.serve(t)
		}},
		{"kill -9", true, func(_ *testing.T, s *soak) { s.kill(); s.daemon = startIn(s.t, s.dir) }},
		{"a full disk", false, func(t *testing.T, s *soak) {
			ballast := fill(t, s.disk)
			pause(t, 8*time.Second)
			require.NoError(t, ballast.Close())
			require.NoError(t, os.Remove(ballast.Name()))
		}},
		{"a camera's clock jumps", false, func(_ *testing.T, s *soak) {
			off := []time.Duration{-10 * time.Second, -time.Hour, 0, 1500 * time.Millisecond, 24 * time.Hour}
			s.cameras[rand.IntN(soakCameras)].server.SetClock(off[rand.IntN(len(off))])
		}},
	}
}

// pause waits: a fault lasts for a while.
func pause(t *testing.T, length time.Duration) {
	t.Helper()
	began := time.Now()
	require.Eventually(t, func() bool { return time.Since(began) >= length }, length+patience, 100*time.Millisecond)
}

// TestSoak runs eight cameras for as long as DETECTD_SOAK says (make soak), with a
// fault every 30 s: a camera goes for a while, kill -9, a full disk, a camera's
// clock jumps. After each, every second of every camera is accounted for, and every
// answered record is there. After a quarter of the time the daemon is not killed any
// more: what it holds must not grow to the end.
func TestSoak(t *testing.T) {
	length, err := time.ParseDuration(os.Getenv("DETECTD_SOAK"))
	if err != nil {
		t.Skip("SKIPPED: it runs for as long as it is told: make soak (DETECTD_SOAK=1h)")
	}
	began := time.Now()
	s := &soak{disk: tmpfs(t, "size=1g"), checked: began}
	s.daemon = startIn(t, filepath.Join(s.disk, "data"))
	useBright(t, s.daemon)
	for i := range s.cameras {
		s.cameras[i].file = plain(t, pipeline.H264)
		s.cameras[i].serve(t)
		id := fmt.Sprintf("c%d", i)
		s.addCamera(t, id, "rtsp://"+s.cameras[i].address+"/h264", body{"id": id})
	}
	s.recovers(t)
	t.Logf("at the start: %v", s.sizes(t))

	all := faults()
	happened := map[string]int{}
	var samples []sample // of the daemon that runs to the end
	for n := 0; time.Since(began) < length; n++ {
		f := all[n%len(all)]
		if f.kill && time.Since(began) > length/4 {
			continue
		}
		round := time.Now()
		f.do(t, s)
		happened[f.name]++
		s.recovers(t)
		s.account(t, f.name)
		pause(t, soakEvery-min(soakEvery, time.Since(round)))
		if f.kill {
			samples = nil
		}
		samples = append(samples, sample{time.Since(began), s.sizes(t)})
	}
	s.checked = began
	total := s.account(t, "all")
	t.Logf("%v of faults %v: %.0f s recorded, %.0f s missing %v; coverage and ledger are 100 %%", time.Since(began).Round(time.Second), happened,
		total.Covered, total.Missing, total.Reasons)
	settled := samples[min(len(samples)/4, int(10*time.Minute/soakEvery)):] // before, caches fill
	t.Logf("the last daemon: %v at first, %v at the end; of %d samples from %v to %v:", samples[0], samples[len(samples)-1],
		len(settled), settled[0].at.Round(time.Second), settled[len(settled)-1].at.Round(time.Second))
	grown := growths(settled)
	t.Log(grown)
	for _, g := range grown {
		if length >= 30*time.Minute || g.name != "KiB of memory" { // memory takes its time
			require.True(t, g.flat(), g)
		}
	}
}

// recovers expects that everything goes on, and that nothing answered is lost.
func (s *soak) recovers(t *testing.T) {
	t.Helper()
	s.clients++
	id := fmt.Sprintf("client%d", s.clients)
	a := s.api(t, http.MethodPost, "/clients", body{"id": id, "name": id}, nil)
	require.Equal(t, http.StatusCreated, a.Status)
	require.Len(t, list[struct{ ID string }](t, s.client, "/clients"), s.clients+1, "with the client that is always there")
	for i := range s.cameras {
		soon(t, func(t require.TestingT) {
			now := s.camera(t, fmt.Sprintf("c%d", i)).Status
			require.Equal(t, "running", now.State, now.Reason)
			require.True(t, now.Recording)
		}, i)
	}
}

// account waits until the time up to now is accounted for, of all cameras.
func (s *soak) account(t *testing.T, after string) coverage {
	t.Helper()
	now, since := time.Now(), s.checked
	total := coverage{Reasons: map[string]float64{}}
	for i := range s.cameras {
		var c coverage
		soon(t, func(t require.TestingT) {
			c = s.coverageSince(t, fmt.Sprintf("c%d", i), since)
			require.True(t, c.End.After(now))
		})
		total.Covered, total.Missing, total.Unwanted = total.Covered+c.Covered, total.Missing+c.Missing, total.Unwanted+c.Unwanted
		for reason, seconds := range c.Reasons {
			total.Reasons[reason] += seconds
		}
	}
	s.checked = now.Add(-time.Minute) // what was open then is looked at again
	t.Logf("%s: recorded %.0f s, missing %.0f s %v; %v", after, total.Covered, total.Missing, total.Reasons, s.sizes(t))
	return total
}

func (s *soak) sizes(t *testing.T) sizes {
	t.Helper()
	var system struct {
		Goroutines int64 `json:"goroutines"`
	}
	s.get(t, "/system", &system)
	proc := fmt.Sprintf("/proc/%d/", s.command.Process.Pid)
	now := sizes{goroutines: system.Goroutines, kib: procNumber(t, proc+"status", "RssAnon:")}
	now.mapped = procNumber(t, proc+"status", "VmRSS:") - now.kib
	files, err := os.ReadDir(proc + "fd")
	require.NoError(t, err)
	series := filepath.Join(s.dir, "series") + "/"
	for _, f := range files {
		if name, _ := os.Readlink(proc + "fd/" + f.Name()); strings.HasPrefix(name, series) { // it may have been closed
			now.tables++
		} else {
			now.files++
		}
	}
	return now
}
