package ops

import "causerie/models/kernels"

// Dropout sets elements to zero at random and scales the others up so that the
// mean stays (Srivastava et al. 2014, in the inverted form). Which elements is
// a function of Key and of an element's number alone: the mask is made anew
// wherever it is needed, on any thread, and a run that is repeated drops the
// same. The zero value drops nothing.
type Dropout struct {
	P   float32 // probability of an element to be dropped, in [0, 1)
	Key uint64  // names the mask
}

func (d Dropout) on() bool { return d.P > 0 }

// With returns the dropout of another mask: one for each n.
func (d Dropout) With(n uint64) Dropout {
	d.Key = splitMix(d.Key + n*golden)
	return d
}

// dropoutSpan is how many elements one task masks.
const dropoutSpan = 1 << 14

// apply writes the masked src, whose first element has the given number, to
// dst. Both may be the same.
func (d Dropout) apply(pool *kernels.Pool, dst, src []float32, first int) {
	keep := 1 / (1 - d.P)
	limit := uint32(float64(d.P) * (1 << 32))
	pool.Run((len(src)+dropoutSpan-1)/dropoutSpan, func(task, _ int) {
		lo := task * dropoutSpan
		for i, v := range src[lo:min(len(src), lo+dropoutSpan)] {
			if d.bits(first+lo+i) < limit {
				dst[lo+i] = 0
				continue
			}
			dst[lo+i] = v * keep
		}
	})
}

// bits are the random bits of element n: SplitMix64 (Steele, Lea and Flood
// 2014) gives 64 for each two elements.
func (d Dropout) bits(n int) uint32 {
	h := splitMix(d.Key + uint64(n>>1)*golden)
	return uint32(h >> (32 * uint(n&1)))
}

const golden = 0x9e3779b97f4a7c15

func splitMix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
