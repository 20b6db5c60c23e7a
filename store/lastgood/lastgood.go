// Package lastgood keeps a copy of the records that detection needs, as they were
// when everything they want had last been brought about. Detection can start from it
// when the database cannot be read.
//
// The copy is one JSON file with its SHA-256 in front, replaced as a whole. It holds
// the cameras' passwords, as the database does, and only its owner can read it.
package lastgood

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"detectd/store"
)

// ErrDamaged is returned for a copy that is not as it was written.
var ErrDamaged = errors.New("the copy is damaged")

// file is what is written. Secrets do not marshal by themselves.
type file struct {
	store.Essentials
	Passwords map[string]string // by camera
}

// Write replaces the copy at path. It is durable when Write returns nil.
func Write(path string, e store.Essentials) (err error) {
	f := file{Essentials: e, Passwords: map[string]string{}}
	for _, c := range e.Cameras {
		if c.Password != "" {
			f.Passwords[c.ID] = string(c.Password)
		}
	}
	data, err := json.Marshal(f)
	if err != nil {
		return fmt.Errorf("encode copy of records: %w", err)
	}
	sum := sha256.Sum256(data)
	data = append([]byte(hex.EncodeToString(sum[:])+"\n"), data...)
	temp, err := os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("write copy of records: %w", err)
	}
	_, err = temp.Write(data)
	if err = errors.Join(err, temp.Sync(), temp.Close()); err == nil {
		err = os.Rename(temp.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("write copy of records: %w", errors.Join(err, os.Remove(temp.Name())))
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("write copy of records: %w", err)
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// Read reads the copy at path. fs.ErrNotExist when there is none, ErrDamaged when
// it is not whole.
func Read(path string) (store.Essentials, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return store.Essentials{}, fmt.Errorf("read copy of records: %w", err)
	}
	head, body, _ := bytes.Cut(data, []byte("\n"))
	sum := sha256.Sum256(body)
	if string(head) != hex.EncodeToString(sum[:]) {
		return store.Essentials{}, fmt.Errorf("read copy of records %q: %w", path, ErrDamaged)
	}
	var f file
	if err := json.Unmarshal(body, &f); err != nil {
		return store.Essentials{}, fmt.Errorf("read copy of records %q: %w: %w", path, ErrDamaged, err)
	}
	for i, c := range f.Cameras {
		f.Cameras[i].Password = store.Secret(f.Passwords[c.ID])
	}
	return f.Essentials, nil
}
