package finetune

import (
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"

	"causerie/corpora"
	"causerie/models"
	"causerie/models/dialogue"
	"causerie/models/gpt2"
	"causerie/models/lora"
	"causerie/models/tokenizer"
)

// Base is what is known of a model without its weights: enough to check data
// for it and to plan a training.
type Base struct {
	Shape     gpt2.Config
	Tokenizer tokenizer.Tokenizer
	Template  dialogue.Template
}

// OpenBase looks at a model that a training could begin with, as Options.Model
// names it, and says what makes it useless for that.
func OpenBase(name string) (Base, error) {
	fsys, err := baseFolder(name)
	if err != nil {
		return Base{}, err
	}
	f, opened, err := describeFolder(fsys, filepath.ToSlash(name))
	if err != nil {
		return Base{}, err
	}
	return Base{Shape: f.config.Model, Tokenizer: f.tokenizer, Template: f.template}, opened.Close()
}

// baseFolder is the folder of a model's files; an adapter's are its base's.
func baseFolder(name string) (fs.FS, error) {
	if name == models.Default {
		return models.Bundled()
	}
	if !lora.IsAdapter(os.DirFS(name)) {
		info, err := os.Stat(name)
		if err == nil && !info.IsDir() {
			err = fmt.Errorf("%s: a model is a folder, this is a file", name)
		}
		return os.DirFS(name), err
	}
	c, err := lora.ReadConfig(os.DirFS(name), filepath.ToSlash(name))
	if err != nil {
		return nil, err
	}
	base, err := c.FindBase(name)
	if err != nil {
		return nil, err
	}
	if base != models.Default && lora.IsAdapter(os.DirFS(base)) {
		return nil, errAdapterBase(base)
	}
	return baseFolder(base)
}

// UsualLR is a learning rate that suits the fine-tuning of a model of a width,
// with an adapter or of all weights: a wider model takes smaller steps.
// Preferences are learnt in much smaller ones: larger ones soon make rejected
// replies improbable along with all others.
func (o *Options) UsualLR(width int) float64 {
	lr := 3e-4
	if o.LoRA != nil {
		lr = 3e-3
	}
	if o.DPO != nil {
		lr /= 15
	}
	return lr * min(1, 256/float64(width))
}

// StepsPerEpoch is how many steps make a pass over the data, when a step is so
// many micro-batches of so many rows. How full batches get is found by packing a
// few.
func StepsPerEpoch(data *corpora.Dataset, rows, accumulate int, seed uint64) (float64, error) {
	stream, err := data.Stream(rows, seed)
	if err != nil {
		return 0, err
	}
	const sample = 256
	packed := 0
	for range sample {
		packed += stream.Next().Rows()
	}
	perStep := float64(packed) / sample * float64(accumulate)
	return passRows(data) / perStep, nil
}

// stepsOf is the number of steps that make so many passes over the data.
func (s *setup) stepsOf(epochs float64) (int, error) {
	perEpoch, err := StepsPerEpoch(s.data, s.o.Rows, s.o.Accumulate, s.o.Seed)
	return max(1, int(math.Ceil(epochs*perEpoch))), err
}
