package kernels

import "sync"

// The numbers of the blocking; see the package comment for what they are for.
const (
	blockK    = 256     // of p: a panel of B then takes 32 KiB, the first cache
	blockRows = 240     // of C: a block of A then takes 240 KiB, the second cache
	packLimit = 4 << 20 // elements of both operands to work on at once
	smallWork = 1 << 17 // multiplications below which threads do not pay
)

// A product is one C (+)= A·B (+ bias) with everything strided as in Gemm.
type product struct {
	m, n, k    int
	c          []float32
	crs        int
	a          []float32
	ars, acs   int
	b          []float32 // strided by brs and bcs, or panels when panelStride > 0
	brs, bcs   int
	panelStep  int // elements from one panel of B to the next; 0: not in panels
	bias       []float32
	accumulate bool
	pairs      bool // k counts pairs of elements: see pairs.go
	floats     int  // how many elements they are

	// What run works out.
	shape
	rowLo, rowHi int       // the part of the rows at hand
	kLo, kHi     int       // the part of k at hand
	shared       []float32 // that part of A or of B, packed once for all workers
	tasks        int       // that the work at hand is cut into
	each, parts  int       // panels a task takes, and in how many parts it cuts the rows
}

// run shares the product between the workers of the pool. What they share is
// the smaller of A and B, packed; the other one streams through the workers,
// each packing what it is about to use.
func (g *product) run(pool *Pool, s *Scratch) {
	if g.m == 0 || g.n == 0 {
		return
	}
	g.shape = shapes[active]
	if g.m*g.n*g.k < smallWork {
		pool = nil
	}
	if g.directA() {
		g.rowHi, g.kHi = g.m, g.k
		g.overPanels(pool, s)
		return
	}
	if g.m > g.n {
		g.shareB(pool, s)
	} else {
		g.shareA(pool, s)
	}
}

// share runs the tasks of one step: on the caller's goroutine with its
// scratch, or on the pool's workers with scratches of their own.
func (g *product) share(pool *Pool, s *Scratch, step func(g *product, s *Scratch, task int)) {
	if pool.Threads() == 1 || g.tasks == 1 {
		s.pace = pool.pacer(0)
		for task := range g.tasks {
			step(g, s, task)
		}
		return
	}
	pool.Run(g.tasks, func(task, worker int) {
		own := scratches.take()
		defer scratches.put(own)
		own.pace = pool.pacer(worker)
		step(g, own, task)
	})
}

// multiply computes a product with a scratch from the list.
func multiply(p *Pool, g product) { (*Scratch)(nil).multiply(p, g) }

// shareA packs A, part by part, and hands out panels of B.
func (g *product) shareA(pool *Pool, s *Scratch) {
	spanK := g.spanK()
	spanRows := max(blockRows, packLimit/spanK)
	for lo := 0; lo < g.m; lo += spanRows {
		for kLo := 0; kLo < g.k || kLo == 0; kLo += spanK {
			g.rowLo, g.rowHi = lo, min(g.m, lo+spanRows)
			g.kLo, g.kHi = kLo, min(g.k, kLo+spanK)
			g.shared = grow(&s.a, (g.rowHi-g.rowLo)*(g.kHi-g.kLo))
			g.packA(pool, s)
			g.overPanels(pool, s)
		}
	}
}

// shareB packs B, part by part, and hands out rows of A.
func (g *product) shareB(pool *Pool, s *Scratch) {
	panels := g.panels()
	spanK := g.spanK()
	for kLo := 0; kLo < g.k || kLo == 0; kLo += spanK {
		g.rowHi = g.m
		g.kLo, g.kHi = kLo, min(g.k, kLo+spanK)
		if g.panelStep == 0 {
			g.shared = grow(&s.a, panels*g.width*(g.kHi-g.kLo))
			g.packB(pool, s)
		}
		g.overRows(pool, s)
	}
}

// spanK is how much of k is worked through before the next part: little enough
// for that part of both operands to stay in the last cache, as the one that is
// not packed whole is read a panel's width, less than a page, at a time.
func (g *product) spanK() int {
	most := max(blockK, packLimit/min(g.m+g.n, 1024))
	return roundUp(min(max(1, g.k), most), blockK)
}

