package file

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func box(kind string, size int, body []byte) []byte {
	return append(append(binary.BigEndian.AppendUint32(nil, uint32(size)), kind...), body...)
}

func TestShort(t *testing.T) {
	ftyp := box("ftyp", 16, make([]byte, 8))
	mdat := box("mdat", 108, make([]byte, 100))
	whole := append(append([]byte{}, ftyp...), mdat...)
	large := append(append([]byte{}, ftyp...), append(box("mdat", 1, binary.BigEndian.AppendUint64(nil, 116)), make([]byte, 100)...)...)
	avi := append([]byte("RIFF"), append(binary.LittleEndian.AppendUint32(nil, 104), append([]byte("AVI "), make([]byte, 100)...)...)...)
	riff := append([]byte("RIFF"), append(binary.LittleEndian.AppendUint32(nil, 54), make([]byte, 54)...)...)
	segment := func(length ...byte) []byte {
		return append(append([]byte{0x1a, 0x45, 0xdf, 0xa3, 0x83, 1, 2, 3, 0x18, 0x53, 0x80, 0x67}, length...), make([]byte, 100)...)
	}
	packets := bytes.Repeat(append([]byte{'G'}, make([]byte, 187)...), 5)
	timed := bytes.Repeat(append([]byte{0, 0, 0, 0, 'G'}, make([]byte, 187)...), 5)
	for name, c := range map[string]struct {
		file []byte
		want int64
	}{
		"mp4":                     {whole, 0},
		"mp4, cut":                {whole[:len(whole)-30], 30},
		"mp4, cut in a head":      {append(append([]byte{}, whole...), 0, 0, 1), 5},
		"mp4, large":              {large, 0},
		"mp4, large, cut":         {large[:len(large)-1], 1},
		"mp4, up to its end":      {append(append([]byte{}, ftyp...), box("mdat", 0, make([]byte, 10))...), 0},
		"mp4, nonsense":           {append(append([]byte{}, ftyp...), box("mdat", 7, make([]byte, 10))...), 0},
		"mp4, length of all ones": {append(append([]byte{}, ftyp...), box("mdat", 1, bytes.Repeat([]byte{255}, 20))...), 1<<62 - 1 - 28},
		"avi":                     {avi, 0},
		"avi, cut":                {avi[:90], 22},
		"avi, two":                {append(append([]byte{}, avi...), riff...), 0},
		"avi, two, cut":           {append(append([]byte{}, avi...), riff[:50]...), 12},
		"avi, never finished":     {append([]byte("RIFF\x00\x00\x00\x00AVI "), make([]byte, 50)...), 0},
		"matroska":                {segment(0x80 | 100), 0},
		"matroska, cut":           {segment(0x40, 200), 100},
		"matroska, live":          {segment(0x01, 255, 255, 255, 255, 255, 255, 255), 0},
		"ts":                      {packets, 0},
		"ts, cut":                 {packets[:900], 40},
		"m2ts":                    {timed, 0},
		"m2ts, cut":               {timed[:959], 1},
		"h264":                    {append([]byte{0, 0, 0, 1, 0x67}, make([]byte, 50)...), 0},
		"hardly anything":         {[]byte("G"), 0},
	} {
		got, err := short(bytes.NewReader(c.file), int64(len(c.file)))
		require.NoError(t, err, name)
		require.Equal(t, c.want, got, name)
	}
	path := filepath.Join(t.TempDir(), "cut.mp4")
	require.NoError(t, os.WriteFile(path, whole[:100], 0o600))
	got, err := Short(path)
	require.NoError(t, err)
	require.EqualValues(t, 24, got)
	_, err = Short(path + "x")
	require.ErrorIs(t, err, os.ErrNotExist)
}

func FuzzShort(f *testing.F) {
	f.Add([]byte{0x1a, 0x45, 0xdf, 0xa3, 0x83, 1, 2, 3, 0x18, 0x53, 0x80, 0x67, 0x40, 200})
	f.Add(append(box("ftyp", 16, make([]byte, 8)), box("mdat", 1, bytes.Repeat([]byte{255}, 20))...))
	f.Add([]byte("RIFF\x10\x00\x00\x00AVI 12345678"))
	f.Fuzz(func(t *testing.T, file []byte) {
		got, err := short(bytes.NewReader(file), int64(len(file)))
		require.NoError(t, err)
		require.GreaterOrEqual(t, got, int64(0))
	})
}
