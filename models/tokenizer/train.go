package tokenizer

import (
	"errors"
	"fmt"
	"iter"
	"unicode/utf8"
)

// TrainOptions are the settings of [TrainBPE].
type TrainOptions struct {
	// VocabSize is the number of tokens to make in all: the 256 bytes, merges, and
	// special tokens. When the text has too few frequent pairs, there are fewer.
	VocabSize int
	// Specials are the names of the special tokens. They get the highest ids, in
	// this order, as <|endoftext|> does in GPT-2.
	Specials []string
	// MinCount is how often a pair must occur to be merged; 0 means 2.
	MinCount int
	// MaxWords bounds the number of different words that are counted at a time, and so
	// the memory, of which each takes about a kilobyte; 0 means 2 million. When there are
	// more, the rarest are dropped until half are left.
	MaxWords int
	// MaxTokenRunes is the longest token to make, in characters; 0 means any length. A
	// small corpus that repeats itself is better learnt without its stock phrases as
	// tokens.
	MaxTokenRunes int
	// Progress, if not nil, is called now and then with the number of merges made and to
	// make. If it returns an error, such as a context's, training ends with it.
	Progress func(done, total int) error
}

// maxWordsLimit keeps the places in all words, of at most 4*maxCounted+1 each, countable
// in 32 bits.
const maxWordsLimit = 1 << 25

// TrainBPE learns a vocabulary from texts: starting with the 256 bytes, it merges the
// pair of neighbouring tokens that occurs most often, again and again, until the
// vocabulary is full or no pair occurs opts.MinCount times. This is the algorithm of
// Sennrich et al., "Neural Machine Translation of Rare Words with Subword Units"
// (2016), on bytes as in GPT-2.
//
// It is deterministic: of pairs that occur equally often, the one whose left token
// has the lower id is merged first, then the one whose right token has; bytes have
// GPT-2's ids 0 to 255 and merges get the next ones in order. The result depends on
// how often each word occurs, not on the order of texts (as long as there are no more
// than opts.MaxWords different ones). A pair that would spell a token there already
// is, or a special token's name, is never merged, so that every token has one merge.
//
// A text should be a whole utterance or document: no word spans two of them.
func TrainBPE(texts iter.Seq[string], opts TrainOptions) (*BPE, error) {
	if err := opts.ensureDefaults(); err != nil {
		return nil, fmt.Errorf("tokenizer: train: %w", err)
	}
	words := countWords(texts, opts.MaxWords)
	tr := newTrainer(opts, words)
	if err := tr.run(opts.VocabSize - 256 - len(opts.Specials)); err != nil {
		return nil, fmt.Errorf("tokenizer: train: %w", err)
	}
	t, err := tr.tokenizer()
	if err != nil {
		return nil, fmt.Errorf("tokenizer: train: %w", err)
	}
	return t, nil
}

func (o *TrainOptions) ensureDefaults() error {
	if o.MinCount == 0 {
		o.MinCount = 2
	}
	if o.MaxWords == 0 {
		o.MaxWords = 2_000_000
	}
	if o.MinCount < 0 || o.MaxWords < 0 || o.MaxTokenRunes < 0 {
		return errors.New("MinCount, MaxWords and MaxTokenRunes must not be negative")
	}
	if o.MaxWords > maxWordsLimit {
		return fmt.Errorf("MaxWords is %d, more than %d", o.MaxWords, maxWordsLimit)
	}
	if o.VocabSize > maxTokens {
		return fmt.Errorf("a vocabulary of %d is too large: %d tokens are the most", o.VocabSize, maxTokens)
	}
	if least := 256 + len(o.Specials); o.VocabSize < least {
		return fmt.Errorf("a vocabulary of %d is too small for the 256 bytes and %d special tokens", o.VocabSize, len(o.Specials))
	}
	seen := map[string]bool{}
	for _, s := range o.Specials {
		switch {
		case !utf8.ValidString(s):
			return fmt.Errorf("the special token %q is not valid UTF-8", s)
		case utf8.RuneCountInString(s) < 2:
			return fmt.Errorf("the special token %q needs two characters at least", s)
		case seen[s]:
			return fmt.Errorf("the special token %q is listed twice", s)
		}
		seen[s] = true
	}
	return nil
}
