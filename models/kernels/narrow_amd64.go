package kernels

import (
	"unsafe"

	"golang.org/x/sys/cpu"
)

func detectNarrow() narrowInstructions {
	return narrowInstructions{bytes: cpu.X86.HasAVX512VNNI, pairs: cpu.X86.HasAVX512BF16}
}

// narrowTile is the most rows of a tile and the words of a cell.
func narrowTile(d DType) (rows, words int) {
	switch {
	case active != pathAVX512:
		return 4, 2
	case d == Int8 && instructions.bytes, d == BFloat16 && instructions.pairs:
		return 12, 1
	}
	return 12, 2
}

// The kernels of a narrow tile, by rows. ystep and ahead are in bytes.
type (
	int8Func     func(steps int, a, b *uint32, ahead int, y *float32, ystep int, bias, scales *float32, meta *uint32)
	bfloat16Func func(steps int, a, b *uint32, ahead int, y *float32, ystep int, bias *float32)
)

// noBias stands for a bias that is not there.
var noBias [32]float32

// ahead is how many bytes ahead of what it reads a tile asks for memory: the
// longer it takes over them, the further, as a processor that multiplies has
// less room to look ahead itself. The distances are measured.
func (t *narrowTileArgs) ahead() int {
	switch {
	case !t.fresh:
		return 0
	case t.rows <= 2:
		return 3 << 10
	}
	return 8 << 10
}

// run multiplies a tile. The kernels read and write all columns of a panel, so
// a last one that is not whole goes through a copy.
func (t *narrowTileArgs) run(d DType) {
	switch {
	case active == pathGeneric:
		t.runGeneric(d)
	case t.cols < t.width:
		t.runPart(d)
	case t.bias == nil:
		t.runWhole(d, &noBias[0])
	default:
		t.runWhole(d, &t.bias[0])
	}
}

func (t *narrowTileArgs) runPart(d DType) {
	var y [12 * 32]float32
	var bias [32]float32
	copy(bias[:], t.bias)
	inner := *t
	inner.y, inner.ystep = y[:], t.width
	inner.runWhole(d, &bias[0])
	for i := range t.rows {
		copy(t.y[i*t.ystep:i*t.ystep+t.cols], y[i*t.width:])
	}
}

func (t *narrowTileArgs) runWhole(d DType, bias *float32) {
	if d == Int8 {
		int8Kernels()[t.rows](t.steps, &t.a[0], &t.b[0], t.ahead(), &t.y[0], 4*t.ystep, bias, &t.scales[0], (*uint32)(unsafe.Pointer(&t.meta[0])))
		return
	}
	bfloat16Kernels()[t.rows](t.steps, &t.a[0], &t.b[0], t.ahead(), &t.y[0], 4*t.ystep, bias)
}

func int8Kernels() []int8Func {
	switch {
	case active == pathAVX512 && instructions.bytes:
		return bytesAVX512[:]
	case active == pathAVX512:
		return wideIntsAVX512[:]
	}
	return wideIntsAVX2[:]
}

func bfloat16Kernels() []bfloat16Func {
	switch {
	case active == pathAVX512 && instructions.pairs:
		return pairsAVX512[:]
	case active == pathAVX512:
		return wideFloatsAVX512[:]
	}
	return wideFloatsAVX2[:]
}

func (c rowCells) quantizeWide(x []float32, inverse float32) {
	n := whole(len(x))
	switch {
	case n == 0 || active == pathGeneric:
		n = 0
	case active == pathAVX512:
		quantizeWideAVX512(&c.to[0], 4*c.stride, &x[0], n, inverse)
	case active == pathAVX2:
		quantizeWideAVX2(&c.to[0], 4*c.stride, &x[0], n, inverse)
	}
	c.after(n/4).quantizeWideGeneric(x[n:], inverse)
}

