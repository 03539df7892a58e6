package hf

import (
	"encoding/json"
	"errors"
	"io/fs"
	"path"

	"causerie/models/hf/internal/strictjson"
)

const generationFile = "generation_config.json"

// Generation is what generation_config.json recommends for sampling. A nil
// field says nothing.
type Generation struct {
	BOS, PAD *int32
	EOS      []int32 // what ends a reply

	DoSample          *bool    // false: take the likeliest token
	Temperature       *float64 // > 0 when sampling
	TopK              *int     // 0: no limit
	TopP              *float64 // 0 to 1
	MinP              *float64 // 0 to 1
	TypicalP          *float64 // 0 to 1
	RepetitionPenalty *float64 // > 0; 1: none
	NoRepeatNgramSize *int     // 0: none
	MaxLength         *int     // tokens of prompt and reply together
	MaxNewTokens      *int     // tokens of the reply

	// Rest are all other keys, written back as they were read.
	Rest map[string]json.RawMessage
}

// ReadGeneration reads generation_config.json of a folder; without one the
// error wraps fs.ErrNotExist. The name of the folder is only used in errors,
// which report all wrong keys together.
func ReadGeneration(fsys fs.FS, name string) (Generation, error) {
	data, err := readFile(fsys, name, generationFile, maxJSON)
	if err != nil {
		return Generation{}, err
	}
	g, err := ParseGeneration(data)
	if err != nil {
		return Generation{}, inFile(path.Join(name, generationFile), err)
	}
	return g, nil
}

// ParseGeneration reads the text of a generation_config.json.
func ParseGeneration(data []byte) (Generation, error) {
	f, err := parseFields(data)
	if err != nil {
		return Generation{}, err
	}
	var g Generation
	g.BOS, g.PAD, g.EOS = f.id("bos_token_id"), f.id("pad_token_id"), f.ids("eos_token_id")
	said := f.has("do_sample") && !isNull(f.left["do_sample"])
	if sample := f.flag("do_sample", false); said {
		g.DoSample = &sample
	}
	for _, n := range g.counts() {
		var value int
		if f.integer(n.key, n.low, &value) {
			*n.dst = &value
		}
	}
	for _, n := range g.numbers() {
		raw := f.left[n.key]
		var value float64
		if !f.number(n.key, &value) {
			continue
		}
		if value < n.low || value > n.high || value == n.low && n.open {
			f.fail(n.key, "want %s, not %s", n.want, strictjson.Show(raw))
		}
		*n.dst = &value
	}
	g.Rest = f.rest()
	if len(f.errs) > 0 {
		return Generation{}, errors.Join(f.errs...)
	}
	return g, nil
}

type count struct {
	key string
	dst **int
	low int
}

func (g *Generation) counts() []count {
	return []count{
		{"top_k", &g.TopK, 0},
		{"no_repeat_ngram_size", &g.NoRepeatNgramSize, 0},
		{"max_length", &g.MaxLength, 1},
		{"max_new_tokens", &g.MaxNewTokens, 1},
	}
}

type number struct {
	key       string
	dst       **float64
	low, high float64
	open      bool // low itself is excluded
	want      string
}

func (g *Generation) numbers() []number {
	const probability = "a number between 0 and 1"
	return []number{
		{"temperature", &g.Temperature, 0, 1e6, false, "a number that is not negative"},
		{"top_p", &g.TopP, 0, 1, false, probability},
		{"min_p", &g.MinP, 0, 1, false, probability},
		{"typical_p", &g.TypicalP, 0, 1, false, probability},
		{"repetition_penalty", &g.RepetitionPenalty, 0, 1e6, true, "a positive number"},
	}
}

// Marshal is the text of a generation_config.json that transformers reads.
func (g Generation) Marshal() ([]byte, error) {
	values := map[string]any{}
	for key, id := range map[string]*int32{"bos_token_id": g.BOS, "pad_token_id": g.PAD} {
		if id != nil {
			values[key] = *id
		}
	}
	if len(g.EOS) > 0 {
		values["eos_token_id"] = idsValue(g.EOS)
	}
	if g.DoSample != nil {
		values["do_sample"] = *g.DoSample
	}
	for _, n := range g.counts() {
		if *n.dst != nil {
			values[n.key] = **n.dst
		}
	}
	for _, n := range g.numbers() {
		if *n.dst != nil {
			values[n.key] = **n.dst
		}
	}
	return marshalFields(values, g.Rest)
}
