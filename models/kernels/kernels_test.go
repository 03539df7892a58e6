package kernels

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

func random(r *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return x
}

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 1)) }

func sameBits(t *testing.T, what string, got, want []float32) {
	t.Helper()
	for i := range want {
		if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
			t.Fatalf("%s: element %d is %v, want %v", what, i, got[i], want[i])
		}
	}
}

func TestFMARoundsOnce(t *testing.T) {
	r := newRand(1)
	for range 200000 {
		a := math.Float32frombits(r.Uint32N(1<<24) | (100+r.Uint32N(50))<<23)
		b := math.Float32frombits(r.Uint32N(1<<12)<<11 | (100+r.Uint32N(50))<<23)
		// c near the product's size, of either sign, so that ties happen.
		c := -float32(float64(a)*float64(b)) * float32(int64(1)<<r.UintN(30))
		if r.UintN(2) == 0 {
			c = math.Float32frombits(math.Float32bits(c) &^ (1<<12 - 1))
		}
		exact := new(big.Float).SetPrec(400).Mul(big.NewFloat(float64(a)), big.NewFloat(float64(b)))
		exact.Add(exact, big.NewFloat(float64(c)))
		want, _ := exact.Float32()
		if got := fma32(a, b, c); got != want {
			t.Fatalf("fma32(%v,%v,%v) = %v, want %v", a, b, c, got, want)
		}
	}
}

func TestLinear(t *testing.T) {
	r := newRand(2)
	pool := NewPool(2)
	defer pool.Close()
	m, n, k := 3, 37, 19
	x, w, b := random(r, m*k), random(r, n*k), random(r, n)
	y, yp, row := make([]float32, m*n), make([]float32, m*n), make([]float32, k)
	Linear(pool, y, x, w, b, m, n, k)
	packed := Pack(pool, w, n, k, Float32)
	LinearPacked(pool, yp, x, packed, b, m)
	sameBits(t, "packed", yp, y)
	packed.Row(33, row)
	sameBits(t, "row", row, w[33*k:34*k])
	for i := range m {
		for j := range n {
			var want float32
			for p := range k {
				want = fma32(x[i*k+p], w[j*k+p], want)
			}
			sameBits(t, "linear", y[i*n+j:][:1], []float32{want + b[j]})
		}
	}
}

func TestExpIsAccurate(t *testing.T) {
	for x := float32(-86.8); x < 88.7; x += 0.0137 {
		want := math.Exp(float64(x))
		if e := math.Abs(float64(exp32(x))-want) / want; e > 1.5e-7 {
			t.Fatalf("exp(%v) is off by %g", x, e)
		}
	}
	inf := float32(math.Inf(1))
	for _, c := range [][2]float32{{0, 1}, {-inf, 0}, {inf, inf}, {-1e30, 0}, {89, inf}} {
		if got := exp32(c[0]); got != c[1] {
			t.Errorf("exp(%v) = %v, want %v", c[0], got, c[1])
		}
	}
	if got := exp32(float32(math.NaN())); got == got {
		t.Errorf("exp(NaN) = %v", got)
	}
}

func TestMeasureBandwidth(t *testing.T) {
	pool := NewPool(2)
	defer pool.Close()
	x := make([]float32, 1<<20+13) // the end of which no kernel may read beyond
	onPaths(t, func(t *testing.T) {
		for _, p := range []*Pool{nil, pool} {
			if got := MeasureBandwidth(p, x); got < 1e8 || got > 1e13 {
				t.Errorf("%d thread(s) read %g bytes a second", p.Threads(), got)
			}
		}
	})
	if got := MeasureBandwidth(pool, x[:100]); got != 0 {
		t.Errorf("too little to measure gave %g", got)
	}
}

// TestReadGenericReadsAll: what it reads adds up.
func TestReadGenericReadsAll(t *testing.T) {
	x := make([]float32, 1024)
	for i := range x {
		x[i] = 1
	}
	if got := readGeneric(x); got != 1024 {
		t.Errorf("1024 ones add up to %v", got)
	}
}
