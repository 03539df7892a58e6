package kernels

import "unsafe"

// A tile is rows × panels·W elements of C whose chains are in registers while
// p runs over a block of k. tileArgs is what the tile kernels take; all steps
// are in bytes.
type tileArgs struct {
	k      int
	a      unsafe.Pointer
	astep  int // from one p to the next; with byRow from one row to the next
	b      unsafe.Pointer
	bstep  int // from one p to the next
	bpanel int // from one panel to the next
	c      unsafe.Pointer
	cstep  int
	cols   int            // valid columns when there is one panel
	load   int            // 1: the chains go on from what C holds
	bias   unsafe.Pointer // of the columns; nil for none
	rows   int
	panels int
	byRow  bool // A(i,p) is a[i*astep+4p], otherwise a[p*astep+4i]
}

// at is the address off elements from p.
func at(p unsafe.Pointer, off int) unsafe.Pointer { return unsafe.Add(p, 4*off) }

func get(p unsafe.Pointer, bytes int) float32 { return *(*float32)(unsafe.Add(p, bytes)) }

// runGeneric is the tile in plain Go, four columns at a time.
func (t *tileArgs) runGeneric() {
	rowStep, pStep := 4, t.astep
	if t.byRow {
		rowStep, pStep = t.astep, 4
	}
	for i := range t.rows {
		a := unsafe.Add(t.a, i*rowStep)
		c := unsafe.Slice((*float32)(unsafe.Add(t.c, i*t.cstep)), t.cols)
		for j := 0; j < t.cols; j += 4 {
			var acc [4]float32
			n := min(4, t.cols-j)
			if t.load != 0 {
				copy(acc[:n], c[j:])
			}
			t.chains(&acc, a, pStep, unsafe.Add(t.b, 4*j))
			if t.bias != nil {
				for l := range n {
					acc[l] += get(t.bias, 4*(j+l))
				}
			}
			copy(c[j:j+n], acc[:])
		}
	}
}

// chains runs four chains of one row over all p. Panels are padded, so there
// are always four columns to read.
func (t *tileArgs) chains(acc *[4]float32, a unsafe.Pointer, pStep int, b unsafe.Pointer) {
	c0, c1, c2, c3 := acc[0], acc[1], acc[2], acc[3]
	for p := range t.k {
		x, v := get(a, p*pStep), (*[4]float32)(unsafe.Add(b, p*t.bstep))
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
