package finetune

import (
	"context"
	"errors"
	"fmt"

	"causerie/corpora"
)

// trainer repeats steps until a run is done. See run for the order of things.
type trainer struct {
	o           *Options
	objective   objective
	folder      *folder // writes the model and its tokenizer
	optimizer   *adamW
	norms       *norms
	stream      *corpora.Stream
	schedule    Schedule
	valid       []heldOut
	checkpoints checkpoints
	hooks       []Hook
	clock       *clock
	passRows    float64 // tokens in one pass over the weighted data

	state    state
	saved    state // of the last checkpoint
	hasSaved bool
}

// Interrupted is the error of a run that was told to stop (its context was
// cancelled) and has saved where it was.
type Interrupted struct {
	Step, Steps int
	Checkpoint  string // the folder
	Cause       error  // context.Canceled, mostly
}

func (e *Interrupted) Error() string {
	return fmt.Sprintf("stopped after step %d of %d, saved in %s", e.Step, e.Steps, e.Checkpoint)
}

// Unwrap gives the context's error.
func (e *Interrupted) Unwrap() error { return e.Cause }

// run trains until the last step, the time limit or the end of ctx. Between
// steps it validates and saves when that is due; whatever ends the run but an
// error of the training itself, there is a checkpoint of the last step.
//
// It reports whether the time limit ended the run.
func (t *trainer) run(ctx context.Context) (timeUp bool, err error) {
	for {
		improved, err := t.validateIfDue(ctx)
		if err != nil && ctx.Err() == nil {
			return false, err
		}
		done := t.state.Step >= t.o.Steps || t.stale()
		timeUp = !done && t.o.MaxTime > 0 && t.clock.elapsed() >= t.o.MaxTime
		stop := done || timeUp || ctx.Err() != nil
		if t.saveDue(stop || improved) {
			if err := t.save(); err != nil {
				return false, err
			}
		}
		switch {
		case ctx.Err() != nil && !(done && t.validated()):
			return false, &Interrupted{
				Step: t.state.Step, Steps: t.o.Steps,
				Checkpoint: t.checkpoints.path(t.state.Step), Cause: context.Cause(ctx),
			}
		case stop:
			return timeUp, nil
		}
		s, err := t.step(ctx)
		if err != nil && ctx.Err() != nil && errors.Is(err, ctx.Err()) {
			continue // to save and return
		}
		if err != nil {
			return false, err
		}
		if err := t.tell(func(h Hook) error { return h.OnStep(s) }); err != nil {
			return false, errors.Join(err, t.save())
		}
	}
}

// saveDue tells whether to write a checkpoint now. One that is on the disk
// already, with all that is known of it, is not written again. The one of step
// 0 shows at once whether the disk can be written at all.
func (t *trainer) saveDue(asked bool) bool {
	if t.hasSaved && t.saved.Step == t.state.Step {
		return t.saved.Validated != t.state.Validated
	}
	return asked || !t.hasSaved || t.o.SaveEvery.due(t.state.Step, t.clock.sinceSave())
}

// validationDue tells whether the model is to be measured at this step.
func (t *trainer) validationDue() bool {
	step := t.state.Step
	switch {
	case len(t.valid) == 0:
		return false
	case step == 0:
		return t.o.EvalFirst && t.state.Best == nil
	case t.state.Validated >= step:
		return false
	}
	return step >= t.o.Steps || t.o.EvalEvery > 0 && step%t.o.EvalEvery == 0
}

// stale tells whether the validation loss has not fallen for so long that the
// run is to end.
func (t *trainer) stale() bool { return t.o.Patience > 0 && t.state.Stale >= t.o.Patience }

// validated tells whether nothing is left to measure.
func (t *trainer) validated() bool { return !t.validationDue() }

// validateIfDue measures the model and reports whether it was never better.
// When ctx ends meanwhile, nothing is recorded: a resumed run measures again.
func (t *trainer) validateIfDue(ctx context.Context) (improved bool, err error) {
	if !t.validationDue() {
		return false, nil
	}
	defer t.clock.pause()
	v := Validation{Step: t.state.Step}
	m := meter{objective: t.objective, rows: t.o.Rows, limit: t.o.ValidTokens}
	var all tally
	for _, h := range t.valid {
		sum, err := m.measure(ctx, h, nil)
		if err != nil {
			return false, fmt.Errorf("validation at step %d: %w", t.state.Step, err)
		}
		all.merge(sum)
		v.Files = append(v.Files, sum.score(h.name))
	}
	v.Score = all.score("")
	v.Best = t.state.Best == nil || v.Loss < t.state.Best.Loss
	t.state.Validated = t.state.Step
	t.state.Stale++
	if v.Best {
		t.state.Stale = 0
		t.state.Best = &best{Step: t.state.Step, Loss: v.Loss}
	}
	return v.Best, t.tell(func(h Hook) error { return h.OnValidation(v) })
}

// tell calls every hook.
func (t *trainer) tell(call func(Hook) error) error {
	for _, h := range t.hooks {
		if err := call(h); err != nil {
			return fmt.Errorf("reporting on the training: %w", err)
		}
	}
	return nil
}
