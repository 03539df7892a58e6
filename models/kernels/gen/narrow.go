package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// narrow writes the tiles of products with int8 and bfloat16 weights, and the
// conversions of what they are multiplied with.
func narrow(s *isa) {
	for rows := 1; rows <= s.narrowRows(); rows++ {
		if s.avx512() {
			(&narrowTile{isa: s, rows: rows, dots: byteDots{s}}).write()
			(&narrowTile{isa: s, rows: rows, dots: pairDots{s}}).write()
		}
		(&narrowTile{isa: s, rows: rows, dots: wideIntDots{s}}).write()
		(&narrowTile{isa: s, rows: rows, dots: wideFloatDots{s}}).write()
	}
	magnitude(s)
	if s.avx512() {
		quantizeBytes(s)
		roundPairs(s)
		peakDots(s, "Bytes", "VPDPBUSD", byteDots{s})
		peakDots(s, "Pairs", "VDPBF16PS", pairDots{s})
	}
	quantizeWide(s)
	roundWide(s)
	fetch(s)
	read(s)
	halves(s)
}

// narrowRows is the most rows of a tile: what the registers hold.
func (s *isa) narrowRows() int {
	if s.avx512() {
		return 12
	}
	return 4
}

// dots is how a tile multiplies a step of two vectors of the weight, a word an
// output, by the cells of its rows, and what it makes of the sums.
type dots interface {
	name() string
	words() int     // of a cell
	integers() bool // the sums are integers: they may be split, and scaled in the end
	// prepare loads the step's two vectors of the weight.
	prepare(b Mem) []reg.VecVirtual
	// add adds a cell's products with them to two sums.
	add(cell Mem, w, acc []reg.VecVirtual)
}

// byteDots multiplies four bytes of x and of the weight at once.
type byteDots struct{ *isa }

func (byteDots) name() string   { return "Bytes" }
func (byteDots) words() int     { return 1 }
func (byteDots) integers() bool { return true }

func (d byteDots) prepare(b Mem) []reg.VecVirtual { return d.load(b) }

func (d byteDots) add(cell Mem, w, acc []reg.VecVirtual) {
	x := d.vector()
	VPBROADCASTD(cell, x)
	for j := range acc {
		VPDPBUSD(x, w[j], acc[j])
	}
}

// pairDots multiplies two bfloat16 values of each at once. The assembler lacks
// VDPBF16PS; spell, in spell.go, turns what stands here into it.
type pairDots struct{ *isa }

func (pairDots) name() string   { return "Pairs" }
func (pairDots) words() int     { return 1 }
func (pairDots) integers() bool { return false }

func (d pairDots) prepare(b Mem) []reg.VecVirtual { return d.load(b) }

func (d pairDots) add(cell Mem, w, acc []reg.VecVirtual) {
	x := d.vector()
	VPBROADCASTD(cell, x)
	for j := range acc {
		VPDPWSSD(x, w[j], acc[j])
	}
}

// wideIntDots is byteDots for processors without that instruction: 16-bit integers
// of x, of which numbers 0 and 2 are in a cell's first word.
type wideIntDots struct{ *isa }

func (wideIntDots) name() string   { return "WideInts" }
func (wideIntDots) words() int     { return 2 }
func (wideIntDots) integers() bool { return true }

func (d wideIntDots) prepare(b Mem) []reg.VecVirtual {
	var even, odd []reg.VecVirtual
	for _, w := range d.load(b) {
		e := d.vector()
		if d.avx512() {
			VPXORD(d.bits(0x80808080), w, w)
		} else {
			VPXOR(d.bits(0x80808080), w, w)
		}
		VPSLLW(Imm(8), w, e)
		VPSRAW(Imm(8), e, e)
		VPSRAW(Imm(8), w, w)
		even, odd = append(even, e), append(odd, w)
	}
	return append(even, odd...)
}

