package kernels

import "unsafe"

// tileFunc is a tile kernel; see tileArgs for what its arguments mean. Steps
// are in bytes here.
type tileFunc func(k int, a *float32, astep int, b *float32, bstep, bpanel, ahead int, c *float32, cstep, cols, load int, bias *float32)

// A tileSet holds a path's kernels by rows: for A packed or by row, and for
// one panel or for as many as shape.wide says.
type tileSet struct {
	one, oneByRow, wide, wideByRow []tileFunc

	twoByRow tileFunc // a single row and two panels, see rowTimesPanels
}

func (t *tileArgs) run() {
	var set *tileSet
	switch active {
	case pathAVX512:
		set = &tilesAVX512
	case pathAVX2:
		set = &tilesAVX2
	default:
		t.runGeneric()
		return
	}
	var f tileFunc
	switch {
	case t.panels == 1 && t.byRow:
		f = set.oneByRow[t.rows]
	case t.panels == 1:
		f = set.one[t.rows]
	case t.panels == 2 && t.rows == 1:
		f = set.twoByRow
	case t.byRow:
		f = set.wideByRow[t.rows]
	default:
		f = set.wide[t.rows]
	}
	f(t.k, unsafe.SliceData(t.a), 4*t.astep, unsafe.SliceData(t.b), 4*t.bstep, 4*t.bpanel, 4*t.ahead,
		unsafe.SliceData(t.c), 4*t.cstep, t.cols, t.load, unsafe.SliceData(t.bias))
}

// transposeRows sets dst[p*dstep+i] = src[i*sstep+p] for i < rows, p < k, and
// asks for what lies so many elements ahead of what it reads.
func transposeRows(dst []float32, dstep int, src []float32, sstep, rows, k, ahead int) {
	lanes := 16
	if active == pathAVX2 {
		lanes = 8
	}
	for i := 0; i < rows; i += lanes {
		n := min(lanes, rows-i)
		blocks := k / lanes
		if active == pathAVX2 && n < lanes {
			// Rows are written 8 wide: leave the last ones to plain Go.
			blocks = max(0, (k-lanes)/lanes)
		}
		done := blocks * lanes
		switch {
		case blocks == 0:
		case active == pathAVX512:
			transposeAVX512(&dst[i], 4*dstep, &src[i*sstep], 4*sstep, n, blocks, 4*ahead)
		case active == pathAVX2:
			transposeAVX2(&dst[i], 4*dstep, &src[i*sstep], 4*sstep, n, blocks, 4*ahead)
		default:
			done = 0
		}
		if done < k {
			transposeGeneric(dst[i+done*dstep:], dstep, src[i*sstep+done:], sstep, n, k-done)
		}
	}
}

// copyRows sets dst[p*dstep+i] = src[p*sstep+i] for i < cols, p < k; cols is
// at most PanelWidth. It asks for what lies so many elements ahead.
func copyRows(dst []float32, dstep int, src []float32, sstep, cols, k, ahead int) {
	done := 0
	switch active {
	case pathAVX512:
		done = k
		if k > 0 {
			copyColumnsAVX512(&dst[0], 4*dstep, &src[0], 4*sstep, cols, k, 4*ahead)
		}
	case pathAVX2:
		// Rows are written 8 or 16 wide: leave the last ones to plain Go.
		done = k
		if cols%8 != 0 {
			done = max(0, k-8)
		}
		if done > 0 {
			copyColumnsAVX2(&dst[0], 4*dstep, &src[0], 4*sstep, cols, done, 4*ahead)
		}
	}
	if done < k {
		copyRowsGeneric(dst[done*dstep:], dstep, src[done*sstep:], sstep, cols, k-done)
	}
}

var tilesAVX512 = tileSet{
	one: []tileFunc{nil,
		tile1x1AVX512, tile2x1AVX512, tile3x1AVX512,
		tile4x1AVX512, tile5x1AVX512, tile6x1AVX512,
		tile7x1AVX512, tile8x1AVX512, tile9x1AVX512,
		tile10x1AVX512, tile11x1AVX512, tile12x1AVX512,
	},
	oneByRow: []tileFunc{nil,
		tile1x1ByRowAVX512, tile2x1ByRowAVX512, tile3x1ByRowAVX512,
		tile4x1ByRowAVX512, tile5x1ByRowAVX512, tile6x1ByRowAVX512,
		tile7x1ByRowAVX512, tile8x1ByRowAVX512, tile9x1ByRowAVX512,
		tile10x1ByRowAVX512, tile11x1ByRowAVX512, tile12x1ByRowAVX512,
	},
	wide: []tileFunc{nil,
		tile1x4AVX512, tile2x4AVX512, tile3x4AVX512,
		tile4x2AVX512, tile5x2AVX512, tile6x2AVX512,
	},
	wideByRow: []tileFunc{nil,
		tile1x4ByRowAVX512, tile2x4ByRowAVX512, tile3x4ByRowAVX512,
		tile4x2ByRowAVX512, tile5x2ByRowAVX512, tile6x2ByRowAVX512,
	},
	twoByRow: tile1x2ByRowAVX512,
}

var tilesAVX2 = tileSet{
	one: []tileFunc{nil,
		tile1x1AVX2, tile2x1AVX2, tile3x1AVX2,
		tile4x1AVX2, tile5x1AVX2, tile6x1AVX2,
	},
	oneByRow: []tileFunc{nil,
		tile1x1ByRowAVX2, tile2x1ByRowAVX2, tile3x1ByRowAVX2,
		tile4x1ByRowAVX2, tile5x1ByRowAVX2, tile6x1ByRowAVX2,
	},
	wide: []tileFunc{nil,
		tile1x4AVX2, tile2x2AVX2, tile3x2AVX2,
	},
	wideByRow: []tileFunc{nil,
		tile1x4ByRowAVX2, tile2x2ByRowAVX2, tile3x2ByRowAVX2,
	},
}
