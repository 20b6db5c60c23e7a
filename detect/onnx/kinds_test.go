package onnx_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"detectd/detect"
	"detectd/detect/onnx"
)

// TestOtherKindsOfFiles names what was sent instead of a model, and what helps.
func TestOtherKindsOfFiles(t *testing.T) {
	for text, data := range map[string]string{
		"torch.onnx.export": "PK\x03\x04\x00\x00\x08\x08\x00\x00archive/data.pkl",
		"pickles can run":   "\x80\x02}q\x00(X\x05\x00\x00\x00modelq\x01",
		"no network":        "\x40\x00\x00\x00\x00\x00\x00\x00{\"w\":{\"dtype\":\"F32\"}}",
		"tf2onnx":           "\x1c\x00\x00\x00TFL3\x14\x00 ",
		"as Keras saves":    "\x89HDF\r\n\x1a\n\x00",
		"git lfs pull":      "version https://git-lfs.github.com/spec/v1\noid sha256:ab\n",
		"it is a web page":  "<!DOCTYPE html><p>Sign in",
		"is damaged":        "hello, I am not a model",
	} {
		_, err := onnx.Parse([]byte(data))
		require.ErrorIs(t, err, detect.ErrNotONNX, text)
		require.ErrorContains(t, err, text)
	}
}
