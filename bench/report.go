package bench

import "time"

// Schema names the form of a Report in JSON. Fields may be added under this
// name; none changes its meaning or goes.
const Schema = "causerie.bench/1"

// Report is everything that was measured.
type Report struct {
	Schema      string    `json:"schema"`
	Version     string    `json:"version,omitempty"` // of the program that measured
	Started     time.Time `json:"started"`
	Seconds     float64   `json:"seconds"`
	Interrupted bool      `json:"interrupted"` // what follows is only what was measured until then

	Machine    Machine     `json:"machine"`
	Runs       []Run       `json:"runs,omitempty"`       // one for each type of weights
	Comparison *Comparison `json:"comparison,omitempty"` // with another server
}

// Machine is what was measured on, and what it can do at most.
type Machine struct {
	CPU     string `json:"cpu,omitempty"`
	OS      string `json:"os"`
	Arch    string `json:"arch"`
	Kernels string `json:"kernels"` // the path of package kernels: avx512, avx2, generic
	Threads int    `json:"threads"` // that compute

	// Figures are "read_1" and "read_all", the speed of reading memory with one
	// thread and with all, and "peak_f32", "peak_bf16", "peak_int8": operations
	// without memory in their way, two for each multiply-add.
	Figures []Figure `json:"figures"`
}

// Run is one model with one type of weights.
type Run struct {
	Model      string `json:"model"`
	DType      string `json:"dtype"`
	Parameters int    `json:"parameters"`
	Context    int    `json:"context"` // tokens

	StepBytes       int64 `json:"step_bytes"`        // of weights, read for each decoding step
	CacheTokenBytes int64 `json:"cache_token_bytes"` // of keys and values, for each token of context

	Figures []Figure `json:"figures"`
	Skipped []Skip   `json:"skipped,omitempty"`
}

// Figure is one thing that was measured.
type Figure struct {
	Name  string `json:"name"`  // such as decode_8_full; stable
	Label string `json:"label"` // the same for people
	Unit  string `json:"unit"`
	Summary
	Limit *Limit `json:"limit,omitempty"`
}

// Limit is the best that the machine allows, by what was measured of it right
// beside the samples.
type Limit struct {
	Value float64 `json:"value"` // in the figure's unit
	By    string  `json:"by"`    // "memory" or "arithmetic"
	Share float64 `json:"share"` // of it that was reached, 0 to 1: the median over pairs of sample and limit
}

// Skip says why a figure is not there.
type Skip struct {
	Name   string `json:"name"`
	Reason string `json:"reason"`
}

// Comparison is the same requests to this program and to another server, both
// over HTTP, turn by turn.
type Comparison struct {
	Ours    Side   `json:"ours"`
	Theirs  Side   `json:"theirs"`
	Figures []Duel `json:"figures"`
	Skipped []Skip `json:"skipped,omitempty"`
}

// Side is one of the two servers.
type Side struct {
	URL      string `json:"url"`
	Model    string `json:"model"`
	Endpoint string `json:"endpoint"` // that replies were asked of
}

// Duel is one figure of both sides. Ratio is ours divided by theirs, pair by
// pair.
type Duel struct {
	Name   string  `json:"name"`
	Label  string  `json:"label"`
	Unit   string  `json:"unit"` // ms: less is better; a rate: more is
	Ours   Summary `json:"ours"`
	Theirs Summary `json:"theirs"`
	Ratio  Summary `json:"ratio"`
	// Tokens that each side counted in a request: the median of the samples.
	OurTokens   Tokens `json:"our_tokens"`
	TheirTokens Tokens `json:"their_tokens"`
}

// Tokens is how long a request was, by the count of the server that answered.
type Tokens struct {
	Prompt int `json:"prompt"`
	Reply  int `json:"reply,omitempty"`
}
