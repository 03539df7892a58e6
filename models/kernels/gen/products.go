package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/attr"
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// products writes the tiles of matrix products and the packing of operands.
func products(s *isa) {
	for rows := 1; rows <= s.rows; rows++ {
		for _, byRow := range []bool{false, true} {
			(&tile{isa: s, rows: rows, panels: 1, byRow: byRow}).write()
			if wide := s.widest(rows); wide > 1 {
				(&tile{isa: s, rows: rows, panels: wide, byRow: byRow}).write()
			}
		}
	}
	if s.avx512() { // AVX2's wide tile is as wide as this
		(&tile{isa: s, rows: 1, panels: 2, byRow: true}).write()
	}
	transpose(s)
	copyColumns(s)
	peak(s)
}

// widest is how many panels a tile of so many rows takes at once: few rows
// need several panels to have enough independent chains in flight.
func (s *isa) widest(rows int) int {
	switch {
	case 4*rows <= s.rows:
		return 4
	case 2*rows <= s.rows:
		return 2
	}
	return 1
}

// A tile is the heart of a product: rows × (panels·2 vectors) of C in
// registers, each the running value of its chain, while p walks over k.
type tile struct {
	*isa
	rows, panels int
	byRow        bool // A(i,p) is a[i*astep+p]; otherwise a[p*astep+i]
	pairs        bool // elements are pairs of bfloat16 values

	acc   [][]reg.VecVirtual // [row][vector]
	masks []reg.Register     // AVX-512, one panel: valid lanes of each vector
}

func (t *tile) write() {
	order := map[bool]string{true: "ByRow", false: ""}[t.byRow]
	name := map[bool]string{true: "pairs", false: "tile"}[t.pairs]
	t.function(fmt.Sprintf("%s%dx%d%s", name, t.rows, t.panels, order),
		"k int, a *float32, astep int, b *float32, bstep, bpanel, ahead int, c *float32, cstep, cols, load int, bias *float32",
		fmt.Sprintf("multiplies %d rows by %d panel(s); see tileFunc.", t.rows, t.panels))
	for range t.rows {
		t.acc = append(t.acc, t.regs(2*t.panels))
	}
	t.makeMasks()
	t.prefetchC()
	t.start()
	t.multiply()
	t.addBias()
	t.finish()
	end()
}

// vectors is how many vectors wide the tile is.
func (t *tile) vectors() int { return 2 * t.panels }

// makeMasks turns the number of valid columns into lane masks. A wide tile has
// all its columns; with AVX2 the masks are made where they are needed.
func (t *tile) makeMasks() {
	if !t.avx512() || t.panels > 1 {
		return
	}
	t.masks = masks512(pointer("cols"))
}

// masks512 makes the lane masks of two vectors from the number of columns.
func masks512(cols reg.Register) []reg.Register {
	bits := GP64()
	MOVQ(I32(-1), bits)
	BZHIQ(cols, bits, bits)
	low, high := K(), K()
	KMOVW(bits.As32(), low)
	SHRQ(U8(16), bits)
	KMOVW(bits.As32(), high)
	return []reg.Register{low, high}
}

// prefetchC asks for the C of the tile below, which usually comes next.
func (t *tile) prefetchC() {
	c, step, down := pointer("c"), pointer("cstep"), GP64()
	IMUL3Q(Imm(uint64(t.rows)), step, down)
	ADDQ(down, c)
	for i := range t.rows {
		for at := 0; at < t.vectors()*t.bytes(); at += 64 {
			PREFETCHT0(Mem{Base: c, Disp: at})
		}
		if i < t.rows-1 {
			ADDQ(step, c)
		}
	}
}

// start sets the chains to zero or to what C holds.
func (t *tile) start() {
	id := fmt.Sprintf("%d_%d_%v", t.rows, t.panels, t.byRow)
	load := pointer("load")
	TESTQ(load, load)
	JNZ(LabelRef("resume" + id))
	for _, row := range t.acc {
		for _, v := range row {
			t.zero(v)
		}
	}
	JMP(LabelRef("begin" + id))
	Label("resume" + id)
	t.eachRow("load"+id, func(c Mem, i, j int, mask reg.Register) {
		switch {
		case mask == nil:
			VMOVUPS(c, t.acc[i][j])
		case t.avx512():
			VMOVUPS_Z(c, mask, t.acc[i][j])
		default:
			VMASKMOVPS(c, mask, t.acc[i][j])
		}
	})
	Label("begin" + id)
}

// finish stores the chains to C.
func (t *tile) finish() {
	t.eachRow(fmt.Sprintf("store%d_%d_%v", t.rows, t.panels, t.byRow), func(c Mem, i, j int, mask reg.Register) {
		switch {
		case mask == nil:
			VMOVUPS(t.acc[i][j], c)
		case t.avx512():
			VMOVUPS(t.acc[i][j], mask, c)
		default:
			VMASKMOVPS(t.acc[i][j], mask, c)
		}
	})
}

