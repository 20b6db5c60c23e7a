package badger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/table"
)

// Check looks, without opening the series at path, for damage that would have Open
// empty them. Nobody may have them open.
func Check(path string) error {
	if _, err := os.Stat(filepath.Join(path, openingFile)); err == nil {
		return errors.New("the last start ended while opening them")
	}
	return checkTables(path, settings(path, slog.New(slog.DiscardHandler)))
}

// checkTables looks at the end of every table that the manifest names. A table
// cut short or ending in zeros, which is what a power cut leaves, makes Badger
// panic in a goroutine of its own and so ends the process; here it is an error.
func checkTables(path string, opt badger.Options) error {
	file, err := os.Open(filepath.Join(path, badger.ManifestFilename))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // a new database
	}
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	manifest, _, err := badger.ReplayManifestFile(file, opt.ExternalMagicVersion, opt)
	if err != nil {
		return err
	}
	for id := range manifest.Tables {
		if err := checkTable(table.NewFilename(id, path)); err != nil {
			return err
		}
	}
	return nil
}

// checkTable checks the lengths in a table's footer: index, its length, checksum
// of the index, its length. The checksum itself is Badger's to verify.
func checkTable(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	rest := info.Size()
	for _, part := range []string{"checksum", "index"} {
		var length [4]byte
		rest -= int64(len(length))
		if rest < 0 {
			return fmt.Errorf("table %s is cut short", filepath.Base(path))
		}
		if _, err := file.ReadAt(length[:], rest); err != nil {
			return err
		}
		n := int64(binary.BigEndian.Uint32(length[:]))
		if rest -= n; n == 0 || rest < 0 {
			return fmt.Errorf("table %s has no %s", filepath.Base(path), part)
		}
	}
	return nil
}
