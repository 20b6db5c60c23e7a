// Package blob stores immutable bytes under their SHA-256, on gocloud.dev/blob: in
// a folder, or in a bucket that speaks S3.
//
// A blob lives at ab/abcdef…, so that no folder grows too large. It is spooled to
// a local file first, since its address is known at its end. In a folder, writing
// is spool → fsync → rename → fsync of the folders: a blob is whole or absent,
// also after a power cut. In a bucket an object is seen when its upload is done.
package blob

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"

	"detectd/store"
)

// Store implements store.Blobs. Safe for concurrent use.
type Store struct {
	bucket *blob.Bucket
	driver driver
	spool  string // folder of blobs that are on their way
	owner  bool   // may write
}

var _ store.Blobs = (*Store)(nil)

// driver is what folders and buckets do in different ways.
type driver interface {
	// place makes the spooled file the blob.
	place(ctx context.Context, spooled *os.File, address string) error
	// each shows all objects that may be blobs.
	each(ctx context.Context, show func(key string, size int64) error) error
	// owner is the id of the data folder that the store is tied to, "" for none.
	owner(ctx context.Context) (string, error)
	// bind ties the store to the data folder with this id.
	bind(ctx context.Context, id string) error
}

// openTimeout is how long a bucket may take to answer when it is opened.
const openTimeout = 30 * time.Second

var errBeside = errors.New("the blob store is open for reading only")

// Open opens the store at a URL for its only owner: file:///FOLDER, which is
// created when missing, or s3://BUCKET/PREFIX?endpoint=…&region=…&credentials=FILE.
// The keys behind the question mark are optional: endpoint is for servers other
// than Amazon's, credentials a file in the form of ~/.aws/credentials; without it
// the usual places are looked at, environment first.
func Open(rawURL string) (*Store, error) {
	s, err := Beside(rawURL)
	if err != nil {
		return nil, err
	}
	s.owner = true
	if folder, ok := s.driver.(*folder); ok {
		if s.spool, err = folder.clean(); err != nil {
			return nil, errors.Join(fmt.Errorf("open blob store: %w", err), s.Close())
		}
		return s, nil
	}
	s.spool = os.TempDir()
	return s, nil
}

// SpoolTo has blobs that are on their way into a bucket wait in a folder other
// than the system's for temporary files. Call it before Put.
func (s *Store) SpoolTo(dir string) {
	if _, ok := s.driver.(*folder); !ok {
		s.spool = dir
	}
}

// Beside opens the store for reading while another process may own it.
func Beside(rawURL string) (*Store, error) {
	ctx, cancel := context.WithTimeout(context.Background(), openTimeout)
	defer cancel()
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, errors.New("open blob store: the URL cannot be read") // its text may hold a password
	}
	var s *Store
	switch u.Scheme {
	case "file":
		s, err = openFolder(u)
	case "s3":
		s, err = openS3(ctx, u)
	default:
		err = fmt.Errorf("unknown scheme %q; use file:///FOLDER or s3://BUCKET", u.Scheme)
	}
	if err != nil {
		return nil, fmt.Errorf("open blob store: %w", err)
	}
	return s, nil
}

// Bind ties a bucket to the data folder with this id, the first time, and later
// refuses another one: each deletes what its own records do not name.
func (s *Store) Bind(ctx context.Context, id string) error {
	if err := s.driver.bind(ctx, id); err != nil {
		return fmt.Errorf("bind blob store to its data folder: %w", err)
	}
	return nil
}

// Owner is the id of the data folder that a bucket is tied to, "" for none yet, and
// for a folder, which is part of its data folder.
func (s *Store) Owner(ctx context.Context) (id string, err error) {
	if id, err = s.driver.owner(ctx); err != nil {
		return "", fmt.Errorf("look whom the blob store belongs to: %w", err)
	}
	return id, nil
}

// Put implements store.Blobs. The blob is streamed: memory does not grow with it.
func (s *Store) Put(ctx context.Context, r io.Reader) (address string, size int64, err error) {
	if !s.owner {
		return "", 0, errBeside
	}
	file, err := os.CreateTemp(s.spool, "blob-")
	if err != nil {
		return "", 0, fmt.Errorf("store blob: %w", err)
	}
	defer func() {
		_ = file.Close()
		_ = os.Remove(file.Name()) // gone already when it was renamed
	}()
	hash := sha256.New()
	size, err = io.Copy(io.MultiWriter(file, hash), reader{ctx, r})
	if err != nil {
		return "", 0, fmt.Errorf("store blob: %w", err)
	}
	address = hex.EncodeToString(hash.Sum(nil))
	if err := s.driver.place(ctx, file, address); err != nil {
		return "", 0, fmt.Errorf("store blob %s: %w", address, err)
	}
	return address, size, nil
}

// Open implements store.Blobs.
func (s *Store) Open(ctx context.Context, address string) (io.ReadSeekCloser, int64, error) {
	if !valid(address) {
		return nil, 0, missing(address)
	}
	r, err := s.bucket.NewReader(ctx, key(address), nil)
	if gcerrors.Code(err) == gcerrors.NotFound {
		return nil, 0, missing(address)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("open blob %s: %w", address, err)
	}
	return r, r.Size(), nil
}

// Delete implements store.Blobs.
func (s *Store) Delete(ctx context.Context, address string) error {
	if !s.owner {
		return errBeside
	}
	if !valid(address) {
		return nil
	}
	err := s.bucket.Delete(ctx, key(address))
	if err != nil && gcerrors.Code(err) != gcerrors.NotFound {
		return fmt.Errorf("delete blob %s: %w", address, err)
	}
	return nil
}

// Each implements store.Blobs. What is not named like a blob is passed over.
func (s *Store) Each(ctx context.Context, show func(address string, size int64) error) error {
	err := s.driver.each(ctx, func(k string, size int64) error {
		if address := k[strings.LastIndexByte(k, '/')+1:]; valid(address) && k == key(address) {
			return show(address, size)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("list blobs: %w", err)
	}
	return nil
}

// Close implements store.Blobs. Idempotent.
func (s *Store) Close() error {
	err := s.bucket.Close()
	if gcerrors.Code(err) == gcerrors.FailedPrecondition { // closed already
		return nil
	}
	return err
}

func key(address string) string { return address[:2] + "/" + address }

func valid(address string) bool {
	isHex := func(r rune) bool { return r >= '0' && r <= '9' || r >= 'a' && r <= 'f' }
	return len(address) == 2*sha256.Size && strings.TrimFunc(address, isHex) == ""
}

func missing(address string) error {
	const most = 2 * sha256.Size
	return fmt.Errorf("blob %q: %w", address[:min(len(address), most)], store.ErrNotFound)
}

// reader ends with its context, so that an upload does not outlive its request.
type reader struct {
	ctx context.Context
	r   io.Reader
}

func (r reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}