func (d wideIntDots) add(cell Mem, w, acc []reg.VecVirtual) {
	for half := range 2 {
		x := d.vector()
		VPBROADCASTD(cell.Offset(4*half), x)
		for j := range acc {
			t := d.vector()
			VPMADDWD(x, w[2*half+j], t)
			VPADDD(t, acc[j], acc[j])
		}
	}
}

// wideFloatDots is pairDots for processors without that instruction: the pair's
// second value first, both as float32.
type wideFloatDots struct{ *isa }

func (wideFloatDots) name() string   { return "WideFloats" }
func (wideFloatDots) words() int     { return 2 }
func (wideFloatDots) integers() bool { return false }

func (d wideFloatDots) prepare(b Mem) []reg.VecVirtual {
	var first, second []reg.VecVirtual
	for _, w := range d.load(b) {
		f := d.vector()
		VPSLLD(Imm(16), w, f)
		if d.avx512() {
			VPANDD(d.bits(0xffff0000), w, w)
		} else {
			VPAND(d.bits(0xffff0000), w, w)
		}
		first, second = append(first, f), append(second, w)
	}
	return append(second, first...)
}

func (d wideFloatDots) add(cell Mem, w, acc []reg.VecVirtual) {
	for half := range 2 {
		x := d.vector()
		VBROADCASTSS(cell.Offset(4*half), x)
		for j := range acc {
			VFMADD231PS(x, w[2*half+j], acc[j])
		}
	}
}

// load loads two vectors that lie side by side.
func (s *isa) load(b Mem) []reg.VecVirtual {
	v := s.regs(2)
	for j := range v {
		VMOVUPS(b.Offset(j*s.bytes()), v[j])
	}
	return v
}

// A narrowTile is rows × two vectors of y, kept in registers for all of K.
type narrowTile struct {
	*isa
	dots
	rows int
	acc  [][]reg.VecVirtual // [row][vector], and again when the sums are split
}

func (t *narrowTile) id(label string) string { return fmt.Sprintf("%s%s%d", label, t.name(), t.rows) }

func (t *narrowTile) write() {
	signature := "steps int, a, b *uint32, ahead int, y *float32, ystep int, bias *float32"
	if t.integers() {
		signature += ", scales *float32, meta *uint32"
	}
	t.function(fmt.Sprintf("narrow%s%d", t.name(), t.rows), signature,
		fmt.Sprintf("multiplies %d row(s) by a panel; see narrowTileArgs.", t.rows))
	sets := 1
	if t.integers() && (t.rows < 3 || t.rows == 3 && t.avx512()) {
		sets = 2 // few sums would wait for one another
	}
	for range sets * t.rows {
		t.acc = append(t.acc, t.regs(2))
	}
	for _, sums := range t.acc {
		t.zero(sums[0])
		t.zero(sums[1])
	}
	t.multiply(sets)
	if t.integers() {
		t.finishIntegers()
	} else {
		t.finishFloats()
	}
	end()
}

// multiply runs over all steps, two at a time.
func (t *narrowTile) multiply(sets int) {
	steps, a, b, ahead := pointer("steps"), pointer("a"), pointer("b"), pointer("ahead")
	SHRQ(Imm(1), steps)
	JZ(LabelRef(t.id("done")))
	Label(t.id("loop"))
	wide, cell := 2*t.bytes(), 4*t.words()
	for half := range 2 {
		for at := 0; at < wide; at += 64 {
			PREFETCHT1(Mem{Base: b, Index: ahead, Scale: 1, Disp: half*wide + at})
		}
		w := t.prepare(Mem{Base: b, Disp: half * wide})
		for i := range t.rows {
			t.add(Mem{Base: a, Disp: (half*t.rows + i) * cell}, w, t.acc[half%sets*t.rows+i])
		}
	}
	ADDQ(I32(int32(2*t.rows*cell)), a)
	ADDQ(I32(int32(2*wide)), b)
	DECQ(steps)
	JNZ(LabelRef(t.id("loop")))
	Label(t.id("done"))
	for i := range (sets - 1) * t.rows {
		for j, v := range t.acc[t.rows+i] {
			VPADDD(v, t.acc[i][j], t.acc[i][j])
		}
	}
	t.acc = t.acc[:t.rows]
}