// blocks is how many blocks the part of k at hand has.
func (g *product) blocks() int { return (g.kHi - g.kLo + blockK - 1) / blockK }

func (g *product) panels() int { return (g.n + g.width - 1) / g.width }

// blocksOfK calls f for every block of the part of k at hand, at least once.
func (g *product) blocksOfK(f func(p, k int)) {
	for p := g.kLo; p == g.kLo || p < g.kHi; p += blockK {
		f(p, min(blockK, g.kHi-p))
	}
}

// directA tells whether A may be read where it is: always right when one
// index of it is contiguous, and worth while unless C has many panels.
func (g *product) directA() bool {
	if g.pairs || g.acs != 1 && g.ars != 1 {
		return false
	}
	return g.m <= g.rows || g.n <= 4*g.width
}

// tileRows returns the bounds of tile i of the rows at hand: tiles differ by
// one row at most, as a tile of few rows is a slow one.
func (g *product) tileRows(i int) (lo, hi int) {
	n := g.rowHi - g.rowLo
	t := g.tileCount()
	return g.rowLo + i*n/t, g.rowLo + (i+1)*n/t
}

func (g *product) tileCount() int { return (g.rowHi - g.rowLo + g.rows - 1) / g.rows }

// tilesPerPack is how many tiles of A a packing task takes: enough to read
// whole cache lines when A's rows lie side by side.
const tilesPerPack = 8

// packA packs the part of A at hand, tile by tile, for each block of k.
func (g *product) packA(pool *Pool, s *Scratch) {
	g.parts = (g.tileCount() + tilesPerPack - 1) / tilesPerPack
	g.tasks = g.parts * g.blocks()
	g.share(pool, s, func(g *product, s *Scratch, task int) {
		p := g.kLo + task/g.parts*blockK
		first := task % g.parts * tilesPerPack
		g.packTiles(s, g.sharedA(p), first, min(g.tileCount(), first+tilesPerPack), p, min(blockK, g.kHi-p))
	})
}

// sharedA is the block of k from p of the packed A.
func (g *product) sharedA(p int) tileBlock {
	return tileBlock{g.shared[(p-g.kLo)*(g.rowHi-g.rowLo):], g.rowLo}
}

// A tileBlock is A packed for a block of k: [tile][p][row], from a row on.
type tileBlock struct {
	data []float32 // nil: A is read where it is
	row  int
}

// at is the tile that begins at row lo.
func (b tileBlock) at(lo, k int) []float32 { return b.data[(lo-b.row)*k:] }

// packTiles packs tiles [first,last) for the k elements from p.
func (g *product) packTiles(s *Scratch, dst tileBlock, first, last, p, k int) {
	for t := first; t < last; t++ {
		lo, hi := g.tileRows(t)
		g.packTile(s, dst.at(lo, k), lo, hi-lo, p, k)
	}
}

// packB packs all panels of B for the part of k at hand, [block of k][panel].
func (g *product) packB(pool *Pool, s *Scratch) {
	g.tasks = g.panels() * g.blocks()
	g.share(pool, s, func(g *product, s *Scratch, task int) {
		panel := task % g.panels()
		p := g.kLo + task/g.panels()*blockK
		k := min(blockK, g.kHi-p)
		g.packPanel(s, g.sharedB(p, k).panel(panel), panel*g.width, p, k)
	})
}

// sharedB is the block of k elements from p of the packed B.
func (g *product) sharedB(p, k int) panelBlock {
	return panelBlock{data: g.shared[(p-g.kLo)*g.panels()*g.width:], step: g.width, panelStep: k * g.width}
}

func (g *product) packTile(s *Scratch, dst []float32, lo, rows, p, k int) {
	if g.pairs {
		g.packPairs(s, dst, rows, g.a[lo*g.ars:], g.ars, g.acs, rows, p, k)
		return
	}
	src := g.a[lo*g.ars+p*g.acs:]
	ahead := blockK * g.acs // the next block of k
	switch {
	case g.acs == 1:
		transposeRows(dst, rows, src, g.ars, rows, k, ahead)
	case g.ars == 1:
		copyRows(dst, rows, src, g.acs, rows, k, ahead)
	default:
		for q := range k {
			for i := range rows {
				dst[q*rows+i] = src[i*g.ars+q*g.acs]
			}
		}
	}
}

