package bench

import (
	"hash/fnv"
	"strconv"
	"strings"

	"causerie/models/dialogue"
	"causerie/models/tokenizer"
)

// words is the tokenizer of a network that has a shape but no vocabulary: every
// word of a text is one token. Token 17 reads " w17"; a word that reads like no
// token gets an id by its hash. The last id is <|endoftext|>, as GPT-2 has it.
type words int // the vocabulary's size

var _ tokenizer.Tokenizer = words(0)

// Encode implements tokenizer.Tokenizer.
func (w words) Encode(dst []int32, text string) []int32 {
	for word := range strings.FieldsSeq(text) {
		dst = append(dst, w.id(word))
	}
	return dst
}

func (w words) id(word string) int32 {
	plain := uint64(w) - 1 // the special token is left out
	if number, ok := strings.CutPrefix(word, "w"); ok {
		if n, err := strconv.ParseUint(number, 10, 32); err == nil && n < plain {
			return int32(n)
		}
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(word)) // a hash takes everything
	return int32(h.Sum64() % plain)
}

// EncodeSpecial implements tokenizer.Tokenizer.
func (w words) EncodeSpecial(dst []int32, text string) []int32 {
	for i, part := range strings.Split(text, dialogue.EndOfText) {
		if i > 0 {
			dst = append(dst, int32(w)-1)
		}
		dst = w.Encode(dst, part)
	}
	return dst
}

// AppendToken implements tokenizer.Tokenizer.
func (w words) AppendToken(dst []byte, id int32) []byte {
	switch {
	case id < 0 || id >= int32(w):
		return dst
	case w.IsSpecial(id):
		return append(dst, dialogue.EndOfText...)
	}
	return strconv.AppendInt(append(dst, " w"...), int64(id), 10)
}

// Decode implements tokenizer.Tokenizer.
func (w words) Decode(ids []int32) string {
	var text []byte
	for _, id := range ids {
		text = w.AppendToken(text, id)
	}
	return string(text)
}

// VocabSize implements tokenizer.Tokenizer.
func (w words) VocabSize() int { return int(w) }

// SpecialID implements tokenizer.Tokenizer.
func (w words) SpecialID(name string) (int32, bool) { return int32(w) - 1, name == dialogue.EndOfText }

// IsSpecial implements tokenizer.Tokenizer.
func (w words) IsSpecial(id int32) bool { return id == int32(w)-1 }
