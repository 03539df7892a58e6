package tokenizer

import (
	"strings"
	"sync"
	"testing"

	oracle "github.com/tiktoken-go/tokenizer"
	"github.com/tiktoken-go/tokenizer/codec"
)

// gpt2 is GPT-2's own tokenizer. Its vocabulary is not part of this project: it is
// worked out from the one in the oracle, which knows the tokens' bytes and ranks but
// not the merges. A token's merge is the last step of encoding its bytes with the
// tokens before it.
var gpt2 = sync.OnceValue(func() *BPE {
	r50k := codec.NewR50kBase()
	var tokens []string
	vocab := map[string]int32{}
	for id := range 50256 {
		text, err := r50k.Decode([]uint{uint(id)})
		if err != nil {
			panic(err)
		}
		tokens = append(tokens, text)
		vocab[toVisible(text)] = int32(id)
	}
	vocab[endOfText] = 50256
	ranks := map[string]int{}
	var merges [][2]string
	for id, text := range tokens {
		if len(text) > 1 {
			parts := splitByRank(ranks, text)
			if len(parts) != 2 {
				panic("token " + text + " is not one merge of earlier ones")
			}
			merges = append(merges, [2]string{toVisible(parts[0]), toVisible(parts[1])})
		}
		ranks[text] = id
	}
	t, err := newBPE(vocab, merges, []addedToken{{content: endOfText, id: 50256, special: true}},
		bpeOptions{roles: gpt2Roles})
	if err != nil {
		panic(err)
	}
	return t
})

// splitByRank is BPE in its plainest form: merge the leftmost pair of lowest rank.
func splitByRank(ranks map[string]int, text string) []string {
	parts := strings.Split(text, "")
	if len(parts) != len(text) { // Split cuts at runes; bytes are wanted
		parts = parts[:0]
		for i := range len(text) {
			parts = append(parts, text[i:i+1])
		}
	}
	for {
		at, best := -1, 0
		for i := range len(parts) - 1 {
			if r, ok := ranks[parts[i]+parts[i+1]]; ok && (at < 0 || r < best) {
				at, best = i, r
			}
		}
		if at < 0 {
			return parts
		}
		parts[at] += parts[at+1]
		parts = append(parts[:at+1], parts[at+2:]...)
	}
}

func oracleEncode(t testing.TB, text string) []int32 {
	t.Helper()
	enc, err := oracle.Get(oracle.R50kBase)
	if err != nil {
		t.Fatal(err)
	}
	ids, _, err := enc.Encode(text)
	if err != nil {
		t.Fatal(err)
	}
	out := make([]int32, len(ids))
	for i, id := range ids {
		out[i] = int32(id)
	}
	return out
}
