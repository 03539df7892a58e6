package bench

import "causerie/models/kernels"

// ruler measures what the machine can do, beside what is measured with it:
// virtual machines change their speed from one second to the next, so that a
// limit measured at another time is none.
type ruler struct {
	all     *kernels.Pool
	buffer  []float32 // what is read
	release func()
}

// bufferBytes is much more than most caches hold; quickBytes is enough on most
// machines.
const (
	bufferBytes = 512 << 20
	quickBytes  = 128 << 20
)

// newRuler takes the memory that it is to read; close gives it back.
func newRuler(threads, bytes int) *ruler {
	r := &ruler{all: kernels.NewPool(threads)}
	r.buffer, r.release = allocate(bytes / 4)
	r.all.Run(len(r.buffer)/claim, func(task, _ int) {
		part := r.buffer[task*claim : (task+1)*claim]
		for i := range part {
			part[i] = 1 // pages that were never written are all the same zeros
		}
	})
	return r
}

func (r *ruler) close() {
	r.all.Close()
	r.release()
}

// claim is how many numbers of the buffer a thread takes on at a time.
const claim = 512 << 10

// bandwidth is how many bytes a second the threads of the pool read together
// from a working set of the given size, over and over: from a cache, if it
// fits one. It takes some 20 ms.
func (r *ruler) bandwidth(p *kernels.Pool, size float64) float64 {
	n := min(max(int(size/4), 64<<10), len(r.buffer))
	return kernels.MeasureBandwidth(p, r.buffer[:n])
}
