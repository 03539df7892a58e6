package main

import (
	"github.com/mmcloughlin/avo/attr"
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// block is how many elements a vector kernel takes at a time. It is the number
// of partial sums of a reduction too, so that the lanes of one block are the
// partial sums, whatever the width of a vector.
const block = 32

// vectors writes the kernels that walk along rows. Their n is a multiple of
// block; the Go side sees to what is left over.
func vectors(s *isa) {
	exponentials(s)
	reductions(s)
	elementwise(s)
	activations(s)
	exactActivations(s)
	norms(s)
	optimizer(s)
}

// A stream is a pointer that moves along a row with the others.
type stream struct {
	*isa
	ptr  reg.GPVirtual
	size int // of an element in memory
}

func (s *isa) stream(param string) *stream { return &stream{s, pointer(param), 4} }

// halfStream is a stream of 16-bit floats.
func (s *isa) halfStream(param string) *stream { return &stream{s, pointer(param), 2} }

// load loads the block's vector u.
func (x *stream) load(u int) reg.VecVirtual {
	v := x.vector()
	VMOVUPS(x.at(u), v)
	return v
}

// at is the block's vector u as a memory operand.
func (x *stream) at(u int) Mem { return Mem{Base: x.ptr, Disp: u * x.bytes()} }

func (x *stream) store(v reg.VecVirtual, u int) { VMOVUPS(v, x.at(u)) }

// units is how many vectors a block is.
func (s *isa) units() int { return block / s.lanes }

// loop runs body for every vector u of every block of the streams.
func (s *isa) loop(body func(u int), streams ...*stream) {
	n := pointer("n")
	SHRQ(Imm(5), n)
	JZ(LabelRef("done"))
	Label("loop")
	for u := range s.units() {
		body(u)
	}
	for _, x := range streams {
		ADDQ(Imm(uint64(x.size*block)), x.ptr)
	}
	DECQ(n)
	JNZ(LabelRef("loop"))
	Label("done")
}

// partials loads the partial sums a reduction continues.
func (s *isa) partials(param string) (acc []reg.VecVirtual, save func()) {
	ptr := pointer(param)
	acc = s.regs(s.units())
	for u, v := range acc {
		VMOVUPS(Mem{Base: ptr, Disp: u * s.bytes()}, v)
	}
	return acc, func() {
		ptr := pointer(param)
		for u, v := range acc {
			VMOVUPS(v, Mem{Base: ptr, Disp: u * s.bytes()})
		}
	}
}

// exp turns x into eˣ, step by step as exp32 does in Go.
func (s *isa) exp(x reg.VecVirtual) reg.VecVirtual {
	// Keep all but x < expMin (NaN is kept); clamp at expMax, NaN passing.
	const notLessThan = 5
	var keep reg.Register
	if s.avx512() {
		keep = K()
	} else {
		keep = s.vector()
	}
	VCMPPS(Imm(notLessThan), s.float(-86.9), x, keep)
	t := s.vector()
	VMOVUPS(s.float(89), t)
	VMINPS(x, t, x)

	VMOVUPS(s.float(3<<22), t)
	VFMADD231PS(s.float(1.4426950216293335), x, t)
	n, q := s.vector(), s.vector()
	VSUBPS(s.float(3<<22), t, n)
	VFMADD231PS(s.float(-0.6931471824645996), n, x)
	VFMADD231PS(s.float(1.9046542121259336e-09), n, x)
	VMOVUPS(s.float(2*0.0013814539415761828), q)
	for _, c := range []float32{2 * 0.00836874544620514, 2 * 0.04166838899254799,
		2 * 0.1666652113199234, 2 * 0.4999999403953552, 2, 2} {
		VFMADD213PS(s.float(c), x, q)
	}
	VPSLLD(Imm(23), t, t)
	VPADDD(s.bits(126<<23), t, t)
	if s.avx512() {
		VMULPS_Z(t, q, keep, q)
	} else {
		VMULPS(t, q, q)
		VANDPS(keep, q, q)
	}
	return q
}

func exponentials(s *isa) {
	s.function("expSum", "dst, src *float32, n int, scale, largest float32, sums *float32",
		"sets dst = exp((src-largest)*scale) and adds it to the partial sums.")
	expSum(s, true)
	s.function("expOnlySum", "src *float32, n int, scale, largest float32, sums *float32",
		"adds exp((src-largest)*scale) to the partial sums.")
	expSum(s, false)

	s.function("expShift", "dst, src *float32, n int, scale, shift float32",
		"sets dst = exp(scale*src - shift).")
	dst, src := s.stream("dst"), s.stream("src")
	scale, shift := s.broadcast("scale"), s.broadcast("shift")
	s.loop(func(u int) {
		x := src.load(u)
		VFMSUB213PS(shift, scale, x)
		dst.store(s.exp(x), u)
	}, dst, src)
	end()
}

func expSum(s *isa, store bool) {
	src := s.stream("src")
	streams := []*stream{src}
	if store {
		streams = append(streams, s.stream("dst"))
	}
	scale, largest := s.broadcast("scale"), s.broadcast("largest")
	acc, save := s.partials("sums")
	s.loop(func(u int) {
		x := s.vector()
		VMOVUPS(src.at(u), x)
		VSUBPS(largest, x, x)
		VMULPS(scale, x, x)
		e := s.exp(x)
		VADDPS(e, acc[u], acc[u])
		if store {
			streams[1].store(e, u)
		}
	}, streams...)
	save()
	end()
}

func reductions(s *isa) {
	s.function("maximum", "x *float32, n int, largest *float32", "raises the partial maxima to those of x; NaN is passed over.")
	x := s.stream("x")
	acc, save := s.partials("largest")
	s.loop(func(u int) { VMAXPS(acc[u], x.load(u), acc[u]) }, x)
	save()
	end()

	s.function("sum", "x *float32, n int, sums *float32", "adds x to the partial sums.")
	x = s.stream("x")
	acc, save = s.partials("sums")
	s.loop(func(u int) { VADDPS(x.at(u), acc[u], acc[u]) }, x)
	save()
	end()

	s.function("dot", "a, b *float32, n int, sums *float32", "adds a*b to the partial sums.")
	a, b := s.stream("a"), s.stream("b")
	acc, save = s.partials("sums")
	s.loop(func(u int) { VFMADD231PS(b.at(u), a.load(u), acc[u]) }, a, b)
	save()
	end()

	s.function("squaredDeviations", "x *float32, n int, mean float32, sums *float32", "adds (x-mean)² to the partial sums.")
	x = s.stream("x")
	mean := s.broadcast("mean")
	acc, save = s.partials("sums")
	s.loop(func(u int) {
		d := x.load(u)
		VSUBPS(mean, d, d)
		VFMADD231PS(d, d, acc[u])
	}, x)
	save()
	end()

	sumSquares(s)
	fold(s, "fold", "returns the sum of the partial sums, folded in halves.", VADDPS)
	fold(s, "foldMaximum", "returns the largest of the partial maxima.", VMAXPS)
}

// fold folds the partial results onto each other: 16 onto 16, 8 onto 8, …
func fold(s *isa, name, doc string, op func(...Op)) {
	TEXT(name+s.suffix, attr.NOSPLIT, "func(partial *float32) float32")
	Doc(name + s.suffix + " " + doc)
	Pragma("noescape")
	acc, _ := s.partials("partial")
	for h := len(acc) / 2; h > 0; h /= 2 {
		for i := range h {
			op(acc[i+h], acc[i], acc[i])
		}
	}
	y := acc[0].AsY()
	if s.avx512() {
		upper := YMM()
		VEXTRACTF64X4(Imm(1), acc[0], upper)
		op(upper, y, y)
	}
	x, t := acc[0].AsX(), XMM()
	VEXTRACTF128(Imm(1), y, t)
	op(t, x, x)
	VSHUFPS(Imm(0x0e), x, x, t) // elements 2 and 3 come down
	op(t, x, x)
	VSHUFPS(Imm(0x01), x, x, t)
	op(t, x, x)
	VZEROUPPER() // before the store, an SSE instruction; the sum is below
	Store(x, ReturnIndex(0))
	RET()
}

// sumSquares works in float64: a block is twice as many vectors.
func sumSquares(s *isa) {
	s.function("sumSquares", "x *float32, n int, sums *float64", "adds x² to the float64 partial sums.")
	x := s.stream("x")
	ptr := pointer("sums")
	acc := s.regs(2 * s.units())
	for u, v := range acc {
		VMOVUPD(Mem{Base: ptr, Disp: u * s.bytes()}, v)
	}
	s.loop(func(u int) {
		for h := range 2 {
			v := s.vector()
			VCVTPS2PD(Mem{Base: x.ptr, Disp: (2*u + h) * s.bytes() / 2}, v)
			VFMADD231PD(v, v, acc[2*u+h])
		}
	}, x)
	ptr = pointer("sums")
	for u, v := range acc {
		VMOVUPD(v, Mem{Base: ptr, Disp: u * s.bytes()})
	}
	end()
}

func elementwise(s *isa) {
	s.function("axpy", "alpha float32, x, y *float32, n int", "adds alpha*x to y.")
	alpha := s.broadcast("alpha")
	x, y := s.stream("x"), s.stream("y")
	s.loop(func(u int) {
		v := y.load(u)
		VFMADD231PS(x.at(u), alpha, v)
		y.store(v, u)
	}, x, y)
	end()

	s.function("scale", "alpha float32, x *float32, n int", "multiplies x by alpha.")
	alpha = s.broadcast("alpha")
	x = s.stream("x")
	s.loop(func(u int) {
		v := s.vector()
		VMULPS(x.at(u), alpha, v)
		x.store(v, u)
	}, x)
	end()

	s.function("add", "dst, a, b *float32, n int", "sets dst = a + b.")
	dst, a, b := s.stream("dst"), s.stream("a"), s.stream("b")
	s.loop(func(u int) {
		v := a.load(u)
		VADDPS(b.at(u), v, v)
		dst.store(v, u)
	}, dst, a, b)
	end()

	s.function("softmaxBackward", "ds, p, dp *float32, n int, scale, dot float32", "sets ds = p*scale*(dp-dot).")
	ds, p, dp := s.stream("ds"), s.stream("p"), s.stream("dp")
	scale, d := s.broadcast("scale"), s.broadcast("dot")
	s.loop(func(u int) {
		v, w := s.vector(), dp.load(u)
		VMULPS(p.at(u), scale, v)
		VSUBPS(d, w, w)
		VMULPS(w, v, v)
		ds.store(v, u)
	}, ds, p, dp)
	end()
}

const (
	geluA = 1.5957691216057308
	geluB = 0.044715
)

// sigmoid2u returns σ(2u) of GELU's u for x, as sigmoid2u does in Go.
func (s *isa) sigmoid2u(x reg.VecVirtual) reg.VecVirtual {
	t, e := s.vector(), s.vector()
	VMULPS(s.float(geluB), x, t)
	VFMADD213PS(s.float(1), x, t)
	VMULPS(s.float(-geluA), x, e)
	VMULPS(t, e, e)
	e = s.exp(e)
	one := s.vector()
	VMOVUPS(s.float(1), one)
	VADDPS(one, e, e)
	VDIVPS(e, one, e)
	return e
}

func activations(s *isa) {
	s.function("gelu", "y, x *float32, n int", "sets y = gelu(x).")
	y, x := s.stream("y"), s.stream("x")
	s.loop(func(u int) {
		v := x.load(u)
		r := s.sigmoid2u(v)
		VMULPS(r, v, v)
		y.store(v, u)
	}, y, x)
	end()

	s.function("geluBackward", "dx, dy, x *float32, n int", "sets dx = dy*gelu'(x).")
	dx, dy := s.stream("dx"), s.stream("dy")
	x = s.stream("x")
	s.loop(func(u int) {
		v := x.load(u)
		r := s.sigmoid2u(v)
		rest, du := s.vector(), s.vector()
		VMOVUPS(s.float(1), rest)
		VSUBPS(r, rest, rest)
		VMULPS(s.float(3*geluB), v, du)
		VFMADD213PS(s.float(1), v, du)
		VMULPS(s.float(geluA), du, du)
		VMULPS(r, v, v)
		VMULPS(rest, v, v)
		VFMADD213PS(r, du, v)
		VMULPS(dy.at(u), v, v)
		dx.store(v, u)
	}, dx, dy, x)
	end()
}

// normalized loads the block's vector u as (x-mean)·rstd.
func (x *stream) normalized(u int, mean, rstd reg.VecVirtual) reg.VecVirtual {
	v := x.load(u)
	VSUBPS(mean, v, v)
	VMULPS(rstd, v, v)
	return v
}

// norms writes layer normalisation and its gradients.
func norms(s *isa) {
	s.function("normalize", "y, x, gamma, beta *float32, n int, mean, rstd float32", "sets y = (x-mean)*rstd*gamma + beta.")
	y, x, gamma, beta := s.stream("y"), s.stream("x"), s.stream("gamma"), s.stream("beta")
	mean, rstd := s.broadcast("mean"), s.broadcast("rstd")
	s.loop(func(u int) {
		v, b := x.normalized(u, mean, rstd), beta.load(u)
		VFMADD231PS(gamma.at(u), v, b)
		y.store(b, u)
	}, y, x, gamma, beta)
	end()

	normGradients(s)
}

// normGradients writes what LayerNormBackward is made of.
func normGradients(s *isa) {
	s.function("normSums", "dy, x, gamma *float32, n int, mean, rstd float32, sums, dots *float32",
		"adds g = dy*gamma to sums and g*(x-mean)*rstd to dots.")
	dy, x, gamma := s.stream("dy"), s.stream("x"), s.stream("gamma")
	mean, rstd := s.broadcast("mean"), s.broadcast("rstd")
	sums, saveSums := s.partials("sums")
	dots, saveDots := s.partials("dots")
	s.loop(func(u int) {
		g := dy.load(u)
		VMULPS(gamma.at(u), g, g)
		VADDPS(g, sums[u], sums[u])
		VFMADD231PS(x.normalized(u, mean, rstd), g, dots[u])
	}, dy, x, gamma)
	saveSums()
	saveDots()
	end()

	s.function("normGrad", "dx, dy, x, gamma *float32, n int, mean, rstd, a, b float32",
		"adds rstd*(dy*gamma - a - b*(x-mean)*rstd) to dx.")
	dx := s.stream("dx")
	dy, x, gamma = s.stream("dy"), s.stream("x"), s.stream("gamma")
	mean, rstd = s.broadcast("mean"), s.broadcast("rstd")
	a, b := s.broadcast("a"), s.broadcast("b")
	s.loop(func(u int) {
		g, h, d := dy.load(u), x.normalized(u, mean, rstd), dx.load(u)
		VMULPS(gamma.at(u), g, g)
		VSUBPS(a, g, g)
		VFNMADD231PS(b, h, g)
		VFMADD231PS(g, rstd, d)
		dx.store(d, u)
	}, dx, dy, x, gamma)
	end()

	s.function("normParams", "dgamma, dbeta, dy, x *float32, n int, mean, rstd float32",
		"adds dy*(x-mean)*rstd to dgamma and dy to dbeta.")
	dgamma, dbeta := s.stream("dgamma"), s.stream("dbeta")
	dy, x = s.stream("dy"), s.stream("x")
	mean, rstd = s.broadcast("mean"), s.broadcast("rstd")
	s.loop(func(u int) {
		g, h, dg := dy.load(u), x.normalized(u, mean, rstd), dgamma.load(u)
		VFMADD231PS(h, g, dg)
		dgamma.store(dg, u)
		VADDPS(dbeta.at(u), g, g)
		dbeta.store(g, u)
	}, dgamma, dbeta, dy, x)
	end()
}

// optimizer writes the AdamW step; its numbers come in the order of the fields
// of adamW in optimizer.go.
func optimizer(s *isa) {
	s.function("adamWStep", "w, grad, m, v *float32, n int, h *float32", "takes an AdamW step.")
	w, g, m, v := s.stream("w"), s.stream("grad"), s.stream("m"), s.stream("v")
	h := pointer("h")
	var number [8]reg.VecVirtual
	for i := range number {
		number[i] = s.vector()
		VBROADCASTSS(Mem{Base: h, Disp: 4 * i}, number[i])
	}
	scale, mix1, beta2, mix2 := number[0], number[1], number[2], number[3]
	invRoot2, eps, keep, minusStep := number[4], number[5], number[6], number[7]
	s.loop(func(u int) {
		gi, mi := s.vector(), m.load(u)
		VMULPS(g.at(u), scale, gi)
		d := s.vector()
		VSUBPS(mi, gi, d)
		VFMADD231PS(d, mix1, mi)
		m.store(mi, u)
		vi, wi := s.vector(), s.vector()
		VMULPS(v.at(u), beta2, vi)
		VMULPS(gi, mix2, d)
		VFMADD231PS(gi, d, vi)
		v.store(vi, u)
		VSQRTPS(vi, vi)
		VFMADD213PS(eps, invRoot2, vi)
		VDIVPS(vi, mi, mi)
		VMULPS(w.at(u), keep, wi)
		VFMADD231PS(mi, minusStep, wi)
		w.store(wi, u)
	}, w, g, m, v)
	end()
}
