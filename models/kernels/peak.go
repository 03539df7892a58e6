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

// MeasureBandwidth returns how many bytes a second the threads of the pool read
// of x together, over and over for some 20 ms: the best pass, read in the way
// that is fastest here, each thread its own stretch. What fits a cache is read
// from there. It is what reading weights is measured by.
func MeasureBandwidth(p *Pool, x []float32) float64 {
	const line = 64 // floats that readLines takes at once
	each := len(x) / p.Threads() &^ (line - 1)
	if each == 0 {
		return 0
	}
	var best float64
	begin := time.Now()
	for pass := 0; pass < 3 || time.Since(begin) < 20*time.Millisecond; pass++ {
		start := time.Now()
		p.Run(p.Threads(), func(task, _ int) { readLines(x[task*each:(task+1)*each], pass%2 == 0) })
		best = max(best, float64(4*each*p.Threads())/time.Since(start).Seconds())
	}
	return best
}

// readGeneric reads everything; four chains of additions keep the loads busy.
func readGeneric(x []float32) float32 {
	var a, b, c, d float32
	for ; len(x) >= 8; x = x[8:] {
		a += x[0] + x[4]
		b += x[1] + x[5]
		c += x[2] + x[6]
		d += x[3] + x[7]
	}
	return a + b + c + d
}
