package bench

import (
	"time"

	"causerie/models/kernels"
)

// ruler measures what the machine can do, beside what is measured with it:
// virtual machines change their speed from one second to the next, so that a
// limit measured at another time is none.
type ruler struct {
	all     *kernels.Pool
	buffer  []float32 // what is read
	release func()
	read    func([]float32) float32
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
	r.read = fasterReader(r.buffer[:256<<10])
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
	part := min(claim, n/p.Threads())
	parts := n / part
	pass := func() { p.Run(parts, func(task, _ int) { r.stream(r.buffer[task*part : (task+1)*part]) }) }
	pass()
	passes, start := 0, time.Now()
	for time.Since(start) < 20*time.Millisecond {
		pass()
		passes++
	}
	return float64(passes*parts*part*4) / time.Since(start).Seconds()
}

// stream reads x in two streams, which keeps one core's prefetchers busiest.
func (r *ruler) stream(x []float32) {
	const piece = 512
	low, high := x[:len(x)/2], x[len(x)/2:]
	for len(low) >= piece {
		r.read(low[:piece])
		r.read(high[:piece])
		low, high = low[piece:], high[piece:]
	}
	r.read(low)
	r.read(high)
}

// fasterReader picks the loop that reads faster here: the kernels', or the one
// in plain Go where there are none for this processor.
func fasterReader(sample []float32) func([]float32) float32 {
	best, fastest := kernels.Sum, time.Duration(1<<62)
	for _, read := range []func([]float32) float32{kernels.Sum, sumPlain} {
		read(sample)
		start := time.Now()
		for range 8 {
			read(sample)
		}
		if took := time.Since(start); took < fastest {
			best, fastest = read, took
		}
	}
	return best
}

// sumPlain reads everything; four chains of additions keep the loads busy.
func sumPlain(x []float32) float32 {
	var a, b, c, d float32
	for ; len(x) >= 8; x = x[8:] {
		a += x[0] + x[4]
		b += x[1] + x[5]
		c += x[2] + x[6]
		d += x[3] + x[7]
	}
	return a + b + c + d
}
