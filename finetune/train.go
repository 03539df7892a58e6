package finetune

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"causerie/corpora"
	"causerie/internal/durable"
	"causerie/models/gpt2"
	"causerie/models/kernels"
	"causerie/models/lora"
)

// Result is what a run that came to its end has to show for itself.
type Result struct {
	Out        string  `json:"out"`             // the folder with the trained model
	Step       int     `json:"step"`            // the last step taken
	Steps      int     `json:"steps"`           // how many there were to be
	TimeUp     bool    `json:"time_up"`         // the time limit came first: the run can be resumed
	Stale      bool    `json:"stale,omitempty"` // it ended early because the validation loss no longer fell
	ResultStep int     `json:"result_step"`     // the step whose weights are in Out
	BestLoss   float64 `json:"best_loss"`       // on the validation data, 0 without any
	Checkpoint string  `json:"checkpoint"`      // the last one
	Tokens     int64   `json:"tokens"`          // trained on
	Seconds    float64 `json:"seconds"`         // spent, all sessions together
}

// Train trains a model and leaves it in Options.Out. The package comment tells
// what else is there.
//
// When ctx ends, the run finishes its step, saves and returns an *Interrupted;
// with Options.Resume, the same call goes on from there. After any error, the
// last checkpoint is as it was.
func Train(ctx context.Context, o Options, hooks ...Hook) (Result, error) {
	o.EnsureDefaults()
	if err := o.Validate(); err != nil {
		return Result{}, err
	}
	newPool := kernels.NewPool
	if o.Background {
		newPool = kernels.NewBackgroundPool
	}
	pool := newPool(o.Threads)
	defer pool.Close()
	curve := newCurve(filepath.Join(o.Out, CurveFile))
	s := &setup{o: &o, pool: pool, hooks: append([]Hook{curve}, hooks...)}
	result, err := s.train(ctx)
	return result, errors.Join(err, curve.close())
}

// setup makes a trainer out of options.
type setup struct {
	o     *Options
	pool  *kernels.Pool
	hooks []Hook

	checkpoints checkpoints
	resumed     *state // of the checkpoint to go on from; nil in a new run
	folder      *folder
	data        *corpora.Dataset
	holdOut     corpora.HoldOut
}

func (s *setup) train(ctx context.Context) (Result, error) {
	t, err := s.trainer(ctx)
	if err != nil {
		return Result{}, err
	}
	if err := t.tell(func(h Hook) error { return h.OnStart(s.start(t)) }); err != nil {
		return Result{}, err
	}
	timeUp, err := t.run(ctx)
	if err != nil {
		return Result{}, err
	}
	result, err := t.export()
	if err != nil {
		return Result{}, err
	}
	result.TimeUp = timeUp
	return result, t.tell(func(h Hook) error { return h.OnEnd(result) })
}

