//go:build !arm64

package kernels

import "math"

const fusedFMA = false

// fma32 returns a*b + c rounded once to float32, as the FMA instructions do.
//
// In float64 the product is exact (24+24 bits fit in 53), so only the sum is
// rounded before the conversion to float32 rounds again. Rounding twice goes
// wrong only when the first rounding lands exactly half-way between two
// float32 values; then the lost part decides which way the second must go.
func fma32(a, b, c float32) float32 {
	p := float64(a) * float64(b)
	s := p + float64(c)
	if math.Float64bits(s)&(1<<28-1) == 0 {
		return fmaHalfway(p, float64(c), s)
	}
	return float32(s)
}

// fmaHalfway finishes fma32 when s = p + c may be a tie of float32 values: it
// nudges s by the sign of what its rounding lost ("rounding to odd"), which
// breaks the tie the right way.
func fmaHalfway(p, c, s float64) float32 {
	// Knuth's TwoSum: p + c = s + lost, exactly.
	t := s - p
	lost := (p - float64(s-t)) + (c - t)
	if lost != 0 && !math.IsInf(s, 0) && !math.IsNaN(lost) {
		bits := math.Float64bits(s)
		if (lost > 0) == (s > 0) {
			bits++
		} else {
			bits--
		}
		s = math.Float64frombits(bits)
	}
	return float32(s)
}
