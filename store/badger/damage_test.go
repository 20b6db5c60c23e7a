package badger

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/store"
)

// Damaged folders are opened in a process of their own: Badger leaves goroutines
// behind, or ends the process, when it cannot open one.
const childDir = "DETECTD_TEST_SERIES_DIR"

// child opens the series, says how many frames are left and writes another.
func child(dir string) int {
	s, err := Open(dir, 0, slog.New(slog.NewTextHandler(os.Stderr, nil)))
	if err == nil {
		var left int
		if left, err = countAll(s); err == nil {
			_, _ = fmt.Fprint(os.Stdout, left)
			err = s.PutAnnotations(context.Background(), []store.Annotation{{CameraID: "door", Time: somewhen(20)}})
		}
	}
	if err == nil {
		err = s.Close()
	}
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// countAll reads all annotations of a camera.
func countAll(s *Store) (n int, err error) {
	for r := (store.Range{}); ; {
		some, err := s.Annotations(context.Background(), "door", r, store.MaxAnnotations)
		n += len(some)
		if err != nil || len(some) < store.MaxAnnotations {
			return n, err
		}
		r.From = some[len(some)-1].Time.Add(time.Microsecond)
	}
}

func elsewhere(t *testing.T, dir string) (frames, log string, err error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childDir+"="+dir, "GORACE=atexit_sleep_ms=0")
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = cmd.Run()
	return stdout.String(), stderr.String(), err
}

func TestDamagedFolderIsEmptied(t *testing.T) {
	for name, damage := range map[string]func(t *testing.T, dir string){
		"manifest replaced": func(t *testing.T, dir string) { overwrite(t, dir, "MANIFEST", []byte("not a manifest at all")) },
		"manifest empty":    func(t *testing.T, dir string) { overwrite(t, dir, "MANIFEST", nil) },
		"table replaced":    func(t *testing.T, dir string) { overwrite(t, dir, "*.sst", bytes.Repeat([]byte{0xa5}, 4096)) },
		"table of zeros":    func(t *testing.T, dir string) { overwrite(t, dir, "*.sst", make([]byte, 4096)) },
		"table that ends the process": func(t *testing.T, dir string) {
			// A footer that looks right: a valid checksum over an index that is none.
			overwrite(t, dir, "*.sst", append(append(bytes.Repeat([]byte{0xff}, 64), 0, 0, 0, 64), badFooter()...))
			_, log, err := elsewhere(t, dir)
			require.Error(t, err, "this ends the process, once")
			require.Contains(t, log, "panic")
		},
		"table cut": func(t *testing.T, dir string) { overwrite(t, dir, "*.sst", []byte{1}) },
		"table gone": func(t *testing.T, dir string) {
			for _, file := range match(t, dir, "*.sst") {
				require.NoError(t, os.Remove(file))
			}
		},
		"last start died": func(t *testing.T, dir string) {
			require.NoError(t, os.WriteFile(filepath.Join(dir, openingFile), nil, 0o600))
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := openTest(t, dir, 0, quiet())
			put(t, s, 14, 100)
			require.NoError(t, s.Close()) // flushes to a table
			damage(t, dir)

			frames, log, err := elsewhere(t, dir)
			require.NoError(t, err, log)
			require.Contains(t, log, "they are emptied")
			require.Equal(t, "0", frames)
			require.NoFileExists(t, filepath.Join(dir, openingFile))
		})
	}
}

