package kernels

import "unsafe"

func toHalfBlocks(dst []uint16, src []float32) {
	switch active {
	case pathAVX512:
		toHalfAVX512(unsafe.SliceData(dst), unsafe.SliceData(src), len(src))
	case pathAVX2:
		toHalfAVX2(unsafe.SliceData(dst), unsafe.SliceData(src), len(src))
	default:
		toHalfGeneric(dst, src)
	}
}

func fromHalfBlocks(dst []float32, src []uint16) {
	switch active {
	case pathAVX512:
		fromHalfAVX512(unsafe.SliceData(dst), unsafe.SliceData(src), len(src))
	case pathAVX2:
		fromHalfAVX2(unsafe.SliceData(dst), unsafe.SliceData(src), len(src))
	default:
		fromHalfGeneric(dst, src)
	}
}

// halfPanels is how many of so many whole panels a row takes at once.
func halfPanels(whole int) int {
	switch {
	case whole >= 4 && active == pathAVX2:
		return 4
	case whole >= 2:
		return 2
	}
	return whole
}

// rowTimesHalf multiplies a row by whole panels.
func rowTimesHalf(c, a []float32, b []uint16, panelStride, panels int, accumulate bool, ahead int) {
	if active == pathGeneric || len(a) == 0 {
		rowTimesHalfGeneric(c, a, b, panelStride, panels, accumulate)
		return
	}
	f := [...]func(k int, a *float32, b *uint16, bpanel, ahead int, c *float32, load int){1: rowHalf1AVX512, 2: rowHalf2AVX512, 4: nil}
	if active == pathAVX2 {
		f[1], f[2], f[4] = rowHalf1AVX2, rowHalf2AVX2, rowHalf4AVX2
	}
	load := 0
	if accumulate {
		load = 1
	}
	f[panels](len(a), &a[0], &b[0], 2*panelStride, 2*ahead, &c[0], load)
}
