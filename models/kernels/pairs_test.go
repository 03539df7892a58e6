package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// pairsReference spells out what pairs.go promises.
func pairsReference(g *product) []float32 {
	c := clone(g.c)
	for i := range g.m {
		for j := range g.n {
			var acc float32
			if g.accumulate {
				acc = flushed(c[i*g.crs+j])
			}
			for p := 0; p < g.floats; p += 2 {
				for _, at := range []int{p + 1, p} {
					var a, b float32 // what lacks of the last pair is zero
					if at < g.floats {
						a, b = roundBFloat16(g.a[i*g.ars+at*g.acs]), roundBFloat16(g.b[at*g.brs+j*g.bcs])
					}
					acc = flushed(fma32(a, b, acc))
				}
			}
			if g.bias != nil {
				acc += g.bias[j]
			}
			c[i*g.crs+j] = acc
		}
	}
	return c
}

func newPairsCase(r *rand.Rand, m, n, k int, size float32) productCase {
	g := randomProduct(r, m, n, k).inPairs()
	for i := range g.a {
		g.a[i] *= size
	}
	for i := range g.c {
		g.c[i] *= size * size
	}
	return productCase{g, pairsReference(&g)}
}

func TestBFloat16Products(t *testing.T) {
	pool := NewPool(3)
	defer pool.Close()
	r := newRand(13)
	var small, large []productCase
	for _, size := range []float32{1, 1e-18, 1e-38} { // the latter two meet denormals
		for range 60 {
			small = append(small, newPairsCase(r, r.IntN(40), r.IntN(150), r.IntN(90), size))
		}
	}
	for _, size := range [][3]int{{1, 700, 600}, {5, 300, 301}, {13, 129, 1030}, {250, 65, 515}, {60, 200, 260}, {500, 33, 21}, {250, 130, 260}, {700, 129, 31}} {
		large = append(large, newPairsCase(r, size[0], size[1], size[2], 1))
	}
	onNarrowPaths(t, func(t *testing.T) {
		var s Scratch
		for i := range small {
			small[i].check(t, nil, &s)
		}
		for i := range large {
			large[i].check(t, pool, nil)
		}
	})
}

// TestBFloat16Linears: the three products of a layer are those of float32 with
// operands that were rounded before, but for the order of the two of a pair.
func TestBFloat16Linears(t *testing.T) {
	const m, n, k = 70, 90, 111
	r := newRand(14)
	x, dy, w, bias := random(r, m*k), random(r, m*n), random(r, n*k), random(r, n)
	round := func(x []float32) []float32 {
		y := make([]float32, len(x))
		for i := range x {
			y[i] = roundBFloat16(x[i])
		}
		return y
	}
	rx, rdy, rw := round(x), round(dy), round(w)
	near := func(what string, got, want []float32) {
		t.Helper()
		for i := range got {
			if math.Abs(float64(got[i]-want[i])) > 1e-4*(1+math.Abs(float64(want[i]))) {
				t.Fatalf("%s: element %d is %v, want %v", what, i, got[i], want[i])
			}
		}
	}
	y, wantY := make([]float32, m*n), make([]float32, m*n)
	LinearBFloat16(nil, y, x, w, bias, m, n, k)
	Linear(nil, wantY, rx, rw, bias, m, n, k)
	near("y", y, wantY)
	dx, wantDX := random(r, m*k), make([]float32, m*k)
	copy(wantDX, dx)
	LinearGradInputBFloat16(nil, dx, dy, w, m, n, k, true)
	LinearGradInput(nil, wantDX, rdy, rw, m, n, k, true)
	near("dx", dx, wantDX)
	dw, wantDW := random(r, n*k), make([]float32, n*k)
	copy(wantDW, dw)
	LinearGradWeightBFloat16(nil, dw, dy, x, m, n, k)
	LinearGradWeight(nil, wantDW, rdy, rx, m, n, k)
	near("dw", dw, wantDW)
}

func FuzzBFloat16Product(f *testing.F) {
	f.Add(uint64(1), uint16(13), uint16(70), uint16(20), float32(1))
	f.Add(uint64(2), uint16(1), uint16(300), uint16(261), float32(1e-19))
	f.Fuzz(func(t *testing.T, seed uint64, m, n, k uint16, size float32) {
		if size != size || size > 1e18 || size < -1e18 {
			return
		}
		c := newPairsCase(newRand(seed), int(m)%64, int(n)%200, int(k)%300, size)
		onNarrowPaths(t, func(t *testing.T) { c.check(t, nil, new(Scratch)) })
	})
}

func BenchmarkBFloat16Linear(b *testing.B) {
	p := NewPool(0)
	defer p.Close()
	peak := MeasurePeak(p, BFloat16)
	for _, shape := range [][2]int{{2304, 768}, {768, 768}, {3072, 768}, {768, 3072}, {50257, 768}} {
		n, k := shape[0], shape[1]
		m := 2048
		if n > 10000 {
			m = 256
		}
		r := newRand(1)
		x, w, y := random(r, m*k), random(r, n*k), random(r, m*n)
		for name, f := range map[string]func(){
			"forward": func() { LinearBFloat16(p, y, x, w, nil, m, n, k) },
			"input":   func() { LinearGradInputBFloat16(p, x, y, w, m, n, k, false) },
			"weight":  func() { LinearGradWeightBFloat16(p, w, y, x, m, n, k) },
		} {
			b.Run(fmt.Sprintf("%dx%d/%s", n, k, name), func(b *testing.B) {
				for b.Loop() {
					f()
				}
				gflops := 2 * float64(m) * float64(n) * float64(k) * float64(b.N) / float64(b.Elapsed().Nanoseconds())
				b.ReportMetric(0, "ns/op")
				b.ReportMetric(100*gflops/peak, "%peak")
			})
		}
	}
}