// eachRow calls f for every vector of C, with the mask it needs. AVX2 has two
// versions of the code, as its masked moves are slow.
func (t *tile) eachRow(label string, f func(c Mem, i, j int, mask reg.Register)) {
	rows := func(masks []reg.Register) {
		c, step := pointer("c"), pointer("cstep")
		for i := range t.rows {
			for j := range t.vectors() {
				var mask reg.Register
				if masks != nil {
					mask = masks[j]
				}
				f(Mem{Base: c, Disp: j * t.bytes()}, i, j, mask)
			}
			if i < t.rows-1 {
				ADDQ(step, c)
			}
		}
	}
	if t.avx512() || t.panels > 1 {
		rows(t.masks)
		return
	}
	cols := pointer("cols")
	CMPQ(cols, I32(2*t.lanes))
	JL(LabelRef(label + "_part"))
	rows(nil)
	JMP(LabelRef(label + "_done"))
	Label(label + "_part")
	rows(maskAVX2())
	Label(label + "_done")
}

var maskTable *Mem

// maskAVX2 makes the lane masks of a tile's two vectors from its column count.
func maskAVX2() []reg.Register {
	if maskTable == nil {
		m := GLOBL("masks", attr.RODATA|attr.NOPTR)
		for i := range 32 {
			v := uint32(0)
			if i < 16 {
				v = ^v
			}
			DATA(4*i, U32(v))
		}
		maskTable = &m
	}
	cols, table := pointer("cols"), GP64()
	LEAQ(*maskTable, table)
	NEGQ(cols)
	low, high := YMM(), YMM()
	VMOVUPS(Mem{Base: table, Index: cols, Scale: 4, Disp: 64}, low)
	VMOVUPS(Mem{Base: table, Index: cols, Scale: 4, Disp: 96}, high)
	return []reg.Register{low, high}
}

// multiply runs the chains over p = 0..k-1.
func (t *tile) multiply() {
	id := fmt.Sprintf("%d_%d_%v", t.rows, t.panels, t.byRow)
	k, a, b, bstep := pointer("k"), t.addressA(), t.addressB(), pointer("bstep")
	ahead := pointer("ahead")
	TESTQ(k, k)
	JZ(LabelRef("done" + id))
	Label("loop" + id)
	if t.byRow { // B may be streaming in from memory: see product.panelsAt
		b.prefetch(ahead)
	}
	// Of A's elements and B's vectors, keep the fewer and stream the others.
	if t.rows < t.vectors() {
		av := t.regs(t.rows)
		for i, v := range av {
			VBROADCASTSS(a.at(i), v)
		}
		for j := range t.vectors() {
			v := t.vector()
			VMOVUPS(b.at(j*t.bytes()), v)
			for i, x := range av {
				t.add(x, v, t.acc[i][j])
			}
		}
	} else {
		bv := t.regs(t.vectors())
		for j, v := range bv {
			VMOVUPS(b.at(j*t.bytes()), v)
		}
		for i := range t.rows {
			x := t.vector()
			VBROADCASTSS(a.at(i), x)
			for j, v := range bv {
				t.add(x, v, t.acc[i][j])
			}
		}
	}
	a.advance()
	b.advance(bstep)
	DECQ(k)
	JNZ(LabelRef("loop" + id))
	Label("done" + id)
}

// add adds a product, or the two of a pair, to a chain. For VDPBF16PS see spell.go.
func (t *tile) add(x, v, acc reg.VecVirtual) {
	if t.pairs {
		VPDPWSSD(x, v, acc)
	} else {
		VFMADD231PS(x, v, acc)
	}
}

// operandA finds A(i,p) for the p at hand.
type operandA struct {
	bases   []reg.GPVirtual // byRow: of rows 0, 3, 6, …
	step    reg.GPVirtual
	byRow   bool
	advance func()
}

func (t *tile) addressA() operandA {
	o := operandA{step: pointer("astep"), byRow: t.byRow, bases: []reg.GPVirtual{pointer("a")}}
	if !t.byRow {
		o.advance = func() { ADDQ(o.step, o.bases[0]) }
		return o
	}
	for i := 3; i < t.rows; i += 3 {
		base := GP64()
		LEAQ(Mem{Base: o.bases[len(o.bases)-1], Index: o.step, Scale: 2}, base)
		ADDQ(o.step, base)
		o.bases = append(o.bases, base)
	}
	o.advance = func() {
		for _, base := range o.bases {
			ADDQ(Imm(4), base)
		}
	}
	return o
}

func (o operandA) at(i int) Mem {
	if !o.byRow {
		return Mem{Base: o.bases[0], Disp: 4 * i}
	}
	m := Mem{Base: o.bases[i/3]}
	if i%3 > 0 {
		m.Index, m.Scale = o.step, uint8(i%3)
	}
	return m
}

