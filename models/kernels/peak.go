package kernels

import "time"

// MeasurePeak returns how many billion operations a second, two for each
// multiply-add of the type, the threads of the pool reach together with no
// memory in the way: what products are measured by. It takes some 50 ms.
func MeasurePeak(p *Pool, d DType) float64 {
	const rounds = 8
	n := 1000
	best := 0.0
	for done := 0; done < rounds; {
		start := time.Now()
		flops := 0
		each := make([]int, p.Threads())
		p.Run(p.Threads(), func(task, _ int) { each[task] = peakWork(n, d) })
		took := time.Since(start)
		for _, f := range each {
			flops += f
		}
		if took < 5*time.Millisecond {
			n *= 2
			continue
		}
		done++
		best = max(best, float64(flops)/float64(took.Nanoseconds()))
	}
	return best
}

// peakGeneric does n rounds of multiply-adds in plain Go and returns how many
// operations that was.
func peakGeneric(n int) int {
	var acc [8]float32
	for range n {
		for i := range acc {
			acc[i] = fma32(acc[i], 0.5, 1)
		}
	}
	if acc[0] < 0 {
		return 0 // never so; it keeps the loop from being left out
	}
	return n * 2 * len(acc)
}
