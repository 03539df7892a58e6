package api

import (
	"encoding/json"
	"strconv"

	"causerie/pipeline"
)

// generation is what chat completions and text completions ask alike. Pointers
// are nil where the client left the choice to the model.
type generation struct {
	model string

	temperature, topP, minP         *float64
	presence, frequency, repetition *float64
	topK, maxTokens, minTokens      *int
	seed                            *uint64
	stop                            []string
	logitBias                       map[int32]float64
	ignoreEnd                       bool
	logprobs                        bool
	topLogprobs                     int
	choices                         int // n
	stream, includeUsage            bool
}

// Limits of the request, as OpenAI's specification has them.
const (
	maxStops       = 4
	maxChoices     = 128
	maxTemperature = 2
	maxPenalty     = 2
	maxBias        = 100
)

// generationFields are the names that generation.parse reads, and those that
// change no reply.
var (
	generationFields = []string{
		"model", "temperature", "top_p", "min_p", "top_k", "presence_penalty", "frequency_penalty", "repetition_penalty",
		"max_tokens", "min_tokens", "ignore_eos", "seed", "stop", "logit_bias", "n", "stream", "stream_options",
	}
	idleFields = []string{"user", "safety_identifier", "prompt_cache_key", "prompt_cache_retention", "prompt_cache_options"}
)

func (g *generation) parse(o object) error {
	if err := o.read("model", "model", &g.model); err != nil {
		return err
	}
	for _, step := range []func(object) error{g.parseSampling, g.parseSeed, g.parseBias, g.parseLimits, g.parseStop, g.parseStream} {
		if err := step(o); err != nil {
			return err
		}
	}
	return nil
}

func (g *generation) parseSampling(o object) error {
	for _, f := range []struct {
		name     string
		dst      **float64
		min, max float64
	}{
		{"temperature", &g.temperature, 0, maxTemperature},
		{"top_p", &g.topP, 0, 1},
		{"min_p", &g.minP, 0, 1},
		{"presence_penalty", &g.presence, -maxPenalty, maxPenalty},
		{"frequency_penalty", &g.frequency, -maxPenalty, maxPenalty},
		{"repetition_penalty", &g.repetition, 0.01, 100},
	} {
		if !o.has(f.name) {
			continue
		}
		var v float64
		if err := o.read(f.name, f.name, &v); err != nil {
			return err
		}
		if v < f.min || v > f.max {
			return invalid(f.name, "%s must lie between %g and %g, not %g", f.name, f.min, f.max, v)
		}
		*f.dst = &v
	}
	return nil
}

func (g *generation) parseSeed(o object) error {
	if !o.has("seed") {
		return nil
	}
	var seed int64
	if err := o.read("seed", "seed", &seed); err != nil {
		return err
	}
	g.seed = new(uint64(seed))
	return nil
}

func (g *generation) parseBias(o object) error {
	var bias map[string]float64
	if err := o.read("logit_bias", "logit_bias", &bias); err != nil {
		return err
	}
	for key, v := range bias {
		id, err := strconv.ParseInt(key, 10, 32)
		if err != nil || id < 0 {
			return invalid("logit_bias", "logit_bias has the key %q, which is not a token id", key)
		}
		if v < -maxBias || v > maxBias {
			return invalid("logit_bias", "logit_bias of token %d must lie between %d and %d, not %g", id, -maxBias, maxBias, v)
		}
		if g.logitBias == nil {
			g.logitBias = make(map[int32]float64)
		}
		g.logitBias[int32(id)] = v
	}
	return nil
}

func (g *generation) parseLimits(o object) error {
	for _, f := range []struct {
		name string
		dst  **int
		min  int
	}{
		{"top_k", &g.topK, 0}, {"min_tokens", &g.minTokens, 0}, {"max_tokens", &g.maxTokens, 0},
	} {
		if err := o.readCount(f.name, f.dst, f.min); err != nil {
			return err
		}
	}
	if err := o.read("ignore_eos", "ignore_eos", &g.ignoreEnd); err != nil {
		return err
	}
	g.choices = 1
	if err := o.read("n", "n", &g.choices); err != nil {
		return err
	}
	if g.choices < 1 || g.choices > maxChoices {
		return invalid("n", "n must lie between 1 and %d, not %d", maxChoices, g.choices)
	}
	return nil
}

// maxCount bounds numbers of tokens far above any context.
const maxCount = 1 << 30

// readCount reads a number of things, if the field is there.
func (o object) readCount(name string, dst **int, least int) error {
	if !o.has(name) {
		return nil
	}
	var v int
	if err := o.read(name, name, &v); err != nil {
		return err
	}
	if v < least || v > maxCount {
		return invalid(name, "%s must be at least %d, not %d", name, least, v)
	}
	*dst = &v
	return nil
}

func (g *generation) parseStop(o object) error {
	if !o.has("stop") {
		return nil
	}
	var one string
	if json.Unmarshal(o["stop"], &one) == nil {
		g.stop = []string{one}
	} else if json.Unmarshal(o["stop"], &g.stop) != nil {
		return invalid("stop", "stop must be a string or an array of strings, not %s", kind(o["stop"]))
	}
	if len(g.stop) > maxStops {
		return invalid("stop", "stop has %d strings; at most %d are allowed", len(g.stop), maxStops)
	}
	for i, s := range g.stop {
		if s == "" {
			return invalid("stop", "stop[%d] is empty", i)
		}
	}
	return nil
}

// streamFields are those of stream_options. Obfuscation would pad events to
// hide their length from who sees encrypted traffic.
var streamFields = fields{
	served:  []string{"include_usage"},
	refused: map[string][]string{"include_obfuscation": {"false"}},
}

func (g *generation) parseStream(o object) error {
	if err := o.read("stream", "stream", &g.stream); err != nil {
		return err
	}
	if !o.has("stream_options") {
		return nil
	}
	if !g.stream {
		return invalid("stream_options", "stream_options is only allowed when stream is true")
	}
	var options object
	if err := o.read("stream_options", "stream_options", &options); err != nil {
		return err
	}
	if err := streamFields.checkAt("stream_options.", options); err != nil {
		return err
	}
	return options.read("stream_options.include_usage", "include_usage", &g.includeUsage)
}

// options are the model's own with the request's put over them.
func (g *generation) options(o pipeline.Options) pipeline.Options {
	put(&o.Temperature, g.temperature)
	put(&o.TopP, g.topP)
	put(&o.MinP, g.minP)
	put(&o.TopK, g.topK)
	put(&o.PresencePenalty, g.presence)
	put(&o.FrequencyPenalty, g.frequency)
	put(&o.RepetitionPenalty, g.repetition)
	put(&o.MinTokens, g.minTokens)
	if g.maxTokens != nil {
		// Who counts tokens wants all of them, half sentence or not.
		o.MaxTokens, o.WholeSentences = *g.maxTokens, false
	}
	o.Seed, o.LogitBias, o.IgnoreEnd = g.seed, g.logitBias, g.ignoreEnd
	o.Stop = append(o.Stop[:len(o.Stop):len(o.Stop)], g.stop...)
	o.LogProbs, o.TopLogProbs = g.logprobs, g.topLogprobs
	return o
}

func put[T any](dst, value *T) {
	if value != nil {
		*dst = *value
	}
}