// operandB finds the vectors of B for the p at hand.
type operandB struct {
	bases []reg.GPVirtual // one a panel
	panel int             // bytes of a panel's row
}

func (t *tile) addressB() operandB {
	o := operandB{panel: 2 * t.bytes(), bases: []reg.GPVirtual{pointer("b")}}
	if t.panels > 1 {
		stride := pointer("bpanel")
		for range t.panels - 1 {
			base := GP64()
			LEAQ(Mem{Base: o.bases[len(o.bases)-1], Index: stride, Scale: 1}, base)
			o.bases = append(o.bases, base)
		}
	}
	return o
}

func (o operandB) at(offset int) Mem {
	return Mem{Base: o.bases[offset/o.panel], Disp: offset % o.panel}
}

// prefetch asks for what B holds so many bytes ahead.
func (o operandB) prefetch(ahead reg.GPVirtual) {
	for _, base := range o.bases {
		for at := 0; at < o.panel; at += 64 {
			PREFETCHT1(Mem{Base: base, Index: ahead, Scale: 1, Disp: at})
		}
	}
}

func (o operandB) advance(step reg.GPVirtual) {
	for _, base := range o.bases {
		ADDQ(step, base)
	}
}

// addBias adds the bias, if there is one.
func (t *tile) addBias() {
	id := fmt.Sprintf("nobias%d_%d_%v", t.rows, t.panels, t.byRow)
	bias := pointer("bias")
	TESTQ(bias, bias)
	JZ(LabelRef(id))
	add := func(masks []reg.Register) {
		for j := range t.vectors() {
			v := t.vector()
			m := Mem{Base: bias, Disp: j * t.bytes()}
			switch {
			case masks == nil:
				VMOVUPS(m, v)
			case t.avx512():
				VMOVUPS_Z(m, masks[j], v)
			default:
				VMASKMOVPS(m, masks[j], v)
			}
			for _, row := range t.acc {
				VADDPS(v, row[j], row[j])
			}
		}
	}
	if t.avx512() || t.panels > 1 {
		add(t.masks)
	} else {
		add(maskAVX2())
	}
	Label(id)
}

// transpose writes the kernel that turns rows into columns while packing.
func transpose(s *isa) {
	s.function("transpose", "dst *float32, dstep int, src *float32, sstep, rows, blocks, ahead int",
		fmt.Sprintf("turns %d·blocks columns of src into rows of dst:", s.lanes),
		"dst[p*dstep+i] = src[i*sstep+p] for i < rows; steps are in bytes, and so is",
		"how far ahead of what it reads it asks for what is read next.",
		map[bool]string{true: "There are at most 16 rows.", false: "There are at most 8 rows; each row of dst is written 8 wide."}[s.avx512()])
	dst, dstep := pointer("dst"), pointer("dstep")
	src, sstep := pointer("src"), pointer("sstep")
	rows, blocks, ahead := pointer("rows"), pointer("blocks"), pointer("ahead")
	mask := reg.Register(nil)
	if s.avx512() {
		bits := GP64()
		MOVQ(I32(-1), bits)
		BZHIQ(rows, bits, bits)
		k := K()
		KMOVW(bits.As32(), k)
		mask = k
	}
	TESTQ(blocks, blocks)
	JZ(LabelRef("transposed"))
	Label("block")
	v := s.regs(s.lanes)
	p, left := GP64(), GP64()
	MOVQ(src, p)
	MOVQ(rows, left)
	for i := range v {
		VMOVUPS(Mem{Base: p}, v[i])
		PREFETCHT1(Mem{Base: p, Index: ahead, Scale: 1})
		if i < len(v)-1 {
			// Past the last row, read it again: its lanes are not kept.
			next := GP64()
			LEAQ(Mem{Base: p, Index: sstep, Scale: 1}, next)
			CMPQ(left, Imm(uint64(i+1)))
			CMOVQGT(next, p)
		}
	}
	if s.avx512() {
		v = transpose16(v)
	} else {
		v = transpose8(v)
	}
	for _, x := range v {
		if mask != nil {
			VMOVUPS(x, mask, Mem{Base: dst})
		} else {
			VMOVUPS(x, Mem{Base: dst})
		}
		ADDQ(dstep, dst)
	}
	ADDQ(Imm(uint64(s.bytes())), src)
	DECQ(blocks)
	JNZ(LabelRef("block"))
	Label("transposed")
	end()
}

// transpose8 transposes 8×8 floats in three rounds of shuffles.
func transpose8(v []reg.VecVirtual) []reg.VecVirtual {
	w := quads(v, YMM)
	out := make([]reg.VecVirtual, 8)
	for i := range 4 {
		out[i], out[i+4] = YMM(), YMM()
		VPERM2F128(Imm(0x20), w[i+4], w[i], out[i])
		VPERM2F128(Imm(0x31), w[i+4], w[i], out[i+4])
	}
	return out
}

