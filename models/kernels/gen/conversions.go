package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// magnitude writes the reduction that an activation's scale is made of.
func magnitude(s *isa) {
	s.function("magnitude", "x *float32, n int, largest, squares *float32",
		"raises the partial maxima to |x|, NaN being passed over, and adds x² to the partial sums.")
	x := s.stream("x")
	largest, saveLargest := s.partials("largest")
	squares, saveSquares := s.partials("squares")
	s.loop(func(u int) {
		v, a := x.load(u), s.vector()
		VFMADD231PS(v, v, squares[u])
		if s.avx512() {
			VPANDD(s.bits(0x7fffffff), v, a)
		} else {
			VPAND(s.bits(0x7fffffff), v, a)
		}
		VMAXPS(largest[u], a, largest[u])
	}, x)
	saveLargest()
	saveSquares()
	end()
}

// cells is where a conversion puts a row: a cell every step bytes.
type cells struct{ dst, step reg.GPVirtual }

func newCells() cells { return cells{pointer("dst"), pointer("step")} }

// put stores the four words of a vector in cells of their own.
func (c cells) put(x reg.VecVirtual) {
	for i := range 4 {
		if i == 0 {
			VMOVD(x, Mem{Base: c.dst})
		} else {
			VPEXTRD(Imm(uint64(i)), x, Mem{Base: c.dst})
		}
		ADDQ(c.step, c.dst)
	}
}

// putWide stores its two halves in cells of two words.
func (c cells) putWide(x reg.VecVirtual) {
	VMOVQ(x, Mem{Base: c.dst})
	ADDQ(c.step, c.dst)
	VPEXTRQ(Imm(1), x, Mem{Base: c.dst})
	ADDQ(c.step, c.dst)
}

// quarters calls f for each 128 bits of a vector.
func (s *isa) quarters(v reg.VecVirtual, f func(x reg.VecVirtual)) {
	for i := range s.lanes / 4 {
		x := XMM()
		if s.avx512() {
			VEXTRACTI32X4(Imm(uint64(i)), v, x)
		} else {
			VEXTRACTI128(Imm(uint64(i)), v, x)
		}
		f(x)
	}
}

// scaled loads vector u of x, scaled and rounded.
func (s *isa) scaled(x *stream, u int, inverse reg.VecVirtual) reg.VecVirtual {
	v := x.load(u)
	VMULPS(inverse, v, v)
	VCVTPS2DQ(v, v)
	return v
}

func quantizeBytes(s *isa) {
	s.function("quantizeBytes", "dst *uint32, step int, x *float32, n int, inverse float32, over *uint16, sums *int32",
		"rounds x*inverse to integers, four to a cell, and adds them to 16 partial sums. A bit in",
		"over tells that an integer lies beyond ±127; its byte is of no use then.")
	to, x, over := newCells(), s.stream("x"), pointer("over")
	inverse := s.broadcast("inverse")
	sums := s.vector()
	s.zero(sums)
	s.loop(func(u int) {
		v := s.scaled(x, u, inverse)
		VPADDD(v, sums, sums)
		size, beyond, bits, out := s.vector(), K(), GP32(), XMM()
		VPABSD(v, size)
		const greater = 6
		VPCMPUD(Imm(greater), s.bits(127), size, beyond)
		KMOVW(beyond, bits)
		MOVW(bits.As16(), Mem{Base: over})
		ADDQ(Imm(2), over)
		VPMOVSDB(v, out)
		to.put(out)
	}, x)
	VMOVUPS(sums, Mem{Base: pointer("sums")})
	end()
}

func quantizeWide(s *isa) {
	s.function("quantizeWide", "dst *uint32, step int, x *float32, n int, inverse float32",
		"rounds x*inverse to 16-bit integers, four to a cell in the order 0, 2, 1, 3.")
	to, x := newCells(), s.stream("x")
	inverse := s.broadcast("inverse")
	s.loop(func(u int) {
		v := s.scaled(x, u, inverse)
		VPSHUFD(Imm(0b11_01_10_00), v, v)
		VPACKSSDW(v, v, v)
		s.quarters(v, func(q reg.VecVirtual) {
			VMOVQ(q, Mem{Base: to.dst})
			ADDQ(to.step, to.dst)
		})
	}, x)
	end()
}

