package kernels

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// adviseHuge asks for huge pages where s covers them whole. It must come
// before the memory is touched. A system that has none says so; nothing is
// lost then.
func adviseHuge[T uint32 | float32](s []T) {
	const page = 2 << 20
	if len(s) == 0 {
		return
	}
	first := uintptr(unsafe.Pointer(unsafe.SliceData(s)))
	skip := -first & (page - 1)
	size := uintptr(len(s)) * unsafe.Sizeof(s[0])
	if size < skip+page {
		return
	}
	bytes := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(s))), size)
	_ = unix.Madvise(bytes[skip:skip+(size-skip)&^(page-1)], unix.MADV_HUGEPAGE)
}
