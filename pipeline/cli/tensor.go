package cli

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"detectd/detect"
	"detectd/detect/tensor"
	"detectd/pipeline/frame"
	"detectd/pipeline/offline"
	"detectd/render/picture"
)

type modelsTensorCommand struct {
	Model    string   `arg:"" help:"NAME, NAME@VERSION, or an ONNX file."`
	Pictures []string `arg:"" help:"Pictures, or folders of them."`
	Out      string   `required:"" placeholder:"DIR" help:"Folder for the tensors: NAME.npy for NAME.jpg."`

	whereFlags
}

// Help implements kong.HelpProvider.
func (modelsTensorCommand) Help() string {
	return `Writes what a model is given for a picture, as numpy's npy: one picture in the layout
and the element type of the model's input. For comparing it with other programs.`
}

// Run writes the tensors.
func (c modelsTensorCommand) Run(ctx context.Context, e *env, parent *modelsCommand) error {
	inputs, err := offline.Expand(c.Pictures)
	if err != nil {
		return err
	}
	in, err := c.input(ctx, e, parent.Data)
	if err != nil {
		return err
	}
	filler, err := tensor.New(in)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(c.Out, 0o755); err != nil {
		return fmt.Errorf("make folder for tensors: %w", err)
	}
	var pool frame.Pool
	defer pool.Close()
	names := uniqueNames(inputs)
	for i, input := range inputs {
		if err := c.one(filler, in, input, filepath.Join(c.Out, names[i]+".npy"), &pool); err != nil {
			return fmt.Errorf("%s: %w", input, err)
		}
	}
	return nil
}

// input is what the model's contract says of its input.
func (c modelsTensorCommand) input(ctx context.Context, e *env, data string) (detect.Input, error) {
	rt, err := c.runtime()
	if err != nil {
		return detect.Input{}, err
	}
	defer func() { _ = rt.Close() }()
	detector, err := openModel(ctx, e, rt, c.Model, data, c.whereFlags)
	if err != nil {
		return detect.Input{}, err
	}
	defer func() { _ = detector.Close() }()
	return detector.Contract().Input, nil
}

func (c modelsTensorCommand) one(filler *tensor.Filler, in detect.Input, from, to string, pool *frame.Pool) error {
	file, err := os.Open(from)
	if err != nil {
		return fmt.Errorf("open picture: %w", err)
	}
	defer func() { _ = file.Close() }()
	f, _, err := picture.Decode(file, picture.Limits{Bytes: 1 << 30}, pool)
	if err != nil {
		return err
	}
	defer f.Release()
	// Floats need memory at multiples of their size, as allocations of this size are.
	values := make([]byte, filler.Bytes())
	if _, err := filler.FillBytes(values, f); err != nil {
		return err
	}
	return os.WriteFile(to, append(npyHeader(in), values...), 0o644) //nolint:gosec // made to be looked at
}

// npyHeader is the head of a file of numpy's format 1.0 with one input.
func npyHeader(in detect.Input) []byte {
	kind := map[string]string{detect.Float32: "<f4", detect.Float16: "<f2", detect.Uint8: "|u1"}[in.ElementType()]
	shape := fmt.Sprintf("3, %d, %d", in.Height, in.Width)
	if in.Layout == detect.NHWC {
		shape = fmt.Sprintf("%d, %d, 3", in.Height, in.Width)
	}
	text := fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", kind, shape)
	const fixed, align = 10, 64 // bytes before the text; what the whole is a multiple of
	text += strings.Repeat(" ", align-1-(fixed+len(text))%align) + "\n"
	var b bytes.Buffer
	b.WriteString("\x93NUMPY\x01\x00")
	_ = binary.Write(&b, binary.LittleEndian, uint16(len(text))) //nolint:gosec // a hundred bytes; and a Buffer takes all
	b.WriteString(text)
	return b.Bytes()
}