// rounded is v rounded to bfloat16, in the upper halves.
func (s *isa) rounded(v reg.VecVirtual) reg.VecVirtual {
	r := s.vector()
	VPSRLD(Imm(16), v, r)
	if s.avx512() {
		VPANDD(s.bits(1), r, r)
	} else {
		VPAND(s.bits(1), r, r)
	}
	VPADDD(s.bits(0x7fff), r, r)
	VPADDD(v, r, r)
	const unordered = 3
	if s.avx512() {
		nan, denormal := K(), K()
		VCMPPS(Imm(unordered), v, v, nan)
		VPORD(s.bits(1<<22), v, nan, r) // stays NaN
		VPTESTNMD(s.bits(0x7f800000), r, denormal)
		VPANDD(s.bits(1<<31), r, denormal, r)
		VPANDD(s.bits(0xffff0000), r, r)
		return r
	}
	nan, quiet := s.vector(), s.vector()
	VCMPPS(Imm(unordered), v, v, nan)
	VPOR(s.bits(1<<22), v, quiet)
	VBLENDVPS(nan, quiet, r, r)
	exponent, zero := s.vector(), s.vector()
	VPAND(s.bits(0x7f800000), r, exponent)
	s.zero(zero)
	VPCMPEQD(zero, exponent, exponent)
	VPAND(s.bits(1<<31), r, zero)
	VBLENDVPS(exponent, zero, r, r)
	VPAND(s.bits(0xffff0000), r, r)
	return r
}

func roundPairs(s *isa) {
	s.function("roundPairs", "dst *uint32, step int, x *float32, n int",
		"rounds x to bfloat16, two to a cell.")
	to, x := newCells(), s.stream("x")
	s.loop(func(u int) {
		r, second, out := s.rounded(x.load(u)), s.vector(), YMM()
		VPSRLQ(Imm(32), r, second)
		VPSRLD(Imm(16), r, r)
		VPORD(second, r, r)
		VPMOVQD(r, out)
		for i := range 2 {
			half := XMM()
			VEXTRACTI128(Imm(uint64(i)), out, half)
			to.put(half)
		}
	}, x)
	end()
}

func roundWide(s *isa) {
	s.function("roundWide", "dst *uint32, step int, x *float32, n int",
		"rounds x to bfloat16 and puts two to a cell as float32, the second one first.")
	to, x := newCells(), s.stream("x")
	s.loop(func(u int) {
		r := s.rounded(x.load(u))
		VPSHUFD(Imm(0b10_11_00_01), r, r)
		s.quarters(r, to.putWide)
	}, x)
	end()
}

// fetch writes the kernel that asks for memory.
func fetch(s *isa) {
	s.function("fetch", "b *uint32, lines int", "asks for cache lines from b on.")
	b, lines := pointer("b"), pointer("lines")
	Label("line")
	PREFETCHT1(Mem{Base: b})
	ADDQ(Imm(64), b)
	DECQ(lines)
	JNZ(LabelRef("line"))
	RET()
}

// read writes the loop that does nothing but read.
func read(s *isa) {
	s.function("read", "b *uint32, n, ahead int", "reads n times 256 bytes from b on, and asks for what lies so many bytes ahead.")
	b, n, ahead := pointer("b"), pointer("n"), pointer("ahead")
	v := s.regs(4)
	Label("again")
	for at := 0; at < 256; at += 64 {
		PREFETCHT1(Mem{Base: b, Index: ahead, Scale: 1, Disp: at})
	}
	for at := 0; at < 256; at += s.bytes() {
		VMOVUPS(Mem{Base: b, Disp: at}, v[at/s.bytes()%4])
	}
	ADDQ(I32(256), b)
	DECQ(n)
	JNZ(LabelRef("again"))
	end()
}
