package kernels

import (
	"math"

	"causerie/models/float16"
)

// The parts of a narrow product in plain Go: what the assembly of gen/narrow.go
// must match bit for bit.

// quantizeWideGeneric puts four integers in a cell of two words: numbers 0 and
// 2 in the first, 1 and 3 in the second, 16 bits each.
func (c rowCells) quantizeWideGeneric(x []float32, inverse float32) {
	for s := 0; len(x) > 0; s++ {
		q, n := quantizeStep(x, inverse)
		cell := c.to[s*c.stride : s*c.stride+2]
		cell[0] = uint32(uint16(q[0])) | uint32(q[2])<<16
		cell[1] = uint32(uint16(q[1])) | uint32(q[3])<<16
		x = x[n:]
	}
}

// quantizeBytesGeneric puts four integers in a word, and what does not fit a
// byte into the list: x begins with step first, and a panel's steps are at
// bytes apart. It returns the integers' sum.
func (c rowCells) quantizeBytesGeneric(x []float32, inverse float32, list []outlier, at, first int) (int32, []outlier) {
	var sum int32
	for s := 0; len(x) > 0; s++ {
		q, n := quantizeStep(x, inverse)
		var low, high uint32
		for i, v := range q {
			sum += v
			l, h := digits(v)
			low |= uint32(uint8(l)) << (8 * i)
			high |= uint32(uint8(h)) << (8 * i)
		}
		c.to[s*c.stride] = low
		if high != 0 {
			list = append(list, outlier{int32((first + s) * at), high})
		}
		x = x[n:]
	}
	return sum, list
}

// quantizeStep rounds up to four values to integers.
func quantizeStep(x []float32, inverse float32) (q [4]int32, n int) {
	n = min(4, len(x))
	for i, v := range x[:n] {
		q[i] = roundToEven(v * inverse)
	}
	return q, n
}

// digits takes q apart: q = 128·h + l, h being 0 when q fits a byte.
func digits(q int32) (l, h int32) {
	if -int8Max <= q && q <= int8Max {
		return q, 0
	}
	h = (q + 64) >> 7
	return q - h<<7, h
}

// roundPairsGeneric rounds pairs of values to bfloat16: as one word, the first
// in its lower half, or as two float32 values, the second one first.
func (c rowCells) roundPairsGeneric(x []float32) {
	for s := 0; len(x) > 0; s++ {
		first, second := ToBFloat16(x[0]), uint16(0)
		if len(x) > 1 {
			second = ToBFloat16(x[1])
		}
		cell := c.to[s*c.stride : s*c.stride+c.words]
		if c.words == 1 {
			cell[0] = uint32(first) | uint32(second)<<16
		} else {
			cell[0], cell[1] = uint32(second)<<16, uint32(first)<<16
		}
		x = x[min(2, len(x)):]
	}
}

func (t *narrowTileArgs) runGeneric(d DType) {
	if d == Int8 {
		t.runInt8Generic()
	} else {
		t.runBFloat16Generic()
	}
}

// runInt8Generic is the int8 tile over cells of two words.
func (t *narrowTileArgs) runInt8Generic() {
	for i := range t.rows {
		for j := range t.cols {
			var sum int32
			for s := range t.steps {
				cell, w := t.a[2*(s*t.rows+i):], t.b[s*t.width+j]^int8Zeros
				sum += int32(int16(cell[0]))*int32(int8(w)) + int32(int16(cell[1]))*int32(int8(w>>8)) +
					int32(int16(cell[0]>>16))*int32(int8(w>>16)) + int32(int16(cell[1]>>16))*int32(int8(w>>24))
			}
			var bias float32
			if t.bias != nil {
				bias = t.bias[j]
			}
			t.y[i*t.ystep+j] = fma32(float32(sum), t.meta[i].scale*t.scales[j], bias)
		}
	}
}

// runBFloat16Generic is the bfloat16 tile over cells of two words.
func (t *narrowTileArgs) runBFloat16Generic() {
	for i := range t.rows {
		for j := range t.cols {
			var acc float32
			for s := range t.steps {
				cell, w := t.a[2*(s*t.rows+i):], t.b[s*t.width+j]
				acc = fma32(math.Float32frombits(cell[0]), float16.BFloatFromBits(uint16(w>>16)), acc)
				acc = fma32(math.Float32frombits(cell[1]), float16.BFloatFromBits(uint16(w)), acc)
			}
			var bias float32
			if t.bias != nil {
				bias = t.bias[j]
			}
			t.y[i*t.ystep+j] = acc + bias
		}
	}
}

func magnitudeGeneric(x []float32, largest, squares *[lanes]float32) {
	for i, v := range x {
		if a := float32(math.Abs(float64(v))); a > largest[i%lanes] {
			largest[i%lanes] = a
		}
		squares[i%lanes] = fma32(v, v, squares[i%lanes])
	}
}
