package kernels

import (
	"sync"
	"unsafe"
)

// A Word is a type of which weights, keys and values are made.
type Word interface{ uint16 | uint32 | float32 }

// MakeHuge makes a slice of zeros that is read from front to back again and
// again, such as a weight. The system is asked for huge pages: with ordinary
// ones, finding out where a page lies costs as much as reading it. A matrix is
// often smaller than a huge page, so many of them share a slab.
func MakeHuge[T Word](n int) []T {
	const large = 16 << 10
	if n < large {
		return make([]T, n)
	}
	var element T
	words := (n*int(unsafe.Sizeof(element)) + 3) / 4
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(slabs.take(words)))), n)
}

// slabs hands out the memory of the newest slab; what was handed out keeps its
// slab alive. Of a slab, only what is used takes memory.
var slabs slabList

type slabList struct {
	mu   sync.Mutex
	free []uint32 // what is left of the newest
}

func (l *slabList) take(n int) []uint32 {
	const (
		size = 8 << 20 // words
		line = 16      // words: no two weights share a cache line
	)
	l.mu.Lock()
	defer l.mu.Unlock()
	if n > len(l.free) {
		fresh := make([]uint32, max(size, n))
		adviseHuge(fresh)
		if n >= size {
			return fresh
		}
		l.free = fresh
	}
	s := l.free[:n:n]
	l.free = l.free[min(len(l.free), roundUp(n, line)):]
	return s
}
