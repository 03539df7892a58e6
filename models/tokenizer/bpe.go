package tokenizer

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// BPE is a byte-level BPE tokenizer: GPT-2's, or one of your own made by [TrainBPE].
// Make one with [Load] or [TrainBPE]; the zero value knows no tokens.
//
// Decode gives back the very bytes that were encoded. Two kinds of foreign files make
// exceptions, as they do in Hugging Face's tokenizers: with add_prefix_space a text
// without a space at its start comes back with one, and a byte that the vocabulary
// lacks comes back as the unknown token, or not at all if there is none.
type BPE struct {
	entries []string // id -> the entry as the files spell it; "" where an id is unused
	text    []string // id -> the bytes it stands for
	merges  []merge  // by rank
	added   *addedTokens

	pairs    pairTable        // neighbours -> rank
	joins    *byteJoins       // which bytes can meet inside a token
	byteID   [256]int32       // byte -> its id, or noToken
	unknown  int32            // the token for bytes that lack an id, or noToken
	complete bool             // no byte lacks an id
	words    map[string]int32 // words that end up as one token -> its id
	classes  *classTable

	opts bpeOptions
}

// bpeOptions are the settings of tokenizer.json that change which ids come out.
type bpeOptions struct {
	addPrefixSpace bool   // a text that starts without a space is read as if it had one
	ignoreMerges   bool   // a word in the vocabulary is that token, merges or not
	unknown        string // stands for bytes the vocabulary lacks; "" leaves them out
	fuseUnknown    bool   // a run of unknown bytes is one token
	roles          roles  // which special token is bos_token, eos_token, …; for Save
}

// merge joins the tokens left and right into the token id.
type merge struct{ left, right, id int32 }

const noToken = int32(-1)

// maxWaste bounds the unused ids of a vocabulary, so that a file with one absurd id
// cannot ask for gigabytes.
const maxWaste = 1 << 16

// newBPE builds a tokenizer from what the files hold: entries and merges in visible
// spelling. An error names the entry, or wraps a mergeError with the merge's index.
func newBPE(vocab map[string]int32, merges [][2]string, added []addedToken, opts bpeOptions) (*BPE, error) {
	t := &BPE{opts: opts, classes: basicPlane()}
	if err := t.setEntries(vocab, added); err != nil {
		return nil, err
	}
	if err := t.setMerges(vocab, merges); err != nil {
		return nil, err
	}
	t.setBytes(vocab)
	t.setWords()
	return t, nil
}

// setEntries fills the tables by id from the vocabulary and the added tokens.
func (t *BPE) setEntries(vocab map[string]int32, added []addedToken) error {
	entries, err := entryTable(vocab, added)
	if err != nil {
		return err
	}
	t.entries = entries
	t.text = make([]string, len(entries))
	for id, entry := range entries {
		t.text[id] = spelledBytes(entry)
	}
	for _, a := range added {
		t.text[a.id] = a.content
	}
	t.added = newAddedTokens(added)
	return nil
}

// spelledBytes returns the bytes that an entry spells. One that is not in visible
// spelling stands for itself.
func spelledBytes(entry string) string {
	if text, ok := fromVisible(entry); ok {
		return text
	}
	return entry
}

// entryTable inverts a vocabulary: id -> entry. Ids may have holes, but no two entries.
func entryTable(vocab map[string]int32, added []addedToken) ([]string, error) {
	size := int32(0)
	limit := int32(min(maxTokens, 2*(len(vocab)+len(added))+maxWaste))
	check := func(entry string, id int32) error {
		if id < 0 || id >= limit {
			return fmt.Errorf("entry %q: id %d is out of range for %d entries", entry, id, len(vocab)+len(added))
		}
		size = max(size, id+1)
		return nil
	}
	for entry, id := range vocab {
		if err := check(entry, id); err != nil {
			return nil, err
		}
	}
	for _, a := range added {
		if err := check(a.content, a.id); err != nil {
			return nil, err
		}
	}
	entries := make([]string, size)
	set := func(entry string, id int32) error {
		if entry == "" {
			return fmt.Errorf("entry with id %d is empty", id)
		}
		if other := entries[id]; other != "" && other != entry {
			return fmt.Errorf("id %d belongs to two entries, %q and %q", id, min(entry, other), max(entry, other))
		}
		entries[id] = entry
		return nil
	}
	for entry, id := range vocab {
		if err := set(entry, id); err != nil {
			return nil, err
		}
	}
	for _, a := range added {
		if id, ok := vocab[a.content]; ok && id != a.id {
			return nil, fmt.Errorf("added token %q has id %d, but the vocabulary gives it %d", a.content, a.id, id)
		}
		if err := set(a.content, a.id); err != nil {
			return nil, err
		}
	}
	return entries, nil
}

// mergeError says which merge of a list is wrong, so that a loader can name its line.
type mergeError struct {
	index int // from 0
	err   error
}

func (e *mergeError) Error() string { return fmt.Sprintf("merge %d: %v", e.index+1, e.err) }
func (e *mergeError) Unwrap() error { return e.err }

