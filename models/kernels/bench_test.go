package kernels

import (
	"fmt"
	"testing"

	"github.com/nlpodyssey/spago/mat"
)

// Benchmarks of products say what share of the peak, measured beside them,
// they reach: compare shares, not GFLOP/s, between runs.

// benchShapes are the linear layers of GPT-2 124M and of the bundled model.
var benchShapes = []struct{ m, n, k int }{
	{256, 2304, 768}, {256, 768, 768}, {256, 3072, 768}, {256, 768, 3072}, {256, 50257, 768},
	{512, 768, 256}, {512, 256, 256}, {512, 1024, 256}, {512, 256, 1024}, {512, 8192, 256},
}

func benchProduct(b *testing.B, flops int, f func(p *Pool)) {
	b.Helper()
	pool := NewPool(0)
	defer pool.Close()
	f(pool)
	peak := MeasurePeak(pool, Float32)
	for b.Loop() {
		f(pool)
	}
	peak = max(peak, MeasurePeak(pool, Float32))
	rate := float64(flops) * float64(b.N) / float64(b.Elapsed().Nanoseconds())
	b.ReportMetric(rate, "GFLOP/s")
	b.ReportMetric(100*rate/peak, "%peak")
}

func BenchmarkLinear(b *testing.B) {
	for _, s := range benchShapes {
		r := newRand(1)
		x, w, y := random(r, s.m*s.k), random(r, s.n*s.k), make([]float32, s.m*s.n)
		flops := 2 * s.m * s.n * s.k
		name := fmt.Sprintf("%dx%dx%d", s.m, s.n, s.k)
		b.Run("forward/"+name, func(b *testing.B) {
			benchProduct(b, flops, func(p *Pool) { Linear(p, y, x, w, nil, s.m, s.n, s.k) })
		})
		b.Run("packed/"+name, func(b *testing.B) {
			packed := Pack(nil, w, s.n, s.k, Float32)
			benchProduct(b, flops, func(p *Pool) { LinearPacked(p, y, x, packed, nil, s.m) })
		})
		b.Run("gradInput/"+name, func(b *testing.B) {
			benchProduct(b, flops, func(p *Pool) { LinearGradInput(p, x, y, w, s.m, s.n, s.k, false) })
		})
		b.Run("gradWeight/"+name, func(b *testing.B) {
			dw := make([]float32, s.n*s.k)
			clear(y)
			benchProduct(b, flops, func(p *Pool) { LinearGradWeight(p, dw, y, x, s.m, s.n, s.k) })
		})
	}
}

// BenchmarkSpago is the same forward product by spago's own matrices.
func BenchmarkSpago(b *testing.B) {
	for _, s := range benchShapes {
		r := newRand(1)
		x := mat.NewDense[float32](mat.WithShape(s.m, s.k), mat.WithBacking(random(r, s.m*s.k)))
		w := mat.NewDense[float32](mat.WithShape(s.k, s.n), mat.WithBacking(random(r, s.n*s.k)))
		b.Run(fmt.Sprintf("%dx%dx%d", s.m, s.n, s.k), func(b *testing.B) {
			benchProduct(b, 2*s.m*s.n*s.k, func(*Pool) { x.Mul(w) })
		})
	}
}

// BenchmarkFewRows is decoding: bound by how fast the weights can be read.
func BenchmarkFewRows(b *testing.B) {
	for _, s := range []struct{ n, k int }{{3072, 768}, {768, 3072}, {50257, 768}, {1024, 256}} {
		r := newRand(1)
		w := random(r, s.n*s.k)
		packed := Pack(nil, w, s.n, s.k, Float32)
		for _, m := range []int{1, 2, 4, 8} {
			x, y := random(r, m*s.k), make([]float32, m*s.n)
			run := func(name string, f func(p *Pool)) {
				b.Run(fmt.Sprintf("%s/%dx%dx%d", name, m, s.n, s.k), func(b *testing.B) {
					b.SetBytes(int64(4 * s.n * s.k))
					benchProduct(b, 2*m*s.n*s.k, f)
				})
			}
			run("packed", func(p *Pool) { LinearPacked(p, y, x, packed, nil, m) })
			run("plain", func(p *Pool) { Linear(p, y, x, w, nil, m, s.n, s.k) })
		}
	}
}

