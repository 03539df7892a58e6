package kernels

import "causerie/models/float16"

// Keys and values may be kept in 16 bits (IEEE 754 binary16): decoding reads
// all of them for each token. They are widened when they are read, so products
// with them are those of float32 in the canonical order.

// largestHalf is the largest finite 16-bit float.
const largestHalf = 65504

// ToHalf rounds src to 16 bits, ties to even; dst has its length. What is too
// large becomes the largest, NaN stays NaN.
func ToHalf(dst []uint16, src []float32) {
	need("ToHalf dst", len(dst), len(src))
	n := whole(len(src))
	toHalfBlocks(dst[:n], src[:n])
	toHalfGeneric(dst[n:], src[n:])
}

// FromHalf widens src; dst has its length.
func FromHalf(dst []float32, src []uint16) {
	need("FromHalf dst", len(dst), len(src))
	n := whole(len(src))
	fromHalfBlocks(dst[:n], src[:n])
	fromHalfGeneric(dst[n:], src[n:])
}

// RowTimesHalfPanels is GemmPanels for one row a[k] and panels in 16 bits:
// c[n] = a·B, or c + a·B, with panel t of B at b[t*panelStride]. While it reads
// it asks memory for what lies ahead elements further on, at its own pace: a
// processor drops requests that come all at once.
func RowTimesHalfPanels(c, a []float32, b []uint16, panelStride, n, k int, accumulate bool, ahead int) {
	w := PanelWidth()
	need("RowTimesHalfPanels c", len(c), n)
	need("RowTimesHalfPanels a", len(a), k)
	if n > 0 && k > 0 {
		need("RowTimesHalfPanels b", len(b), (n-1)/w*panelStride+k*w)
	}
	for j := 0; j < n; {
		panels := halfPanels((n - j) / w)
		var part []uint16
		if k > 0 {
			part = b[j/w*panelStride:]
		}
		if panels == 0 { // a last panel that is not whole
			var last [32]float32
			copy(last[:], c[j:n])
			rowTimesHalf(last[:w], a[:k], part, panelStride, 1, accumulate, ahead)
			copy(c[j:n], last[:])
			return
		}
		rowTimesHalf(c[j:j+panels*w], a[:k], part, panelStride, panels, accumulate, ahead)
		j += panels * w
	}
}

func toHalfGeneric(dst []uint16, src []float32) {
	for i, x := range src {
		dst[i] = toHalf(x)
	}
}

func fromHalfGeneric(dst []float32, src []uint16) {
	for i, h := range src {
		dst[i] = float16.FromBits(h)
	}
}

// toHalf is the nearest 16-bit float, or the largest.
func toHalf(x float32) uint16 {
	switch { // NaN passes
	case x > largestHalf:
		x = largestHalf
	case x < -largestHalf:
		x = -largestHalf
	}
	return float16.Bits(x)
}

// rowTimesHalfGeneric multiplies panel by panel.
func rowTimesHalfGeneric(c, a []float32, b []uint16, panelStride, panels int, accumulate bool) {
	w := len(c) / panels
	for j := range c {
		var acc float32
		if accumulate {
			acc = c[j]
		}
		for p, x := range a {
			acc = fma32(x, float16.FromBits(b[j/w*panelStride+p*w+j%w]), acc)
		}
		c[j] = acc
	}
}
