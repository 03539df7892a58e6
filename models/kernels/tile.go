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

// runGeneric is the tile in plain Go, four columns at a time.
func (t *tileArgs) runGeneric() {
	rowStep, pStep := 1, t.astep
	if t.byRow {
		rowStep, pStep = t.astep, 1
	}
	for i := range t.rows {
		c := t.c[i*t.cstep : i*t.cstep+t.cols]
		for j := 0; j < t.cols; j += 4 {
			var acc [4]float32
			n := min(4, t.cols-j)
			if t.load != 0 {
				copy(acc[:n], c[j:])
			}
			if t.k > 0 {
				t.chains(&acc, t.a[i*rowStep:], pStep, t.b[j:])
			}
			if t.bias != nil {
				for l := range n {
					acc[l] += t.bias[j+l]
				}
			}
			copy(c[j:j+n], acc[:])
		}
	}
}

// chains runs four chains of one row over all p. Panels are padded, so there
// are always four columns to read.
func (t *tileArgs) chains(acc *[4]float32, a []float32, pStep int, b []float32) {
	c0, c1, c2, c3 := acc[0], acc[1], acc[2], acc[3]
	for p := range t.k {
		x, v := a[p*pStep], b[p*t.bstep:][:4:4]
		c0 = fma32(x, v[0], c0)
		c1 = fma32(x, v[1], c1)
		c2 = fma32(x, v[2], c2)
		c3 = fma32(x, v[3], c3)
	}
	*acc = [4]float32{c0, c1, c2, c3}
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