// transpose16 transposes 16×16 floats in four rounds of shuffles. Registers are
// reused by hand: all 32 are nearly taken.
func transpose16(v []reg.VecVirtual) []reg.VecVirtual {
	w := quads(v, ZMM)
	// w[4g+c] holds, in its 128-bit lane l, rows 4g..4g+3 of column 4l+c.
	out := make([]reg.VecVirtual, 16)
	a, b, d, e := ZMM(), ZMM(), ZMM(), ZMM()
	for c := range 4 {
		VSHUFF32X4(Imm(0x88), w[4+c], w[c], a)    // lanes 0,2 of groups 0,1
		VSHUFF32X4(Imm(0xdd), w[4+c], w[c], b)    // lanes 1,3
		VSHUFF32X4(Imm(0x88), w[12+c], w[8+c], d) // the same of groups 2,3
		VSHUFF32X4(Imm(0xdd), w[12+c], w[8+c], e)
		for l := range 4 {
			out[4*l+c] = w[4*l+c]
		}
		VSHUFF32X4(Imm(0x88), d, a, out[c])
		VSHUFF32X4(Imm(0xdd), d, a, out[8+c])
		VSHUFF32X4(Imm(0x88), e, b, out[4+c])
		VSHUFF32X4(Imm(0xdd), e, b, out[12+c])
	}
	return out
}

// quads transposes 4×4 floats within every 128-bit lane, four rows at a time,
// and leaves the results in the registers they came in.
func quads(v []reg.VecVirtual, alloc func() reg.VecVirtual) []reg.VecVirtual {
	t := []reg.VecVirtual{alloc(), alloc(), alloc(), alloc()}
	for g := 0; g < len(v); g += 4 {
		for i := range 2 {
			VUNPCKLPS(v[g+2*i+1], v[g+2*i], t[2*i])
			VUNPCKHPS(v[g+2*i+1], v[g+2*i], t[2*i+1])
		}
		for i := range 2 {
			VUNPCKLPD(t[2+i], t[i], v[g+2*i])
			VUNPCKHPD(t[2+i], t[i], v[g+2*i+1])
		}
	}
	return v
}

// copyColumns writes the kernel that packs columns lying side by side.
func copyColumns(s *isa) {
	s.function("copyColumns", "dst *float32, dstep int, src *float32, sstep, cols, k, ahead int",
		"copies k rows of cols elements; steps are in bytes, and so is how far ahead",
		"of what it reads it asks for what is read next.",
		map[bool]string{true: "There are at most 32 columns.",
			false: "There are at most 16 columns; rows of dst are written 8 or 16 wide."}[s.avx512()])
	dst, dstep, src, sstep, k := pointer("dst"), pointer("dstep"), pointer("src"), pointer("sstep"), pointer("k")
	cols, ahead := pointer("cols"), pointer("ahead")
	var masks []reg.Register
	if s.avx512() {
		masks = masks512(cols)
	} else {
		masks = maskAVX2()
	}
	TESTQ(k, k)
	JZ(LabelRef("copied"))
	CMPQ(cols, I32(int32(s.lanes)))
	JG(LabelRef("both"))
	for wide, label := range []string{"one", "both"} {
		Label(label)
		v := s.regs(wide + 1)
		for j := range v {
			PREFETCHT1(Mem{Base: src, Index: ahead, Scale: 1, Disp: j * s.bytes()})
			from, to := Mem{Base: src, Disp: j * s.bytes()}, Mem{Base: dst, Disp: j * s.bytes()}
			if s.avx512() {
				VMOVUPS_Z(from, masks[j], v[j])
				VMOVUPS(v[j], masks[j], to)
			} else {
				VMASKMOVPS(from, masks[j], v[j])
				VMOVUPS(v[j], to)
			}
		}
		ADDQ(sstep, src)
		ADDQ(dstep, dst)
		DECQ(k)
		JNZ(LabelRef(label))
		if wide == 0 {
			JMP(LabelRef("copied"))
		}
	}
	Label("copied")
	end()
}

// peakChains is how many independent chains keep two FMA units busy.
const peakChains = 12

// peak writes the loop that does nothing but multiply and add.
func peak(s *isa) {
	s.function("peak", "n int", fmt.Sprintf("does n times %d vector FMAs.", peakChains))
	n := pointer("n")
	one, acc := s.vector(), s.regs(peakChains)
	s.zero(one)
	for _, v := range acc {
		s.zero(v)
	}
	Label("again")
	for _, v := range acc {
		VFMADD231PS(one, one, v)
	}
	DECQ(n)
	JNZ(LabelRef("again"))
	end()
}
