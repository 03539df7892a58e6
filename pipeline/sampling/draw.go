package sampling

// Draw picks a candidate with the probability that its weight has among all.
// u in [0, 1) decides: the candidates divide the unit interval among them in
// their order. It returns -1 when there is none.
func Draw(c []Candidate, u float64) int32 {
	if len(c) == 0 {
		return -1
	}
	left := u * mass(c)
	for _, x := range c {
		if left -= float64(x.Weight); left < 0 {
			return x.ID
		}
	}
	// Rounding may leave a sliver beyond the last; it belongs to the best.
	best := c[0]
	for _, x := range c {
		if better(x, best) {
			best = x
		}
	}
	return best.ID
}
