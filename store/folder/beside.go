package folder

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// addressFile holds the address that the owning process answers at.
const addressFile = "address"

// Bus is the folder of the message bus's work queues.
func (f *Folder) Bus() string { return filepath.Join(f.path, "bus") }

// SetAddress leaves the address at which this process answers, for Beside. The
// next Open removes it.
func (f *Folder) SetAddress(url string) error {
	if err := os.WriteFile(filepath.Join(f.path, addressFile), []byte(url+"\n"), 0o600); err != nil {
		return fmt.Errorf("write address into data folder: %w", err)
	}
	return nil
}

// Beside looks at a data folder without owning it, for reading what allows
// several readers, and for reaching the process that owns it. address is empty
// when no process answers. It changes nothing.
func Beside(path string) (f *Folder, address string, err error) {
	abs, err := filepath.Abs(path)
	if err == nil {
		_, err = os.Stat(filepath.Join(abs, identityFile))
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = ErrForeign
	}
	if err != nil {
		return nil, "", fmt.Errorf("look into data folder %q: %w", path, err)
	}
	text, err := os.ReadFile(filepath.Join(abs, addressFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, "", fmt.Errorf("look into data folder %q: %w", path, err)
	}
	f = &Folder{path: abs}
	if err := f.identify(); err != nil {
		return nil, "", fmt.Errorf("look into data folder %q: %w", path, err)
	}
	return f, strings.TrimSpace(string(text)), nil
}
