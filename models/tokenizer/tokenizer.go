package tokenizer

// Tokenizer maps text to token ids and ids to text. Implementations are immutable
// once made and safe for concurrent use.
//
// No method panics, whatever it is given. An id outside the vocabulary stands for no
// text at all: AppendToken appends nothing and Decode leaves it out.
type Tokenizer interface {
	// Encode appends the ids of text to dst and returns the extended slice. The
	// names of special tokens in text are plain text here.
	Encode(dst []int32, text string) []int32

	// EncodeSpecial is Encode, except that a special token's name in text becomes
	// that token's id.
	EncodeSpecial(dst []int32, text string) []int32

	// AppendToken appends what one token stands for on its own: the bytes of a BPE
	// token, which need not be valid UTF-8, or a WordPiece entry as the vocabulary
	// spells it ("##ing"). Use Decode or a Stream for the text of a sequence.
	AppendToken(dst []byte, id int32) []byte

	// Decode returns the text of ids: for BPE exactly the bytes that were encoded,
	// for WordPiece the words joined by Hugging Face's conventions. Special tokens
	// appear by name.
	Decode(ids []int32) string

	// VocabSize is one more than the highest id, as a model's embedding needs it.
	VocabSize() int

	// SpecialID returns the id of the special token called name.
	SpecialID(name string) (id int32, ok bool)

	// IsSpecial reports whether id is that of a special token.
	IsSpecial(id int32) bool
}

// Statically, both schemes are tokenizers.
var (
	_ Tokenizer = (*BPE)(nil)
	_ Tokenizer = (*WordPiece)(nil)
)
