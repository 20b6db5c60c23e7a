package api_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestEditorsLoseNothing: many editors change the same running model at once over
// HTTP. Whoever is told that his change is stored finds it in the history, based on
// what he had seen; everybody else is told 412. DETECTD_EDITS sets the number of
// edits that each of the 50 editors tries; docs/performance.md has 1000.
func TestEditorsLoseNothing(t *testing.T) {
	edits := 20
	if n, err := strconv.Atoi(os.Getenv("DETECTD_EDITS")); err == nil {
		edits = n
	}
	const editors = 50
	f := newFixture(t)
	server := httptest.NewServer(f.handler)
	defer server.Close()
	client := server.Client()
	client.Transport.(*http.Transport).MaxIdleConnsPerHost = editors
	send := func(method, body, match, author string) (status int, revision int64, err error) {
		r, err := http.NewRequestWithContext(t.Context(), method, server.URL+"/api/v1"+ofClient, strings.NewReader(body))
		if err != nil {
			return 0, 0, err
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("If-Match", match)
		r.Header.Set("Detectd-Author", author)
		res, err := client.Do(r)
		if err != nil {
			return 0, 0, err
		}
		defer func() { _ = res.Body.Close() }()
		data, err := io.ReadAll(res.Body)
		if err != nil {
			return 0, 0, err
		}
		var answer struct {
			Revision int64 `json:"revision"`
			Current  struct {
				Revision int64 `json:"revision"`
			} `json:"current"`
		}
		err = json.Unmarshal(data, &answer)
		return res.StatusCode, max(answer.Revision, answer.Current.Revision), err
	}
	won := make([]map[int64]string, editors) // by revision: the reason given
	var lost atomic.Int64
	errs := make(chan error, editors)
	var wg sync.WaitGroup
	began := time.Now()
	for e := range editors {
		won[e] = map[int64]string{}
		wg.Go(func() {
			seen := int64(0)
			for n := range edits {
				reason := fmt.Sprintf("edit %d of %d on %d", n, e, seen)
				status, revision, err := send(http.MethodPut, `{"model":"default","reason":"`+reason+`"}`, fmt.Sprintf("%q", strconv.FormatInt(seen, 10)), fmt.Sprint("editor", e))
				switch {
				case err != nil:
					errs <- err
					return
				case status == http.StatusOK && revision == seen+1:
					won[e][revision] = reason
				case status == http.StatusPreconditionFailed && revision > seen:
					lost.Add(1)
				default:
					errs <- fmt.Errorf("status %d, revision %d after %d", status, revision, seen)
					return
				}
				seen = revision
			}
		})
	}
	wg.Wait()
	close(errs)
	require.NoError(t, <-errs)
	history, err := f.Records.RunningModelHistory(t.Context(), "default", "")
	require.NoError(t, err)
	mine := 0
	for _, r := range history { // the newest thousand
		var editor int
		_, err := fmt.Sscanf(r.UpdatedBy, "editor%d", &editor)
		require.NoError(t, err)
		require.Equal(t, won[editor][r.Revision], r.Reason, "revision %d", r.Revision)
		mine++
	}
	all := map[int64]bool{}
	for _, revisions := range won {
		for revision := range revisions {
			require.False(t, all[revision], "revision %d was won twice", revision)
			all[revision] = true
		}
	}
	require.EqualValues(t, len(all), history[0].Revision, "one revision for each winner")
	require.EqualValues(t, editors*edits, int64(len(all))+lost.Load(), "whoever did not win was told")
	t.Logf("%d editors, %d edits each: %d stored, %d told 412, 0 lost, %.0f requests a second", editors, edits, len(all), lost.Load(),
		float64(editors*edits)/time.Since(began).Seconds())
	require.Equal(t, min(len(all), 1000), mine)
}
