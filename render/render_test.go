package render_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"detectd/detect"
	"detectd/render"
)

func TestColoursAreStable(t *testing.T) {
	require.Equal(t, "#e69f00", render.ClassColor(0).Hex())
	require.Equal(t, render.ClassColor(0), render.ClassColor(7))
	require.NotEqual(t, render.ClassColor(0), render.ClassColor(1))
	require.NotPanics(t, func() { render.ClassColor(-1) })
	same := strings.Clone("door-17")
	require.Equal(t, render.TrackColor("door-17"), render.TrackColor(same))
}

func TestInkIsReadable(t *testing.T) {
	black, white := render.Color{}, render.Color{R: 255, G: 255, B: 255}
	require.Equal(t, black, white.Ink())
	require.Equal(t, white, black.Ink())
	require.Equal(t, white, render.Color{B: 200}.Ink())
	require.Equal(t, black, render.Color{R: 240, G: 228, B: 66}.Ink())
}

func TestStyleGrowsWithThePicture(t *testing.T) {
	var s render.Style
	require.Equal(t, 1, s.Line(320, 240))
	require.Equal(t, 4, s.Line(1920, 1080))
	require.Greater(t, s.Font(3840, 2160), s.Font(640, 480))
	w, h := render.Style{Width: 640}.Size(1920, 1080)
	require.Equal(t, [2]int{640, 360}, [2]int{w, h})
	w, h = render.Style{Width: 4000}.Size(1920, 1080)
	require.Equal(t, [2]int{1920, 1080}, [2]int{w, h})
}

func TestLabels(t *testing.T) {
	got := render.Labels([]detect.Detection{{ClassID: 1, Label: "person", Score: 0.914, Box: detect.Box{X: 1, Y: 2, W: 3, H: 4}}})
	require.Equal(t, []render.Label{{Text: "person 91%", Box: [4]float32{1, 2, 3, 4}, Color: render.ClassColor(1)}}, got)
}
