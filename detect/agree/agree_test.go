package agree

import (
	"testing"

	"github.com/stretchr/testify/require"

	"detectd/detect"
)

func found(label string, score, x float32) detect.Detection {
	return detect.Detection{Label: label, Score: score, Box: detect.Box{X: x, Y: 10, W: 20, H: 20}}
}

func TestCompare(t *testing.T) {
	first := []detect.Detection{found("person", 0.9, 0), found("person", 0.8, 100), found("car", 0.7, 200)}
	second := []detect.Detection{found("person", 0.5, 2), found("person", 0.85, 101), found("car", 0.6, 300), found("dog", 0.4, 0)}
	got := Compare(first, second)
	person := got["person"]
	require.Equal(t, int64(2), person.Matched)
	require.InDelta(t, -0.35, person.ScoreDiff, 1e-6)
	require.InDelta(t, 0.45, person.AbsScoreDiff, 1e-6)
	require.Equal(t, Class{Extra: 1, Missing: 1}, got["car"])
	require.Equal(t, Class{Extra: 1}, got["dog"], "labels are never matched with others")
	require.Empty(t, Compare(nil, nil))
	require.Equal(t, map[string]Class{"car": {Missing: 1}}, Compare(first[2:], nil))
}

func TestEachBoxIsMatchedOnce(t *testing.T) {
	first := []detect.Detection{found("car", 0.9, 0)}
	second := []detect.Detection{found("car", 0.3, 0), found("car", 0.8, 1)}
	got := Compare(first, second)["car"]
	require.Equal(t, int64(1), got.Matched)
	require.Equal(t, int64(1), got.Extra)
	require.InDelta(t, -0.1, got.ScoreDiff, 1e-6, "the better score goes first")
}

func TestIoU(t *testing.T) {
	a := detect.Box{W: 10, H: 10}
	require.InDelta(t, 1, IoU(a, a), 1e-6)
	require.InDelta(t, 1./3, IoU(a, detect.Box{X: 5, W: 10, H: 10}), 1e-6)
	require.Zero(t, IoU(a, detect.Box{X: 10, W: 10, H: 10}))
	require.Zero(t, IoU(detect.Box{}, detect.Box{}))
}