// setMerges resolves the list of merges to ids and builds the tables that answer
// "what is the rank of this pair?". Of a pair listed twice the later rank counts,
// as in Hugging Face's tokenizers.
func (t *BPE) setMerges(vocab map[string]int32, merges [][2]string) error {
	if len(merges) > maxMerges {
		return &mergeError{maxMerges, fmt.Errorf("there are more than %d merges", maxMerges)}
	}
	t.merges = make([]merge, len(merges))
	t.pairs = newPairTable(len(merges))
	for rank, m := range merges {
		resolve := func(s string) (int32, error) {
			if s == "" {
				return 0, errors.New("one side is empty")
			}
			id, ok := vocab[s]
			if !ok {
				return 0, fmt.Errorf("%q is not in the vocabulary", s)
			}
			return id, nil
		}
		left, err1 := resolve(m[0])
		right, err2 := resolve(m[1])
		id, err3 := resolve(m[0] + m[1])
		if err := errors.Join(err1, err2, err3); err != nil {
			return &mergeError{rank, firstOf(err1, err2, err3)}
		}
		t.merges[rank] = merge{left, right, id}
		t.pairs.set(left, right, int32(rank))
	}
	return nil
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// setBytes finds the tokens of the 256 bytes and which of them can meet in a token.
func (t *BPE) setBytes(vocab map[string]int32) {
	for b := range 256 {
		id, ok := vocab[string(visibleRune[b])]
		if !ok {
			id = noToken
		}
		t.byteID[b] = id
	}
	t.joins = new(byteJoins)
	t.unknown = noToken
	if id, ok := vocab[t.opts.unknown]; ok && t.opts.unknown != "" {
		t.unknown = id
	}
	t.complete = !slices.Contains(t.byteID[:], noToken)
	if !t.complete {
		// Leaving out a byte makes neighbours of the two beside it: anything may join.
		for i := range t.joins {
			t.joins[i] = ^uint64(0)
		}
		return
	}
	for _, m := range t.merges {
		left, right := spelledBytes(t.entries[m.left]), spelledBytes(t.entries[m.right])
		t.joins.add(left[len(left)-1], right[0])
	}
}

// setWords lists the tokens that their own bytes merge into. A word that is one of
// them needs no merging; a token that merges never reach must not be found this way.
func (t *BPE) setWords() {
	t.words = make(map[string]int32, len(t.text))
	var ids []int32
	var s scratch
	for id, text := range t.text {
		if text == "" || t.added.is(int32(id)) {
			continue
		}
		ids = t.merge(ids[:0], text, &s)
		if t.opts.ignoreMerges || len(ids) == 1 && ids[0] == int32(id) {
			t.words[text] = int32(id)
		}
	}
}

// Encode implements [Tokenizer]. Tokens that a model's files add to the vocabulary
// without calling them special are found in the text; special ones are not.
func (t *BPE) Encode(dst []int32, text string) []int32 {
	return t.added.encode(dst, text, false, t.encodePlain)
}

// EncodeSpecial implements [Tokenizer].
func (t *BPE) EncodeSpecial(dst []int32, text string) []int32 {
	return t.added.encode(dst, text, true, t.encodePlain)
}

// encodePlain encodes a text without added tokens.
func (t *BPE) encodePlain(dst []int32, text string) []int32 {
	if t.classes == nil || text == "" {
		return dst
	}
	if t.opts.addPrefixSpace && text[0] != ' ' {
		text = " " + text
	}
	s := scratches.Get().(*scratch)
	for text != "" {
		n := t.classes.wordEnd(text)
		if id, ok := t.words[text[:n]]; ok {
			dst = append(dst, id)
		} else {
			dst = t.merge(dst, text[:n], s)
		}
		text = text[n:]
	}
	s.release()
	return dst
}

// AppendToken implements [Tokenizer].
func (t *BPE) AppendToken(dst []byte, id int32) []byte {
	if !t.has(id) {
		return dst
	}
	return append(dst, t.text[id]...)
}

// Decode implements [Tokenizer]: the bytes of the tokens, one after the other.
func (t *BPE) Decode(ids []int32) string {
	var b strings.Builder
	for _, id := range ids {
		if t.has(id) {
			b.WriteString(t.text[id])
		}
	}
	return b.String()
}

// VocabSize implements [Tokenizer].
func (t *BPE) VocabSize() int { return len(t.entries) }

// SpecialID implements [Tokenizer].
func (t *BPE) SpecialID(name string) (int32, bool) { return t.added.specialID(name) }

// IsSpecial implements [Tokenizer].
func (t *BPE) IsSpecial(id int32) bool { return t.added.isSpecial(id) }

// has reports whether id is that of a token.
func (t *BPE) has(id int32) bool { return id >= 0 && int(id) < len(t.text) && t.text[id] != "" }

// appendPiece serves a [Stream]: a token's bytes do not depend on its neighbours.
func (t *BPE) appendPiece(dst []byte, _, id int32) []byte { return t.AppendToken(dst, id) }
