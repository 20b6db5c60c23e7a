package cli

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"detectd/detect"
)

type modelsExportCommand struct {
	Model string `arg:"" help:"NAME, NAME@VERSION or NAME@ALIAS."`
	File  string `arg:"" optional:"" help:"Where to write it (default: NAME-VERSION.onnx here); - is standard output."`
	Force bool   `help:"Write over a file that is there."`
}

// Help implements kong.HelpProvider.
func (modelsExportCommand) Help() string {
	return `Writes the file of a version byte for byte as it was added, after its SHA-256 was
checked. The contract that detectd found out is printed by detectd models show --json.`
}

// Run writes the file of a version.
func (c modelsExportCommand) Run(ctx context.Context, e *env, parent *modelsCommand) error {
	ref, err := detect.ParseRef(c.Model)
	if err != nil {
		return usageError{err}
	}
	return withBook(ctx, e, parent, func(b modelBook) error {
		v, data, err := b.File(ctx, ref)
		if err != nil {
			return err
		}
		if sum := fmt.Sprintf("%x", sha256.Sum256(data)); sum != v.SHA256 {
			return fmt.Errorf("the file of %s@%d is damaged: its SHA-256 is %s, not %s; add the model's file again", v.Model, v.Version, sum, v.SHA256)
		}
		if c.File == "-" {
			_, err := e.stdout.Write(data)
			return err
		}
		path := c.File
		if path == "" {
			path = fmt.Sprintf("%s-%d.onnx", v.Model, v.Version)
		}
		if _, err := os.Stat(path); err == nil && !c.Force {
			return fmt.Errorf("%s is there already: name another file, or give --force", path)
		}
		if err := writeWhole(path, data); err != nil {
			return fmt.Errorf("write %s: %w", path, err)
		}
		_, err = fmt.Fprintf(e.stdout, "wrote %s: %s@%d, %d bytes, sha256 %s\n", path, v.Model, v.Version, v.Size, v.SHA256)
		return err
	})
}

// writeWhole writes a file that is there with all its bytes, or not at all.
func writeWhole(path string, data []byte) error {
	out, err := os.CreateTemp(filepath.Dir(path), ".export-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(out.Name()) }()
	_, err = out.Write(data)
	if err = errors.Join(err, out.Chmod(0o644), out.Close()); err != nil {
		return err
	}
	return os.Rename(out.Name(), path)
}
