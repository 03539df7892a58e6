package kernels

import (
	"math"
	"testing"
)

// near fails unless got is want to within tolerance·(1+|want|).
func near(t *testing.T, what string, got float32, want, tolerance float64) {
	t.Helper()
	if d := math.Abs(float64(got) - want); !(d <= tolerance*(1+math.Abs(want))) {
		t.Fatalf("%s is %v, want %v", what, got, want)
	}
}

func gelu64(x float64) float64 {
	return x / 2 * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)))
}

func TestGELU(t *testing.T) {
	for x := -12.0; x < 12; x += 0.037 {
		v := []float32{float32(x), 1}
		GELU(nil, v[:1], v[:1])
		near(t, "gelu", v[0], gelu64(float64(float32(x))), 3e-7)

		const h = 1e-5
		v[0] = float32(x)
		GELUBackward(nil, v[1:], v[1:], v[:1])
		near(t, "gelu'", v[1], (gelu64(x+h)-gelu64(x-h))/(2*h), 2e-6)
	}
	far := []float32{float32(math.Inf(-1)), -1e20, 1e20}
	GELU(nil, far[1:], far[1:])
	if far[1] != 0 || far[2] != 1e20 {
		t.Errorf("gelu(∓1e20) = %v", far[1:])
	}
}

// normal64 is the standard normal distribution, Φ(x).
func normal64(x float64) float64 { return math.Erfc(-x/math.Sqrt2) / 2 }

func TestGELUErf(t *testing.T) {
	for x := -16.0; x < 16; x += 0.0037 {
		v := []float32{float32(x), 1}
		x64 := float64(v[0])
		GELUErfBackward(nil, v[1:], v[1:], v[:1])
		density := math.Exp(-x64*x64/2) / math.Sqrt(2*math.Pi)
		near(t, "gelu'", v[1], normal64(x64)+x64*density, 1.5e-7)

		GELUErf(nil, v[:1], v[:1])
		near(t, "gelu", v[0], x64*normal64(x64), 1.2e-7)
		if want := x64 * normal64(x64); math.Abs(want) > 1e-30 && math.Abs(float64(v[0])-want) > 1e-5*math.Abs(want) {
			t.Errorf("gelu(%g) is %g, want %g", x64, v[0], want) // in the tail too
		}
	}
	far := []float32{float32(math.Inf(-1)), -1e20, 0, 1e20, float32(math.Inf(1)), float32(math.NaN())}
	GELUErf(nil, far, far)
	for i, want := range []float32{0, 0, 0, 1e20, float32(math.Inf(1))} {
		if far[i] != want {
			t.Errorf("gelu far out: element %d is %v, want %v", i, far[i], want)
		}
	}
	if far[5] == far[5] {
		t.Errorf("gelu(NaN) is %v", far[5])
	}
}

// FuzzGELUErf gives all paths the same bits, whatever they mean as numbers.
func FuzzGELUErf(f *testing.F) {
	for _, x := range []float32{0, 1, -1, 13.99, -14, 14.01, float32(math.Inf(1)), float32(math.NaN()), 1e-40} {
		f.Add(math.Float32bits(x))
	}
	f.Fuzz(func(t *testing.T, bits uint32) {
		defer func(was path) { active = was }(active)
		x := math.Float32frombits(bits)
		value, slope := geluErf32(x), geluErfGrad32(x)
		for active = pathAVX2; active <= bestPath(); active++ {
			in, got := make([]float32, block), make([]float32, block)
			in[3], got[3] = x, 1
			GELUErfBackward(nil, got, got, in)
			GELUErf(nil, in, in)
			for _, pair := range [][2]float32{{in[3], value}, {got[3], slope}} {
				if pair[0] != pair[1] && (pair[0] == pair[0] || pair[1] == pair[1]) {
					t.Errorf("gelu or its slope at %v on %s is %v, want %v", x, active, pair[0], pair[1])
				}
			}
		}
	})
}

func TestAddLayerNorm(t *testing.T) {
	onPaths(t, func(t *testing.T) {
		const rows, width = 9, 70
		r := newRand(3)
		x, f, gamma, beta := random(r, rows*width), random(r, rows*width), random(r, width), random(r, width)
		sum, want, got := clone(x), clone(x), clone(x)
		Add(nil, sum, x, f)
		mean, rstd := make([]float32, 2*rows), make([]float32, 2*rows)
		LayerNorm(nil, want, mean[:rows], rstd[:rows], sum, gamma, beta, rows, width, 1e-12)
		AddLayerNorm(nil, got, mean[rows:], rstd[rows:], x, f, gamma, beta, rows, width, 1e-12)
		sameBits(t, "values", got, want)
		sameBits(t, "means", mean[rows:], mean[:rows])
		sameBits(t, "deviations", rstd[rows:], rstd[:rows])
	})
}

// layerNorm64 is layer normalisation of a row in float64.
func layerNorm64(x, gamma, beta []float64) []float64 {
	var mean, variance float64
	for _, v := range x {
		mean += v / float64(len(x))
	}
	for _, v := range x {
		variance += (v - mean) * (v - mean) / float64(len(x))
	}
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = (v-mean)/math.Sqrt(variance+1e-5)*gamma[i] + beta[i]
	}
	return y
}

func to64(x []float32) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = float64(v)
	}
	return y
}

