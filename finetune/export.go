package finetune

import "fmt"

// weightsFile is the file of the result that is written last.
const weightsFile = "model.safetensors"

// export writes the trained model to Out: the best weights, or the last ones
// when that was asked for or nothing was measured.
func (t *trainer) export() (Result, error) {
	r := Result{
		Out: t.o.Out, Step: t.state.Step, Steps: t.o.Steps, ResultStep: t.state.Step,
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
	err := replaceFiles(t.o.Out, func(dir string) error { return t.folder.save(dir, t.o.DType) }, weightsFile)
	if err != nil {
		return Result{}, fmt.Errorf("writing the trained model to %s (it is safe in %s): %w",
			t.o.Out, t.checkpoints.path(r.ResultStep), err)
	}
	return r, nil
}
