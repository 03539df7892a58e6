package finetune

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"causerie/internal/durable"
)

// The file of the result that is written last: of a model, and of an adapter.
const (
	weightsFile = "model.safetensors"
	adapterFile = "adapter_config.json"
)

// mergedFolder is where in Out the model with the adapter merged in goes.
const mergedFolder = "merged"

// export writes the trained model to Out: the best weights, or the last ones
// when that was asked for or nothing was measured.
func (t *trainer) export() (Result, error) {
	r := Result{
		Stale: t.stale() && t.state.Step < t.o.Steps,
		Out:   t.o.Out, Step: t.state.Step, Steps: t.o.Steps, ResultStep: t.state.Step,
		Checkpoint: t.checkpoints.path(t.state.Step), Tokens: t.state.Tokens, Seconds: t.clock.seconds(),
	}
	if b := t.state.Best; b != nil {
		r.BestLoss = b.Loss
		if !t.o.Last {
			r.ResultStep = b.Step
		}
	}
	if r.ResultStep != t.state.Step {
		if err := t.folder.loadWeights(t.checkpoints.path(r.ResultStep)); err != nil {
			return Result{}, fmt.Errorf("reading the best checkpoint: %w", err)
		}
	}
	err := durable.ReplaceFiles(t.o.Out, func(dir string) error { return t.folder.save(dir, t.o.DType) }, weightsFile, adapterFile)
	if err == nil && t.o.Merge {
		err = t.merge()
	}
	if err != nil {
		return Result{}, fmt.Errorf("writing the trained model to %s (it is safe in %s): %w",
			t.o.Out, t.checkpoints.path(r.ResultStep), err)
	}
	return r, nil
}

// merge writes the model with the adapter merged in. The model is of no other
// use after that.
func (t *trainer) merge() error {
	if err := t.folder.adapter.Merge(nil, t.folder.model); err != nil {
		return err
	}
	path := filepath.Join(t.o.Out, mergedFolder)
	if _, err := os.Stat(path); err == nil {
		if err := durable.RemoveFolder(path); err != nil {
			return err
		}
	}
	return durable.CreateFolder(t.o.Out, mergedFolder, func(dir string) error { return t.folder.saveModel(dir, t.o.DType) })
}

// ModelFiles names the files in a run's folder, or in a checkpoint's, that make
// the model or the adapter; the rest belongs to the training.
func ModelFiles(dir string) (names []string, err error) {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		switch name := e.Name(); {
		case e.IsDir(), name == optimizerFile, name == stateFile, name == CurveFile, name == svgFile, name == pngFile:
		case strings.HasPrefix(name, durable.PartialPrefix): // of a picture
		default:
			names = append(names, name)
		}
	}
	return names, err
}
