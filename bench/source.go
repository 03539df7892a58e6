package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"causerie/models"
	"causerie/models/dialogue"
	"causerie/models/gpt2"
	"causerie/models/hf"
	"causerie/models/hf/safetensors"
	"causerie/models/kernels"
	"causerie/pipeline"
)

// source is where a model comes from, again for each type of weights.
type source struct {
	label  string // what it is called in reports
	name   string // for models.Open; empty: made for each run
	shape  gpt2.Config
	folder string // that was made and is to go
}

// prepareSource finds the model, or makes up one of the shape: as a folder on
// disk if loading is to be measured.
func prepareSource(ctx context.Context, o *Options) (*source, error) {
	if o.Shape == "" {
		name := o.Model
		if name == "" {
			name = models.Default
		}
		return &source{label: name, name: name}, nil
	}
	c, err := ParseShape(o.Shape)
	if err != nil {
		return nil, err
	}
	s := &source{label: o.Shape + " (random weights)", shape: c}
	if !o.wants(groupLoad) || o.Self == nil {
		return s, nil
	}
	o.Progress("making up weights of shape " + o.Shape)
	if s.folder, err = os.MkdirTemp("", "causerie-bench-"); err != nil {
		return nil, fmt.Errorf("a folder for random weights: %w", err)
	}
	if err := s.write(ctx); err != nil {
		_ = s.close() // the error that counts is the first
		return nil, err
	}
	s.name = s.folder
	return s, nil
}

func (s *source) write(ctx context.Context) error {
	net, err := s.random()
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return hf.Save(s.folder, hf.Config{Model: net.Config}, hf.Generation{}, net.Params(), hf.F32)
}

func (s *source) random() (*gpt2.Model, error) {
	net, err := gpt2.New(s.shape)
	if err != nil {
		return nil, err
	}
	net.Init(1)
	return net, nil
}

// stored is the folder that a figure about loading loads: one that was made up
// holds its weights in the type they are served in.
func (s *source) stored(ctx context.Context, d kernels.DType) (string, error) {
	if s.folder == "" || d == kernels.Float32 {
		return s.name, nil
	}
	out := filepath.Join(s.folder, d.String())
	if _, err := os.Stat(out); err == nil {
		return out, nil
	}
	in := map[kernels.DType]safetensors.DType{kernels.BFloat16: hf.BF16, kernels.Int8: hf.I8}
	if _, err := models.Quantize(ctx, s.name, out, in[d]); err != nil {
		return "", fmt.Errorf("storing random weights as %v: %w", d, err)
	}
	return out, nil
}

// open loads the model for serving.
func (s *source) open(ctx context.Context, d kernels.DType) (pipeline.Model, error) {
	m := pipeline.Model{Name: s.label}
	var err error
	if s.name == "" {
		m.Net, err = s.random()
	} else {
		var b *models.Bundle
		if b, err = models.Open(ctx, s.name, models.Options{Frozen: true, DType: &d}); err == nil {
			m = pipeline.FromBundle(b)
		}
	}
	if err != nil {
		return m, err
	}
	if m.Tokenizer == nil {
		w := words(m.Net.Config.VocabSize)
		m.Tokenizer, m.Template = w, dialogue.ForTokenizer(w)
	}
	return m, nil
}

func (s *source) close() error {
	if s.folder == "" {
		return nil
	}
	return os.RemoveAll(s.folder)
}
