package cli

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"detectd/detect"
	"detectd/detect/detecttest"
)

func TestModelsTensor(t *testing.T) {
	dir := t.TempDir()
	model, source, out := filepath.Join(dir, "bright.onnx"), filepath.Join(dir, "orange.png"), filepath.Join(dir, "out")
	require.NoError(t, os.WriteFile(model, detecttest.Bright(t), 0o600))
	picture := image.NewNRGBA(image.Rect(0, 0, 64, 64))
	for i := range 64 * 64 {
		picture.Set(i%64, i/64, color.NRGBA{R: 255, G: 102, B: 0, A: 255})
	}
	var coded bytes.Buffer
	require.NoError(t, png.Encode(&coded, picture))
	require.NoError(t, os.WriteFile(source, coded.Bytes(), 0o600))

	code, _, stderr := command(t, "models", "tensor", model, source, "--out", out)
	require.Zero(t, code, stderr)
	data, err := os.ReadFile(filepath.Join(out, "orange.npy"))
	require.NoError(t, err)
	require.Equal(t, "\x93NUMPY\x01\x00", string(data[:8]))
	head := 10 + int(binary.LittleEndian.Uint16(data[8:]))
	require.Zero(t, head%64)
	require.Equal(t, byte('\n'), data[head-1])
	values := make([]float32, (len(data)-head)/4)
	require.NoError(t, binary.Read(bytes.NewReader(data[head:]), binary.LittleEndian, values))
	for _, v := range values {
		require.False(t, math.IsNaN(float64(v)))
	}
	middle := len(values) / 3 / 2 // of a plane, which no padding reaches; the model takes BGR
	blue, green, red := values[middle], values[middle+len(values)/3], values[middle+2*len(values)/3]
	require.InDelta(t, 0.4, (green-blue)/(red-blue), 1e-3)

	require.NoError(t, os.WriteFile(source, []byte("no picture"), 0o600))
	code, _, stderr = command(t, "models", "tensor", model, source, "--out", out)
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "orange.png")
}

func TestNpyHeader(t *testing.T) {
	for text, in := range map[string]detect.Input{
		"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 20, 10), }": {Width: 10, Height: 20, Layout: detect.NCHW},
		"{'descr': '|u1', 'fortran_order': False, 'shape': (20, 10, 3), }": {Width: 10, Height: 20, Layout: detect.NHWC, Type: detect.Uint8},
	} {
		head := npyHeader(in)
		require.Zero(t, len(head)%64)
		require.Contains(t, string(head), text)
	}
}
