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

// soakCamera is a simulated camera that can be taken away and brought back.
type soakCamera struct {
	address, file string
	stop          func()
}

func (c *soakCamera) serve(t *testing.T) {
	t.Helper()
	s, stop := serve(t, simulate.Config{Listen: c.address, Files: []string{c.file}})
	c.address, c.stop = strings.Split(s.URLs()[0], "/")[2], stop
}

// TestSoak runs eight cameras for as long as DETECTD_SOAK says (make soak), with a
// fault every 30 s: a camera goes for a while, kill -9, a full disk. After each,
// every second of every camera is accounted for, and every answered record is there.
func TestSoak(t *testing.T) {
	length, err := time.ParseDuration(os.Getenv("DETECTD_SOAK"))
	if err != nil {
		t.Skip("SKIPPED: it runs for as long as it is told: make soak (DETECTD_SOAK=1h)")
	}
	disk := tmpfs(t, "1g")
	d := startIn(t, filepath.Join(disk, "data"))
	useBright(t, d)
	cameras := make([]soakCamera, 8)
	for i := range cameras {
		cameras[i].file = plain(t, pipeline.H264)
		cameras[i].serve(t)
		id := fmt.Sprintf("c%d", i)
		d.addCamera(t, id, "rtsp://"+cameras[i].address+"/h264", body{"id": id})
		d.becomes(t, id, "running")
	}
	wait := func(length time.Duration) {
		began := time.Now()
		require.Eventually(t, func() bool { return time.Since(began) >= length }, length+patience, 100*time.Millisecond)
	}
	answered := 0
	faults := []struct {
		name string
		do   func()
	}{
		{"a camera goes for a while", func() {
			c := &cameras[rand.IntN(len(cameras))]
			c.stop()
			wait(10 * time.Second)
			c.serve(t)
		}},
		{"kill -9", func() { d.kill(); d = startIn(t, d.dir) }},
		{"a full disk", func() {
			ballast, err := os.Create(filepath.Join(disk, "ballast"))
			require.NoError(t, err)
			for block := make([]byte, 1<<20); err == nil; {
				_, err = ballast.Write(block)
			}
			wait(8 * time.Second)
			require.NoError(t, ballast.Close())
			require.NoError(t, os.Remove(ballast.Name()))
		}},
	}
	for n, began := 0, time.Now(); time.Since(began) < length; n++ {
		f := faults[n%len(faults)]
		round := time.Now()
		f.do()
		id := fmt.Sprintf("client%d", n)
		d.api(t, http.MethodPost, "/clients", body{"id": id, "name": id}, nil)
		answered++
		for i := range cameras {
			d.becomes(t, fmt.Sprintf("c%d", i), "running")
		}
		require.Len(t, list[struct{ ID string }](t, d.client, "/clients"), answered+1, "with the client that is always there")
		wait(max(0, 30*time.Second-time.Since(round)))
		total := coverage{Reasons: map[string]float64{}}
		for i := range cameras {
			c := d.accounted(t, fmt.Sprintf("c%d", i))
			total.Covered, total.Missing, total.Unwanted = total.Covered+c.Covered, total.Missing+c.Missing, total.Unwanted+c.Unwanted
			for reason, s := range c.Reasons {
				total.Reasons[reason] += s
			}
		}
		var s struct {
			Goroutines  int   `json:"goroutines"`
			MemoryBytes int64 `json:"memory_bytes"`
		}
		d.get(t, "/system", &s)
		fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", d.command.Process.Pid))
		require.NoError(t, err)
		t.Logf("%s: recorded %.0f s, missing %.0f s, not wanted %.0f s %v; %d goroutines, %d files, %d MiB",
			f.name, total.Covered, total.Missing, total.Unwanted, total.Reasons, s.Goroutines, len(fds), s.MemoryBytes>>20)
	}
}
