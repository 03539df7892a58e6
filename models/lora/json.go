package lora

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
)

// peftConfig is the part of an adapter_config.json that matters here.
type peftConfig struct {
	Type           string          `json:"peft_type"`
	Base           *string         `json:"base_model_name_or_path"`
	Rank           *int            `json:"r"`
	Alpha          *float64        `json:"lora_alpha"`
	Dropout        *float64        `json:"lora_dropout"`
	Targets        json.RawMessage `json:"target_modules"`
	RankStabilized bool            `json:"use_rslora"`
	Ranks          exceptions      `json:"rank_pattern"`
	Alphas         exceptions      `json:"alpha_pattern"`
	Bias           string          `json:"bias"`
	Init           json.RawMessage `json:"init_lora_weights"`
}

// refused are keys that change what an adapter computes, in ways that are not
// supported; their harmless values are null, false and empty ones.
var refused = []string{
	"use_dora", "use_qalora", "use_bdlora", "lora_bias", "modules_to_save", "trainable_token_indices", "target_parameters",
	"layer_replication", "alora_invocation_tokens", "kasa_config", "monteclora_config", "arrow_config",
}

// rebasing are ways to begin the training that change the weights of the base,
// so that the factors mean nothing beside the original ones.
var rebasing = []string{"pissa", "olora", "corda", "loftq", "lora_ga"}

// ParseConfig reads the text of an adapter_config.json.
func ParseConfig(data []byte) (Config, error) {
	var in peftConfig
	if err := json.Unmarshal(data, &in); err != nil {
		return Config{}, jsonError(err)
	}
	if in.Type != "LORA" {
		return Config{}, fmt.Errorf("peft_type: only LORA is supported, not %q", in.Type)
	}
	c := Config{Rank: 8, Alpha: 8, RankStabilized: in.RankStabilized, Ranks: in.Ranks, Alphas: in.Alphas}
	set(&c.Base, in.Base)
	set(&c.Rank, in.Rank)
	set(&c.Alpha, in.Alpha)
	set(&c.Dropout, in.Dropout)
	var err error
	c.Targets, err = parseTargets(in.Targets)
	return c, errors.Join(err, in.refuse(data), c.Validate())
}

func set[T any](dst, value *T) {
	if value != nil {
		*dst = *value
	}
}

// parseTargets reads a list of names. A text is a regular expression, which is
// kept as the only target: which layers it meant, the tensors tell.
func parseTargets(raw json.RawMessage) ([]string, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return []string{"c_attn"}, nil
	}
	var list []string
	var one string
	if json.Unmarshal(raw, &one) == nil {
		return []string{one}, nil
	}
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, errors.New("target_modules: neither a text nor a list of texts")
	}
	return list, nil
}

// refuse names the settings that are not supported.
func (in peftConfig) refuse(data []byte) error {
	var errs []error
	if in.Bias != "" && in.Bias != "none" {
		errs = append(errs, fmt.Errorf("bias: trained biases (%q) are not supported", in.Bias))
	}
	var start string
	if json.Unmarshal(in.Init, &start) == nil {
		kind := strings.ToLower(start)
		if slices.ContainsFunc(rebasing, func(r string) bool { return strings.HasPrefix(kind, r) }) {
			errs = append(errs, fmt.Errorf("init_lora_weights: %q changes the weights of the base, which is not supported; PEFT can convert such an adapter when it saves it", start))
		}
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(data, &all); err != nil {
		return err
	}
	for _, key := range refused {
		switch value := string(all[key]); value {
		case "", "null", "false", "[]", "{}", `""`:
		default:
			errs = append(errs, fmt.Errorf("%s: such adapters are not supported: %.60s", key, value))
		}
	}
	return errors.Join(errs...)
}

// Marshal is the text of an adapter_config.json that PEFT reads.
func (c Config) Marshal() ([]byte, error) {
	c.EnsureDefaults()
	if err := c.Validate(); err != nil {
		return nil, err
	}
	values := map[string]any{
		"peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": nil,
		"r": c.Rank, "lora_alpha": number(c.Alpha), "lora_dropout": c.Dropout, "use_rslora": c.RankStabilized,
		"target_modules": c.Targets, "rank_pattern": exceptions(c.Ranks), "alpha_pattern": exceptions(c.Alphas),
		"fan_in_fan_out": true, // GPT-2's layers are stored [in, out]
		"bias":           "none", "init_lora_weights": true, "inference_mode": true, "modules_to_save": nil,
	}
	if c.Base != "" {
		values["base_model_name_or_path"] = c.Base
	}
	if len(c.Targets) == 1 && strings.ContainsAny(c.Targets[0], `\*+?()[]^$|`) {
		values["target_modules"] = c.Targets[0]
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(values)
	return b.Bytes(), err
}

// number is a whole number where it can be: PEFT's type for alpha is int.
func number(v float64) any {
	if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
		return int64(v)
	}
	return v
}

// exceptions are an object whose order matters.
type exceptions []Exception

// UnmarshalJSON reads {"pattern": number, …}.
func (x *exceptions) UnmarshalJSON(data []byte) error {
	*x = nil
	if string(data) == "null" {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(data))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return errors.New("a pattern of ranks or alphas is an object")
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return err
		}
		e := Exception{Pattern: fmt.Sprint(key)}
		if err := d.Decode(&e.Value); err != nil {
			return fmt.Errorf("the pattern %q: %w", e.Pattern, err)
		}
		*x = append(*x, e)
	}
	return nil
}

// MarshalJSON is the inverse of UnmarshalJSON.
func (x exceptions) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, e := range x {
		key, err := json.Marshal(e.Pattern)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%s:%v", key, number(e.Value))
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// jsonError says in our words what the JSON decoder did not like.
func jsonError(err error) error {
	var mismatch *json.UnmarshalTypeError
	switch {
	case errors.As(err, &mismatch):
		return fmt.Errorf("%s: a %s where %s is expected", mismatch.Field, mismatch.Value, mismatch.Type)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("not valid JSON: the file is cut short")
	}
	return fmt.Errorf("not valid JSON: %w", err)
}
