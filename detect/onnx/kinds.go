package onnx

import (
	"bytes"
	"encoding/binary"
)

// otherKind says what a file is that is no ONNX model, and what helps; "" where it
// is not known. It goes by the first bytes, whatever the file is called.
func otherKind(data []byte) string {
	begins := func(text string) bool { return bytes.HasPrefix(data, []byte(text)) }
	switch {
	case begins("PK\x03\x04"), begins("\x80\x02"), begins("\x80\x03"), begins("\x80\x04"), begins("\x80\x05"):
		return "it is a ZIP archive or a pickle, as PyTorch saves them (.pt, .pth), and pickles can run programs: export it with torch.onnx.export, or with the tool of its makers"
	case isSafetensors(data):
		return "it is a safetensors file, which has weights but no network: export the whole model to ONNX"
	case len(data) >= 8 && string(data[4:8]) == "TFL3":
		return "it is a TensorFlow Lite model: convert it with tf2onnx"
	case begins("\x89HDF\r\n\x1a\n"):
		return "it is an HDF5 file, as Keras saves them (.h5): convert it with tf2onnx"
	case begins("version https://git-lfs"):
		return "it is a pointer of Git LFS, not the file itself: run git lfs pull"
	case begins("<!DOCTYPE"), begins("<!doctype"), begins("<html"):
		return "it is a web page: fetch the file itself"
	}
	return ""
}

// isSafetensors knows the length of a JSON header at the beginning.
func isSafetensors(data []byte) bool {
	if len(data) < 10 || data[8] != '{' || data[9] != '"' {
		return false
	}
	return binary.LittleEndian.Uint64(data) < 1<<27
}
