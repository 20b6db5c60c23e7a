package proof

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"detectd/pipeline/decode"
)

// seeds are the scenes to play: some that take little time, or, for a proof, all
// from the first to the last number in DETECTD_PROOF_SEEDS, such as "1001-1120".
func seeds(t *testing.T) (all []uint64, long bool) {
	t.Helper()
	from, to, long := strings.Cut(os.Getenv("DETECTD_PROOF_SEEDS"), "-")
	if !long {
		return []uint64{14, 20, 22, 27}, false
	}
	first, err := strconv.ParseUint(from, 10, 64)
	require.NoError(t, err)
	last, err := strconv.ParseUint(to, 10, 64)
	require.NoError(t, err)
	for s := first; s <= last; s++ {
		all = append(all, s)
	}
	return all, true
}

// TestRecall: whoever comes while a camera is idle is found from the first
// picture on. DETECTD_PROOF_SEEDS plays more scenes and prints each.
func TestRecall(t *testing.T) {
	played, long := seeds(t)
	dir := os.Getenv("DETECTD_PROOF_KEEP") // painted videos are kept there
	if dir == "" {
		dir = t.TempDir()
	}
	decode.Quiet()
	var all Report
	for _, seed := range played {
		r, p, err := one(t.Context(), dir, seed)
		require.NoError(t, err)
		if n := len(p.Annotations); n != r.Units { // require.Len would print them all
			t.Fatalf("%d annotations for %d pictures", n, r.Units)
		}
		all.Add(r)
		if long {
			t.Logf("%d %s: from idle or still %d (still %d) found %d first %d decoded %.2f detections %.2f %v",
				seed, Make(seed).Name, r.FromIdle, r.Still, r.Found, r.First, p.Share(), share(r.Asked, r.Full), p.Reasons)
		}
	}
	t.Log(all)
	for _, m := range all.Missed {
		t.Log(m)
	}
	require.GreaterOrEqual(t, all.FromIdle, 2*len(played)/3, "cameras that are never idle prove nothing")
	require.GreaterOrEqual(t, all.Recall(), 0.99)
	require.GreaterOrEqual(t, all.FirstFrame(), 0.99)
}
