package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// activations are rows as a language model makes them: a few inputs are far
// larger than the others, one row is zero.
func activations(r *rand.Rand, m, k int) []float32 {
	x := random(r, m*k)
	for i := range m {
		row := x[i*k : (i+1)*k]
		for range min(k, r.IntN(4)) {
			row[r.IntN(k)] *= float32(10 + r.IntN(200))
		}
		if r.IntN(20) == 0 {
			clear(row)
		}
	}
	return x
}

// int8Reference spells out what int8.go promises, in 64-bit integers.
func int8Reference(x []float32, q []int8, scales, bias []float32, m, n, k int) []float32 {
	y := make([]float32, m*n)
	for i := range m {
		row := x[i*k : (i+1)*k]
		scale, inverse := activationScale(row)
		for j := range n {
			var sum int64
			for p, v := range row {
				sum += int64(math.RoundToEven(float64(v*inverse))) * int64(q[j*k+p])
			}
			var b float32
			if bias != nil {
				b = bias[j]
			}
			y[i*n+j] = fma32(float32(sum), scale*scales[j], b)
		}
	}
	return y
}

// bfloat16Reference spells out what bfloat16.go promises.
func bfloat16Reference(x, w, bias []float32, m, n, k int) []float32 {
	y := make([]float32, m*n)
	for i := range m {
		for j := range n {
			var acc float32
			for p := 0; p < k; p += 2 {
				for _, at := range []int{p + 1, p} {
					if at < k {
						acc = fma32(roundBFloat16(x[i*k+at]), roundBFloat16(w[j*k+at]), acc)
					}
				}
			}
			var b float32
			if bias != nil {
				b = bias[j]
			}
			y[i*n+j] = acc + b
		}
	}
	return y
}

// A narrowCase is a product with a narrow weight and what it must give.
type narrowCase struct {
	dtype         DType
	m, n, k       int
	x, w, bias, y []float32
}

func newNarrowCase(r *rand.Rand, d DType, m, n, k int) narrowCase {
	c := narrowCase{dtype: d, m: m, n: n, k: k, x: activations(r, m, k), w: random(r, n*k)}
	if r.IntN(2) == 0 {
		c.bias = random(r, n)
	}
	if d == BFloat16 {
		c.y = bfloat16Reference(c.x, c.w, c.bias, m, n, k)
		return c
	}
	q, scales := make([]int8, n*k), make([]float32, n)
	QuantizeRows(q, scales, c.w, n, k)
	c.y = int8Reference(c.x, q, scales, c.bias, m, n, k)
	return c
}

func (c *narrowCase) check(t *testing.T, pool *Pool) {
	t.Helper()
	packed := Pack(pool, c.w, c.n, c.k, c.dtype)
	y := make([]float32, c.m*c.n)
	LinearPacked(pool, y, c.x, packed, c.bias, c.m)
	sameBits(t, fmt.Sprintf("%v %dx%dx%d", c.dtype, c.m, c.n, c.k), y, c.y)
}

// onNarrowPaths also leaves out the instructions for bytes and pairs.
func onNarrowPaths(t *testing.T, f func(t *testing.T)) {
	onPaths(t, f)
	was := instructions
	defer func() { instructions = was }()
	instructions = narrowInstructions{}
	t.Run("without VNNI and BF16", f)
}

func TestNarrowProducts(t *testing.T) {
	pool := NewPool(3)
	defer pool.Close()
	r := newRand(8)
	var small, large []narrowCase
	for _, d := range []DType{BFloat16, Int8} {
		for range 60 {
			small = append(small, newNarrowCase(r, d, r.IntN(40), 1+r.IntN(150), 1+r.IntN(90)))
		}
		for _, size := range [][3]int{{1, 700, 768}, {5, 300, 300}, {13, 129, 1030}, {130, 70, 260}, {300, 33, 20}, {3, 40, 0}} {
			large = append(large, newNarrowCase(r, d, size[0], size[1], size[2]))
		}
	}
	onNarrowPaths(t, func(t *testing.T) {
		for i := range small {
			small[i].check(t, nil)
		}
		for i := range large {
			large[i].check(t, pool)
		}
	})
}

func FuzzNarrow(f *testing.F) {
	f.Add(uint64(1), uint16(13), uint16(70), uint16(20), true)
	f.Add(uint64(2), uint16(1), uint16(300), uint16(260), false)
	f.Fuzz(func(t *testing.T, seed uint64, m, n, k uint16, bytes bool) {
		d := BFloat16
		if bytes {
			d = Int8
		}
		c := newNarrowCase(newRand(seed), d, int(m)%40, 1+int(n)%200, 1+int(k)%300)
		onNarrowPaths(t, func(t *testing.T) { c.check(t, nil) })
	})
}

