package model

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"detectd/detect"
	"detectd/detect/onnx"
	"detectd/detect/ort"
	"detectd/detect/tensor"
	"detectd/pipeline/frame"
)

// Feed runs a model, fed as the contract says, on pictures one by one and calls
// use with what any of its tensors hold then: 32-bit floats, named like the
// outputs of the model's file. The values are valid during the call. Frames stay
// owned by pictures; its first error ends Feed.
func Feed(ctx context.Context, rt *ort.Runtime, data []byte, c detect.Contract, tensors []string,
	pictures iter.Seq2[*frame.Frame, error], use func(values [][]float32),
) (err error) {
	m, err := onnx.Parse(data)
	if err != nil {
		return err
	}
	filler, err := tensor.New(c.Input)
	if err != nil {
		return refuse("%w", err)
	}
	data, info, err := prepare(data, m.Signature(), c.Input, c.Constants, tensors)
	if err != nil {
		return fmt.Errorf("prepare model: %w", err)
	}
	info.Shape[0] = max(info.Shape[0], 1)
	session, err := rt.NewSession(data, info, ort.Options{})
	if err != nil {
		return refuse("%w", err)
	}
	defer func() { err = errors.Join(err, session.Close()) }()
	call, err := session.Acquire(int(info.Shape[0]))
	if err != nil {
		return err
	}
	defer call.Release()
	var values [][]float32
	for f, err := range pictures {
		if err != nil {
			return err
		}
		size := filler.Bytes()
		for in := call.Bytes(); len(in) >= size; in = in[size:] {
			if _, err := filler.FillBytes(in, f); err != nil {
				return err
			}
		}
		if err := call.Run(ctx); err != nil {
			return err
		}
		values = call.Outputs(values, 0)
		use(values)
	}
	return nil
}
