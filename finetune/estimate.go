package finetune

import (
	"bufio"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"time"

	"causerie/corpora"
	"causerie/models/gpt2"
	"causerie/models/kernels"
)

// Estimate is what a run will take, found out before it: roughly, but soon
// enough to choose another way.
type Estimate struct {
	Steps   int     `json:"steps"`
	Rows    float64 `json:"rows"`    // tokens that are trained on, all passes together
	Seconds float64 `json:"seconds"` // of training and validation
	Bytes   int64   `json:"bytes"`   // of memory at most

	// What recomputing activations (Options.Recompute) saves and costs, of the
	// above if it is chosen.
	RecomputeBytes   int64   `json:"recompute_bytes"`
	RecomputeSeconds float64 `json:"recompute_seconds"`
}

// Duration is Seconds, rounded to what such an estimate is good for.
func (e Estimate) Duration() time.Duration { return roughly(e.Seconds) }

// RecomputeDuration is RecomputeSeconds, rounded likewise.
func (e Estimate) RecomputeDuration() time.Duration { return roughly(e.RecomputeSeconds) }

func roughly(seconds float64) time.Duration {
	d := time.Duration(seconds * float64(time.Second))
	switch {
	case d < time.Minute:
		return d.Round(time.Second)
	case d < time.Hour:
		return d.Round(10 * time.Second)
	}
	return d.Round(time.Minute)
}

// usualShare is the part of the peak of multiply-adds that steps reach, from
// small models to large ones: see docs/measurements.md.
const usualShare = 0.6

// Estimate says what a run of these options takes for a model of the given
// shape, on data that corpora.Validate has gone through. gflops is what
// kernels.MeasurePeak measures here.
func (o Options) Estimate(shape gpt2.Config, found corpora.Findings, gflops float64) Estimate {
	o.EnsureDefaults()
	shape.EnsureDefaults()
	learnt := found.Rows()
	measured := 0.0
	for _, f := range found.Valid {
		measured += float64(f.Rows)
	}
	if len(found.Valid) == 0 {
		measured = o.HoldOut * learnt
		learnt -= measured
	}
	perStep := float64(o.Rows * o.Accumulate)
	e := Estimate{Steps: o.Steps}
	if e.Steps == 0 {
		e.Steps = max(1, int(math.Ceil(o.Epochs*learnt/perStep)))
	}
	e.Rows = perStep * float64(e.Steps)
	o.Steps = e.Steps
	o.ensureStepDefaults()
	validations := 0.0
	if measured > 0 {
		validations = 1
		if o.EvalEvery > 0 {
			validations = math.Ceil(float64(e.Steps) / float64(o.EvalEvery))
		}
		if o.EvalFirst {
			validations++
		}
	}
	forward, blocks := forwardFLOP(shape)
	times := 3.0 // forward, and twice backward: to the inputs and to the weights
	if o.LoRA != nil {
		times = 2
	}
	speed := usualShare * gflops * 1e9
	training := speed * o.speedUp()
	once := validations * measured // rows that are only computed forward
	if o.DPO != nil {
		for _, f := range slices.Concat(found.Train, found.Valid) {
			once += float64(f.Rows) // by the model to start from
		}
	}
	e.Seconds = e.Rows*times*forward/training + once*forward/speed
	e.RecomputeSeconds = e.Rows * blocks / training
	tokens := int64(found.Rows() + measured)
	e.Bytes = o.bytes(shape, tokens, o.Recompute)
	e.RecomputeBytes = o.bytes(shape, tokens, false) - o.bytes(shape, tokens, true)
	if o.Recompute {
		e.Seconds += e.RecomputeSeconds
	}
	return e
}

// speedUp is how much faster than in float32 a step is, from what was measured:
// see docs/measurements.md.
func (o Options) speedUp() float64 {
	switch {
	case o.Precision == kernels.Float32:
		return 1
	case kernels.FastBFloat16():
		return 1.6
	}
	return 1.0 / 500
}

// forwardFLOP is the multiplications and additions of one token forward, one
// in the middle of a dialogue of ordinary length, and those in blocks.
func forwardFLOP(c gpt2.Config) (all, blocks float64) {
	const seen = 100 // tokens that attention sees
	perBlock := 4*c.Width*c.Width + 2*c.Width*c.Inner + 2*seen*c.Width
	return 2 * float64(c.Layers*perBlock+c.VocabSize*c.Width), 2 * float64(c.Layers*perBlock)
}

// bytes is the memory of a run: weights, what is kept of them to train, what a
// batch leaves behind for the way back, the data, and the program.
func (o Options) bytes(c gpt2.Config, tokens int64, recompute bool) int64 {
	const program, perToken, lossRows = 60 << 20, 5, 256
	weights := int64(c.VocabSize+c.Positions)*int64(c.Width) +
		int64(c.Layers)*int64(4*c.Width*c.Width+2*c.Width*c.Inner+9*c.Width+c.Inner)
	if c.Untied {
		weights += int64(c.VocabSize) * int64(c.Width)
	}
	copies := int64(4) // the weight, its gradient and two moments
	if o.LoRA != nil {
		copies = 1
	}
	inBlock := int64(10*c.Width + 2*c.Inner)
	perRow := int64(c.Layers) * inBlock
	if recompute {
		perRow = int64(c.Layers*c.Width) + 4*inBlock // a block on its way back, with its gradients
	}
	rows := int64(max(o.Rows, o.Context))
	logits := min(rows, lossRows) * int64(c.VocabSize)
	return 4*(copies*weights+rows*perRow*11/10+logits) + perToken*tokens + program
}

// AvailableMemory is how many bytes programs can still take before the machine
// runs out, where the system tells; 0 where it does not.
func AvailableMemory() int64 {
	f, err := os.Open("/proc/meminfo")
	if err != nil {
		return 0
	}
	defer f.Close() // read only
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var kilobytes int64
		if rest, ok := strings.CutPrefix(lines.Text(), "MemAvailable:"); ok {
			if _, err := fmt.Sscan(rest, &kilobytes); err != nil {
				return 0
			}
			return kilobytes << 10
		}
	}
	return 0
}
