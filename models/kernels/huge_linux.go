package kernels

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// adviseHuge asks for huge pages where s covers them whole. It must come
// before the memory is touched. A system that has none says so; nothing is
// lost then.
func adviseHuge(s []uint32) {
	const page = 2 << 20
	if len(s) == 0 {
		return
	}
	first := uintptr(unsafe.Pointer(unsafe.SliceData(s)))
	skip := -first & (page - 1)
	size := 4 * uintptr(len(s))
	if size < skip+page {
		return
	}
	bytes := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(s))), size)
	_ = unix.Madvise(bytes[skip:skip+(size-skip)&^(page-1)], unix.MADV_HUGEPAGE)
}
