package lora

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// bundled is the name of the bundled model in package models.
const bundled = "default"

// FindBase is the folder, or the name, of the model that the adapter in a
// folder belongs to. A path is looked for from the working directory, then
// from the adapter's folder.
func (c Config) FindBase(dir string) (string, error) {
	if c.Base == "" {
		return "", fmt.Errorf("adapter %s does not say which model it belongs to: name the base", dir)
	}
	if c.Base == bundled {
		return c.Base, nil
	}
	for _, path := range []string{c.Base, filepath.Join(dir, c.Base)} {
		info, err := os.Stat(path)
		if err == nil && info.IsDir() {
			return path, nil
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrInvalid) {
			return "", fmt.Errorf("the base of adapter %s: %w", dir, err)
		}
	}
	return "", fmt.Errorf("adapter %s belongs to the model %q, which is no folder here: name the base", dir, c.Base)
}
