package kernels

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// A Pool runs the parts of one kernel on several goroutines at once.
//
// A nil *Pool is ready to use and runs everything on the caller's goroutine.
// The goroutines of a Pool belong to it: Close ends them and waits for them.
// A Pool may be shared; one Run at a time has its workers, others wait.
type Pool struct {
	threads int

	mu     sync.Mutex // held for the whole of a Run
	closed bool
	wake   chan *batch
	done   sync.WaitGroup // the workers themselves
}

// A batch is one Run's tasks, claimed one by one.
type batch struct {
	f       func(task, worker int)
	n       int64
	next    atomic.Int64
	worker  atomic.Int64
	running sync.WaitGroup
}

// NewPool starts a pool of the given number of threads, the goroutine that
// calls Run being one of them. 0 or less means as many as Go may use at once.
func NewPool(threads int) *Pool {
	if threads <= 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	p := &Pool{threads: threads, wake: make(chan *batch, threads)}
	for i := 1; i < threads; i++ {
		p.done.Go(func() {
			for b := range p.wake {
				b.work(int(b.worker.Add(1)))
				b.running.Done()
			}
		})
	}
	return p
}

// Threads tells how many tasks may run at once; 1 for a nil pool.
func (p *Pool) Threads() int {
	if p == nil {
		return 1
	}
	return p.threads
}

// Close ends the pool's goroutines and waits for them. A closed pool still
// runs tasks, on the caller's goroutine.
func (p *Pool) Close() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.closed = true
		close(p.wake)
		p.done.Wait()
	}
}

// Run calls f(task, worker) for every task in [0,n) and returns when all have
// returned. Tasks are claimed in rising order by whichever worker is free;
// worker is in [0,Threads()) and no two calls run at once under one number, so
// it may index buffers. f must not call Run on the same pool.
func (p *Pool) Run(n int, f func(task, worker int)) {
	if p == nil || p.threads == 1 || n <= 1 {
		for i := range n {
			f(i, 0)
		}
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	b := &batch{f: f, n: int64(n)}
	if !p.closed {
		helpers := min(n, p.threads) - 1
		b.running.Add(helpers)
		for range helpers {
			p.wake <- b
		}
	}
	b.work(0)
	b.running.Wait()
}

// work claims tasks until none is left.
func (b *batch) work(worker int) {
	for {
		i := b.next.Add(1) - 1
		if i >= b.n {
			return
		}
		b.f(int(i), worker)
	}
}

// span is how many elements of an elementwise kernel one task handles: enough
// to hide the cost of handing out a task, little enough to share evenly.
const span = 16 << 10

// forSpans cuts [0,n) into spans and calls f for each. Only elementwise work
// may use it: where a span begins must never show in a result.
func (p *Pool) forSpans(n int, f func(lo, hi int)) {
	if n <= span {
		f(0, n)
		return
	}
	p.Run((n+span-1)/span, func(task, _ int) {
		f(task*span, min(n, (task+1)*span))
	})
}