func (c rowCells) quantizeBytes(x []float32, inverse float32, list []outlier, at int) (int32, []outlier) {
	n := whole(len(x))
	var over [64]uint16 // of one kernel call
	var sum int32
	for first := 0; first < n; first += 16 * len(over) {
		part := x[first:min(n, first+16*len(over))]
		var sums [16]int32
		quantizeBytesAVX512(&c.to[first/4*c.stride], 4*c.stride, &part[0], len(part), inverse, &over[0], &sums[0])
		for _, s := range sums {
			sum += s
		}
		for i, beyond := range over[:len(part)/16] {
			for word := range 4 {
				if step := i*4 + word; beyond>>(4*word)&15 != 0 {
					_, list = c.after(first/4+step).quantizeBytesGeneric(part[4*step:4*step+4], inverse, list, at, first/4+step)
				}
			}
		}
	}
	rest, list := c.after(n/4).quantizeBytesGeneric(x[n:], inverse, list, at, n/4)
	return sum + rest, list
}

func (c rowCells) roundPairs(x []float32) {
	n := whole(len(x))
	switch {
	case n == 0 || active == pathGeneric:
		n = 0
	case active == pathAVX512 && c.words == 1:
		roundPairsAVX512(&c.to[0], 4*c.stride, &x[0], n)
	case active == pathAVX512:
		roundWideAVX512(&c.to[0], 4*c.stride, &x[0], n)
	case active == pathAVX2:
		roundWideAVX2(&c.to[0], 4*c.stride, &x[0], n)
	}
	c.after(n / 2).roundPairsGeneric(x[n:])
}

func magnitudeBlocks(x []float32, largest, squares *[lanes]float32) {
	switch active {
	case pathAVX512:
		magnitudeAVX512(unsafe.SliceData(x), len(x), &largest[0], &squares[0])
	case pathAVX2:
		magnitudeAVX2(unsafe.SliceData(x), len(x), &largest[0], &squares[0])
	default:
		magnitudeGeneric(x, largest, squares)
	}
}

var bytesAVX512 = [...]int8Func{nil,
	narrowBytes1AVX512, narrowBytes2AVX512, narrowBytes3AVX512, narrowBytes4AVX512,
	narrowBytes5AVX512, narrowBytes6AVX512, narrowBytes7AVX512, narrowBytes8AVX512,
	narrowBytes9AVX512, narrowBytes10AVX512, narrowBytes11AVX512, narrowBytes12AVX512,
}

var wideIntsAVX512 = [...]int8Func{nil,
	narrowWideInts1AVX512, narrowWideInts2AVX512, narrowWideInts3AVX512, narrowWideInts4AVX512,
	narrowWideInts5AVX512, narrowWideInts6AVX512, narrowWideInts7AVX512, narrowWideInts8AVX512,
	narrowWideInts9AVX512, narrowWideInts10AVX512, narrowWideInts11AVX512, narrowWideInts12AVX512,
}

var wideIntsAVX2 = [...]int8Func{nil,
	narrowWideInts1AVX2, narrowWideInts2AVX2, narrowWideInts3AVX2, narrowWideInts4AVX2,
}

var pairsAVX512 = [...]bfloat16Func{nil,
	narrowPairs1AVX512, narrowPairs2AVX512, narrowPairs3AVX512, narrowPairs4AVX512,
	narrowPairs5AVX512, narrowPairs6AVX512, narrowPairs7AVX512, narrowPairs8AVX512,
	narrowPairs9AVX512, narrowPairs10AVX512, narrowPairs11AVX512, narrowPairs12AVX512,
}

var wideFloatsAVX512 = [...]bfloat16Func{nil,
	narrowWideFloats1AVX512, narrowWideFloats2AVX512, narrowWideFloats3AVX512, narrowWideFloats4AVX512,
	narrowWideFloats5AVX512, narrowWideFloats6AVX512, narrowWideFloats7AVX512, narrowWideFloats8AVX512,
	narrowWideFloats9AVX512, narrowWideFloats10AVX512, narrowWideFloats11AVX512, narrowWideFloats12AVX512,
}

var wideFloatsAVX2 = [...]bfloat16Func{nil,
	narrowWideFloats1AVX2, narrowWideFloats2AVX2, narrowWideFloats3AVX2, narrowWideFloats4AVX2,
}

// fetchLines asks for cache lines from b on.
func fetchLines(b *uint32, lines int) {
	switch active {
	case pathAVX512:
		fetchAVX512(b, lines)
	case pathAVX2:
		fetchAVX2(b, lines)
	}
}
