package finetune

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"causerie/internal/durable"
	"causerie/models/hf/safetensors"
)

// Files of a checkpoint beside those of a model folder.
const (
	optimizerFile = "optimizer.safetensors"
	stateFile     = "state.json"
)

// checkpoints is the folder in which a run's checkpoints are, one folder each.
type checkpoints string

func (c checkpoints) path(step int) string {
	return filepath.Join(string(c), stepName(step))
}

const stepPrefix = "step-"

func stepName(step int) string { return fmt.Sprintf("%s%06d", stepPrefix, step) }

// steps lists the checkpoints there are, the latest first.
func (c checkpoints) steps() ([]int, error) {
	entries, err := os.ReadDir(string(c))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var steps []int
	for _, e := range entries {
		digits, ok := strings.CutPrefix(e.Name(), stepPrefix)
		step, err := strconv.Atoi(digits)
		if ok && err == nil && e.IsDir() && e.Name() == stepName(step) {
			steps = append(steps, step)
		}
	}
	slices.SortFunc(steps, func(a, b int) int { return cmp.Compare(b, a) })
	return steps, nil
}

// prune removes all but the latest keep checkpoints and that of step best.
func (c checkpoints) prune(keep, best int) error {
	steps, err := c.steps()
	if err != nil {
		return err
	}
	for i, step := range steps {
		if i >= keep && step != best {
			if err := durable.RemoveFolder(c.path(step)); err != nil {
				return fmt.Errorf("removing an old checkpoint: %w", err)
			}
		}
	}
	return nil
}

// save writes the checkpoint of the present step, then lets go of older ones.
func (t *trainer) save() error {
	path := t.checkpoints.path(t.state.Step)
	t.state.Data = t.stream.State()
	t.state.Seconds = t.clock.seconds()
	err := t.writeCheckpoint(path)
	if err == nil {
		kept := -1
		if t.state.Best != nil {
			kept = t.state.Best.Step
		}
		err = t.checkpoints.prune(t.o.Keep, kept)
	}
	if err != nil {
		return fmt.Errorf("saving checkpoint %s: %w", path, err)
	}
	t.saved, t.hasSaved = t.state, true
	t.clock.saved()
	return t.tell(func(h Hook) error { return h.OnCheckpoint(Checkpoint{Step: t.state.Step, Path: path}) })
}

// writeCheckpoint writes the folder, or, when this step's weights are on the
// disk already, only what has become known since.
func (t *trainer) writeCheckpoint(path string) error {
	if t.hasSaved && t.saved.Step == t.state.Step {
		return durable.ReplaceFiles(path, func(dir string) error {
			return t.state.write(filepath.Join(dir, stateFile))
		})
	}
	return durable.CreateFolder(filepath.Dir(path), filepath.Base(path), func(dir string) error {
		if err := t.folder.save(dir, F32); err != nil {
			return err
		}
		if err := t.optimizer.save(filepath.Join(dir, optimizerFile)); err != nil {
			return err
		}
		if err := t.objective.save(dir); err != nil {
			return err
		}
		return t.state.write(filepath.Join(dir, stateFile))
	})
}

// Names of the optimizer's tensors: PyTorch's for the same thing.
const (
	meanPrefix   = "exp_avg."
	squarePrefix = "exp_avg_sq."
)

// save writes the moments, laid out as the weights are in memory.
func (a *adamW) save(path string) error {
	var tensors []safetensors.Source
	for i, p := range a.params {
		for prefix, moment := range map[string][]float32{meanPrefix: a.mean[i], squarePrefix: a.square[i]} {
			tensors = append(tensors, safetensors.Source{
				Name: prefix + p.Name, DType: F32, Shape: p.Shape, Values: func() []float32 { return moment },
			})
		}
	}
	slices.SortFunc(tensors, func(a, b safetensors.Source) int { return cmp.Compare(a.Name, b.Name) })
	return durable.WriteFile(path, func(w io.Writer) error { return safetensors.Write(w, nil, tensors) })
}

// load reads what save wrote.
func (a *adamW) load(path string) (err error) {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	file, err := safetensors.New(f, info.Size(), path)
	if err != nil {
		return err
	}
	for i, p := range a.params {
		for prefix, moment := range map[string][]float32{meanPrefix: a.mean[i], squarePrefix: a.square[i]} {
			t, ok := file.Tensor(prefix + p.Name)
			if !ok {
				return fmt.Errorf("%s: tensor %s is missing", path, prefix+p.Name)
			}
			if !slices.Equal(t.Shape, p.Shape) {
				return fmt.Errorf("%s: tensor %s has shape %d, the model needs %d", path, t.Name, t.Shape, p.Shape)
			}
			if err := t.ReadFloats(moment, 0); err != nil {
				return err
			}
		}
	}
	return nil
}