// TestNarrowIsClose: what rounding costs, against the exact product.
func TestNarrowIsClose(t *testing.T) {
	const m, n, k = 20, 200, 768
	r := newRand(9)
	x, w := activations(r, m, k), random(r, n*k)
	exact := make([]float32, m*n)
	Linear(nil, exact, x, w, nil, m, n, k)
	for d, most := range map[DType]float64{BFloat16: 0.003, Int8: 0.016} {
		y := make([]float32, m*n)
		LinearPacked(nil, y, x, Pack(nil, w, n, k, d), nil, m)
		var off, size float64
		for i := range y {
			off += float64(y[i]-exact[i]) * float64(y[i]-exact[i])
			size += float64(exact[i]) * float64(exact[i])
		}
		if e := math.Sqrt(off / size); e > most {
			t.Errorf("%v is off by %.4f, at most %.4f expected", d, e, most)
		}
	}
}

// TestNarrowRowsOfNonsense: a row that is not finite gives NaN and spoils no
// other row.
func TestNarrowRowsOfNonsense(t *testing.T) {
	const m, n, k = 14, 40, 70
	r := newRand(10)
	clean, w := activations(r, m, k), random(r, n*k)
	for _, d := range []DType{BFloat16, Int8} {
		packed := Pack(nil, w, n, k, d)
		want, got := make([]float32, m*n), make([]float32, m*n)
		LinearPacked(nil, want, clean, packed, nil, m)
		for _, bad := range []float32{float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN())} {
			x := clone(clean)
			x[3*k+5] = bad
			LinearPacked(nil, got, x, packed, nil, m)
			sameBits(t, d.String(), got[:3*n], want[:3*n])
			sameBits(t, d.String(), got[4*n:], want[4*n:])
			for _, y := range got[3*n : 4*n] {
				if !math.IsNaN(float64(y)) && !math.IsInf(float64(y), 0) {
					t.Fatalf("%v: a row with %v gave %v", d, bad, y)
				}
			}
		}
		// Larger than any square can be, and smaller.
		for _, scale := range []float32{1e25, 1e-36} {
			x := clone(clean)
			for i := range x {
				x[i] *= scale
			}
			LinearPacked(nil, got, x, packed, nil, m)
			for i, y := range got {
				if math.IsNaN(float64(y)) {
					t.Fatalf("%v: element %d of rows times %g is NaN", d, i, scale)
				}
			}
		}
	}
}

func TestPackedKeepsWhatIsStored(t *testing.T) {
	const n, k = 150, 37
	r := newRand(11)
	w := random(r, n*k)
	q, scales := make([]int8, n*k), make([]float32, n)
	QuantizeRows(q, scales, w, n, k)
	halves := make([]uint16, n*k)
	for i, x := range w {
		halves[i] = ToBFloat16(x)
	}
	bytes, pairs, floats := NewPacked(n, k, Int8), NewPacked(n, k, BFloat16), NewPacked(n, k, Float32)
	for first := 0; first < n; first += PackRows {
		last := min(n, first+PackRows)
		bytes.FillInt8(nil, first, q[first*k:last*k], scales[first:last])
		pairs.FillBFloat16(nil, first, halves[first*k:last*k])
		floats.Fill(nil, first, w[first*k:last*k])
	}
	row := make([]float32, k)
	for j := range n {
		floats.Row(j, row)
		sameBits(t, "f32", row, w[j*k:(j+1)*k])
		bytes.Row(j, row)
		for p, x := range row {
			if want := float32(q[j*k+p]) * scales[j]; x != want {
				t.Fatalf("int8: element %d,%d is %v, want %v", j, p, x, want)
			}
		}
		pairs.Row(j, row)
		for p, x := range row {
			if want := roundBFloat16(w[j*k+p]); x != want {
				t.Fatalf("bf16: element %d,%d is %v, want %v", j, p, x, want)
			}
		}
	}
	for d, want := range map[*Packed]int64{floats: 4 * 160 * 37, pairs: 2 * 160 * 40, bytes: 160*40 + 4*160} {
		if d.Bytes() != want {
			t.Errorf("%v takes %d bytes, want %d", d.DType(), d.Bytes(), want)
		}
	}
}

func TestParseDType(t *testing.T) {
	for _, d := range []DType{Float32, BFloat16, Int8} {
		if got, err := ParseDType(d.String()); err != nil || got != d {
			t.Errorf("ParseDType(%q) = %v, %v", d, got, err)
		}
	}
	if _, err := ParseDType("int4"); err == nil {
		t.Error("int4 is none of ours")
	}
}
