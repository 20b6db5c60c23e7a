package storetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"detectd/store"
)

// RunBlobs checks a driver of store.Blobs. open opens the store in a folder;
// the suite opens the same folder again after closing.
func RunBlobs(t *testing.T, open func(t *testing.T, dir string) store.Blobs) {
	for name, check := range map[string]func(*testing.T, store.Blobs){
		"put and open":    blobsPutOpen,
		"same bytes":      blobsSameBytes,
		"broken source":   blobsBrokenSource,
		"cancelled":       blobsCancelled,
		"missing":         blobsMissing,
		"seek":            blobsSeek,
		"many at once":    blobsConcurrent,
		"open while gone": blobsDeleteWhileOpen,
		"each":            blobsEach,
		"unfinished":      blobsUnfinished,
	} {
		t.Run(name, func(t *testing.T) {
			b := open(t, t.TempDir())
			t.Cleanup(func() { require.NoError(t, b.Close()) })
			check(t, b)
		})
	}
	t.Run("reopen", func(t *testing.T) {
		dir := t.TempDir()
		b := open(t, dir)
		address, _, err := b.Put(t.Context(), strings.NewReader("kept"))
		require.NoError(t, err)
		require.NoError(t, b.Close())
		require.NoError(t, b.Close(), "closing twice")

		again := open(t, dir)
		require.Equal(t, "kept", string(readBlob(t, again, address)))
		require.NoError(t, again.Close())
	})
}

func readBlob(t *testing.T, b store.Blobs, address string) []byte {
	t.Helper()
	r, size, err := b.Open(t.Context(), address)
	require.NoError(t, err)
	got, err := io.ReadAll(r)
	require.NoError(t, err)
	require.NoError(t, r.Close())
	require.EqualValues(t, len(got), size)
	return got
}

func noise(seed uint64, size int) []byte {
	b := make([]byte, size)
	rnd := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	_, _ = rnd.Read(b)
	return b
}

func blobsPutOpen(t *testing.T, b store.Blobs) {
	for i, size := range []int{0, 1, 4096, 3<<20 + 1} {
		content := noise(uint64(i), size)
		want := sha256.Sum256(content)
		address, n, err := b.Put(t.Context(), iotest.OneByteReader(bytes.NewReader(content[:min(size, 100)])))
		require.NoError(t, err)
		require.EqualValues(t, min(size, 100), n)
		require.Len(t, address, 64)

		address, n, err = b.Put(t.Context(), bytes.NewReader(content))
		require.NoError(t, err)
		require.Equal(t, hex.EncodeToString(want[:]), address)
		require.EqualValues(t, size, n)
		require.Equal(t, content, append([]byte{}, readBlob(t, b, address)...))
	}
}

func blobsSameBytes(t *testing.T, b store.Blobs) {
	first, _, err := b.Put(t.Context(), strings.NewReader("twice"))
	require.NoError(t, err)
	second, n, err := b.Put(t.Context(), strings.NewReader("twice"))
	require.NoError(t, err)
	require.Equal(t, first, second)
	require.EqualValues(t, 5, n)
	require.NoError(t, b.Delete(t.Context(), first))
	_, _, err = b.Open(t.Context(), first)
	require.ErrorIs(t, err, store.ErrNotFound, "it was one blob")
}

func blobsBrokenSource(t *testing.T, b store.Blobs) {
	cause := errors.New("connection lost")
	content := noise(7, 100_000)
	_, _, err := b.Put(t.Context(), io.MultiReader(bytes.NewReader(content), iotest.ErrReader(cause)))
	require.ErrorIs(t, err, cause)
	sum := sha256.Sum256(content)
	_, _, err = b.Open(t.Context(), hex.EncodeToString(sum[:]))
	require.ErrorIs(t, err, store.ErrNotFound)
}

func blobsCancelled(t *testing.T, b store.Blobs) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err := b.Put(ctx, strings.NewReader("too late"))
	require.ErrorIs(t, err, context.Canceled)
}

