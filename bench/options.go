// Package bench measures a model on the machine it runs on: how fast it reads
// prompts, writes replies and embeds, beside the most that the machine's memory
// and arithmetic allow.
//
//	report, err := bench.Measure(ctx, bench.Options{Shape: "124M"})
//	err = report.WriteTable(os.Stdout)
//
// What runs is the engine that serves ([pipeline.Engine]); the weights may be
// random, as no figure depends on their values. Every figure is a median of
// samples with their extremes. Its limit is computed from the bytes that must
// be read and the operations that must be done (limits.go), at the speeds that
// were measured right beside each sample (ruler.go).
//
// Compare sends the same requests to this program and to another server, both
// over HTTP, turn by turn. Package openai is the client that both are asked
// with.
package bench

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"causerie/models/kernels"
)

// Options say what to measure. The zero value measures the bundled model.
type Options struct {
	// Model is the name or folder of a model; empty means the bundled one.
	// Shape, if not empty, is that of a network with random weights instead;
	// see [ParseShape].
	Model, Shape string
	// DTypes are the types of weights to measure; none means f32.
	DTypes []kernels.DType
	// Threads that compute; 0 means one for each CPU.
	Threads int
	// Speculate lets the engine guess how replies go on. What random weights
	// write repeats itself, so that guesses come true more often than in earnest;
	// without them each token is a step.
	Speculate bool
	// Only lists the groups of figures to measure; none means all. See Groups.
	Only []string
	// Streams are the numbers of replies to be written at the same time; none
	// means 1, 4, 8 and 16, or 1 and 8 when Quick and in comparisons.
	Streams []int
	// Time is about how long everything may take, loading left out; 0 means 100
	// seconds, or 12 when Quick, which also leaves out what takes long to prepare.
	Time  time.Duration
	Quick bool
	// Version of the program, for the report.
	Version string
	// Self is the command that runs [Child] with what it is given on its
	// standard input: loading and memory are measured in a process of its own.
	// Without it they are left out.
	Self []string
	// Against is the address of a server to compare with (see Compare), and
	// AgainstModel the name of its model; without one it is the first that the
	// server lists. AgainstKey, if any, is sent as a bearer token. AgainstPID, if
	// not 0, is the server's process on this machine: its memory is compared too.
	Against, AgainstModel, AgainstKey string
	AgainstPID                        int
	// Progress, if not nil, is told what is being measured.
	Progress func(what string)
}

// The groups of figures that Options.Only chooses from.
const (
	groupMachine      = "machine"
	groupDecode       = "decode"
	groupPrefill      = "prefill"
	groupFirstToken   = "first-token"
	groupEmbeddings   = "embeddings"
	groupLoad         = "load"
	groupConversation = "conversation" // only in comparisons
)

// Groups are the groups of figures, those of comparisons included.
func Groups() []string {
	return []string{groupMachine, groupDecode, groupPrefill, groupFirstToken, groupEmbeddings, groupLoad, groupConversation}
}

// EnsureDefaults fills the fields that may be left zero.
func (o *Options) EnsureDefaults() {
	if len(o.DTypes) == 0 {
		o.DTypes = []kernels.DType{kernels.Float32}
	}
	if len(o.Only) == 0 {
		o.Only = Groups()
	}
	if len(o.Streams) == 0 {
		o.Streams = []int{1, 4, 8, 16}
		if o.Quick {
			o.Streams = []int{1, 8}
		}
	}
	if o.Time == 0 {
		o.Time = 100 * time.Second
		if o.Quick {
			o.Time = 12 * time.Second
		}
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
}

// Validate names the first option that makes no sense.
func (o *Options) Validate() error {
	if o.Model != "" && o.Shape != "" {
		return fmt.Errorf("either a model or a shape, not both")
	}
	if o.Shape != "" {
		if _, err := ParseShape(o.Shape); err != nil {
			return err
		}
	}
	if o.Against != "" && len(o.DTypes) > 1 {
		return fmt.Errorf("one type of weights at a time can be compared with another server, not %d", len(o.DTypes))
	}
	for _, g := range o.Only {
		if !slices.Contains(Groups(), g) {
			return fmt.Errorf("nothing is called %q; known are %s", g, strings.Join(Groups(), ", "))
		}
	}
	for _, n := range o.Streams {
		if n < 1 || n > maxStreams {
			return fmt.Errorf("the number of streams must lie between 1 and %d, not %d", maxStreams, n)
		}
	}
	if o.Threads < 0 || o.Threads > 1<<10 {
		return fmt.Errorf("the number of threads must lie between 0 and %d, not %d", 1<<10, o.Threads)
	}
	if o.Time < 0 {
		return fmt.Errorf("the time %s is negative", o.Time)
	}
	return nil
}

// maxStreams bounds what the KV caches of a benchmark may take.
const maxStreams = 64

// wants reports whether a group is to be measured.
func (o *Options) wants(group string) bool { return slices.Contains(o.Only, group) }