// overPanels multiplies the part of A at hand by all of B: a task takes some
// panels of B, and some of the rows when there are few panels.
func (g *product) overPanels(pool *Pool, s *Scratch) {
	g.cut(pool.Threads())
	g.tasks = (g.panels() + g.each - 1) / g.each * g.parts
	g.share(pool, s, func(g *product, s *Scratch, task int) {
		first, part, tiles := task/g.parts*g.each, task%g.parts, g.tileCount()
		g.strip(s, first, min(g.panels(), first+g.each), part*tiles/g.parts, (part+1)*tiles/g.parts)
	})
}

// overRows multiplies A by the part of B at hand: a task takes some tiles.
func (g *product) overRows(pool *Pool, s *Scratch) {
	const tasksPerThread, fewest = 4, 4
	tiles := g.tileCount()
	each := max(fewest, min(blockRows/g.rows, tiles/(tasksPerThread*pool.Threads())))
	g.tasks = (tiles + each - 1) / each
	g.share(pool, s, func(g *product, s *Scratch, task int) {
		tiles := g.tileCount()
		g.rowBlock(s, task*tiles/g.tasks, (task+1)*tiles/g.tasks)
	})
}

// rowBlock computes the rows of tiles [first,last) of all panels.
func (g *product) rowBlock(s *Scratch, first, last int) {
	lo, _ := g.tileRows(first)
	_, hi := g.tileRows(last - 1)
	g.blocksOfK(func(p, k int) {
		s.pace.rest()
		a := tileBlock{grow(&s.b, (hi-lo)*k), lo}
		g.packTiles(s, a, first, last, p, k)
		var b panelBlock
		if g.panelStep == 0 {
			b = g.sharedB(p, k)
		} else {
			b = g.panelsAt(s, 0, g.panels(), p, k)
		}
		g.block(a, b, 0, g.panels(), first, last, p, k)
	})
}

// cut decides how many panels a task takes and in how many parts it cuts the
// rows: big tasks reuse what they pack, many tasks share evenly.
func (g *product) cut(threads int) {
	const rowsEnough = 96
	rows, panels := g.rowHi-g.rowLo, g.panels()
	g.parts = 1
	if rows <= g.rows {
		g.each = g.wide(rows)
		return
	}
	g.each = min(4, max(1, panels/(8*threads)))
	for threads > 1 && g.parts < rows/rowsEnough && panels*g.parts < 6*threads*g.each {
		g.parts++
	}
}

// strip computes the rows of tiles [tileLo,tileHi) of panels [first,last).
func (g *product) strip(s *Scratch, first, last, tileLo, tileHi int) {
	g.blocksOfK(func(p, k int) {
		var a tileBlock
		if g.shared != nil {
			a = g.sharedA(p)
		}
		b := g.panelsAt(s, first, last, p, k)
		for lo := tileLo; lo < tileHi; {
			s.pace.rest()
			next := min(tileHi, lo+blockRows/g.rows)
			g.block(a, b, first, last, lo, next, p, k)
			lo = next
		}
	})
}

// block runs the tiles of a block of C over the block of k elements from p.
func (g *product) block(a tileBlock, b panelBlock, first, last, tileLo, tileHi, p, k int) {
	t := tileArgs{k: k, cstep: g.crs, bstep: b.step, bpanel: b.panelStep}
	if g.accumulate || p > 0 {
		t.load = 1
	}
	for panel := first; panel < last; panel += t.panels {
		j := panel * g.width
		t.cols = min(g.width, g.n-j)
		t.panels = 1
		if wide := g.wide(g.rowHi - g.rowLo); !g.pairs && panel+wide <= last && j+wide*g.width <= g.n {
			t.panels = wide
		}
		t.b = b.panel(panel - first)
		if g.bias != nil && p+k == g.k {
			t.bias = g.bias[j:]
		}
		t.ahead = b.ahead
		for i := tileLo; i < tileHi; i++ {
			lo, hi := g.tileRows(i)
			t.rows = hi - lo
			t.c = g.c[lo*g.crs+j:]
			g.pointA(&t, a, lo, p, k)
			if g.pairs {
				t.runPairs()
			} else {
				t.run()
			}
			t.ahead = 0
		}
	}
}