// finishFloats adds the bias and stores.
func (t *narrowTile) finishFloats() {
	y, ystep := pointer("y"), pointer("ystep")
	bias := t.load(Mem{Base: pointer("bias")})
	for _, sums := range t.acc {
		for j, v := range sums {
			VADDPS(bias[j], v, v)
			VMOVUPS(v, Mem{Base: y, Disp: j * t.bytes()})
		}
		ADDQ(ystep, y)
	}
}

// Where rowMeta keeps its fields.
const (
	metaCorrection = 0
	metaScale      = 4
	metaCount      = 8
	metaOutliers   = 16
	metaSize       = 24
)

// finishIntegers adds the outliers, scales, adds the bias and stores.
func (t *narrowTile) finishIntegers() {
	meta := pointer("meta")
	if t.words() == 1 {
		t.addOutliers(meta)
	}
	y, ystep := pointer("y"), pointer("ystep")
	bias, scales := t.load(Mem{Base: pointer("bias")}), t.load(Mem{Base: pointer("scales")})
	for i, sums := range t.acc {
		correction, scale := t.vector(), t.vector()
		VPBROADCASTD(Mem{Base: meta, Disp: i*metaSize + metaCorrection}, correction)
		VBROADCASTSS(Mem{Base: meta, Disp: i*metaSize + metaScale}, scale)
		for j, v := range sums {
			r := t.vector()
			VPSUBD(correction, v, v)
			VCVTDQ2PS(v, v)
			VMULPS(scale, scales[j], r)
			VFMADD213PS(bias[j], v, r)
			VMOVUPS(r, Mem{Base: y, Disp: j * t.bytes()})
		}
		ADDQ(ystep, y)
	}
}

// addOutliers multiplies the second digits.
func (t *narrowTile) addOutliers(meta reg.GPVirtual) {
	b, high := pointer("b"), t.regs(2)
	for i, sums := range t.acc {
		count, list, at := GP64(), GP64(), GP64()
		none, again := t.id(fmt.Sprintf("none%d", i)), t.id(fmt.Sprintf("again%d", i))
		MOVQ(Mem{Base: meta, Disp: i*metaSize + metaCount}, count)
		TESTQ(count, count)
		JZ(LabelRef(none))
		MOVQ(Mem{Base: meta, Disp: i*metaSize + metaOutliers}, list)
		t.zero(high[0])
		t.zero(high[1])
		Label(again)
		MOVLQSX(Mem{Base: list}, at)
		w := t.regs(2)
		for j := range w {
			VMOVUPS(Mem{Base: b, Index: at, Scale: 1, Disp: j * t.bytes()}, w[j])
		}
		t.add(Mem{Base: list, Disp: 4}, w, high)
		ADDQ(Imm(8), list)
		DECQ(count)
		JNZ(LabelRef(again))
		for j, v := range high {
			VPSLLD(Imm(7), v, v)
			VPADDD(v, sums[j], sums[j])
		}
		Label(none)
	}
}

// peakDots writes the loop that does nothing but the instruction.
func peakDots(s *isa, name, instruction string, d dots) {
	s.function("peak"+name, "n int", fmt.Sprintf("does n times %d %s.", peakChains, instruction))
	n, zero, acc := pointer("n"), s.vector(), s.regs(peakChains)
	s.zero(zero)
	for _, v := range acc {
		s.zero(v)
	}
	Label("again")
	for _, v := range acc {
		if d.integers() {
			VPDPBUSD(zero, zero, v)
		} else {
			VPDPWSSD(zero, zero, v)
		}
	}
	DECQ(n)
	JNZ(LabelRef("again"))
	end()
}
