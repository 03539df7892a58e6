package kernels

import (
	"fmt"
	"math"
	"testing"

	"causerie/models/float16"
)

// TestHalfOfEveryValue: all 16-bit floats come back as they are, and what lies
// half-way between two goes to the even one.
func TestHalfOfEveryValue(t *testing.T) {
	all := make([]uint16, 1<<16)
	for i := range all {
		all[i] = uint16(i)
	}
	onPaths(t, func(t *testing.T) {
		wide, back := make([]float32, len(all)), make([]uint16, len(all))
		FromHalf(wide, all)
		ToHalf(back, wide)
		for i, h := range all {
			want := h
			switch {
			case h&0x7fff > 0x7c00: // NaN becomes quiet
				want |= 0x200
			case h&0x7fff == 0x7c00: // infinity becomes the largest
				want = h - 1
			}
			if back[i] != want {
				t.Fatalf("%#04x became %v and came back as %#04x", h, wide[i], back[i])
			}
			if exponent := int(h >> 10 & 31); exponent < 31 {
				value := float64(h&0x3ff)*0x1p-24 + 0
				if exponent > 0 {
					value = math.Ldexp(float64(h&0x3ff|0x400), exponent-25)
				}
				if got := math.Abs(float64(wide[i])); got != value {
					t.Fatalf("%#04x is %v, want %v", h, got, value)
				}
			}
		}
		var between []float32
		for _, h := range all[:0x7bff] {
			between = append(between, (float16.FromBits(h)+float16.FromBits(h+1))/2)
		}
		got := make([]uint16, len(between))
		ToHalf(got, between)
		for i, h := range got {
			if want := uint16(i + i&1); h != want {
				t.Fatalf("half-way after %#04x went to %#04x, want %#04x", i, h, want)
			}
		}
	})
}

func TestRowTimesHalfPanels(t *testing.T) {
	r := newRand(20)
	onPaths(t, func(t *testing.T) {
		w := PanelWidth()
		for _, size := range [][2]int{{64, 64}, {64, 65}, {1, 3}, {50, 20}, {96, 64}, {200, 7}, {33, 0}} {
			n, k := size[0], size[1]
			stride := k*w + 8
			b, a := make([]uint16, (n+w-1)/w*stride+1), random(r, k)
			ToHalf(b, random(r, len(b)))
			wide := make([]float32, len(b))
			FromHalf(wide, b)
			for _, accumulate := range []bool{false, true} {
				got := random(r, n)
				want := clone(got)
				GemmPanels(nil, want, n, a, k, 1, wide, stride, 1, n, k, accumulate)
				RowTimesHalfPanels(got, a, b, stride, n, k, accumulate, len(b)*r.IntN(3)) // also beyond the end
				sameBits(t, fmt.Sprintf("%dx%d", n, k), got, want)
			}
		}
	})
}
