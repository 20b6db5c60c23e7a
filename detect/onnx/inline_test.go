package onnx_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"

	"detectd/detect"
	"detectd/detect/onnx"
)

// externalModel has a tensor of two floats that is kept in another file, in the
// main graph and in the branch of an If.
func externalModel(entries ...string) []byte {
	bytesField := func(b []byte, id protowire.Number, v []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(b, id, protowire.BytesType), v)
	}
	number := func(b []byte, id protowire.Number, v uint64) []byte {
		return protowire.AppendVarint(protowire.AppendTag(b, id, protowire.VarintType), v)
	}
	tensor := bytesField(number(number(nil, 1, 2), 2, 1), 8, []byte("weights"))
	for i := 0; i < len(entries); i += 2 {
		tensor = bytesField(tensor, 13, bytesField(bytesField(nil, 1, []byte(entries[i])), 2, []byte(entries[i+1])))
	}
	tensor = number(tensor, 14, 1)
	branch := bytesField(nil, 5, tensor)
	node := bytesField(bytesField(nil, 4, []byte("If")), 5, bytesField(bytesField(nil, 1, []byte("then_branch")), 6, branch))
	output := bytesField(nil, 1, []byte("y"))
	graph := bytesField(bytesField(bytesField(nil, 1, node), 5, tensor), 12, output)
	return bytesField(bytesField(number(nil, 1, 8), 7, graph), 8, number(nil, 2, 13))
}

func TestInline(t *testing.T) {
	values := []byte{0, 0, 128, 63, 0, 0, 0, 64}
	read := func(location string, offset, length int64) ([]byte, error) {
		if location != "w.data" || offset != 4 || length != 8 {
			return nil, errors.New("not there")
		}
		return values, nil
	}
	data := externalModel("location", "w.data", "offset", "4", "length", "8", "checksum", "x")
	_, err := onnx.Parse(data)
	require.ErrorIs(t, err, detect.ErrExternalData)
	whole, err := onnx.Inline(data, 16, read)
	require.NoError(t, err)
	m, err := onnx.Parse(whole)
	require.NoError(t, err, "nothing is outside any more, not in branches either")
	require.Equal(t, []int64{2}, m.Initializers[0].Shape)
	again, err := onnx.Inline(whole, 0, nil)
	require.NoError(t, err)
	require.Equal(t, whole, again, "a model that is whole stays as it is")

	for name, c := range map[string]struct {
		entries []string
		limit   int64
		text    string
	}{
		"folder":          {[]string{"location", "a/w.data"}, 16, "no plain file name"},
		"parent":          {[]string{"location", ".."}, 16, "no plain file name"},
		"absolute":        {[]string{"location", "/etc/passwd"}, 16, "no plain file name"},
		"backslash":       {[]string{"location", `..\w.data`}, 16, "no plain file name"},
		"none":            {[]string{"offset", "4"}, 16, "no plain file name"},
		"negative":        {[]string{"location", "w.data", "offset", "-4"}, 16, "its offset"},
		"no number":       {[]string{"location", "w.data", "length", "many"}, 16, "its length"},
		"unreadable":      {[]string{"location", "x.data"}, 16, "not there"},
		"more than fits":  {[]string{"location", "w.data", "offset", "4", "length", "8"}, 15, "too large"},
		"length over all": {[]string{"location", "w.data", "offset", "4", "length", "9223372036854775807"}, 15, "too large"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := onnx.Inline(externalModel(c.entries...), c.limit, read)
			require.ErrorIs(t, err, detect.ErrExternalData)
			require.ErrorContains(t, err, c.text)
		})
	}
	_, err = onnx.Inline([]byte("\x3a\xff"), 1, nil)
	require.ErrorIs(t, err, detect.ErrNotONNX)
}

func FuzzInline(f *testing.F) {
	f.Add(externalModel("location", "w.data", "offset", "0", "length", "8"))
	f.Add([]byte("no model"))
	f.Fuzz(func(t *testing.T, data []byte) {
		out, err := onnx.Inline(data, 1<<20, func(string, int64, int64) ([]byte, error) { return make([]byte, 8), nil })
		if err != nil {
			return
		}
		if _, err := onnx.Parse(out); err != nil {
			require.NotContains(t, err.Error(), "is kept in file")
		}
	})
}