// BenchmarkHeads is the products of attention: one head of a 256-token window.
func BenchmarkHeads(b *testing.B) {
	for _, s := range []struct{ t, d int }{{256, 32}, {256, 64}, {64, 32}} {
		r := newRand(1)
		q, k, v := random(r, s.t*s.d), random(r, s.t*s.d), random(r, s.t*s.d)
		scores := make([]float32, s.t*s.t)
		var scratch Scratch
		w := PanelWidth()
		keys, values := make([]float32, roundUp(s.t, w)*s.d), panelsOf(v, s.t, s.d, s.t*w)
		for i := 0; i < s.t; i += w {
			Transpose(keys[i*s.d:], w, k[i*s.d:], s.d, w, s.d)
		}
		run := func(name string, f func()) {
			b.Run(fmt.Sprintf("%s/%dx%d", name, s.t, s.d), func(b *testing.B) {
				peak := MeasurePeak(nil, Float32)
				for b.Loop() {
					f()
				}
				rate := float64(2*s.t*s.t*s.d) * float64(b.N) / float64(b.Elapsed().Nanoseconds())
				b.ReportMetric(rate, "GFLOP/s")
				b.ReportMetric(100*rate/max(peak, MeasurePeak(nil, Float32)), "%peak")
			})
		}
		run("scoresPanels", func() { GemmPanels(&scratch, scores, s.t, q, s.d, 1, keys, s.d*w, s.t, s.t, s.d, false) })
		run("scores", func() { Gemm(&scratch, scores, s.t, q, s.d, 1, k, 1, s.d, s.t, s.t, s.d, false) })
		run("valuesPanels", func() { GemmPanels(&scratch, q, s.d, scores, s.t, 1, values, s.t*w, s.t, s.d, s.t, false) })
		run("gradValues", func() { Gemm(&scratch, q, s.d, scores, 1, s.t, v, s.d, 1, s.t, s.d, s.t, false) })
	}
}

func BenchmarkRows(b *testing.B) {
	r := newRand(1)
	const n = 1 << 16
	x, y, z, v := random(r, n), random(r, n), random(r, n), random(r, n)
	bench := func(name string, f func()) {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(4 * n)
			for b.Loop() {
				f()
			}
		})
	}
	bench("Exp", func() { Exp(y, x) })
	bench("Softmax256", func() {
		for i := 0; i < n; i += 256 {
			Softmax(y[i:i+256], x[i:i+256], 0.5)
		}
	})
	bench("CrossEntropy8192", func() {
		for i := 0; i < n; i += 8192 {
			CrossEntropyRow(y[i:i+8192], 5, 1)
		}
	})
	bench("GELU", func() { GELU(nil, y, x) })
	bench("GELUBackward", func() { GELUBackward(nil, y, z, x) })
	bench("GELUErf", func() { GELUErf(nil, y, x) })
	bench("GELUErfBackward", func() { GELUErfBackward(nil, y, z, x) })
	mean, rstd := make([]float32, n/256), make([]float32, n/256)
	g := random(r, 3*256)
	bench("LayerNorm256", func() { LayerNorm(nil, y, mean, rstd, x, g, g, n/256, 256, 1e-5) })
	bench("LayerNormBackward256", func() {
		LayerNormBackward(nil, y, g[256:], g[512:], z, x, mean, rstd, g, n/256, 256)
	})
	bench("AdamW", func() { AdamW(nil, x, y, z, v, testStep) })
	bench("Add", func() { Add(nil, y, x, z) })
	bench("SumSquares", func() { SumSquares(x) })
}

// BenchmarkNarrow is few rows and many with each weight type: bytes read a
// second for few, operations a second for many.
func BenchmarkNarrow(b *testing.B) {
	for _, s := range []struct{ n, k int }{{2304, 768}, {768, 3072}, {50257, 768}, {1024, 256}} {
		r := newRand(1)
		w := random(r, s.n*s.k)
		for _, d := range []DType{Float32, BFloat16, Int8} {
			packed := Pack(nil, w, s.n, s.k, d)
			for _, m := range []int{1, 8, 512} {
				x, y := random(r, m*s.k), make([]float32, m*s.n)
				b.Run(fmt.Sprintf("%v/%dx%dx%d", d, m, s.n, s.k), func(b *testing.B) {
					pool := NewPool(0)
					defer pool.Close()
					for b.Loop() {
						LinearPacked(pool, y, x, packed, nil, m)
					}
					nanoseconds := float64(b.Elapsed().Nanoseconds()) / float64(b.N)
					rate := 2 * float64(m*s.n*s.k) / nanoseconds
					b.ReportMetric(float64(packed.Bytes())/nanoseconds, "GB/s")
					b.ReportMetric(rate, "GOP/s")
					b.ReportMetric(100*rate/MeasurePeak(pool, d), "%peak")
				})
			}
		}
	}
}
