package kernels

import (
	"math"
	"slices"
)

// A narrow is a product y[m,N] = x[m,K]·wᵀ + bias with a weight of a narrow
// type. int8.go and bfloat16.go say what it computes; here is in what order.
//
// First x is converted and laid out in tiles of a few rows, step by step of K
// (a step is a word of the weight: four int8 or two bfloat16 values), so that a
// tile reads it from front to back. Then every task takes some panels of the
// weight and runs the tiles over them. A tile keeps its sums in registers for
// the whole of K.
type narrow struct {
	w       *Packed
	m       int
	y, x    []float32
	bias    []float32
	rows    int // most rows of a tile
	tiles   int
	words   int // of a cell: one row's values of a step
	cells   []uint32
	meta    []rowMeta
	lists   []outlier // steps for each row
	each    int       // panels of a task
	parts   int       // in which the tiles are cut
	threads int
}

// rowMeta is what the epilogue of an int8 tile needs of a row of x.
type rowMeta struct {
	correction int32 // 128 times the sum of its integers, if the cells are bytes
	scale      float32
	count      int // of outliers
	outliers   *outlier
}

// An outlier is a step of a row in which a value needs a second digit.
type outlier struct {
	at     int32  // bytes from the start of a panel
	digits uint32 // the step's second digits, of weight 128
}

// multiplyNarrow runs a product with a scratch from the list.
func multiplyNarrow(p *Pool, g narrow) {
	if g.m == 0 || g.w.N == 0 {
		return
	}
	s := scratches.take()
	defer scratches.put(s)
	if g.m*g.w.N*g.w.K < smallWork {
		p = nil
	}
	s.narrow = g
	s.narrow.run(p, s)
	s.narrow = narrow{} // let go of the operands
}

func (g *narrow) run(p *Pool, s *Scratch) {
	g.threads = p.Threads()
	g.rows, g.words = narrowTile(g.w.dtype)
	g.tiles = (g.m + g.rows - 1) / g.rows
	steps := g.w.steps()
	g.cells = growTo(&s.cells, g.m*steps*g.words)
	if g.w.dtype == Int8 {
		g.meta = growTo(&s.meta, g.m)
		g.lists = growTo(&s.lists, g.m*steps)
	}
	g.convert(p)
	g.cut()
	if g.threads == 1 || g.tasks() == 1 {
		for task := range g.tasks() {
			g.task(task)
		}
		return
	}
	p.Run(g.tasks(), func(task, _ int) { g.task(task) })
}

// tileRows returns the bounds of a tile: tiles differ by one row at most.
func (g *narrow) tileRows(t int) (lo, hi int) {
	return t * g.m / g.tiles, (t + 1) * g.m / g.tiles
}

// convert lays x out for the tiles.
func (g *narrow) convert(p *Pool) {
	const worthWaking = 1 << 14 // values: some microseconds
	if g.threads == 1 || g.m*g.w.K < worthWaking {
		g.convertRows(0, g.m)
		return
	}
	each := max(1, min(g.rows, g.m/g.threads))
	p.Run((g.m+each-1)/each, func(task, _ int) { g.convertRows(task*each, min(g.m, (task+1)*each)) })
}

// convertRows lays rows [lo,hi) out.
func (g *narrow) convertRows(lo, hi int) {
	for t := range g.tiles {
		if first, last := g.tileRows(t); first < hi && lo < last {
			g.convertPart(first, last, max(lo, first), min(hi, last))
		}
	}
}

// convertPart lays rows [from,to) of the tile [lo,hi) out.
func (g *narrow) convertPart(lo, hi, from, to int) {
	steps, k := g.w.steps(), g.w.K
	tile := g.cells[lo*steps*g.words : hi*steps*g.words]
	for i := from; i < to; i++ {
		cells := rowCells{tile[(i-lo)*g.words:], (hi - lo) * g.words, g.words}
		x := g.x[i*k : (i+1)*k]
		if g.w.dtype == BFloat16 {
			cells.roundPairs(x)
		} else {
			g.meta[i] = cells.quantize(x, g.lists[i*steps:(i+1)*steps], g.w.width)
		}
		cells.pad(x, steps, g.w.dtype)
	}
}

// cut decides how many panels a task takes, and in how many parts the tiles
// are cut when there are few panels. Few rows are bound by memory, which is
// fastest read in long stretches: a task a thread. Many rows need tasks enough
// to share them evenly, of panels few enough to stay in the second cache while
// the tiles run over them.
func (g *narrow) cut() {
	const cache, tasksPerThread = 256 << 10, 4
	panels := g.panels()
	if g.tiles == 1 {
		g.each, g.parts = max(1, (panels+g.threads-1)/g.threads), 1
		return
	}
	fit := max(1, cache/(4*g.w.steps()*g.w.width))
	g.each = max(1, min(fit, panels/(tasksPerThread*g.threads)))
	g.parts = 1
	for g.threads > 1 && g.parts < g.tiles/4 && (panels+g.each-1)/g.each*g.parts < tasksPerThread*g.threads {
		g.parts++
	}
}