func blobsMissing(t *testing.T, b store.Blobs) {
	for _, address := range []string{strings.Repeat("0", 64), "", "..", "../../etc/passwd", strings.Repeat("A", 64), strings.Repeat("/", 64)} {
		_, _, err := b.Open(t.Context(), address)
		require.ErrorIs(t, err, store.ErrNotFound, address)
		require.NoError(t, b.Delete(t.Context(), address), address)
	}
}

func blobsSeek(t *testing.T, b store.Blobs) {
	address, _, err := b.Put(t.Context(), strings.NewReader("0123456789"))
	require.NoError(t, err)
	r, size, err := b.Open(t.Context(), address)
	require.NoError(t, err)
	defer func() { require.NoError(t, r.Close()) }()

	end, err := r.Seek(0, io.SeekEnd)
	require.NoError(t, err)
	require.Equal(t, size, end)
	for _, at := range []int64{7, 2, 0} {
		_, err := r.Seek(at, io.SeekStart)
		require.NoError(t, err)
		got := make([]byte, 3)
		_, err = io.ReadFull(r, got)
		require.NoError(t, err)
		require.Equal(t, "0123456789"[at:at+3], string(got))
	}
}

func blobsConcurrent(t *testing.T, b store.Blobs) {
	var group sync.WaitGroup
	errs := make(chan error, 40)
	for i := range 40 {
		group.Go(func() {
			_, _, err := b.Put(t.Context(), bytes.NewReader(noise(uint64(i%4), 50_000)))
			errs <- err
		})
	}
	group.Wait()
	for range 40 {
		require.NoError(t, <-errs)
	}
	for i := range 4 {
		content := noise(uint64(i), 50_000)
		sum := sha256.Sum256(content)
		require.Equal(t, content, readBlob(t, b, hex.EncodeToString(sum[:])))
	}
}

func blobsDeleteWhileOpen(t *testing.T, b store.Blobs) {
	address, _, err := b.Put(t.Context(), strings.NewReader("being read"))
	require.NoError(t, err)
	r, _, err := b.Open(t.Context(), address)
	require.NoError(t, err)
	require.NoError(t, b.Delete(t.Context(), address))
	got, err := io.ReadAll(r)
	require.NoError(t, err)
	require.Equal(t, "being read", string(got))
	require.NoError(t, r.Close())
}

func all(t *testing.T, b store.Blobs) map[string]int64 {
	t.Helper()
	found := map[string]int64{}
	require.NoError(t, b.Each(t.Context(), func(address string, size int64) error {
		found[address] = size
		return nil
	}))
	return found
}

func blobsEach(t *testing.T, b store.Blobs) {
	require.Empty(t, all(t, b))
	want := map[string]int64{}
	for i := range 20 {
		address, size, err := b.Put(t.Context(), bytes.NewReader(noise(uint64(i), i*100)))
		require.NoError(t, err)
		want[address] = size
	}
	require.Equal(t, want, all(t, b))
	for address := range want {
		require.NoError(t, b.Delete(t.Context(), address))
		delete(want, address)
		break
	}
	require.Equal(t, want, all(t, b))
	cause := errors.New("enough")
	require.ErrorIs(t, b.Each(t.Context(), func(string, int64) error { return cause }), cause)
}

// blobsUnfinished looks at the store while a blob is on its way: it is not to be
// seen before it is whole.
func blobsUnfinished(t *testing.T, b store.Blobs) {
	content := noise(9, 200_000)
	sum := sha256.Sum256(content)
	address := hex.EncodeToString(sum[:])
	source, sink := io.Pipe()
	done := make(chan error)
	go func() {
		_, _, err := b.Put(t.Context(), source)
		done <- err
	}()
	_, err := sink.Write(content)
	require.NoError(t, err)
	_, _, err = b.Open(t.Context(), address)
	require.ErrorIs(t, err, store.ErrNotFound)
	require.Empty(t, all(t, b))
	require.NoError(t, sink.Close())
	require.NoError(t, <-done)
	require.Equal(t, content, readBlob(t, b, address))
}
