package main

import (
	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/reg"
)

// The constants of the exact GELU, as erf.go has them in Go.
const (
	erfMax     = 14
	erfP       = 0.34
	invSqrt2Pi = 0.3989422804014327
	signBit    = 1 << 31
)

// erfTail are the coefficients of the tail, the highest power first.
var erfTail = []float32{-0.02612133, 0.13950322, -0.27313962, 0.2021896, -0.04472262, 0.11536069, 0.11519733, 0.13611224, 0.1356205}

// upperTail returns a, e and Q(a) for x, as upperTail does in Go.
func (s *isa) upperTail(x reg.VecVirtual) (a, e, q reg.VecVirtual) {
	a, e, q = s.vector(), s.vector(), s.vector()
	VANDPS(s.bits(signBit-1), x, a)
	VMOVUPS(s.float(erfMax), q)
	VMINPS(a, q, a) // NaN passes
	VMULPS(s.float(-0.5), a, e)
	VMULPS(a, e, e)
	e = s.exp(e)
	u, one := s.vector(), s.vector()
	VMOVUPS(s.float(1), one)
	VMOVUPS(s.float(erfP), u)
	VFMADD213PS(one, a, u)
	VDIVPS(u, one, u)
	VMOVUPS(s.float(erfTail[0]), q)
	for _, c := range erfTail[1:] {
		VFMADD213PS(s.float(c), u, q)
	}
	VMULPS(u, q, q)
	VMULPS(e, q, q)
	return a, e, q
}

// exactActivations are GELU with the error function and its derivative.
func exactActivations(s *isa) {
	s.function("geluErf", "y, x *float32, n int", "sets y = x*Phi(x).")
	y, x := s.stream("y"), s.stream("x")
	s.loop(func(u int) {
		v := x.load(u)
		a, _, q := s.upperTail(v)
		zero := s.vector()
		s.zero(zero)
		VMAXPS(zero, v, v) // x > 0, else 0
		VFNMADD231PS(a, q, v)
		y.store(v, u)
	}, y, x)
	end()

	s.function("geluErfBackward", "dx, dy, x *float32, n int", "sets dx = dy*(Phi(x) + x*phi(x)).")
	dx, dy := s.stream("dx"), s.stream("dy")
	x = s.stream("x")
	s.loop(func(u int) {
		v := x.load(u)
		a, e, q := s.upperTail(v)
		VANDPS(s.bits(signBit), v, v)
		phi := s.vector()
		VMOVUPS(s.float(0.5), phi)
		VSUBPS(q, phi, q)
		VXORPS(v, q, q)
		VADDPS(q, phi, phi)
		VORPS(v, a, a)
		VMULPS(s.float(invSqrt2Pi), a, a)
		VFMADD213PS(phi, e, a)
		VMULPS(dy.at(u), a, a)
		dx.store(a, u)
	}, dx, dy, x)
	end()
}
