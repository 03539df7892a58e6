package kernels

import "os"

// A path is one way of computing everything in this package, chosen once by
// what the processor can do.
type path int

const (
	pathGeneric path = iota // plain Go
	pathAVX2                // AVX2 with FMA and F16C
	pathAVX512              // AVX-512 F, DQ, BW and VL
)

var pathNames = [...]string{"generic", "avx2", "avx512"}

func (p path) String() string { return pathNames[p] }

// active is the path in use: the best one, unless CAUSERIE_CPU names another
// that this processor has.
var active = choose(os.Getenv("CAUSERIE_CPU"))

func choose(name string) path {
	best := bestPath()
	for p := pathGeneric; p <= best; p++ {
		if p.String() == name {
			return p
		}
	}
	return best
}

// CPU names the path in use: "avx512", "avx2" or "generic".
func CPU() string { return active.String() }

// A shape is the size of a path's product tile.
type shape struct {
	rows  int   // most rows of C a tile computes at once
	width int   // columns of a panel, PanelWidth
	lone  []int // how many panels a single row may take at once, most first
}

var shapes = [...]shape{pathGeneric: {4, 16, nil}, pathAVX2: {6, 16, []int{4}}, pathAVX512: {12, 32, []int{4, 2}}}

// wide tells how many panels a lone tile of so many rows takes at once: with
// few rows, several panels are needed to have enough chains in flight.
func (s shape) wide(rows int) int {
	switch {
	case active == pathGeneric:
		return 1
	case 4*rows <= s.rows:
		return 4
	case 2*rows <= s.rows:
		return 2
	}
	return 1
}

// PanelWidth is W, how many columns a panel of packed floats holds: 32 with
// AVX-512, 16 otherwise. It is fixed for the life of the process.
func PanelWidth() int { return shapes[active].width }
