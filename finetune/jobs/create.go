package jobs

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"time"

	"causerie/finetune/files"
	"causerie/models/lora"
)

// maxSuffix is OpenAI's limit.
const maxSuffix = 64

var namePattern = regexp.MustCompile(`^[A-Za-z0-9._-]*$`)

func nameLike(s string) bool { return len(s) <= maxSuffix && namePattern.MatchString(s) }

// Create makes a job, which begins with the check of its files. What can be told
// to be wrong at once is a *RequestError.
func (s *Service) Create(ctx context.Context, owner string, r Request) (Job, error) {
	base, err := s.check(ctx, owner, &r)
	if err != nil {
		return Job{}, err
	}
	j := Job{
		ID: newID(jobPrefix), Owner: owner, Status: Validating, Model: r.Model,
		TrainingFile: r.TrainingFile, ValidationFile: r.ValidationFile,
		Method: r.Method, Suffix: r.Suffix, Seed: rand.Int64N(1 << 31), Metadata: r.Metadata,
		Created: time.Now().Truncate(time.Second),
	}
	if r.Seed != nil {
		j.Seed = *r.Seed
	}
	err = s.change(ctx, func(tx *sql.Tx) error {
		if err := insertJob(ctx, tx, j, base); err != nil {
			return err
		}
		if err := addEvent(ctx, tx, j.ID, LevelInfo, "Created fine-tuning job: %s", j.ID); err != nil {
			return err
		}
		if err := addEvent(ctx, tx, j.ID, LevelInfo, "Validating training file: %s", j.TrainingFile); err != nil {
			return err
		}
		return s.enqueue(ctx, tx, j.ID, Validating)
	})
	if err != nil {
		return Job{}, err
	}
	return s.Job(ctx, owner, j.ID)
}

func insertJob(ctx context.Context, tx *sql.Tx, j Job, base string) error {
	method, err := json.Marshal(j.Method)
	if err != nil {
		return err
	}
	if j.Metadata == nil {
		j.Metadata = map[string]string{}
	}
	metadata, err := json.Marshal(j.Metadata)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO jobs (id, owner, status, model, base, training_file, validation_file, result_file,
		method, suffix, seed, metadata, created) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		j.ID, j.Owner, j.Status, j.Model, base, j.TrainingFile, j.ValidationFile, files.NewID(),
		string(method), j.Suffix, j.Seed, string(metadata), j.Created.Unix())
	return err
}

// check says what is wrong with a request, fills in what it leaves open, and
// finds its base.
func (s *Service) check(ctx context.Context, owner string, r *Request) (base string, err error) {
	if err := r.Method.check(); err != nil {
		return "", err
	}
	if !nameLike(r.Suffix) {
		return "", badRequest("suffix", "", "a suffix is up to %d letters, digits, -, _ and ., not %q", maxSuffix, r.Suffix)
	}
	if base, err = s.findBase(ctx, owner, r); err != nil {
		return "", err
	}
	if r.TrainingFile == "" {
		return "", badRequest("training_file", "missing_required_parameter", "a job needs a training file")
	}
	if err := s.checkFile(ctx, owner, "training_file", r.TrainingFile); err != nil || r.ValidationFile == "" {
		return base, err
	}
	return base, s.checkFile(ctx, owner, "validation_file", r.ValidationFile)
}

func (s *Service) checkFile(ctx context.Context, owner, param, id string) error {
	f, err := s.o.Files.Get(ctx, owner, id)
	switch {
	case errors.Is(err, ErrNotFound):
		return badRequest(param, CodeFileNotFound, "there is no file %q", id)
	case err != nil:
		return err
	case f.Purpose != files.FineTune:
		return badRequest(param, "invalid_file_purpose", "the file %s was uploaded for %q; a job learns from files of purpose %q", id, f.Purpose, files.FineTune)
	}
	return nil
}

// findBase is the folder of the model that a job begins with.
func (s *Service) findBase(ctx context.Context, owner string, r *Request) (string, error) {
	if r.Model == "" {
		return "", badRequest("model", "missing_required_parameter", "a job needs a model to begin with")
	}
	if folder, ok := s.o.Base(r.Model); ok {
		return folder, nil
	}
	m, err := s.Model(ctx, owner, r.Model)
	switch {
	case errors.Is(err, ErrNotFound):
		return "", badRequest("model", CodeModelNotFound, "there is no model %q to begin with", r.Model)
	case err != nil:
		return "", err
	case m.Kind == LoRA && r.Method.Adapter.Kind == LoRA:
		return "", badRequest("model", CodeModel, "the model %q is an adapter, and an adapter of an adapter cannot be served: "+
			"begin with its base, %q, or train all weights (adapter type %q)", r.Model, m.Base, Full)
	}
	return m.Folder, nil
}

