package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/pipeline/simulate"
)

// TestCardAskedFor asks for a card where there is none: the CPU decodes, and the status,
// the metrics, the health check, the log and doctor say so. Nobody is told otherwise.
func TestCardAskedFor(t *testing.T) {
	if _, err := os.Stat("/dev/nvidiactl"); err == nil {
		t.Skip("this machine has a card")
	}
	video := filepath.Join(t.TempDir(), "v.mp4")
	require.NoError(t, simulate.Generate(video, simulate.Spec{Frames: 50}))
	for _, asked := range []bool{true, false} {
		hardware := "auto"
		if asked {
			hardware = "nvdec"
		}
		config := write(t, "card.yaml", settings+"decode: {hardware: "+hardware+"}\n")
		d := start(t, "--config", config, video)
		var status struct {
			Status struct {
				Frames    uint64 `json:"frames"`
				Decoder   string `json:"decoder"`
				Reason    string `json:"decoder_reason"`
				Fallbacks uint64 `json:"decoder_fallbacks"`
			} `json:"status"`
		}
		require.Eventually(t, func() bool {
			d.get(t, "/cameras/v", &status)
			return status.Status.Frames > 10
		}, patience, 50*time.Millisecond)
		ready := d.send(t, http.MethodGet, "/readyz", nil)
		metrics := string(d.send(t, http.MethodGet, "/metrics", nil).Body)
		warned := strings.Count(d.log.String(), `"level":"WARN","msg":"video is decoded on the CPU"`)
		require.Contains(t, metrics, `detectd_camera_decoded_on_card{camera="v"} 0`)
		if !asked {
			require.Empty(t, status.Status.Decoder)
			require.NotContains(t, string(ready.Body), "decoded on the CPU")
			require.Zero(t, warned)
			continue
		}
		require.Equal(t, "cpu", status.Status.Decoder)
		require.Contains(t, status.Status.Reason, "no NVIDIA driver")
		require.EqualValues(t, 1, status.Status.Fallbacks)
		require.Contains(t, metrics, `detectd_camera_decoder_fallbacks_total{camera="v"} 1`)
		require.Equal(t, http.StatusOK, ready.Status)
		require.Contains(t, string(ready.Body), "degraded: video is decoded on the CPU: open card 0")
		require.Equal(t, 1, warned)
	}
}
