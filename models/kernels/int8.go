package kernels

import "math"

// An Int8 weight is a matrix of integers q in [-127,127] and a scale for each
// output: w[j,p] ≈ q[j,p]·scale[j]. A product rounds each row of x to integers
// as well, with a scale of its own, and sums products of integers:
//
//	y[i,j] = fma(Σ_p qx[i,p]·q[j,p], sx[i]·scale[j], bias[j])
//
// The sum is exact, so no order of summation can show in a result.
//
// The activations of language models have outliers: a few inputs that are
// twenty or a hundred times larger than the rest (Dettmers et al. 2022,
// section 3). A scale that fits them leaves no bits for the others. So the
// scale is chosen for what is not an outlier,
//
//	sx = min(max|x|, outlierAt·rms(x)) / 127
//
// and the integers of outliers are simply larger than 127. Where the processor
// multiplies bytes (VPDPBUSD), such an integer is taken apart in two digits,
// q = 128·h + l; nearly all h are zero, and only the words that hold another
// one are multiplied a second time. Without that instruction x is kept in
// 16-bit integers, which are wide enough as they are: with K inputs none is
// larger than √K·127/outlierAt. Both are the same sum.
//
// VPDPBUSD wants one operand without sign: the weights, stored as q+128. What
// that adds to the sum, 128·Σ_p qx[i,p], is subtracted in the end.

const (
	int8Max   = 127
	int8Zeros = 0x80808080 // a word of four stored zeros
	outlierAt = 4          // times the root mean square
)

// QuantizeRows rounds rows of w[rows,k] to int8: q·scales[row] ≈ w, with
// scales[row] = max|w|/127 over the row and ties to even. Values that are not
// finite are none of its business: their row becomes arbitrary.
func QuantizeRows(q []int8, scales []float32, w []float32, rows, k int) {
	need("QuantizeRows q", len(q), rows*k)
	need("QuantizeRows scales", len(scales), rows)
	need("QuantizeRows w", len(w), rows*k)
	for i := range rows {
		row := w[i*k : (i+1)*k]
		largest, _ := magnitude(row)
		scales[i] = largest / int8Max
		inverse := inverseScale(largest)
		for j, x := range row {
			q[i*k+j] = int8(max(-int8Max, min(int8Max, roundToEven(x*inverse))))
		}
	}
}

// inverseScale is what values up to the largest are multiplied by to become
// integers; 0 for a row of zeros.
func inverseScale(largest float32) float32 {
	inverse := int8Max / largest
	if largest == 0 || math.IsInf(float64(inverse), 0) {
		return 0
	}
	return inverse
}

// roundToEven rounds to the nearest integer as VCVTPS2DQ does.
func roundToEven(x float32) int32 {
	return int32(math.RoundToEven(float64(x)))
}