// trainer reads everything and puts the trainer together.
func (s *setup) trainer(ctx context.Context) (*trainer, error) {
	if err := s.findCheckpoint(); err != nil {
		return nil, err
	}
	if err := s.openModel(ctx); err != nil {
		return nil, err
	}
	if err := s.stage("reading the corpora"); err != nil {
		return nil, err
	}
	if err := s.loadData(ctx); err != nil {
		return nil, err
	}
	valid, err := s.loadValid(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.settle(); err != nil {
		return nil, err
	}
	return s.assemble(ctx, valid)
}

// findCheckpoint looks for the run that Out holds, if any.
func (s *setup) findCheckpoint() error {
	s.checkpoints = checkpoints(filepath.Join(s.o.Out, "checkpoints"))
	steps, err := s.checkpoints.steps()
	if err != nil {
		return fmt.Errorf("looking for checkpoints: %w", err)
	}
	switch {
	case len(steps) == 0 && holdsModel(s.o.Out):
		return fmt.Errorf("%s holds a model, but no run to resume: choose another folder", s.o.Out)
	case len(steps) > 0 && !s.o.Resume:
		return fmt.Errorf("%s holds a run that has come to step %d: resume it, or choose another folder", s.o.Out, steps[0])
	}
	if err := os.MkdirAll(s.o.Out, 0o755); err != nil {
		return fmt.Errorf("making the output folder: %w", err)
	}
	for _, dir := range []string{s.o.Out, string(s.checkpoints)} {
		if err := durable.Sweep(dir); err != nil {
			return err
		}
	}
	if len(steps) == 0 {
		return nil
	}
	found, err := readState(s.checkpoints.path(steps[0]))
	s.resumed = &found
	return err
}

// openModel opens the checkpoint to resume or the model to go on from, or
// makes a new model.
func (s *setup) openModel(ctx context.Context) (err error) {
	switch {
	case s.resumed != nil && (s.o.LoRA != nil) != (s.resumed.Identity.LoRA != ""):
		was, now := s.resumed.Identity.LoRA, s.o.identity("").LoRA
		return &MismatchError{
			Checkpoint:  s.checkpoints.path(s.resumed.Step),
			Differences: []string{fmt.Sprintf("lora was %v, now it is %v", shown(was), shown(now))},
		}
	case s.o.LoRA != nil:
		err = s.openAdapter()
	case s.resumed != nil:
		s.folder, err = openFolderDir(s.checkpoints.path(s.resumed.Step))
	case s.o.Model != "":
		s.folder, err = openModel(s.o.Model)
	default:
		err = s.newModel(ctx)
	}
	if err != nil {
		return err
	}
	if s.o.DPO != nil {
		s.rememberStart()
	}
	positions := s.folder.config.Model.Positions
	orDefault(&s.o.Context, positions)
	s.o.Rows = max(s.o.Rows, s.o.Context)
	if err := s.checkResumed(""); err != nil {
		return err
	}
	if s.o.Context > positions {
		return fmt.Errorf("a context of %d tokens is asked for, the model has %d", s.o.Context, positions)
	}
	return s.folder.trainable()
}

// openAdapter opens the base, and the adapter of the checkpoint to resume or a
// new one.
func (s *setup) openAdapter() (err error) {
	if lora.IsAdapter(os.DirFS(s.o.Model)) {
		return errAdapterBase(s.o.Model)
	}
	if s.folder, err = openModel(s.o.Model); err != nil {
		return err
	}
	config, checkpoint := *s.o.LoRA, ""
	if config.Base, err = baseName(s.o.Model); err != nil {
		return err
	}
	if s.resumed != nil {
		checkpoint = s.checkpoints.path(s.resumed.Step)
	}
	return s.folder.adapt(config, s.o.Seed, checkpoint)
}

// newModel makes a model of the given shape, with its tokenizer.
func (s *setup) newModel(ctx context.Context) (err error) {
	s.folder = &folder{}
	if s.o.Tokenizer != "" {
		err = s.folder.takeTokenizer(os.DirFS(s.o.Tokenizer), s.o.Tokenizer)
	} else if err = s.stage("training the tokenizer"); err == nil {
		err = s.folder.trainTokenizer(ctx, s.o)
	}
	if err != nil {
		return err
	}
	return s.folder.create(s.o.shape(s.folder.tokenizer.VocabSize()), s.o.Seed)
}

// stage tells the hooks what takes a while.
func (s *setup) stage(name string) error {
	for _, h := range s.hooks {
		if err := h.OnStage(name); err != nil {
			return err
		}
	}
	return nil
}

func (s *setup) loadOptions() corpora.LoadOptions {
	return corpora.LoadOptions{
		Read:   s.o.readOptions(),
		Encode: corpora.EncodeOptions{Context: s.o.Context, Loss: s.o.Loss, Preferences: s.o.DPO != nil},
	}
}

func (s *setup) loadData(ctx context.Context) (err error) {
	if s.o.HoldOut > 0 && len(s.o.Valid) == 0 {
		s.holdOut, err = corpora.ChooseHoldOut(ctx, pathsOf(s.o.Data), s.o.readOptions(), s.o.HoldOut, s.o.Seed)
		if err != nil {
			return fmt.Errorf("training data: %w", err)
		}
	}
	o := s.loadOptions()
	if s.holdOut.Any() {
		o.Keep = s.holdOut.Kept
	}
	s.data, err = corpora.Load(ctx, s.folder.tokenizer, s.folder.template, s.o.Data, o)
	if err != nil {
		return fmt.Errorf("training data: %w", err)
	}
	return nil
}

func (s *setup) loadValid(ctx context.Context) ([]heldOut, error) {
	if !s.holdOut.Any() {
		valid, err := loadHeldOut(ctx, s.folder.tokenizer, s.folder.template, s.o.Valid, s.loadOptions())
		if err != nil {
			return nil, fmt.Errorf("validation data: %w", err)
		}
		return valid, nil
	}
	o := s.loadOptions()
	o.Keep = s.holdOut.Held
	data, err := corpora.Load(ctx, s.folder.tokenizer, s.folder.template, unweighted(s.o.Data), o)
	if err != nil {
		return nil, fmt.Errorf("validation data: %w", err)
	}
	return []heldOut{{name: "held out", data: data}}, nil
}

func pathsOf(sources []corpora.Source) (paths []string) {
	for _, s := range sources {
		paths = append(paths, s.Path)
	}
	return paths
}

// unweighted are the same files, each counted once.
func unweighted(sources []corpora.Source) (all []corpora.Source) {
	for _, s := range sources {
		all = append(all, corpora.Source{Path: s.Path})
	}
	return all
}

// settle fixes what could only be known with the data, and checks that a run
// to be resumed is the same run.
func (s *setup) settle() error {
	if s.o.Steps == 0 {
		steps, err := s.stepsOf(s.o.Epochs)
		if err != nil {
			return err
		}
		s.o.Steps = steps
	}
	s.o.ensureStepDefaults()
	if err := s.o.Validate(); err != nil {
		return err
	}
	return s.checkResumed(s.data.Fingerprint())
}

// checkResumed checks that a run to be resumed is the run that these options
// describe. Before the data are read, when they have no name yet, what hangs
// on them is taken to agree.
func (s *setup) checkResumed(data string) error {
	if s.resumed == nil {
		return nil
	}
	was, now := s.resumed.Identity, s.identity(data)
	if data == "" {
		now.Data = was.Data
		if s.o.Steps == 0 {
			now.Steps, now.Warmup = was.Steps, was.Warmup
		}
	}
	if list := was.differences(now); len(list) > 0 {
		return &MismatchError{Checkpoint: s.checkpoints.path(s.resumed.Step), Differences: list}
	}
	return nil
}

// identity is that of the options and of what was opened.
func (s *setup) identity(data string) identity {
	id := s.o.identity(data)
	if s.folder != nil {
		id.Base = s.folder.base
	}
	return id
}

// passRows is the number of tokens in one pass over the weighted data.
func passRows(d *corpora.Dataset) float64 {
	sum := 0.0
	for _, s := range d.Sources() {
		sum += float64(s.Tokens) * s.Weight
	}
	return sum
}

// assemble makes the trainer, at the start of the run or where it stopped.
func (s *setup) assemble(ctx context.Context, valid []heldOut) (*trainer, error) {
	stream, err := s.data.Stream(s.o.Rows, s.o.Seed)
	if err != nil {
		return nil, err
	}
	objective, err := s.objective(ctx, valid)
	if err != nil {
		return nil, err
	}
	params := s.folder.trained()
	t := &trainer{
		o: s.o, objective: objective, folder: s.folder,
		optimizer: newAdamW(s.pool, params, s.o), norms: newNorms(s.pool, params),
		stream: stream, schedule: s.o.schedule(), valid: valid,
		checkpoints: s.checkpoints, hooks: s.hooks, passRows: passRows(s.data),
	}
	if s.resumed != nil {
		if err := t.resume(*s.resumed); err != nil {
			return nil, err
		}
	}
	t.state.Format, t.state.Identity = stateFormat, s.identity(s.data.Fingerprint())
	if name := nameOf(valid, s.o.ValidTokens); t.state.Valid != name {
		// Losses on other data say nothing about these.
		t.state.Valid, t.state.Best, t.state.Validated, t.state.Stale = name, nil, 0, 0
	}
	t.clock = newClock(time.Now, t.state.Seconds)
	return t, nil
}

// objective is what the run minimizes.
func (s *setup) objective(ctx context.Context, valid []heldOut) (objective, error) {
	net := gpt2.NewRunner(s.folder.model, s.pool)
	net.SetPrecision(s.o.Precision)
	net.SetRecompute(s.o.Recompute)
	if s.o.DPO != nil {
		return s.preferences(ctx, net, valid)
	}
	return &supervised{network: net, adapter: s.folder.net()}, nil
}

// start describes the run to the hooks.
func (s *setup) start(t *trainer) Start {
	total := s.data.Total()
	checkpoint := ""
	if s.resumed != nil {
		checkpoint = s.checkpoints.path(s.resumed.Step)
	}
	return Start{
		Checkpoint: checkpoint,
		Out:        s.o.Out, Resumed: s.resumed != nil, Step: t.state.Step, Steps: s.o.Steps, Validated: t.state.Validated,
		Parameters: countOf(s.folder.trained()), Vocab: s.folder.config.Model.VocabSize,
		Dialogues: total.Dialogues, Examples: total.Examples, Tokens: total.Tokens,
		SkippedBad: total.Skipped, Threads: s.pool.Threads(),
	}
}
