package kernels

import "unsafe"

// A decoding step reads one weight after the other, with a little work between
// two in which only one thread has something to do and memory nothing. So a
// worker that has done its part asks for the beginning of what is read next.

// Precedes says that next is the weight read after w when a model decodes.
func (w *Packed) Precedes(next *Packed) { w.next = next }

// words is all of the weight as it lies in memory.
func (w *Packed) words() []uint32 {
	if w.dtype == Float32 {
		return unsafe.Slice((*uint32)(unsafe.Pointer(unsafe.SliceData(w.floats))), len(w.floats))
	}
	return w.narrow
}

// lookAhead tells the workers what will be read after a product of m rows with w.
// It matters only where memory is what a product waits for.
func (p *Pool) lookAhead(w *Packed, m int) {
	const fewRows = 4
	next := w.next
	if m > fewRows {
		next = nil
	}
	if p.ahead.Load() != next {
		p.ahead.Store(next)
	}
}

// fetch asks for the first part of what each of two threads reads, until stop
// says that there is something better to do.
func (w *Packed) fetch(stop func() bool) {
	const (
		most  = 64 << 10 // words: what fits beside the rest in the second cache
		piece = 64       // lines
		words = piece * 16
	)
	all := w.words()
	half := len(all) / 2 &^ 15
	for at := 0; at < most && at+words <= half; at += words {
		for _, from := range [...]int{at, half + at} {
			if stop() {
				return
			}
			fetchLines(&all[from], piece)
		}
	}
}
