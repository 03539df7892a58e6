//go:build !amd64

package kernels

import "runtime"

func (t *tileArgs) run() { t.runGeneric() }

func transposeRows(dst []float32, dstep int, src []float32, sstep, rows, k, _ int) {
	transposeGeneric(dst, dstep, src, sstep, rows, k)
}

func copyRows(dst []float32, dstep int, src []float32, sstep, cols, k, _ int) {
	copyRowsGeneric(dst, dstep, src, sstep, cols, k)
}

func peakWork(n int, _ DType) int { return peakGeneric(n) }

func readLines(x []float32, _ bool) { runtime.KeepAlive(readGeneric(x)) }
