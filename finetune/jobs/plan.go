package jobs

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
	"slices"

	"causerie/corpora"
	"causerie/finetune"
	"causerie/models/kernels"
)

// plan is how a job trains: what a request left to the server, settled once the
// data were read. It never changes after that, so that every process that
// takes the job up does the same.
type plan struct {
	Training   string `json:"training"` // names of the data in the job's folder
	Validation string `json:"validation,omitempty"`

	Context    int     `json:"context"`
	Rows       int     `json:"rows"`
	Accumulate int     `json:"accumulate"`
	Steps      int     `json:"steps"`
	SaveSteps  int     `json:"save_steps"` // steps between published checkpoints
	EvalSteps  int     `json:"eval_steps"` // between validations, of which one is at each of those
	LR         float64 `json:"lr"`
	Patience   int     `json:"patience,omitempty"`
	Last       bool    `json:"last,omitempty"` // the last weights are the result, not the best

	Bytes   int64   `json:"bytes"` // of memory that it takes, estimated
	Seconds float64 `json:"seconds"`
}

const (
	// usualRows is the budget of a step when no batch size is given: that of
	// `causerie finetune`.
	usualRows = 512
	// microRows bounds what is in memory at once; larger batches are
	// accumulated.
	microRows = 2048
	// enoughSteps is what passes over few data are repeated for, from usualEpochs
	// on; an adapter takes more of them than all weights do. Preferences are not
	// gone over more often: a model that learns them by heart unlearns to talk.
	enoughSteps   = 300
	usualEpochs   = 3
	mostEpochs    = 10
	adapterEpochs = 15
	usualBeta     = 0.1
	// patience ends a job whose number of passes was left open, after so many
	// validations without a new best.
	patience = 4
	// keptCheckpoints is how many of a job's checkpoints can be used as models;
	// OpenAI keeps as many. publishedCheckpoints is how many are made at most.
	keptCheckpoints      = 3
	publishedCheckpoints = 5
	// validations is about how often the loss on a validation file is measured.
	validations = 20
)

// planFor settles how a job trains on data that were found good, and writes what
// auto became into its method.
func (s *Service) planFor(ctx context.Context, r *record, base finetune.Base, data localData, found corpora.Findings) (plan, error) {
	h, dpo := &r.Method.Hyperparameters, r.Method.Type == DPO
	p := plan{Training: data.training, Validation: data.validation, Context: 2}
	for _, f := range slices.Concat(found.Train, found.Valid) {
		p.Context = max(p.Context, f.LongestRow)
	}
	dialogues := 0
	for _, f := range found.Train {
		if dpo {
			dialogues += f.Preferences // a pair of windows each
		} else {
			dialogues += f.Examples
		}
	}
	least := p.Context // a step's rows hold the longest dialogue, or two of its length
	if dpo {
		least *= 2
	}
	p.batches(h.BatchSize, found.Rows()/float64(max(1, dialogues)), least)
	perEpoch, err := s.stepsPerEpoch(ctx, r, base, p)
	if err != nil {
		return p, err
	}
	p.epochs(&r.Method, perEpoch)
	if h.BatchSize == 0 {
		h.BatchSize = max(1, int(math.Round(float64(dialogues)/perEpoch)))
	}
	if h.LearningRateMultiplier == 0 {
		h.LearningRateMultiplier = 1
	}
	if dpo && h.Beta == 0 {
		h.Beta = usualBeta
	}
	o := s.trainOptions(*r, p)
	p.LR = h.LearningRateMultiplier * o.UsualLR(base.Shape.Width)
	o.LR = p.LR
	o.EnsureDefaults()
	if err := o.Validate(); err != nil {
		return p, &Problem{Code: CodeHyperparameter, Message: err.Error(), Param: "method." + r.Method.Type + ".hyperparameters"}
	}
	pool := kernels.NewPool(s.o.Threads)
	defer pool.Close()
	estimate := o.Estimate(base.Shape, found, kernels.MeasurePeak(pool, kernels.Float32))
	p.Bytes, p.Seconds = estimate.Bytes, estimate.Seconds
	return p, nil
}

