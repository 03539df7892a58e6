package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
)

// halves writes the conversions of 16-bit floats, and the product of one row
// with panels of them.
func halves(s *isa) {
	s.function("toHalf", "dst *uint16, src *float32, n int", "rounds src to 16 bits; what is too large becomes the largest.")
	dst, src := s.halfStream("dst"), s.stream("src")
	s.loop(func(u int) {
		v := src.load(u)
		most, least := s.vector(), s.vector()
		VMOVUPS(s.float(65504), most)
		VMINPS(v, most, v) // NaN passes
		VMOVUPS(s.float(-65504), least)
		VMAXPS(v, least, v)
		const nearestEven = 0
		VCVTPS2PH(Imm(nearestEven), v, Mem{Base: dst.ptr, Disp: u * s.bytes() / 2})
	}, dst, src)
	end()

	s.function("fromHalf", "dst *float32, src *uint16, n int", "widens src.")
	dst, src = s.stream("dst"), s.halfStream("src")
	s.loop(func(u int) {
		v := s.vector()
		VCVTPH2PS(Mem{Base: src.ptr, Disp: u * s.bytes() / 2}, v)
		dst.store(v, u)
	}, dst, src)
	end()

	for _, panels := range []int{1, 2, 4} {
		if panels < 4 || !s.avx512() {
			rowHalf(s, panels)
		}
	}
}

// rowHalf writes the tile of one row.
func rowHalf(s *isa, panels int) {
	s.function(fmt.Sprintf("rowHalf%d", panels), "k int, a *float32, b *uint16, bpanel, ahead int, c *float32, load int",
		fmt.Sprintf("multiplies a row by %d panel(s) of 16-bit floats; bpanel and ahead are in bytes.", panels))
	acc := s.regs(2 * panels)
	id := fmt.Sprintf("half%d", panels)
	c, load := pointer("c"), pointer("load")
	for _, v := range acc {
		s.zero(v)
	}
	TESTQ(load, load)
	JZ(LabelRef(id + "start"))
	for j, v := range acc {
		VMOVUPS(Mem{Base: c, Disp: j * s.bytes()}, v)
	}
	Label(id + "start")
	k, a, ahead := pointer("k"), pointer("a"), pointer("ahead")
	o := operandB{panel: s.bytes(), bases: nil}
	o.bases = append(o.bases, pointer("b"))
	stride := pointer("bpanel")
	for range panels - 1 {
		base := GP64()
		LEAQ(Mem{Base: o.bases[len(o.bases)-1], Index: stride, Scale: 1}, base)
		o.bases = append(o.bases, base)
	}
	TESTQ(k, k)
	JZ(LabelRef(id + "done"))
	Label(id + "loop")
	o.prefetch(ahead)
	x := s.vector()
	VBROADCASTSS(Mem{Base: a}, x)
	for j, sum := range acc {
		v := s.vector()
		VCVTPH2PS(o.at(j*s.bytes()/2), v)
		VFMADD231PS(x, v, sum)
	}
	ADDQ(Imm(4), a)
	for _, base := range o.bases {
		ADDQ(Imm(uint64(s.bytes())), base)
	}
	DECQ(k)
	JNZ(LabelRef(id + "loop"))
	Label(id + "done")
	for j, v := range acc {
		VMOVUPS(v, Mem{Base: c, Disp: j * s.bytes()})
	}
	end()
}
