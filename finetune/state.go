package finetune

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"causerie/corpora"
	"causerie/internal/durable"
	"causerie/models/kernels"
)

// stateFormat is the version of state.json.
const stateFormat = 1

// state is all of a run that is neither weights nor the optimizer's moments:
// what state.json of a checkpoint holds.
type state struct {
	Format   int                  `json:"format"`
	Step     int                  `json:"step"`    // steps taken
	Tokens   int64                `json:"tokens"`  // rows trained on
	Seconds  float64              `json:"seconds"` // spent training, in all sessions
	Data     corpora.DatasetState `json:"data"`    // where the next step reads
	Identity identity             `json:"identity"`

	// Valid names the validation data; Validated is the last step at which the
	// model was measured on them, Best the best of those measurements.
	Valid     string `json:"valid,omitempty"`
	Validated int    `json:"validated,omitempty"`
	Best      *best  `json:"best,omitempty"`
	Stale     int    `json:"stale,omitempty"` // validations since the best one
}

// best is the lowest validation loss so far.
type best struct {
	Step int     `json:"step"`
	Loss float64 `json:"loss"`
}

// identity is what decides a run's weights, bit for bit: two runs with equal
// identities give equal weights. Where files are, how often to save, how many
// threads compute and the like are not part of it.
type identity struct {
	Model     string `json:"model,omitempty"`
	Tokenizer string `json:"tokenizer,omitempty"`
	Vocab     int    `json:"vocab,omitempty"`
	Layers    int    `json:"layers,omitempty"`
	Width     int    `json:"width,omitempty"`
	Heads     int    `json:"heads,omitempty"`
	Context   int    `json:"context"`

	LoRA string `json:"lora,omitempty"` // the adapter that is trained
	Base string `json:"base,omitempty"` // the weights beside it, or those that preferences are measured by

	Method string `json:"method,omitempty"` // what is minimized, when it is not the cross-entropy

	Precision string `json:"precision,omitempty"` // of products, if not float32

	Data string       `json:"data"` // fingerprint of the encoded, weighted corpora
	Loss corpora.Loss `json:"loss"`

	Steps       int     `json:"steps"`
	Rows        int     `json:"rows"`
	Accumulate  int     `json:"accumulate"`
	LR          float64 `json:"lr"`
	MinLR       float64 `json:"min_lr"`
	Warmup      int     `json:"warmup"`
	Beta1       float64 `json:"beta1"`
	Beta2       float64 `json:"beta2"`
	Eps         float64 `json:"eps"`
	WeightDecay float64 `json:"weight_decay"`
	Clip        float64 `json:"clip"`
	Seed        uint64  `json:"seed"`
}

// identity of the run these options describe, on data with this fingerprint.
func (o *Options) identity(data string) identity {
	id := identity{
		Model: o.Model, Tokenizer: o.Tokenizer, Context: o.Context,
		Data: data, Loss: o.Loss,
		Steps: o.Steps, Rows: o.Rows, Accumulate: o.Accumulate,
		LR: o.LR, MinLR: max(0, o.MinLR), Warmup: max(0, o.Warmup),
		Beta1: o.Beta1, Beta2: o.Beta2, Eps: o.Eps,
		WeightDecay: max(0, o.WeightDecay), Clip: max(0, o.Clip), Seed: o.Seed,
	}
	if o.DPO != nil {
		id.Method = o.DPO.String()
	}
	if o.Precision != kernels.Float32 {
		id.Precision = o.Precision.String()
	}
	if c := o.LoRA; c != nil {
		id.LoRA = fmt.Sprintf("rank %d, alpha %g, dropout %g, layers %s, scaling by the root of the rank %t, exceptions %v %v",
			c.Rank, c.Alpha, c.Dropout, strings.Join(c.Targets, " "), c.RankStabilized, c.Ranks, c.Alphas)
	}
	if o.Model == "" {
		id.Layers, id.Width, id.Heads = o.Layers, o.Width, o.Heads
		if o.Tokenizer == "" {
			id.Vocab = o.Vocab
		}
	}
	return id
}

// differences lists the fields in which a run differs from the one that the
// checkpoint belongs to, in words.
func (id identity) differences(now identity) []string {
	var list []string
	a, b := reflect.ValueOf(id), reflect.ValueOf(now)
	for i := range a.NumField() {
		was, is := a.Field(i).Interface(), b.Field(i).Interface()
		if was == is {
			continue
		}
		name, _, _ := strings.Cut(a.Type().Field(i).Tag.Get("json"), ",")
		switch name {
		case "data":
			list = append(list, "the training data or their weights have changed")
			continue
		case "base":
			list = append(list, "the weights of the base model have changed")
			continue
		}
		list = append(list, fmt.Sprintf("%s was %v, now it is %v", strings.ReplaceAll(name, "_", " "), shown(was), shown(is)))
	}
	return list
}

// shown makes an empty text visible.
func shown(v any) any {
	if v == "" {
		return "not given"
	}
	return v
}

func (s *state) write(path string) error {
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	return durable.WriteBytes(path, append(data, '\n'))
}

func readState(dir string) (state, error) {
	path := filepath.Join(dir, stateFile)
	data, err := os.ReadFile(path)
	if err != nil {
		return state{}, fmt.Errorf("checkpoint: %w", err)
	}
	var s state
	d := json.NewDecoder(bytes.NewReader(data))
	if err := d.Decode(&s); err != nil {
		return state{}, fmt.Errorf("%s: %w", path, err)
	}
	switch {
	case s.Format != stateFormat:
		return state{}, fmt.Errorf("%s: format %d is not known, only %d", path, s.Format, stateFormat)
	case s.Step < 0:
		return state{}, fmt.Errorf("%s: step %d makes no sense", path, s.Step)
	}
	return s, nil
}
