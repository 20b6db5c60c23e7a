// Package blob stores immutable bytes under their SHA-256, on gocloud.dev/blob.
//
// A blob lives at ab/abcdef…, so that no folder grows too large. Writing is
// spool → fsync → rename → fsync of the folders: a blob is whole or absent,
// also after a power cut.
package blob

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"gocloud.dev/blob"
	"gocloud.dev/blob/fileblob"
	"gocloud.dev/gcerrors"

	"detectd/store"
)

// spoolDir holds uploads until their address is known. No address looks like it.
const spoolDir = "incoming"

// Store implements store.Blobs. Safe for concurrent use.
type Store struct {
	bucket *blob.Bucket
	dir    string
	owner  bool // may write
}

var _ store.Blobs = (*Store)(nil)

var errBeside = errors.New("the blob store is open for reading only")

// Open opens the store at a URL. file:///folder is created when missing; what
// an interrupted Put left in it is removed, so one process at a time may open it.
func Open(rawURL string) (*Store, error) {
	s, err := Beside(rawURL)
	if err != nil {
		return nil, err
	}
	spool := filepath.Join(s.dir, spoolDir)
	if err := errors.Join(os.RemoveAll(spool), os.MkdirAll(spool, 0o700)); err != nil {
		return nil, errors.Join(fmt.Errorf("open blob store: %w", err), s.Close())
	}
	s.owner = true
	return s, nil
}

// Beside opens the store for reading while another process may own it.
func Beside(rawURL string) (*Store, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, errors.New("open blob store: the URL cannot be read") // its text may hold a password
	}
	switch {
	case u.Scheme == "s3":
		return nil, errors.New("open blob store: s3:// is not in this version; use file:///folder")
	case u.Scheme != "file":
		return nil, fmt.Errorf("open blob store: unknown scheme %q; use file:///folder", u.Scheme)
	case u.Host != "" || !filepath.IsAbs(u.Path) || u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("open blob store: a file URL is file:// and an absolute path, nothing else")
	}
	return openFolder(filepath.Clean(u.Path))
}

func openFolder(dir string) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open blob store: %w", err)
	}
	bucket, err := fileblob.OpenBucket(dir, &fileblob.Options{Metadata: fileblob.MetadataDontWrite})
	if err != nil {
		return nil, fmt.Errorf("open blob store: %w", err)
	}
	return &Store{bucket: bucket, dir: dir}, nil
}

// Put implements store.Blobs. The blob is streamed: memory does not grow with it.
func (s *Store) Put(ctx context.Context, r io.Reader) (address string, size int64, err error) {
	if !s.owner {
		return "", 0, errBeside
	}
	file, err := os.CreateTemp(filepath.Join(s.dir, spoolDir), "")
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
	if err := s.place(file, address); err != nil {
		return "", 0, fmt.Errorf("store blob %s: %w", address, err)
	}
	return address, size, nil
}

// place makes the spooled file the blob. A blob that is there already is
// replaced by its equal: that costs nothing, heals a damaged one, and spares
// telling apart a durable blob from one whose folder is about to be synced.
func (s *Store) place(file *os.File, address string) error {
	if err := file.Sync(); err != nil {
		return err
	}
	path := filepath.Join(s.dir, filepath.FromSlash(key(address)))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	if err := os.Rename(file.Name(), path); err != nil {
		return err
	}
	return errors.Join(syncDir(filepath.Dir(path)), syncDir(s.dir))
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
	// Not by the bucket: its walk fails on a file that goes meanwhile.
	folders, err := os.ReadDir(s.dir)
	if err != nil {
		return fmt.Errorf("list blobs: %w", err)
	}
	for _, folder := range folders {
		if !folder.IsDir() || len(folder.Name()) != 2 {
			continue
		}
		files, err := os.ReadDir(filepath.Join(s.dir, folder.Name()))
		if err != nil {
			return fmt.Errorf("list blobs: %w", err)
		}
		for _, file := range files {
			info, err := file.Info()
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err = errors.Join(err, ctx.Err()); err != nil {
				return fmt.Errorf("list blobs: %w", err)
			}
			if valid(file.Name()) && file.Name()[:2] == folder.Name() && info.Mode().IsRegular() {
				if err := show(file.Name(), info.Size()); err != nil {
					return err
				}
			}
		}
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

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