func (g *narrow) panels() int { return (g.w.N + g.w.width - 1) / g.w.width }

func (g *narrow) tasks() int { return (g.panels() + g.each - 1) / g.each * g.parts }

// task runs a part of the tiles over some panels.
func (g *narrow) task(task int) {
	first, part := task/g.parts*g.each, task%g.parts
	last := min(g.panels(), first+g.each)
	for t := part * g.tiles / g.parts; t < (part+1)*g.tiles/g.parts; t++ {
		g.tile(t, first, last, t == part*g.tiles/g.parts)
	}
}

// A narrowTileArgs is some rows of y by one panel.
type narrowTileArgs struct {
	rows, cols, steps int
	width             int      // of the panel
	a                 []uint32 // cells
	b                 []uint32 // the panel
	fresh             bool     // the panel comes from memory
	y                 []float32
	ystep             int
	bias              []float32 // nil for none
	scales            []float32 // Int8
	meta              []rowMeta // Int8
}

// tile runs a tile over panels [first,last).
func (g *narrow) tile(t, first, last int, fresh bool) {
	lo, hi := g.tileRows(t)
	w, steps := g.w, g.w.steps()
	args := narrowTileArgs{
		rows: hi - lo, width: w.width, steps: steps, fresh: fresh,
		a: g.cells[lo*steps*g.words : hi*steps*g.words], ystep: w.N,
	}
	if w.dtype == Int8 {
		args.meta = g.meta[lo:hi]
	}
	for panel := first; panel < last; panel++ {
		j := panel * w.width
		args.cols = min(w.width, w.N-j)
		args.b, args.y = w.panel(panel), g.y[lo*w.N+j:]
		if g.bias != nil {
			args.bias = g.bias[j : j+args.cols]
		}
		if w.dtype == Int8 {
			args.scales = w.scales[j : j+w.width]
		}
		args.run(w.dtype)
	}
}

// rowCells is where one row of x goes: a cell every stride words.
type rowCells struct {
	to     []uint32
	stride int
	words  int
}

// after is where the cells of a later step go.
func (c rowCells) after(step int) rowCells {
	c.to = c.to[min(len(c.to), step*c.stride):]
	return c
}

// quantize turns x into integers, one cell for four, and says how. The list
// has room for an outlier a step.
func (c rowCells) quantize(x []float32, list []outlier, width int) rowMeta {
	scale, inverse := activationScale(x)
	meta := rowMeta{scale: scale}
	if math.IsNaN(float64(scale)) { // so is the whole row of y
		for s := range (len(x) + 3) / 4 {
			clear(c.to[s*c.stride : s*c.stride+c.words])
		}
		return meta
	}
	if c.words == 2 {
		c.quantizeWide(x, inverse)
		return meta
	}
	meta.correction, list = c.quantizeBytes(x, inverse, list[:0], 4*width)
	meta.correction *= 128
	meta.count = len(list)
	if len(list) > 0 {
		meta.outliers = &list[0]
	}
	return meta
}

// activationScale is the scale of a row's integers and its inverse; NaN when
// the row holds infinities or NaN.
func activationScale(x []float32) (scale, inverse float32) {
	largest, squares := magnitude(x)
	switch {
	case math.IsInf(float64(largest), 0) || math.IsNaN(float64(squares)):
		return float32(math.NaN()), 0
	case math.IsInf(float64(squares), 0):
	default:
		largest = min(largest, outlierAt*float32(math.Sqrt(float64(squares)/float64(len(x)))))
	}
	return largest / int8Max, inverseScale(largest)
}

// pad clears the cells beyond x.
func (c rowCells) pad(x []float32, steps int, d DType) {
	perStep := 4
	if d == BFloat16 {
		perStep = 2
	}
	for s := (len(x) + perStep - 1) / perStep; s < steps; s++ {
		clear(c.to[s*c.stride : s*c.stride+c.words])
	}
}

// growTo returns n elements of buf, made larger if need be.
func growTo[T any](buf *[]T, n int) []T {
	*buf = slices.Grow((*buf)[:0], n)
	return (*buf)[:n]
}

// narrowInstructions are what a processor may have beyond its path.
type narrowInstructions struct {
	bytes bool // VPDPBUSD: AVX-512 VNNI
	pairs bool // VDPBF16PS: AVX-512 BF16
}

// instructions are those in use.
var instructions = detectNarrow()
