package kernels

// A tile is some rows of C by panels·W columns whose chains are in registers
// while p runs over a block of k. tileArgs is what the tile kernels take.
// Slices begin at the tile's first element; steps are in elements.
type tileArgs struct {
	k      int
	a      []float32
	astep  int // from one p to the next; with byRow from one row to the next
	b      []float32
	bstep  int // from one p to the next
	bpanel int // from one panel to the next
	ahead  int // how far ahead of b to ask for what is read later
	c      []float32
	cstep  int // from one row to the next
	cols   int // valid columns when there is one panel
	load   int // 1: the chains go on from what C holds
	bias   []float32
	rows   int
	panels int
	byRow  bool // A(i,p) is a[i*astep+p], otherwise a[p*astep+i]
}

// rowsOfA returns A beginning at row i, and the steps from one row to the
// next and from one p to the next.
func (t *tileArgs) rowsOfA(i int) (a []float32, rowStep, pStep int) {
	if t.k == 0 {
		return nil, 0, 0
	}
	if t.byRow {
		return t.a[i*t.astep:], t.astep, 1
	}
	return t.a[i:], 1, t.astep
}

// squares tells whether runGeneric works in squares of 4 by 4 or in lines of 4:
// squares reuse what they load, but fma32 must be an instruction for all their
// chains to stay in registers.
var squares = fusedFMA

// runGeneric is the tile in plain Go.
func (t *tileArgs) runGeneric() {
	for j := 0; j < t.cols; j += 4 {
		var b []float32
		if t.k > 0 {
			b = t.b[j:]
		}
		i := 0
		for ; squares && i+4 <= t.rows; i += 4 {
			var acc [16]float32
			t.begin(&acc, i, 4, j)
			a, rowStep, pStep := t.rowsOfA(i)
			t.square(&acc, a, rowStep, pStep, b)
			t.end(&acc, i, 4, j)
		}
		for ; i < t.rows; i++ {
			var acc [16]float32
			t.begin(&acc, i, 1, j)
			a, _, pStep := t.rowsOfA(i)
			t.line(&acc, a, pStep, b)
			t.end(&acc, i, 1, j)
		}
	}
}

// begin sets the chains of some rows, four columns each, to what C holds.
func (t *tileArgs) begin(acc *[16]float32, i, rows, j int) {
	if t.load == 0 {
		return
	}
	for r := range rows {
		copy(acc[4*r:4*r+min(4, t.cols-j)], t.c[(i+r)*t.cstep+j:])
	}
}

// end stores them, with the bias.
func (t *tileArgs) end(acc *[16]float32, i, rows, j int) {
	n := min(4, t.cols-j)
	for r := range rows {
		c := t.c[(i+r)*t.cstep+j:][:n]
		for l := range c {
			c[l] = acc[4*r+l]
			if t.bias != nil {
				c[l] += t.bias[j+l]
			}
		}
	}
}

// line runs the four chains of one row over all p. Panels are padded, so there
// are always four columns to read.
func (t *tileArgs) line(acc *[16]float32, a []float32, pStep int, b []float32) {
	c0, c1, c2, c3 := acc[0], acc[1], acc[2], acc[3]
	for p := range t.k {
		x, v := a[p*pStep], (*[4]float32)(b[p*t.bstep:])
		c0 = fma32(x, v[0], c0)
		c1 = fma32(x, v[1], c1)
		c2 = fma32(x, v[2], c2)
		c3 = fma32(x, v[3], c3)
	}
	acc[0], acc[1], acc[2], acc[3] = c0, c1, c2, c3
}

// square runs the chains of four rows over all p.
func (t *tileArgs) square(acc *[16]float32, a []float32, rowStep, pStep int, b []float32) {
	c00, c01, c02, c03 := acc[0], acc[1], acc[2], acc[3]
	c10, c11, c12, c13 := acc[4], acc[5], acc[6], acc[7]
	c20, c21, c22, c23 := acc[8], acc[9], acc[10], acc[11]
	c30, c31, c32, c33 := acc[12], acc[13], acc[14], acc[15]
	for p := range t.k {
		v := (*[4]float32)(b[p*t.bstep:])
		b0, b1, b2, b3 := v[0], v[1], v[2], v[3]
		x := a[p*pStep]
		c00, c01, c02, c03 = fma32(x, b0, c00), fma32(x, b1, c01), fma32(x, b2, c02), fma32(x, b3, c03)
		x = a[p*pStep+rowStep]
		c10, c11, c12, c13 = fma32(x, b0, c10), fma32(x, b1, c11), fma32(x, b2, c12), fma32(x, b3, c13)
		x = a[p*pStep+2*rowStep]
		c20, c21, c22, c23 = fma32(x, b0, c20), fma32(x, b1, c21), fma32(x, b2, c22), fma32(x, b3, c23)
		x = a[p*pStep+3*rowStep]
		c30, c31, c32, c33 = fma32(x, b0, c30), fma32(x, b1, c31), fma32(x, b2, c32), fma32(x, b3, c33)
	}
	*acc = [16]float32{c00, c01, c02, c03, c10, c11, c12, c13, c20, c21, c22, c23, c30, c31, c32, c33}
}

func transposeGeneric(dst []float32, dstep int, src []float32, sstep, rows, k int) {
	for i := range rows {
		for p := range k {
			dst[p*dstep+i] = src[i*sstep+p]
		}
	}
}

func copyRowsGeneric(dst []float32, dstep int, src []float32, sstep, cols, k int) {
	for p := range k {
		copy(dst[p*dstep:p*dstep+cols], src[p*sstep:])
	}
}
