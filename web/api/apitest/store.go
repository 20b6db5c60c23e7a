package apitest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"sync"
	"time"

	"detectd/store"
)

// Series is a store.Series of fixed rows. Filters and pages are the drivers'
// business: it keeps the last query for the test to look at.
type Series struct {
	store.Series
	Rows       []store.DetectionRow
	Frames     []store.Annotation
	Infers     []store.Inference
	Next       string
	Query      store.DetectionQuery
	Page       store.Page
	Range      store.Range
	FrameLimit int
	Err        error
}

// Annotations implements store.Series.
func (s *Series) Annotations(_ context.Context, _ string, r store.Range, limit int) ([]store.Annotation, error) {
	s.Range, s.FrameLimit = r, limit
	return s.Frames, s.Err
}

// AnnotationAt implements store.Series.
func (s *Series) AnnotationAt(_ context.Context, _ string, _ time.Time, _ time.Duration) (store.Annotation, error) {
	return store.Annotation{}, store.ErrNotFound
}

// ListDetections implements store.Series.
func (s *Series) ListDetections(_ context.Context, q store.DetectionQuery, p store.Page) ([]store.DetectionRow, string, error) {
	s.Query, s.Page = q, p
	return s.Rows, s.Next, s.Err
}

// ListInferences implements store.Series.
func (s *Series) ListInferences(_ context.Context, _ string, r store.Range, p store.Page) ([]store.Inference, string, error) {
	s.Range, s.Page = r, p
	return s.Infers, s.Next, s.Err
}

// Blobs is a store.Blobs in memory.
type Blobs struct {
	store.Blobs
	mu sync.Mutex
	m  map[string][]byte
}

// Add stores bytes and returns their address.
func (b *Blobs) Add(data []byte) string {
	sum := sha256.Sum256(data)
	key := hex.EncodeToString(sum[:])
	b.mu.Lock()
	defer b.mu.Unlock()
	b.m[key] = bytes.Clone(data)
	return key
}

// Open implements store.Blobs.
func (b *Blobs) Open(_ context.Context, key string) (io.ReadSeekCloser, int64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	data, ok := b.m[key]
	if !ok {
		return nil, 0, fmt.Errorf("blob %s: %w", key, store.ErrNotFound)
	}
	return nopCloser{bytes.NewReader(data)}, int64(len(data)), nil
}
