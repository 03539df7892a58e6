package corpora

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"causerie/corpora/starter"
)

// Source is a file of a training mix.
type Source struct {
	Path string
	// Weight multiplies the share of the mix that the file has by nature,
	// which is its share of all tokens: 5 shows its dialogues five times as
	// often, 0.5 half as often. 0 means 1.
	Weight float64
}

func (s Source) String() string {
	if s.Weight == 0 || s.Weight == 1 {
		return s.Path
	}
	return s.Path + "*" + strconv.FormatFloat(s.Weight, 'g', -1, 64)
}

// ParseSources reads what a user names on the command line. Each argument is a
// path, a pattern of paths ("data/*.jsonl.gz") or "starter", the bundled
// corpus; any of them may be followed by "*" and a weight: "starter*5".
func ParseSources(args ...string) ([]Source, error) {
	var sources []Source
	for _, arg := range args {
		source, err := splitWeight(arg)
		if err != nil {
			return nil, err
		}
		paths, err := ExpandPath(source.Path)
		if err != nil {
			return nil, err
		}
		for _, path := range paths {
			sources = append(sources, Source{Path: path, Weight: source.Weight})
		}
	}
	return sources, nil
}

// splitWeight splits "path*5". A file that is really called so is taken as it is.
func splitWeight(arg string) (Source, error) {
	if _, err := os.Stat(arg); err == nil {
		return Source{Path: arg, Weight: 1}, nil
	}
	i := strings.LastIndexByte(arg, '*')
	if i < 0 {
		return Source{Path: arg, Weight: 1}, nil
	}
	weight, err := strconv.ParseFloat(arg[i+1:], 64)
	if err != nil {
		return Source{Path: arg, Weight: 1}, nil // a pattern, not a weight
	}
	if !(weight > 0) || math.IsInf(weight, 0) {
		return Source{}, fmt.Errorf("corpus %s: the weight after * must be a positive number", arg)
	}
	return Source{Path: arg[:i], Weight: weight}, nil
}

// ExpandPath returns the files that a path stands for: itself, the files that
// match it when it is a pattern, or those of the bundled corpus when it is
// "starter" (a file of that name is "./starter"). A path that stands for no
// file is an error.
func ExpandPath(path string) ([]string, error) {
	switch {
	case path == Stdin || strings.HasPrefix(path, StarterPrefix):
		return []string{path}, nil
	case path == Starter:
		return StarterPaths(), nil
	}
	info, err := os.Stat(path)
	switch {
	case err == nil && info.IsDir():
		return nil, fmt.Errorf("corpus %s: a folder; name the files in it, as in %s", path, filepath.Join(path, "*.jsonl"))
	case err == nil:
		return []string{path}, nil
	case !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("corpus: %w", err)
	}
	paths, globErr := filepath.Glob(path)
	if globErr != nil {
		return nil, fmt.Errorf("corpus %s: %w", path, globErr)
	}
	if len(paths) == 0 {
		return nil, fmt.Errorf("corpus: %w", err)
	}
	slices.Sort(paths)
	return paths, nil
}

// StarterPaths lists the files of the bundled starter corpus, in the form that
// Open takes.
func StarterPaths() []string {
	names, err := fs.Glob(starter.Files, "*.jsonl")
	if err != nil {
		return nil // the pattern is a valid one
	}
	for i, name := range names {
		names[i] = StarterPrefix + name
	}
	return names
}