// epochs settles how often the data are gone over, and what is done on the way.
func (p *plan) epochs(m *Method, perEpoch float64) {
	h := &m.Hyperparameters
	p.Last = h.Epochs != 0 || p.Validation == ""
	if h.Epochs == 0 {
		most := mostEpochs
		switch {
		case m.Type == DPO:
			most = usualEpochs
		case m.Adapter.Kind == LoRA:
			most = adapterEpochs
		}
		h.Epochs = min(max(int(math.Ceil(enoughSteps/perEpoch)), usualEpochs), most)
		if p.Validation != "" {
			p.Patience = patience
		}
	}
	p.Steps = max(1, int(math.Ceil(float64(h.Epochs)*perEpoch)))
	passes := (h.Epochs + publishedCheckpoints - 1) / publishedCheckpoints // between checkpoints
	p.SaveSteps = max(1, int(math.Ceil(float64(passes)*perEpoch)))
	between := max(1, p.SaveSteps*validations/p.Steps) // validations from one to the next
	p.EvalSteps = max(1, p.SaveSteps/between)
	p.SaveSteps = p.EvalSteps * between
}

// batches makes a step of so many dialogues (0: the usual number of tokens).
func (p *plan) batches(dialogues int, perDialogue float64, least int) {
	p.Rows, p.Accumulate = max(usualRows, least), 1
	if dialogues == 0 {
		return
	}
	rows := int(math.Ceil(float64(dialogues) * perDialogue))
	most := max(microRows, least)
	p.Accumulate = (rows + most - 1) / most
	p.Rows = max(least, (rows+p.Accumulate-1)/p.Accumulate)
}

// stepsPerEpoch reads the data and packs some of them.
func (s *Service) stepsPerEpoch(ctx context.Context, r *record, base finetune.Base, p plan) (float64, error) {
	o := s.trainOptions(*r, p)
	data, err := corpora.Load(ctx, base.Tokenizer, base.Template, o.Data, corpora.LoadOptions{
		Read:   corpora.Options{Format: o.Format},
		Encode: corpora.EncodeOptions{Context: p.Context, Loss: o.Loss, Preferences: o.DPO != nil},
	})
	if err != nil {
		return 0, err
	}
	return finetune.StepsPerEpoch(data, p.Rows, p.Accumulate, o.Seed)
}

// trainOptions is a plan in package finetune's terms.
func (s *Service) trainOptions(r record, p plan) finetune.Options {
	folder := s.jobFolder(r.ID)
	o := finetune.Options{
		Out: filepath.Join(folder, runName), Resume: true, Model: r.base,
		Data: []corpora.Source{{Path: filepath.Join(folder, p.Training)}}, Loss: corpora.LossReplies,
		Context: p.Context, Rows: p.Rows, Accumulate: p.Accumulate, Steps: p.Steps, LR: p.LR,
		Seed: uint64(r.Seed), Patience: p.Patience, Last: p.Last, EvalFirst: p.Validation != "", EvalEvery: p.EvalSteps,
		SaveEvery: finetune.Every{Steps: p.SaveSteps, Time: s.o.SaveEvery},
		Threads:   s.o.Threads, Background: true,
	}
	if p.Validation != "" {
		o.Valid = []string{filepath.Join(folder, p.Validation)}
	}
	if r.Method.Type == DPO {
		o.DPO = &finetune.DPO{Beta: r.Method.Hyperparameters.Beta}
		o.Format = corpora.FormatPreferences
	}
	if r.Method.Adapter.Kind == LoRA {
		o.LoRA = r.Method.Adapter.config()
	}
	return o
}

// describe says in a line what a plan comes to.
func (p plan) describe(h Hyperparameters) string {
	e := finetune.Estimate{Seconds: p.Seconds}
	return fmt.Sprintf("Training: %d passes in %d steps of about %d dialogues, learning rate %.3g; about %v and %.1f GB of memory",
		h.Epochs, p.Steps, h.BatchSize, p.LR, e.Duration(), float64(p.Bytes)/1e9)
}