// TestKilledWriter opens what a killed process leaves: the files as they are while in use.
func TestKilledWriter(t *testing.T) {
	live := t.TempDir()
	s := openTest(t, live, 0, quiet())
	put(t, s, 14, 100)
	for name, c := range map[string]struct {
		pattern string
		content []byte
		want    []string // numbers of frames that are fine
	}{
		"whole":               {"", nil, []string{"100"}},
		"memory table zeroed": {"*.mem", make([]byte, 4096), []string{"0"}},
		"memory table odd":    {"*.mem", bytes.Repeat([]byte{0xa5}, 4096), []string{"0"}},
		"memory table cut":    {"*.mem", []byte("x"), []string{"0"}},
		"value log cut":       {"*.vlog", []byte("x"), []string{"0", "100"}},
		"value log odd":       {"*.vlog", bytes.Repeat([]byte{0xa5}, 4096), []string{"0", "100"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			require.NoError(t, os.CopyFS(dir, os.DirFS(live)))
			if c.pattern != "" {
				overwrite(t, dir, c.pattern, c.content)
			}
			frames, log, err := elsewhere(t, dir)
			require.NoError(t, err, log)
			require.Contains(t, c.want, frames)
		})
	}
}

// badFooter is a valid checksum over 64 bytes of 0xff, and its length.
func badFooter() []byte {
	sum := crc32.Checksum(bytes.Repeat([]byte{0xff}, 64), crc32.MakeTable(crc32.Castagnoli))
	pb := binary.AppendUvarint([]byte{2 << 3}, uint64(sum)) // field 2 of badgerpb4.Checksum
	return binary.BigEndian.AppendUint32(pb, uint32(len(pb)))
}

func match(t *testing.T, dir, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, pattern))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	return files
}

func overwrite(t *testing.T, dir, pattern string, content []byte) {
	t.Helper()
	for _, file := range match(t, dir, pattern) {
		require.NoError(t, os.WriteFile(file, content, 0o600))
	}
}

// TestFlippedBytes damages each kind of file at several places. The series open
// again, at the second start at the latest, with what is whole or empty, and go on.
func TestFlippedBytes(t *testing.T) {
	closed, live := t.TempDir(), t.TempDir()
	s := openTest(t, closed, 0, quiet())
	put(t, s, 14, 2000)
	require.NoError(t, s.Close())
	s = openTest(t, live, 0, quiet())
	put(t, s, 14, 2000)

	for _, c := range []struct{ from, pattern string }{
		{closed, "MANIFEST"},
		{closed, "*.sst"},
		{closed, "*.vlog"},
		{closed, "KEYREGISTRY"},
		{closed, "DISCARD"},
		{live, "MANIFEST"},
		{live, "*.mem"},
		{live, "*.vlog"},
	} {
		for _, share := range []float64{0, 0.3, 0.8} {
			t.Run(fmt.Sprintf("%s at %v", c.pattern, share), func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				copySparse(t, c.from, dir)
				for _, file := range match(t, dir, c.pattern) {
					flip(t, file, share)
				}
				frames, log, err := elsewhere(t, dir)
				if err != nil {
					frames, log, err = elsewhere(t, dir)
				}
				require.NoError(t, err, log)
				n, err := strconv.Atoi(frames)
				require.NoError(t, err)
				require.LessOrEqual(t, n, 2000)
				again, log, err := elsewhere(t, dir)
				require.NoError(t, err, log)
				require.NotEqual(t, "0", again, "what was written since is there")
			})
		}
	}
}

// copySparse copies a folder without writing the zeros that its files end in.
func copySparse(t *testing.T, from, to string) {
	t.Helper()
	for _, file := range match(t, from, "*") {
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		copied := filepath.Join(to, filepath.Base(file))
		require.NoError(t, os.WriteFile(copied, bytes.TrimRight(content, "\x00"), 0o600))
		require.NoError(t, os.Truncate(copied, int64(len(content))))
	}
}

// flip changes 16 bytes at a share of what a file holds before its zeros.
func flip(t *testing.T, file string, share float64) {
	t.Helper()
	content, err := os.ReadFile(file)
	require.NoError(t, err)
	used := len(bytes.TrimRight(content, "\x00"))
	at := int(share * float64(used))
	for i := at; i < min(at+16, len(content)); i++ {
		content[i] ^= 0x5a
	}
	f, err := os.OpenFile(file, os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = f.WriteAt(content[at:min(at+16, len(content))], int64(at))
	require.NoError(t, errors.Join(err, f.Close()))
}
