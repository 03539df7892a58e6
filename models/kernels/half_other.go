//go:build !amd64

package kernels

func toHalfBlocks(dst []uint16, src []float32)   { toHalfGeneric(dst, src) }
func fromHalfBlocks(dst []float32, src []uint16) { fromHalfGeneric(dst, src) }

// halfPanels is how many of so many whole panels a row takes at once.
func halfPanels(whole int) int { return whole }

func rowTimesHalf(c, a []float32, b []uint16, panelStride, panels int, accumulate bool, _ int) {
	rowTimesHalfGeneric(c, a, b, panelStride, panels, accumulate)
}
