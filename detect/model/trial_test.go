package model_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/detect"
	"detectd/detect/detecttest"
	"detectd/detect/model"
	"detectd/detect/ort"
)

// role says which part this program plays when a test starts it again.
const role = "DETECTD_TEST_TRIAL"

func TestMain(m *testing.M) {
	switch os.Getenv(role) {
	case "":
		os.Exit(m.Run())
	case "crash":
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	case "babble":
		fmt.Println("what?")
	case "hang":
		time.Sleep(time.Hour)
	case "serve":
		library, err := ort.FindLibrary("")
		if err == nil {
			var rt *ort.Runtime
			if rt, err = ort.Open(library); err == nil {
				err = model.ServeTrial(context.Background(), rt, func(_ context.Context, d detect.Detector) (model.Report, []byte, error) {
					return model.Report{Verdict: model.Unsure, Doubts: d.Contract().Labels}, []byte("a picture"), nil
				}, os.Stdin, os.Stdout)
			}
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

func child(t *testing.T, part string) *exec.Cmd {
	self, err := os.Executable()
	require.NoError(t, err)
	c := exec.Command(self) //nolint:noctx // Try ends it
	c.Env = append(os.Environ(), role+"="+part)
	c.Dir = filepath.Dir(detecttest.Artefact(t, "onnxruntime")) // below the checkout
	c.Stderr = os.Stderr
	return c
}

func TestTry(t *testing.T) {
	try := func(part string, data []byte, o model.Options) (model.Examined, error) {
		return model.Try(t.Context(), child(t, part), bytes.NewReader(data), int64(len(data)), o)
	}
	e, err := try("serve", detecttest.Bright(t), model.Options{
		Overrides: map[string]string{"labels": "tall,wide"},
	})
	require.NoError(t, err)
	want := detecttest.BrightContract()
	want.Labels = []string{"tall", "wide"}
	require.Equal(t, want, e.Contract)
	require.Contains(t, string(e.Check), `"verdict":"unsure"`)
	require.Contains(t, string(e.Check), `"doubts":["tall","wide"]`, "the check had the detector")
	require.Equal(t, "a picture", string(e.Overlay))
	require.Empty(t, e.Lineage)

	for name, c := range map[string]struct {
		data []byte
		o    model.Options
		is   []error
	}{
		"text":      {[]byte("hello"), model.Options{}, []error{detect.ErrNotONNX}},
		"ambiguous": {detecttest.Identity(t), model.Options{}, []error{detect.ErrNotDetector, detect.ErrAmbiguous}},
		"slow": {
			detecttest.Endless(t),
			model.Options{Session: ort.Options{Trial: 50 * time.Millisecond}},
			[]error{detect.ErrNotDetector, ort.ErrSlow},
		},
	} {
		_, err := try("serve", c.data, c.o)
		for _, is := range c.is {
			require.ErrorIs(t, err, is, name)
		}
	}
	for _, part := range []string{"crash", "babble"} {
		_, err := try(part, detecttest.Bright(t), model.Options{})
		require.ErrorIs(t, err, model.ErrCrash, part)
		require.ErrorIs(t, err, detect.ErrNotDetector, part)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err = model.Try(ctx, child(t, "hang"), bytes.NewReader(nil), 0, model.Options{})
	require.ErrorIs(t, err, context.DeadlineExceeded)
}
