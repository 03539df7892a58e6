package kernels

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// A Pool runs the parts of one kernel on several goroutines at once.
//
// A nil *Pool is ready to use and runs everything on the caller's goroutine.
// The goroutines of a Pool belong to it: Close ends them and waits for them.
// A Pool may be shared; one Run at a time has its workers, others wait.
//
// A layer of a small model takes tens of microseconds, as long as it takes to
// put a goroutine to sleep and wake it. So a worker that has run out of tasks
// looks for more for a moment before it sleeps, and Run never waits for a
// worker that has not started: on a busy machine the caller just does it all.
type Pool struct {
	threads int
	workers []worker
	ended   sync.WaitGroup // the workers' goroutines

	mu sync.Mutex // held for the whole of a Run

	// state says which batch is at hand and who is on it: its number in the
	// upper half, then batchClosed, then how many workers have joined.
	state atomic.Uint64
	quit  atomic.Bool
	ahead atomic.Pointer[Packed] // what is likely to be read next
	idle  chan struct{}          // told by the last worker to leave a closed batch

	// The batch: written before it opens, read after joining it.
	f    func(task, worker int)
	n    int64
	next atomic.Int64

	failed atomic.Pointer[Panic] // the first panic on a worker's goroutine

	pacers []pacer // one for each worker of a pool in the background
}

type worker struct {
	parked atomic.Bool
	wake   chan struct{}
}

const (
	batchClosed  = 1 << 31 // nobody may join any more
	batchAwaited = 1 << 30 // the last to leave must tell, as the caller of Run sleeps
	batchJoined  = batchAwaited - 1
	batchNumber  = 1 << 32
)

// spinFor is how long a worker without a task looks out before it sleeps: longer
// than what lies between two products of a decoding step.
const spinFor = 150 * time.Microsecond

// NewPool starts a pool of the given number of threads, the goroutine that
// calls Run being one of them. 0 or less means as many as Go may use at once.
func NewPool(threads int) *Pool { return newPool(threads, false) }

