package bench

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// allocate returns memory for n numbers outside Go's heap, in huge pages where
// the system gives them, and what gives it back.
func allocate(n int) ([]float32, func()) {
	const page = 2 << 20
	b, err := unix.Mmap(-1, 0, 4*n+page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return make([]float32, n), func() {} // without the luxury
	}
	_ = unix.Madvise(b, unix.MADV_HUGEPAGE) // a wish; small pages do as well
	skip := int(-uintptr(unsafe.Pointer(&b[0])) & (page - 1))
	x := unsafe.Slice((*float32)(unsafe.Pointer(&b[skip])), n)
	return x, func() { _ = unix.Munmap(b) } // nobody can do anything about a failure
}
