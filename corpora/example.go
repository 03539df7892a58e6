package corpora

import "fmt"

// Loss says what a model is to learn from a dialogue.
type Loss string

const (
	// LossAll learns every turn of both speakers, with its markers: the right
	// thing for a model that starts from nothing. System turns are read, not
	// learnt. It is the zero value's meaning too.
	LossAll Loss = "all"
	// LossReplies learns the assistant's turns, the marker that ends them
	// included, and only reads the others.
	LossReplies Loss = "replies"
)

// ParseLoss finds a Loss by its name; "" is LossAll.
func ParseLoss(name string) (Loss, error) {
	switch l := Loss(name); l {
	case "":
		return LossAll, nil
	case LossAll, LossReplies:
		return l, nil
	default:
		return "", fmt.Errorf("unknown loss %q (known are %s and %s)", name, LossAll, LossReplies)
	}
}

// Example is one training segment. All four slices have the same length, at
// most the context: the model reads Tokens and is asked, at each of them, for
// the id that comes next. The last id of a window is a target only, so n ids
// make an example of n-1 rows.
type Example struct {
	Tokens  []int32
	Targets []int32   // Targets[i] is the id after Tokens[i]
	Weights []float32 // of each target's loss; 0 means read, not learnt
	Text    []bool    // the target is text (not a marker) and its weight is not 0
	// TextBytes is the length in UTF-8 of the text whose tokens Text marks.
	// Summed over a corpus it is the number of bytes of text that the loss
	// covers, so that
	//
	//	bits per byte = (sum of -ln p over the targets that Text marks) / ln 2 / (sum of TextBytes)
	//
	// which, unlike the perplexity, can be compared between vocabularies.
	TextBytes int
}

// EncodeOptions says how dialogues become examples.
type EncodeOptions struct {
	// Context is the most tokens that an example may have: the model's
	// context length. 0 means no limit.
	Context int
	// Loss is what is learnt; the zero value means LossAll.
	Loss Loss
	// Preferences makes two examples of a dialogue: first the one that ends in
	// the better reply, then the one that ends in the rejected reply. The
	// prompt is the same in both, and only the replies count, whatever Loss is.
	Preferences bool
}

// Validate says which option makes no sense.
func (o EncodeOptions) Validate() error {
	if o.Context < 0 || o.Context == 1 {
		return fmt.Errorf("a context of %d tokens holds no dialogue", o.Context)
	}
	_, err := ParseLoss(string(o.Loss))
	return err
}

// Batch is a number of whole examples, one after the other. The flat slices
// are what the model takes; Examples points into them.
type Batch struct {
	Examples  []Example
	Index     []int // which examples of the Dataset these are, in the order of Batches
	Tokens    []int32
	Targets   []int32
	Weights   []float32
	Text      []bool
	TextBytes int // of all examples
}

// Rows is the number of tokens that the model reads.
func (b *Batch) Rows() int { return len(b.Tokens) }