func newPool(threads int, background bool) *Pool {
	if threads <= 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	p := &Pool{threads: threads, workers: make([]worker, threads-1), idle: make(chan struct{}, 1)}
	if background {
		p.pacers = make([]pacer, threads)
	}
	p.state.Store(batchClosed)
	for i := range p.workers {
		p.workers[i].wake = make(chan struct{}, 1)
		p.ended.Go(func() { p.serve(&p.workers[i], i+1) })
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
	p.quit.Store(true)
	p.rouse(len(p.workers))
	p.ended.Wait()
}

// Run calls f(task, worker) for every task in [0,n) and returns when all have
// returned. Tasks are claimed in rising order by whichever worker is free;
// worker is in [0,Threads()) and no two calls run at once under one number, so
// it may index buffers. f must not call Run on the same pool.
//
// When f panics, the tasks that nobody has claimed are left undone and Run
// panics: with what f did on the caller's goroutine, or else with a *[Panic].
func (p *Pool) Run(n int, f func(task, worker int)) {
	if p == nil || p.threads == 1 || n <= 1 {
		pace := p.pacer(0)
		for i := range n {
			pace.rest()
			f(i, 0)
		}
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open(n, f)
	p.share()
	if failed := p.failed.Swap(nil); failed != nil {
		panic(failed)
	}
}

// share works on the open batch until all of it is done.
func (p *Pool) share() {
	defer p.close()
	defer p.skipOnPanic()
	p.work(0)
}

// skipOnPanic leaves the tasks that nobody has claimed undone when the caller's
// own task panics, so that it waits for none but those under way.
func (p *Pool) skipOnPanic() {
	if p.next.Load() < p.n {
		p.next.Store(p.n)
	}
}

// A Panic is what a task did on a worker's goroutine, carried to the caller of
// Run.
type Panic struct {
	Value any
	Stack []byte // of the worker
}

// Error gives the value and the stack.
func (p *Panic) Error() string { return fmt.Sprintf("%v\n\n%s", p.Value, p.Stack) }

// open makes a batch and calls workers to it.
func (p *Pool) open(n int, f func(task, worker int)) {
	p.f, p.n = f, int64(n)
	p.failed.Store(nil) // a batch whose caller panicked as well may have left one
	p.next.Store(0)
	p.state.Store(p.state.Load()&^(batchNumber-1) + batchNumber)
	p.rouse(min(n-1, len(p.workers)))
}

// rouse wakes the first n workers, those that sleep.
func (p *Pool) rouse(n int) {
	for i := range n {
		w := &p.workers[i]
		if w.parked.CompareAndSwap(true, false) {
			w.wake <- struct{}{}
		}
	}
}

// close lets nobody join any more and waits for those who have.
func (p *Pool) close() {
	if p.state.Or(batchClosed)&batchJoined > 0 {
		p.awaitIdle()
	}
	p.f = nil
}

func (p *Pool) awaitIdle() {
	if p.spin(func() bool { return p.state.Load()&batchJoined == 0 }) {
		return
	}
	if p.state.Or(batchAwaited)&batchJoined > 0 {
		<-p.idle
	}
}

// spin waits for a condition for a moment and reports whether it came. Between
// looks it gives others the processor, but not after every one: that takes
// longer than what is waited for. A pool that gives way looks for one round only.
func (p *Pool) spin(condition func() bool) bool {
	const looks = 100
	for start := time.Now(); ; {
		for range looks {
			if condition() {
				return true
			}
		}
		if p.yields() || time.Since(start) >= spinFor {
			return false
		}
		runtime.Gosched()
	}
}

// work claims tasks until none is left.
func (p *Pool) work(worker int) {
	pace := p.pacer(worker)
	for {
		pace.rest()
		i := p.next.Add(1) - 1
		if i >= p.n {
			return
		}
		p.f(int(i), worker)
	}
}

// workGuarded is work on a goroutine of the pool, where a panic would end the
// process.
func (p *Pool) workGuarded(worker int) {
	defer func() {
		if v := recover(); v != nil {
			p.failed.CompareAndSwap(nil, &Panic{Value: v, Stack: debug.Stack()})
			p.next.Store(p.n)
		}
	}()
	p.work(worker)
}

// serve is the life of a worker.
func (p *Pool) serve(w *worker, number int) {
	var last uint64 // batch it was on
	for {
		if !p.await(w, &last) {
			return
		}
		p.workGuarded(number)
		if p.state.Add(^uint64(0))&(batchClosed|batchAwaited|batchJoined) == batchClosed|batchAwaited {
			p.idle <- struct{}{}
		}
		if w := p.ahead.Load(); w != nil {
			w.fetch(func() bool { return p.isNew(last) || p.quit.Load() })
		}
	}
}

// await joins the next batch; false means that the pool is closed.
func (p *Pool) await(w *worker, last *uint64) bool {
	for {
		joined := false
		p.spin(func() bool {
			joined = p.join(last)
			return joined || p.quit.Load()
		})
		if joined {
			return true
		}
		if p.quit.Load() {
			return false
		}
		w.parked.Store(true)
		// What came while the flag was down did not wake this worker.
		if (p.isNew(*last) || p.quit.Load()) && w.parked.CompareAndSwap(true, false) {
			continue
		}
		<-w.wake
	}
}

// isNew tells whether a batch is open that is not the last one.
func (p *Pool) isNew(last uint64) bool {
	s := p.state.Load()
	return s&batchClosed == 0 && s/batchNumber != last
}

// join joins the batch at hand if it is open and not the last one.
func (p *Pool) join(last *uint64) bool {
	for {
		s := p.state.Load()
		if s&batchClosed != 0 || s/batchNumber == *last {
			return false
		}
		if p.state.CompareAndSwap(s, s+1) {
			*last = s / batchNumber
			return true
		}
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
