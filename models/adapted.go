package models

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"causerie/models/lora"
)

// openAdapted loads a base model and puts the adapter of o on it.
func openAdapted(ctx context.Context, base string, o Options) (*Bundle, error) {
	adapter := o.Adapter
	if base != "" && base != Default && lora.IsAdapter(os.DirFS(base)) {
		return nil, fmt.Errorf("the base of adapter %s is itself an adapter, %s: merge that first", adapter, base)
	}
	o.Adapter = ""
	b, err := Open(ctx, base, o)
	if err != nil {
		return nil, fmt.Errorf("the base of adapter %s: %w", adapter, err)
	}
	a, err := lora.OpenDir(adapter, b.Net.Config)
	if err != nil {
		return nil, err
	}
	b.Net.Adapter = a.Net
	b.Name = strings.TrimRight(filepath.ToSlash(adapter), "/")
	return b, nil
}

// baseOf is the base that an adapter's folder names.
func baseOf(adapter string) (string, error) {
	config, err := lora.ReadConfig(os.DirFS(adapter), filepath.ToSlash(adapter))
	if err != nil {
		return "", err
	}
	return config.FindBase(adapter)
}