// pointA says where the tile from row lo finds its A.
func (g *product) pointA(t *tileArgs, a tileBlock, lo, p, k int) {
	if k == 0 {
		return
	}
	switch {
	case a.data != nil:
		t.a, t.astep = a.at(lo, k), t.rows
	case g.acs == 1:
		t.a, t.astep, t.byRow = g.a[lo*g.ars+p:], g.ars, true
	default:
		t.a, t.astep = g.a[lo+p*g.acs:], g.acs
	}
}

// A panelBlock is some panels of B for a block of k.
type panelBlock struct {
	data            []float32
	step, panelStep int // from one p to the next; from one panel to the next
	ahead           int // what to ask for while it is read the first time
}

// panel is where panel i of the block begins.
func (b panelBlock) panel(i int) []float32 { return b.data[i*b.panelStep:] }

// panelsAt finds panels [first,last) of B for the k elements from p, packing
// them when B is not in panels yet.
func (g *product) panelsAt(s *Scratch, first, last, p, k int) panelBlock {
	w := g.width
	switch {
	case k == 0:
		return panelBlock{}
	case g.panelStep > 0:
		return panelBlock{g.b[first*g.panelStep+p*w:], w, g.panelStep, blockK * w}
	case !g.pairs && g.bcs == 1 && last*w <= g.n && g.rowHi-g.rowLo <= 4*g.rows:
		return panelBlock{g.b[p*g.brs+first*w:], g.brs, w, 0}
	}
	size := blockK * w
	dst := grow(&s.b, (last-first)*size)
	for panel := first; panel < last; panel++ {
		g.packPanel(s, dst[(panel-first)*size:], panel*w, p, k)
	}
	return panelBlock{dst, w, size, 0}
}

// packPanel packs the columns of B from j for the k elements from p. The
// columns that a last panel lacks keep what was there: nobody stores them.
func (g *product) packPanel(s *Scratch, dst []float32, j, p, k int) {
	cols := min(g.width, g.n-j)
	if g.pairs {
		g.packPairs(s, dst, g.width, g.b[j*g.bcs:], g.bcs, g.brs, cols, p, k)
		return
	}
	src := g.b[p*g.brs+j*g.bcs:]
	// Next comes the next block of k, or after the last one more columns.
	ahead := blockK * g.brs
	if p+k >= g.kHi {
		ahead = g.width * g.bcs
	}
	switch {
	case g.bcs == 1:
		copyRows(dst, g.width, src, g.brs, cols, k, ahead)
	case g.brs == 1:
		transposeRows(dst, g.width, src, g.bcs, cols, k, ahead)
	default:
		for q := range k {
			for l := range cols {
				dst[q*g.width+l] = src[q*g.brs+l*g.bcs]
			}
		}
	}
}

// A Scratch is one worker's packing space for Gemm and GemmPanels; its zero
// value is ready. It grows to what the largest product needs and is reused.
type Scratch struct {
	a, b  []float32
	pairs []float32 // words of rows to be turned
	job   product   // kept here so that a product allocates nothing
	pace  *pacer    // of the worker that has it

	// The same for products with narrow weights.
	cells  []uint32
	meta   []rowMeta
	lists  []outlier
	narrow narrow
}

// multiply computes a product with this scratch, or if it is nil with one from
// the list.
func (s *Scratch) multiply(p *Pool, g product) {
	if s == nil {
		s = scratches.take()
		defer scratches.put(s)
	}
	s.job = g
	s.job.run(p, s)
	s.job = product{} // let go of the operands
}

// grow returns n elements of buf, made larger if need be.
func grow(buf *[]float32, n int) []float32 {
	if cap(*buf) < n {
		*buf = make([]float32, n)
	}
	return (*buf)[:n]
}

// scratches are those not in use. Unlike a sync.Pool they outlive garbage
// collections: memory touched for the first time is slow on virtual machines.
var scratches scratchList

type scratchList struct {
	mu   sync.Mutex
	free []*Scratch
}

func (l *scratchList) take() *Scratch {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.free); n > 0 {
		s := l.free[n-1]
		l.free = l.free[:n-1]
		return s
	}
	return new(Scratch)
}

func (l *scratchList) put(s *Scratch) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.free = append(l.free, s)
}

func roundUp(n, to int) int { return (n + to - 1) / to * to }
