package hf

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"causerie/models/bert"
	"causerie/models/hf/safetensors"
)

// Encoder is an opened folder of a sentence encoder: settings read, weights
// checked but not yet loaded. Close it when they are.
type Encoder struct {
	Name  string // what errors call it
	Model bert.Config
	SentenceSettings

	// Files is the part of the folder with the network and its tokenizer.
	Files fs.FS

	weights Folder // only what opens and lists tensors
	tensors map[string]*safetensors.Tensor
}

// IsEncoder says whether a folder holds a sentence encoder rather than a GPT-2.
func IsEncoder(dir string) bool {
	fsys := os.DirFS(dir)
	if _, err := fs.Stat(fsys, modulesFile); err == nil {
		return true
	}
	data, err := readFile(fsys, dir, configFile, maxJSON)
	if err != nil {
		return false
	}
	f, err := parseFields(data)
	return err == nil && f.text("model_type", "") == encoderType
}

// OpenEncoder opens a sentence encoder's folder on disk, as sentence-transformers
// or transformers wrote it. See the package documentation for what is read.
func OpenEncoder(dir string) (*Encoder, error) {
	info, err := os.Stat(dir)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", dir, cause(err))
	case !info.IsDir():
		return nil, fmt.Errorf("%s: a model is a folder, this is a file", dir)
	}
	e := &Encoder{Name: filepath.ToSlash(dir)}
	if err := e.open(dir); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	return e, nil
}

func (e *Encoder) open(dir string) error {
	root := os.DirFS(dir)
	network, err := e.readModules(root)
	if err != nil {
		return err
	}
	if e.Files, err = fs.Sub(root, network); err != nil {
		return fmt.Errorf("%s: %w", e.Name, err)
	}
	name := path.Join(e.Name, network)
	if e.Model, err = readEncoderConfig(e.Files, name); err != nil {
		return err
	}
	if err := e.readSettings(root, e.Files, name); err != nil {
		return err
	}
	e.weights = Folder{Name: name, tensors: make(map[string]*safetensors.Tensor)}
	if err := e.openWeights(filepath.Join(dir, filepath.FromSlash(network))); err != nil {
		return err
	}
	return e.match()
}

// openWeights finds the weights as transformers does: safetensors, else a pickle.
func (e *Encoder) openWeights(dir string) error {
	missing := func(file string) bool {
		_, err := fs.Stat(e.Files, file)
		return errors.Is(err, fs.ErrNotExist)
	}
	if missing(weightsFile) && missing(indexFile) && !missing(pickleFile) {
		e.weights.weights = path.Join(e.weights.Name, pickleFile)
		file, err := readPickle(filepath.Join(dir, pickleFile), e.weights.weights)
		if err != nil {
			return fmt.Errorf("%s: %w", e.weights.weights, err)
		}
		return e.weights.add(file.Tensors())
	}
	return e.weights.openWeights(e.Files)
}

// DType is what most of the weights are stored in: that of the token embedding.
func (e *Encoder) DType() safetensors.DType {
	if t := e.tensors["embeddings.word_embeddings.weight"]; t != nil {
		return t.DType
	}
	return F32
}

// Close releases the files. The settings remain readable.
func (e *Encoder) Close() error { return e.weights.Close() }
