package float16

import (
	"math"
	"testing"
)

// byDefinition computes a small float's value from the standard's formula:
// (-1)^s * 2^(e-bias) * (1 + f/2^fractionBits), or without the 1 for subnormals.
func byDefinition(h uint16, exponentBits, fractionBits int) float64 {
	bias := 1<<(exponentBits-1) - 1
	sign := 1.0
	if h>>15 == 1 {
		sign = -1
	}
	e := int(h>>fractionBits) & (1<<exponentBits - 1)
	f := float64(h&(1<<fractionBits-1)) / float64(int(1)<<fractionBits)
	switch {
	case e == 1<<exponentBits-1 && f != 0:
		return math.NaN()
	case e == 1<<exponentBits-1:
		return math.Inf(int(sign))
	case e == 0:
		return sign * math.Ldexp(f, 1-bias)
	}
	return sign * math.Ldexp(1+f, e-bias)
}

type format struct {
	name                       string
	exponentBits, fractionBits int
	decode                     func(uint16) float32
	encode                     func(float32) uint16
}

var formats = []format{
	{"F16", 5, 10, FromBits, Bits},
	{"BF16", 8, 7, BFloatFromBits, BFloatBits},
}

func TestEveryHalfIsExact(t *testing.T) {
	for _, f := range formats {
		for i := range 1 << 16 {
			h := uint16(i)
			want := byDefinition(h, f.exponentBits, f.fractionBits)
			got := f.decode(h)
			if math.IsNaN(want) {
				if got == got {
					t.Fatalf("%s %#04x: got %g, want NaN", f.name, h, got)
				}
				if back := f.encode(got); f.decode(back) == f.decode(back) || back>>15 != h>>15 {
					t.Fatalf("%s %#04x: NaN came back as %#04x", f.name, h, back)
				}
				continue
			}
			if float64(got) != want || math.Signbit(float64(got)) != math.Signbit(want) {
				t.Fatalf("%s %#04x: got %g, want %g", f.name, h, got, want)
			}
			if back := f.encode(got); back != h {
				t.Fatalf("%s %#04x: %g came back as %#04x", f.name, h, got, back)
			}
		}
	}
}

// Between two neighbours a and b: just below the middle goes to a, just above
// to b, and the middle itself to the one whose last bit is 0.
func TestRoundsToNearestEven(t *testing.T) {
	for _, f := range formats {
		infinity := uint16(1<<f.exponentBits-1) << f.fractionBits
		for h := uint16(0); h+1 < infinity; h++ {
			a, b := f.decode(h), f.decode(h+1)
			middle := a + (b-a)/2
			if middle == a || middle == b { // only the lowest float32 subnormals
				t.Fatalf("%s: no float32 between %g and %g", f.name, a, b)
			}
			even := h + h&1
			for _, sign := range []float32{1, -1} {
				s := uint16(0)
				if sign < 0 {
					s = 0x8000
				}
				below, above := math.Nextafter32(middle, 0), math.Nextafter32(middle, b)
				if got := f.encode(sign * below); got != s|h {
					t.Fatalf("%s: %g gives %#04x, want %#04x", f.name, sign*below, got, s|h)
				}
				if got := f.encode(sign * middle); got != s|even {
					t.Fatalf("%s: %g gives %#04x, want %#04x", f.name, sign*middle, got, s|even)
				}
				if got := f.encode(sign * above); got != s|(h+1) {
					t.Fatalf("%s: %g gives %#04x, want %#04x", f.name, sign*above, got, s|(h+1))
				}
			}
		}
	}
	for _, test := range []struct {
		in   float32
		want uint16
	}{
		{65504, 0x7bff}, {65519.996, 0x7bff}, {65520, 0x7c00}, {65536, 0x7c00}, {math.MaxFloat32, 0x7c00},
		{-65520, 0xfc00}, {0x1p-25, 0}, {0x1.000002p-25, 1}, {math.SmallestNonzeroFloat32, 0},
	} {
		if got := Bits(test.in); got != test.want {
			t.Errorf("F16: %g gives %#04x, want %#04x", test.in, got, test.want)
		}
	}
	if got := BFloatBits(math.MaxFloat32); got != 0x7f80 {
		t.Errorf("BF16: the largest float32 gives %#04x, want infinity", got)
	}
	// A NaN whose payload lies in the lower half only must not become an infinity.
	for _, f := range formats {
		if got := f.decode(f.encode(math.Float32frombits(0x7f800001))); got == got {
			t.Errorf("%s: a NaN became %g", f.name, got)
		}
	}
}
