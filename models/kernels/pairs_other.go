//go:build !amd64

package kernels

func (t *tileArgs) runPairs() { t.runPairsGeneric() }

func roundPairs(dst, x []float32) { roundPairsRowGeneric(dst, x) }

func roundColumnPairs([]float32, int, []float32, int, int, int) {} // FastBFloat16 is false