// check says what is wrong with a method and fills in what it leaves open but
// for what the data decide.
func (m *Method) check() error {
	switch m.Type {
	case "":
		m.Type = Supervised
	case Supervised, DPO:
	default:
		return badRequest("method.type", "unsupported_value", "the method %q is not supported; %q and %q are", m.Type, Supervised, DPO)
	}
	path := "method." + m.Type + ".hyperparameters."
	if m.Type != DPO && m.Hyperparameters.Beta != 0 {
		return badRequest(path+"beta", "unsupported_value", "beta belongs to the method %q", DPO)
	}
	if err := m.Hyperparameters.check(path); err != nil {
		return err
	}
	return m.Adapter.check("method." + m.Type + ".adapter")
}

// Bounds of hyperparameters: OpenAI's for passes and beta; the others leave room for
// everything that makes sense.
const (
	maxEpochs     = 50
	maxBatchSize  = 4096
	maxMultiplier = 1000
	maxBeta       = 2
)

func (h Hyperparameters) check(path string) error {
	switch {
	case h.Epochs < 0 || h.Epochs > maxEpochs:
		return badRequest(path+"n_epochs", "invalid_value", "the number of passes must lie between 1 and %d, not %d", maxEpochs, h.Epochs)
	case h.BatchSize < 0 || h.BatchSize > maxBatchSize:
		return badRequest(path+"batch_size", "invalid_value", "the batch size must lie between 1 and %d, not %d", maxBatchSize, h.BatchSize)
	case !(h.LearningRateMultiplier >= 0 && h.LearningRateMultiplier <= maxMultiplier):
		return badRequest(path+"learning_rate_multiplier", "invalid_value",
			"the multiplier must be positive and at most %d, not %g", maxMultiplier, h.LearningRateMultiplier)
	case !(h.Beta >= 0 && h.Beta <= maxBeta):
		return badRequest(path+"beta", "invalid_value", "beta must be positive and at most %d, not %g", maxBeta, h.Beta)
	}
	return nil
}

// check fills in the defaults. PEFT's own, c_attn alone and an alpha of 8,
// change small models too little.
func (a *Adapter) check(path string) error {
	switch a.Kind {
	case "":
		a.Kind = LoRA
	case LoRA:
	case Full:
		if a.Rank != 0 || a.Alpha != 0 || a.Dropout != 0 || len(a.Targets) > 0 {
			return badRequest(path, "invalid_value", "rank, alpha, dropout and target_modules belong to the type %q", LoRA)
		}
		return nil
	default:
		return badRequest(path+".type", "invalid_value", "%q is neither %q nor %q", a.Kind, LoRA, Full)
	}
	if a.Rank == 0 {
		a.Rank = 8
	}
	if a.Alpha == 0 {
		a.Alpha = 2 * float64(a.Rank)
	}
	if len(a.Targets) == 0 {
		a.Targets = []string{lora.AllLinear}
	}
	if err := a.config().Validate(); err != nil {
		return badRequest(path, "invalid_value", "%v", err)
	}
	return nil
}

// config is the adapter in package lora's terms.
func (a Adapter) config() *lora.Config {
	c := lora.Config{Rank: a.Rank, Alpha: a.Alpha, Dropout: a.Dropout, Targets: a.Targets}
	c.EnsureDefaults()
	return &c
}

// modelName is the name of a job's result, or of a checkpoint's model.
func (s *Service) modelName(j Job, step int) string {
	base := j.Model
	if parts := strings.Split(base, ":"); len(parts) > 1 && parts[0] == "ft" {
		base = parts[1]
	}
	name := fmt.Sprintf("ft:%s:%s:%s:%s", base, s.o.Organization, j.Suffix, shortID(j.ID))
	if step > 0 {
		name += fmt.Sprintf(":ckpt-step-%d", step)
	}
	return name
}

// shortID is the part of a job's id that goes into its models' names.
func shortID(job string) string { return strings.ToLower(strings.TrimPrefix(job, jobPrefix))[:10] }