func TestLayerNorm(t *testing.T) {
	const rows, width = 5, 77
	r := newRand(11)
	x, gamma, beta, dy := random(r, rows*width), random(r, width), random(r, width), random(r, rows*width)
	y, mean, rstd := make([]float32, rows*width), make([]float32, rows), make([]float32, rows)
	LayerNorm(nil, y, mean, rstd, x, gamma, beta, rows, width, 1e-5)
	dx, dgamma, dbeta := make([]float32, rows*width), make([]float32, width), make([]float32, width)
	LayerNormBackward(nil, dx, dgamma, dbeta, dy, x, mean, rstd, gamma, rows, width)

	// The loss is dy·y; its gradient by differences of the float64 form.
	x64, gamma64, beta64 := to64(x), to64(gamma), to64(beta)
	loss := func() (sum float64) {
		for i := range rows {
			for j, v := range layerNorm64(x64[i*width:(i+1)*width], gamma64, beta64) {
				sum += v * float64(dy[i*width+j])
			}
		}
		return sum
	}
	slope := func(at *float64) float64 {
		const h = 1e-4
		was := *at
		*at = was + h
		up := loss()
		*at = was - h
		down := loss()
		*at = was
		return (up - down) / (2 * h)
	}
	for i := range rows {
		for j, v := range layerNorm64(x64[i*width:(i+1)*width], gamma64, beta64) {
			near(t, "y", y[i*width+j], v, 1e-5)
		}
	}
	for i := range x64 {
		near(t, "dx", dx[i], slope(&x64[i]), 1e-4)
	}
	for j := range gamma64 {
		near(t, "dgamma", dgamma[j], slope(&gamma64[j]), 1e-4)
		near(t, "dbeta", dbeta[j], slope(&beta64[j]), 1e-4)
	}
}

func TestSoftmaxAndItsGradient(t *testing.T) {
	const n, scale = 45, 0.6
	r := newRand(12)
	x, dp := random(r, n), random(r, n)
	p, ds, again := make([]float32, n), make([]float32, n), make([]float32, n)
	largest, sum := SoftmaxRow(p, x, scale)
	SoftmaxBackward(ds, p, dp, scale)
	ExpShift(again, x, scale, LogSumExp(largest, sum, scale))
	var total, mix float64
	for _, v := range x {
		total += math.Exp(scale * float64(v))
	}
	for i, v := range x {
		mix += math.Exp(scale*float64(v)) / total * float64(dp[i])
	}
	for i, v := range x {
		want := math.Exp(scale*float64(v)) / total
		near(t, "p", p[i], want, 3e-7)
		near(t, "p again", again[i], want, 3e-7)
		near(t, "ds", ds[i], want*scale*(float64(dp[i])-mix), 3e-7)
	}
}

func TestCrossEntropy(t *testing.T) {
	const n, weight = 1003, 0.25
	logits := random(newRand(13), n)
	logits[17] += 12
	var total float64
	for _, v := range logits {
		total += math.Exp(float64(v))
	}
	for _, target := range []int32{0, 17, n - 1} {
		grad := clone(logits)
		want := math.Log(total) - float64(logits[target])
		near(t, "loss", float32(CrossEntropyLoss(grad, target)), want, 1e-6)
		near(t, "weighted loss", float32(CrossEntropyRow(grad, target, weight)), weight*want, 1e-6)
		for i, v := range logits {
			d := math.Exp(float64(v)) / total
			if int32(i) == target {
				d--
			}
			near(t, "gradient", grad[i], weight*d, 1e-7)
		}
	}
}

// TestAdamW follows PyTorch's rule in float64 for some steps.
func TestAdamW(t *testing.T) {
	const n = 50
	r := newRand(14)
	w, m, v := random(r, n), make([]float32, n), make([]float32, n)
	w64, m64, v64 := to64(w), make([]float64, n), make([]float64, n)
	for step := 1; step <= 5; step++ {
		g := random(r, n)
		h := AdamWStep{LR: 0.01, Beta1: 0.9, Beta2: 0.99, Eps: 1e-8, WeightDecay: 0.1, GradScale: 0.5}
		h.Correction1 = 1 - math.Pow(h.Beta1, float64(step))
		h.Correction2 = 1 - math.Pow(h.Beta2, float64(step))
		AdamW(nil, w, g, m, v, h)
		for i := range w64 {
			gi := float64(g[i]) * h.GradScale
			m64[i] = h.Beta1*m64[i] + (1-h.Beta1)*gi
			v64[i] = h.Beta2*v64[i] + (1-h.Beta2)*gi*gi
			w64[i] *= 1 - h.LR*h.WeightDecay
			w64[i] -= h.LR / h.Correction1 * m64[i] / (math.Sqrt(v64[i])/math.Sqrt(h.Correction2) + h.Eps)
			near(t, "w", w[i], w64[i], 1e-6)
		}
	}
}

// TestShortBuffersAreNamed: a slip in a caller is told, not computed past.
func TestShortBuffersAreNamed(t *testing.T) {
	defer func() {
		if got, want := recover(), "kernels: Linear w has 11 elements, needs 12"; got != want {
			t.Errorf("panic says %q, want %q", got, want)
		}
	}()
	x := make([]float32, 12)
	Linear(nil, x, x, x[:11], nil, 1, 4, 3)
}
