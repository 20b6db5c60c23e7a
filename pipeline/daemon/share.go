package daemon

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"detectd/detect"
	"detectd/detect/model"
	"detectd/pipeline/modelcheck"
)

// DefaultModelFile is the file of the model that came with the program.
func DefaultModelFile() (string, error) { return findShare(defaultModel) }

// findShare finds a file that is installed beside the program: in share/ next to
// it, or in ../share/detectd as packages install it.
func findShare(name string) (string, error) {
	exe, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find %s: %w", name, err)
	}
	if real, err := filepath.EvalSymlinks(exe); err == nil {
		exe = real
	}
	folder := filepath.Dir(exe)
	tried := []string{
		filepath.Join(folder, "share", name),
		filepath.Join(folder, "..", "share", "detectd", name),
	}
	for _, path := range tried {
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s is in neither of %s: run make build", name, tried)
}

// DemoVideoFile is the video of the demo camera.
func DemoVideoFile() (string, error) { return findShare(demoVideo) }

// ModelCheck is the self-check of a new model, on the demo video; without that
// one, on a generated picture.
func ModelCheck(ctx context.Context, d detect.Detector) (model.Report, []byte, error) {
	video, err := DemoVideoFile()
	if err != nil {
		video = ""
	}
	return modelcheck.Run(ctx, d, video)
}
