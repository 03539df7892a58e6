package bench

import (
	"math"
	"testing"

	"causerie/models/gpt2"
	"causerie/models/kernels"
)

// TestWorkOfOneToken counts the weights of a real network.
func TestWorkOfOneToken(t *testing.T) {
	c, err := ParseShape("64x2x2x300x128")
	if err != nil {
		t.Fatal(err)
	}
	net, err := gpt2.New(c)
	if err != nil {
		t.Fatal(err)
	}
	matrices := 0
	for _, p := range net.Params() {
		if len(p.Shape) == 2 && p.Name != "wpe.weight" {
			matrices += p.Shape[0] * p.Shape[1]
		}
	}
	l := load{config: c, weightBytes: 4, cacheValue: 4}
	if got := l.stepBytes(); got != 4*float64(matrices) {
		t.Errorf("a step reads %v bytes, the matrices have %d", got, 4*matrices)
	}
	if got := l.decodeStep(3, 0).products; got != 2*3*float64(matrices) {
		t.Errorf("a step of 3 streams has %v operations, want %d", got, 2*3*matrices)
	}
	cache := net.NewCache()
	if err := cache.Reserve(cache.Cap()); err != nil {
		t.Fatal(err)
	}
	if got, want := l.cacheBytes()*float64(cache.Cap()), float64(cache.Bytes()); got != want {
		t.Errorf("a full KV cache takes %v bytes, by the limits %v", want, got)
	}
}

// TestPrefillIsDecoding: the operations of a prompt are those of its tokens one
// by one, but for the logits that nobody asks for.
func TestPrefillIsDecoding(t *testing.T) {
	c, err := ParseShape("124M")
	if err != nil {
		t.Fatal(err)
	}
	l := load{config: c, weightBytes: 1, cacheValue: 2}
	var products, attention float64
	const n = 40
	for i := range n {
		step := l.decodeStep(1, float64(i+1))
		products += step.products - 2*l.head()
		attention += step.attention
	}
	got := l.prefill(n)
	if got.products != products+2*l.head() || got.attention != attention {
		t.Errorf("prefill(%d) = %+v, its tokens make %v and %v", n, got, products+2*l.head(), attention)
	}
	if e := l.embed(2, n); e.products != 2*products || e.attention != 2*attention {
		t.Errorf("embed(2, %d) = %+v, want twice %v and %v", n, e, products, attention)
	}
}

func TestAtBest(t *testing.T) {
	c := ceiling{products: 100, float32: 50, bandwidth: 10}
	for _, test := range []struct {
		w       work
		seconds float64
		by      string
	}{
		{work{products: 100, attention: 50, bytes: 10}, 2, byArithmetic},
		{work{products: 100, attention: 50, bytes: 30}, 3, byMemory},
		{work{products: 100, bytes: 11}.times(2), 2.2, byMemory},
	} {
		if s, by := test.w.atBest(c); math.Abs(s-test.seconds) > 1e-12 || by != test.by {
			t.Errorf("%+v takes %v s by %s, want %v by %s", test.w, s, by, test.seconds, test.by)
		}
	}
}

func TestRuler(t *testing.T) {
	r := newRuler(2, quickBytes)
	defer r.close()
	for _, size := range []float64{1, 1 << 20, 3e6, bufferBytes, 2 * bufferBytes} {
		for _, p := range []*kernels.Pool{nil, r.all} {
			if b := r.bandwidth(p, size); b < 1e8 || b > 1e13 {
				t.Errorf("%d threads read %v bytes at %v bytes/s", p.Threads(), size, b)
			}
		}
	}
	for _, d := range dtypes {
		if p := r.peak(d); p < 1e8 || p > 1e15 {
			t.Errorf("peak of %s: %v operations/s", d, p)
		}
	}
}
