//go:build !amd64

package kernels

// narrowTile is the most rows of a tile and the words of a cell.
func narrowTile(DType) (rows, words int) { return 4, 2 }

func (c rowCells) quantizeWide(x []float32, inverse float32) { c.quantizeWideGeneric(x, inverse) }

func (c rowCells) quantizeBytes(x []float32, inverse float32, list []outlier, at int) (int32, []outlier) {
	return c.quantizeBytesGeneric(x, inverse, list, at, 0)
}

func (c rowCells) roundPairs(x []float32) { c.roundPairsGeneric(x) }

func magnitudeBlocks(x []float32, largest, squares *[lanes]float32) {
	magnitudeGeneric(x, largest, squares)
}

func (t *narrowTileArgs) run(d DType)  { t.runGeneric(d) }
func detectNarrow() narrowInstructions { return narrowInstructions{} }

func fetchLines(*uint32, int) {}
