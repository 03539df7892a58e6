package sampling

import "math"

var removed = float32(math.Inf(-1)) // the logit of a token that must not be drawn

// Bias adds each token's bias to its logit. Ids outside the row are ignored.
func Bias(logits []float32, bias map[int32]float64) {
	for id, b := range bias {
		if inRow(logits, id) {
			logits[id] += float32(b)
		}
	}
}

// RepetitionPenalty makes every token of seen less likely when penalty > 1: a
// positive logit is divided by it, a negative one multiplied, so that both
// move down. Each id must occur once in seen.
//
// Source: Keskar et al., CTRL (2019), section 4.1, with the sign handled as
// transformers does.
func RepetitionPenalty(logits []float32, seen []int32, penalty float64) {
	p := float32(penalty)
	for _, id := range seen {
		if !inRow(logits, id) {
			continue
		}
		if l := logits[id]; l < 0 {
			logits[id] = l * p
		} else {
			logits[id] = l / p
		}
	}
}

// CountPenalties subtracts, for a token that was generated c > 0 times,
// presence + c*frequency from its logit: OpenAI's two penalties.
func CountPenalties(logits []float32, counts map[int32]int, presence, frequency float64) {
	for id, c := range counts {
		if c > 0 && inRow(logits, id) {
			logits[id] -= float32(presence + float64(c)*frequency)
		}
	}
}

// NoRepeatNGrams removes every token that would complete an n-gram which
// tokens already holds. With n = 1 no token may occur twice; n <= 0 does nothing.
func NoRepeatNGrams(logits []float32, tokens []int32, n int) {
	if n <= 0 || len(tokens) < n {
		return
	}
	last := tokens[len(tokens)-(n-1):]
	for end := n - 1; end < len(tokens); end++ {
		if next := tokens[end]; equal(tokens[end-(n-1):end], last) && inRow(logits, next) {
			logits[next] = removed
		}
	}
}

// Ban removes the tokens with these ids.
func Ban(logits []float32, ids []int32) {
	for _, id := range ids {
		if inRow(logits, id) {
			logits[id] = removed
		}
	}
}

// Keep removes all tokens but those of a set, in which bit id%64 of word id/64
// stands for a token, and those listed. What lies behind the set's last word is
// removed too.
func Keep(logits []float32, set []uint64, also []int32) {
	kept := make([]float32, len(also))
	for i, id := range also {
		if inRow(logits, id) {
			kept[i] = logits[id]
		}
	}
	for first := 0; first < len(logits); first += 64 {
		word, block := uint64(0), logits[first:min(first+64, len(logits))]
		if first/64 < len(set) {
			word = set[first/64]
		}
		switch word {
		case 0:
			for i := range block {
				block[i] = removed
			}
		case math.MaxUint64:
		default:
			for i := range block {
				if word>>i&1 == 0 {
					block[i] = removed
				}
			}
		}
	}
	for i, id := range also {
		if inRow(logits, id) {
			logits[id] = kept[i]
		}
	}
}

func inRow(logits []float32, id int32) bool { return id >= 0 && int(id) < len(logits) }

// equal compares short n-grams; slices.Equal is not inlined and shows here.
func equal(a, b []int32) bool {
	for i, v := range a {
		if v != b[i] {
			return false
		}
	}
	return true
}
