package main

import (
	"fmt"
	"math"

	"github.com/mmcloughlin/avo/attr"
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// An isa is an instruction set: the vectors it has and what differs by name.
type isa struct {
	suffix string // of the functions' names
	lanes  int    // float32 in a vector
	rows   int    // most rows of a product tile; its columns are two vectors
	vector func() reg.VecVirtual
}

var isas = map[string]*isa{
	"avx512": {suffix: "AVX512", lanes: 16, rows: 12, vector: ZMM},
	"avx2":   {suffix: "AVX2", lanes: 8, rows: 6, vector: YMM},
}

func (s *isa) avx512() bool { return s.lanes == 16 }

// bytes is the size of a vector.
func (s *isa) bytes() int { return 4 * s.lanes }

// vectors allocates n vector registers.
func (s *isa) regs(n int) []reg.VecVirtual {
	v := make([]reg.VecVirtual, n)
	for i := range v {
		v[i] = s.vector()
	}
	return v
}

// zero clears a register.
func (s *isa) zero(v reg.VecVirtual) {
	if s.avx512() {
		VPXORD(v, v, v)
	} else {
		VXORPS(v, v, v)
	}
}

// constants remembers which constants have been written as data.
var constants = map[uint32]Mem{}

// float is a constant in every lane, as a memory operand.
func (s *isa) float(x float32) Mem { return s.bits(math.Float32bits(x)) }

// bits is an integer constant in every lane, as a memory operand.
func (s *isa) bits(x uint32) Mem {
	if m, ok := constants[x]; ok {
		return m
	}
	m := GLOBL(fmt.Sprintf("const_%s_%08x", s.suffix, x), attr.RODATA|attr.NOPTR)
	for i := range s.lanes {
		DATA(4*i, U32(x))
	}
	constants[x] = m
	return m
}

// broadcast loads a float32 parameter into every lane.
func (s *isa) broadcast(param string) reg.VecVirtual {
	addr, err := Param(param).Resolve()
	if err != nil {
		panic(err)
	}
	v := s.vector()
	VBROADCASTSS(addr.Addr, v)
	return v
}

// pointer loads a pointer or integer parameter.
func pointer(param string) reg.GPVirtual {
	return Load(Param(param), GP64()).(reg.GPVirtual)
}

// function starts a function and its stub.
func (s *isa) function(name, signature string, doc ...string) {
	TEXT(name+s.suffix, attr.NOSPLIT, "func("+signature+")")
	doc[0] = name + s.suffix + " " + doc[0]
	Doc(doc...)
	Pragma("noescape")
}

// end leaves the vector unit as SSE code wants it and returns.
func end() {
	VZEROUPPER()
	RET()
}
