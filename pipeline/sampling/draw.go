package sampling

// Argmax is the id of the highest logit, the lowest id where several are
// equal, and -1 when every token has been removed (or is not a number).
func Argmax(logits []float32) int32 {
	best, id := removed, int32(-1)
	for i, l := range logits {
		if l > best {
			best, id = l, int32(i)
		}
	}
	return id
}

// Draw picks a candidate with the probability that the softmax of their logits
// gives it. u in [0, 1) decides: the candidates divide the unit interval among
// them in their order. It returns -1 when there is none.
func Draw(c []Candidate, u float64) int32 {
	if len(c) == 0 {
		return -1
	}
	best := maxLogit(c)
	left := u * mass(c, best)
	for _, x := range c {
		if left -= weight(x, best); left < 0 {
			return x.ID
		}
	}
	// Rounding may leave a sliver beyond the last; it belongs to the best.
	for _, x := range c {
		if x.Logit == best {
			return x.ID
		}
	}
	return -1
}
