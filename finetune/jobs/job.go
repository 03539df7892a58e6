package jobs

import (
	"crypto/rand"
	"time"
)

// Job is a fine-tuning job, as OpenAI's API describes one.
type Job struct {
	ID             string // ftjob-…
	Owner          string
	Status         Status
	Model          string // the base, by the name it was asked for
	TrainingFile   string // ids of files
	ValidationFile string
	Method         Method // what was asked for; what auto became, once that is known
	Suffix         string
	Seed           int64
	Metadata       map[string]string

	Created         time.Time
	Finished        time.Time // zero: it has not come to an end
	EstimatedFinish time.Time // zero: not known
	TrainedTokens   int64
	Step, Steps     int    // optimizer steps taken, and how many there are to be
	FineTunedModel  string // its name, when the job has succeeded
	ResultFiles     []string
	Error           *Problem // why it has failed
}

// Problem is why a job has failed, in words that say what to do.
type Problem struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Param   string `json:"param,omitempty"` // the field of the request at fault, if one is
}

// Codes of problems.
const (
	CodeTrainingFile   = "invalid_training_file"
	CodeValidationFile = "invalid_validation_file"
	CodeFileNotFound   = "file_not_found"
	CodeModelNotFound  = "model_not_found"
	CodeModel          = "invalid_model"
	CodeHyperparameter = "invalid_hyperparameters"
	CodeMemory         = "out_of_memory"
	CodeDiskFull       = "disk_full"
	CodeDiverged       = "training_diverged"
	CodeInternal       = "internal_error"
)

// Method types.
const (
	Supervised = "supervised"
	DPO        = "dpo"
)

// Method is how a job trains.
type Method struct {
	Type            string          `json:"type"` // Supervised (the default) or DPO
	Hyperparameters Hyperparameters `json:"hyperparameters"`
	Adapter         Adapter         `json:"adapter"`
}

// Hyperparameters are OpenAI's. Zero stands for "auto": the server chooses, and
// the job says what once its data have been read.
type Hyperparameters struct {
	// Epochs is the number of passes over the data. Auto takes more over fewer
	// data, and stops early when the loss on a validation file no longer falls.
	Epochs int `json:"n_epochs,omitempty"`
	// BatchSize is the number of dialogues of a step. A step here is a budget of
	// tokens, so it is their number on average.
	BatchSize int `json:"batch_size,omitempty"`
	// LearningRateMultiplier scales the rate that is usual for a model of the
	// base's width.
	LearningRateMultiplier float64 `json:"learning_rate_multiplier,omitempty"`
	// Beta is DPO's: how strongly the result is held to its base.
	Beta float64 `json:"beta,omitempty"`
}

// Kinds of adapter, and of models.
const (
	LoRA = "lora" // a small change beside the base's weights
	Full = "full" // all weights
)

// Adapter says what is trained: an extension of OpenAI's API. The zero value is
// LoRA of rank 8 and alpha 16 on every linear layer: what it makes is small, is
// trained in the least memory and shares its base's memory when it is served.
type Adapter struct {
	Kind    string   `json:"type"`              // LoRA (the default) or Full
	Rank    int      `json:"rank,omitempty"`    // 8 by default
	Alpha   float64  `json:"alpha,omitempty"`   // twice the rank by default
	Dropout float64  `json:"dropout,omitempty"` // none by default
	Targets []string `json:"target_modules,omitempty"`
}

// Request is what a new job is asked to be.
type Request struct {
	Model          string // the base: a name that Options.Base knows, or a fine-tuned model
	TrainingFile   string
	ValidationFile string
	Method         Method
	Suffix         string // of the new model's name; up to 64 letters, digits, -, _ and .
	Seed           *int64 // a random one when nil
	Metadata       map[string]string
}

// Event is something that happened to a job.
type Event struct {
	ID      string
	Job     string
	Created time.Time
	Level   string // info, warn or error
	Message string
	Type    string         // message or metrics
	Data    map[string]any // of metrics: step, train_loss, valid_loss, …; or nil
}

// Levels and types of events.
const (
	LevelInfo   = "info"
	LevelWarn   = "warn"
	LevelError  = "error"
	TypeMessage = "message"
	TypeMetrics = "metrics"
)

// Checkpoint is a state of the model during a job, which can be used as one.
type Checkpoint struct {
	ID      string // ftckpt-…
	Job     string
	Created time.Time
	Step    int
	Model   string // its name
	Metrics Metrics
}

// Metrics is how good a checkpoint was. What was not measured is nil.
type Metrics struct {
	Step      int      `json:"step"`
	TrainLoss *float64 `json:"train_loss,omitempty"` // nats per learnt token, of the step's data
	// TrainAccuracy is the share of the step's pairs whose preferred reply is the
	// likelier one, measured against the base, where preferences are learnt.
	TrainAccuracy *float64 `json:"train_accuracy,omitempty"`
	ValidLoss     *float64 `json:"valid_loss,omitempty"`
}

// Model is a fine-tuned model that can be served.
type Model struct {
	ID      string // ft:BASE:ORG:SUFFIX:ID
	Owner   string
	Kind    string // LoRA: Folder is PEFT's, to go on the model in BaseFolder; or Full: a whole model
	Base    string // the base's name
	Created time.Time
	Job     string
	Step    int // of a checkpoint; 0: the job's result
	Folder  string
	// BaseFolder is where the base is, as models.Open takes it.
	BaseFolder string
}

// jobPrefix begins the ids of jobs.
const jobPrefix = "ftjob-"

func newID(prefix string) string { return prefix + rand.Text()[:24] }
