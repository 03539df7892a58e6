package bench

import "causerie/models/gpt2"

// work is what a piece of a model's computation cannot do without.
type work struct {
	products  float64 // operations in products with weights
	attention float64 // operations between queries, keys and values
	bytes     float64 // to be read: each weight once, and the keys and values attended to
}

// ceiling is what a machine can do at most.
type ceiling struct {
	products  float64 // operations a second in the weights' type
	float32   float64 // operations a second in float32, in which attention is computed
	bandwidth float64 // bytes a second
}

// What can limit a figure.
const (
	byMemory     = "memory"
	byArithmetic = "arithmetic"
)

// atBest is the time in seconds that the work takes at least, and what sets
// it: reading and computing overlap, so it is the longer one of the two (the
// roofline model: Williams, Waterman, Patterson 2009).
func (w work) atBest(c ceiling) (seconds float64, by string) {
	computing := w.products/c.products + w.attention/c.float32
	if reading := w.bytes / c.bandwidth; reading > computing {
		return reading, byMemory
	}
	return computing, byArithmetic
}

// times is the work done n times over.
func (w work) times(n float64) work {
	return work{products: n * w.products, attention: n * w.attention, bytes: n * w.bytes}
}

// load counts the work of a network whose weights take so many bytes each.
type load struct {
	config      gpt2.Config
	weightBytes float64
	cacheValue  float64 // bytes of a number in the KV cache
}

// blocks is how many weights the decoder blocks' matrices have.
func (l load) blocks() float64 {
	w := float64(l.config.Width)
	return float64(l.config.Layers) * (4*w*w + 2*w*float64(l.config.Inner))
}

// head is how many weights the LM head has.
func (l load) head() float64 { return float64(l.config.VocabSize) * float64(l.config.Width) }

// cacheBytes is the memory that one token takes in a KV cache.
func (l load) cacheBytes() float64 {
	return 2 * l.cacheValue * float64(l.config.Layers) * float64(l.config.Width)
}

// attention is the operations of n queries over n·context keys and values in all.
func (l load) attention(pairs float64) float64 {
	return 4 * pairs * float64(l.config.Width) * float64(l.config.Layers)
}

// decodeStep is one token for each of the streams, whose contexts are, on
// average, of the given length.
func (l load) decodeStep(streams, context float64) work {
	return work{
		products:  2 * streams * (l.blocks() + l.head()),
		attention: l.attention(streams * context),
		bytes:     l.stepBytes() + streams*context*l.cacheBytes(),
	}
}

// stepBytes is the weights that a decoding step reads.
func (l load) stepBytes() float64 { return (l.blocks() + l.head()) * l.weightBytes }

// prefill is a prompt up to the logits of its last token.
func (l load) prefill(tokens float64) work {
	return work{
		products:  2 * (tokens*l.blocks() + l.head()),
		attention: l.attention(tokens * (tokens + 1) / 2), // token i attends to i tokens
		bytes:     l.stepBytes(),
	}
}

// embed is texts of the given length each, which need no logits.
func (l load) embed(texts, tokens float64) work {
	return work{
		products:  2 * texts * tokens * l.blocks(),
		attention: l.attention(texts * tokens * (tokens + 1) / 2),
		bytes:     l.blocks() * l.weightBytes,
	}
}
