package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
)

// pairs writes the tiles of products whose operands are both rounded to
// bfloat16, and the packing that rounds them. A pair is a word: the even element
// of k in its lower half.
func pairs(s *isa) {
	for rows := 1; rows <= s.rows; rows++ {
		(&tile{isa: s, rows: rows, panels: 1, pairs: true}).write()
	}
	roundRow(s)
	roundColumns(s)
}

// roundRow writes the kernel for operands in which k runs along a row.
func roundRow(s *isa) {
	s.function("roundRow", "dst *uint32, x *float32, n int", "rounds x to bfloat16, two to a word.")
	dst, x := pointer("dst"), s.stream("x")
	s.loop(func(u int) {
		r, second, out := s.rounded(x.load(u)), s.vector(), YMM()
		VPSRLQ(Imm(32), r, second)
		VPSRLD(Imm(16), r, r)
		VPORD(second, r, r)
		VPMOVQD(r, out)
		VMOVUPS(out, Mem{Base: dst})
		ADDQ(Imm(32), dst)
	}, x)
	end()
}

// roundColumns writes the kernel for operands in which k runs down the columns.
func roundColumns(s *isa) {
	s.function("roundColumns", "dst *uint32, dstep int, src *float32, sstep, cols, pairs int",
		"rounds pairs of rows of cols elements, of which there are at most 32, to",
		"bfloat16, two to a word; steps are in bytes.")
	dst, dstep, src, sstep := pointer("dst"), pointer("dstep"), pointer("src"), pointer("sstep")
	masks, count := masks512(pointer("cols")), pointer("pairs")
	TESTQ(count, count)
	JZ(LabelRef("rounded"))
	Label("pair")
	second := GP64()
	LEAQ(Mem{Base: src, Index: sstep, Scale: 1}, second)
	for j, mask := range masks {
		at := j * s.bytes()
		low, high := s.vector(), s.vector()
		VMOVUPS_Z(Mem{Base: src, Disp: at}, mask, low)
		VMOVUPS_Z(Mem{Base: second, Disp: at}, mask, high)
		low, high = s.rounded(low), s.rounded(high)
		VPSRLD(Imm(16), low, low)
		VPORD(high, low, low)
		VMOVUPS(low, mask, Mem{Base: dst, Disp: at})
	}
	LEAQ(Mem{Base: second, Index: sstep, Scale: 1}, src)
	ADDQ(dstep, dst)
	DECQ(count)
	JNZ(LabelRef("pair"))
	Label("rounded")
	end()
}
