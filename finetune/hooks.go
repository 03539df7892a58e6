package finetune

import "time"

// Hook is told what a training run does, as it does it. Progress bars, log
// lines, plots and job tables are hooks; embed NoHook and override what
// matters. All methods are called from the trainer's goroutine, which waits
// for them. An error ends the run, after a checkpoint.
type Hook interface {
	OnStage(name string) error // before the start: what takes a while now
	OnStart(Start) error
	OnStep(Step) error
	OnValidation(Validation) error
	OnCheckpoint(Checkpoint) error
	OnEnd(Result) error
}

// NoHook ignores everything.
type NoHook struct{}

// OnStage does nothing.
func (NoHook) OnStage(string) error { return nil }

// OnStart does nothing.
func (NoHook) OnStart(Start) error { return nil }

// OnStep does nothing.
func (NoHook) OnStep(Step) error { return nil }

// OnValidation does nothing.
func (NoHook) OnValidation(Validation) error { return nil }

// OnCheckpoint does nothing.
func (NoHook) OnCheckpoint(Checkpoint) error { return nil }

// OnEnd does nothing.
func (NoHook) OnEnd(Result) error { return nil }

// Start is what is known before the first step.
type Start struct {
	Out        string `json:"out"`
	Resumed    bool   `json:"resumed"`
	Step       int    `json:"step"`                 // the last step taken, 0 in a new run
	Steps      int    `json:"steps"`                // how many there are to be
	Validated  int    `json:"validated"`            // the last step at which the model was measured
	Checkpoint string `json:"checkpoint,omitempty"` // from which the run goes on, if it does
	Parameters int    `json:"parameters"`           // values that are trained
	Vocab      int    `json:"vocab"`
	Dialogues  int    `json:"dialogues"` // in the training data, without repetitions
	Examples   int    `json:"examples"`  // windows they became
	Tokens     int    `json:"tokens"`    // rows of all windows
	SkippedBad int    `json:"skipped_bad,omitempty"`
	Threads    int    `json:"threads"`
}

// Step is what one optimizer step did.
type Step struct {
	Step            int      `json:"step"`
	Steps           int      `json:"steps"`
	Loss            float64  `json:"loss"` // nats per learnt token, or per pair, before the update
	LR              float64  `json:"lr"`
	GradNorm        float64  `json:"grad_norm"`         // before clipping
	Rewards         *Rewards `json:"rewards,omitempty"` // of the step's pairs, in a run that learns from preferences
	Tokens          int64    `json:"tokens"`            // rows trained on since the run began
	TokensPerSecond float64  `json:"tokens_per_second"` // over the last steps
	Epoch           float64  `json:"epoch"`             // passes over the (weighted) data
	Seconds         float64  `json:"seconds"`           // since the run began, pauses not counted
	SecondsLeft     float64  `json:"seconds_left"`      // until the last step, at the present speed
}

// TimeLeft is SecondsLeft as a duration of whole seconds.
func (s Step) TimeLeft() time.Duration {
	return time.Duration(s.SecondsLeft) * time.Second
}

// Validation is how good the model was at a step.
type Validation struct {
	Step  int     `json:"step"`
	Score         // over all files
	Best  bool    `json:"best"` // the lowest loss so far
	Files []Score `json:"files,omitempty"`
}

// Checkpoint is a checkpoint that is safely on the disk.
type Checkpoint struct {
	Step int    `json:"step"`
	Path string `json:"path"`
}
