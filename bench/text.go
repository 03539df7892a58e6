package bench

import (
	"math/rand/v2"
	"strings"
)

// plainWords are words that most vocabularies have as one token each.
var plainWords = strings.Fields(`the of and to in is was for that on as with by at from it are be this which
or an were not have one all their has they but we can more when other time no some what there out new
first people only may over water after most made long many where good house world day night work`)

// encoder counts tokens; tokenizer.Tokenizer does.
type encoder interface {
	Encode(dst []int32, text string) []int32
}

// textOf is a text of n tokens, or a few less where words do not come out even.
func textOf(t encoder, random *rand.Rand, n int) string {
	var text strings.Builder
	for misses := 0; n > 0 && misses < 100; {
		word := " " + plainWords[random.IntN(len(plainWords))]
		if tokens := len(t.Encode(nil, word)); tokens <= n && tokens > 0 {
			text.WriteString(word)
			n -= tokens
			continue
		}
		misses++
	}
	return strings.TrimPrefix(text.String(), " ")
}
