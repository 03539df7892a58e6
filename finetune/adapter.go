package finetune

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"os"
	"path/filepath"

	"causerie/internal/durable"
	"causerie/models"
	"causerie/models/gpt2"
	"causerie/models/lora"
	"causerie/models/ops"
)

// openMerged opens the base of an adapter's folder, or the one that is named,
// and merges the adapter in. It returns the name of the base, too.
func openMerged(base, dir string) (*folder, string, error) {
	c, err := lora.ReadConfig(os.DirFS(dir), filepath.ToSlash(dir))
	if err != nil {
		return nil, "", err
	}
	if base == "" {
		if base, err = c.FindBase(dir); err != nil {
			return nil, "", err
		}
	}
	if lora.IsAdapter(os.DirFS(base)) {
		return nil, "", errAdapterBase(base)
	}
	f, err := openModel(base)
	if err != nil {
		return nil, "", fmt.Errorf("the base of adapter %s: %w", dir, err)
	}
	a, err := lora.OpenDir(dir, f.config.Model)
	if err != nil {
		return nil, "", err
	}
	return f, base, a.Merge(nil, f.model)
}

// errAdapterBase says that an adapter belongs to a model, not to an adapter.
func errAdapterBase(base string) error {
	return fmt.Errorf("the base %s is an adapter itself: make a model of it first, with causerie merge", base)
}

// Merge writes the model that an adapter and its base are together to a new
// folder, with the base's tokenizer. Without a base, it is the one that the
// adapter names. It returns the base's name.
func Merge(base, adapter, out string, dtype DType) (string, error) {
	if _, err := os.Stat(out); err == nil {
		return "", fmt.Errorf("%s is there already: choose another folder", out)
	}
	f, base, err := openMerged(base, adapter)
	if err != nil {
		return "", err
	}
	out = filepath.Clean(out)
	err = durable.CreateFolder(filepath.Dir(out), filepath.Base(out), func(dir string) error { return f.saveModel(dir, dtype) })
	if err != nil {
		return "", fmt.Errorf("writing the merged model: %w", err)
	}
	return base, nil
}

// adapt puts a new adapter, or that of a checkpoint, beside the model.
func (f *folder) adapt(c lora.Config, seed uint64, checkpoint string) (err error) {
	if checkpoint != "" {
		f.adapter, err = lora.OpenDir(checkpoint, f.config.Model)
	} else {
		f.adapter, err = lora.New(f.config.Model, c, seed)
	}
	f.base = weightsName(f.model.Params())
	return err
}

// loadAdapter replaces the adapter's factors by those of another folder.
func (f *folder) loadAdapter(dir string) error {
	other, err := lora.OpenDir(dir, f.config.Model)
	if err != nil {
		return err
	}
	params := other.Params()
	if len(params) != len(f.adapter.Params()) {
		return fmt.Errorf("%s: an adapter of other layers", dir)
	}
	for i, p := range f.adapter.Params() {
		if params[i].Name != p.Name || len(params[i].Data) != len(p.Data) {
			return fmt.Errorf("%s: an adapter of other layers or ranks", dir)
		}
		copy(p.Data, params[i].Data)
	}
	return nil
}

// trainable gives what is trained its gradients.
func (f *folder) trainable() error {
	if f.adapter == nil {
		return f.model.Trainable()
	}
	f.adapter.Trainable()
	return nil
}

// dropOut chooses what the adapter drops in a micro-batch of a step: a function
// of the seed and of both numbers, so that a resumed run drops the same.
func (f *folder) dropOut(seed uint64, step, batch int) {
	if f.adapter == nil {
		return
	}
	d := ops.Dropout{P: float32(f.adapter.Config.Dropout), Key: seed}
	f.adapter.Net.Dropout = d.With(uint64(step)).With(uint64(batch))
}

// trained are the parameters that change.
func (f *folder) trained() []gpt2.Param {
	if f.adapter == nil {
		return f.model.Params()
	}
	return f.adapter.Params()
}

// net is what the sequences of a batch go through besides the model.
func (f *folder) net() *gpt2.Adapter {
	if f.adapter == nil {
		return nil
	}
	return f.adapter.Net
}

// weightsName is a short name for exactly these weights.
func weightsName(params []gpt2.Param) string {
	h := sha256.New()
	buf := make([]byte, 0, 1<<16)
	for _, p := range params {
		fmt.Fprintln(h, p.Name, p.Shape)
		for _, v := range p.Data {
			if buf = binary.LittleEndian.AppendUint32(buf, math.Float32bits(v)); len(buf) == cap(buf) {
				h.Write(buf)
				buf = buf[:0]
			}
		}
	}
	h.Write(buf)
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// countOf is the number of values in parameters.
func countOf(params []gpt2.Param) (n int) {
	for _, p := range params {
		n += len(p.Data)
	}
	return n
}

// baseName is how an adapter's folder names its base: a folder by its whole
// path, so that it is found from anywhere.
func baseName(model string) (string, error) {
	if model == models.Default {
		return model, nil
	}
	path, err := filepath.Abs(model)
	if err != nil {
		return "", fmt.Errorf("the base model: %w", err)
	}
	return filepath.ToSlash(path), nil
}

// holdsModel tells whether a run has left its result in a folder.
func holdsModel(dir string) bool {
	for _, name := range []string{weightsFile, adapterFile} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			return true
		}
	}
	return false
}
