package model

import (
	"fmt"
	"io"

	"detectd/detect/onnx"
)

// OpenFile opens a file that lies beside a model, and tells its size.
type OpenFile func(name string) (io.ReadSeekCloser, int64, error)

// Inline takes the tensors that a model keeps in files beside it into the model.
// limit bounds the bytes taken in.
func Inline(data []byte, limit int64, open OpenFile) ([]byte, error) {
	return onnx.Inline(data, limit, func(name string, offset, length int64) ([]byte, error) {
		file, size, err := open(name)
		if err != nil {
			return nil, err
		}
		defer func() { _ = file.Close() }()
		if length < 0 {
			length = size - offset
		}
		if offset > size || length < 0 || length > size-offset || length > limit {
			return nil, fmt.Errorf("%q has %d bytes, not %d from %d on", name, size, length, offset)
		}
		if _, err := file.Seek(offset, io.SeekStart); err != nil {
			return nil, err
		}
		values := make([]byte, length)
		if _, err := io.ReadFull(file, values); err != nil {
			return nil, fmt.Errorf("read %q: %w", name, err)
		}
		return values, nil
	})
}
