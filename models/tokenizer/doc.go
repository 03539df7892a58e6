// Package tokenizer turns text into token ids and back.
//
// A language model does not see letters; it sees integers, each the number of a
// "token" in a fixed vocabulary. This package holds the two ways of cutting text
// into tokens that GPT-2 dialogue models use, a trainer that makes a vocabulary
// from your own text, and a decoder that streams text while a model is still
// talking:
//
//	t, err := tokenizer.Load(os.DirFS("my-model"))   // whatever files the folder has
//	ids := t.Encode(nil, "Hello, 世界!")              // text -> ids
//	text := t.Decode(ids)                            // ids -> text
//
//	s := tokenizer.NewStream(t)                      // ids one at a time -> text
//	for id := range reply {
//		fmt.Print(s.Push(id))                        // only ever whole characters
//	}
//	fmt.Print(s.Flush())
//
// # Byte-level BPE
//
// [BPE] is GPT-2's scheme. Its alphabet is the 256 bytes, so there is no text it
// cannot write, in any language, and nothing is ever "unknown": Decode(Encode(x))
// is x for every string, valid UTF-8 or not. From there it works in two steps:
//
//  1. The text is cut into words by GPT-2's pattern: a contraction ('s, 'll), or a
//     run of letters, of digits or of other marks, each with at most one space in
//     front, or a run of white space. No token ever spans two words. A run of Han
//     characters is one word, for they are letters and stand without spaces.
//  2. In each word, which starts as a list of bytes, neighbouring pairs are merged
//     into one token, again and again: always the pair that stands first in the list
//     of merges (its "rank"), and the leftmost where a pair occurs twice, until no
//     pair of neighbours is in the list.
//
// The list of merges is learnt (see [TrainBPE]): it starts empty, and the most
// frequent pair of the training text is added until the vocabulary is full. So
// frequent words become one token and rare ones a few.
//
// A byte that is not part of valid UTF-8 is cut like a character that is neither letter,
// digit nor space, and encoded as the byte it is. (Libraries whose strings must be valid
// turn it into U+FFFD first and give the ids of that.)
//
// # Why the files are full of Ġ
//
// A token is a string of bytes, and often not valid UTF-8: half of a Chinese
// character is a token like any other. JSON and text files can only hold
// characters, so GPT-2 writes each byte as a visible one: the printable characters
// of Latin-1 stand for themselves, and the other 68 bytes (controls, space, DEL, …)
// are written as U+0100, U+0101, … in order. Space (0x20) comes out as Ġ, newline
// (0x0A) as Ċ, and 你 (E4 BD A0) as "ä½ł". This is a spelling for files only:
// [BPE] works on bytes and its methods take and return plain text.
//
// # WordPiece
//
// [WordPiece] is BERT's scheme, used by Chinese models such as GPT2-chitchat. Text
// is cleaned, lower-cased and split at spaces, punctuation and around every Chinese
// character; each word is then covered from the left by the longest entry of
// the vocabulary, where entries that continue a word start with "##". What cannot be
// covered becomes [UNK]: unlike BPE, decoding does not give back the very text.
//
// # Special tokens
//
// Tokens such as <|endoftext|>, <|user|> or [SEP] do not stand for text: they tell
// the model where a turn begins or ends. Text that a user types must not be able to
// forge them, so Encode treats their names as the plain characters they are; only
// EncodeSpecial, for callers who ask, maps a name to its id.
//
// All tokenizers of this package may be used by many goroutines at once; a [Stream]
// belongs to one.
package tokenizer
