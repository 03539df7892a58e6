package kernels

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestPoolRunsEveryTaskOnce(t *testing.T) {
	for _, threads := range []int{1, 2, 5} {
		p := NewPool(threads)
		for _, n := range []int{0, 1, 2, 7, 1000} {
			counts := make([]atomic.Int32, n)
			inUse := make([]atomic.Int32, threads)
			p.Run(n, func(task, worker int) {
				if inUse[worker].Add(1) != 1 {
					t.Errorf("worker %d has two tasks at once", worker)
				}
				counts[task].Add(1)
				inUse[worker].Add(-1)
			})
			for i := range counts {
				if c := counts[i].Load(); c != 1 {
					t.Fatalf("%d threads: task %d of %d ran %d times", threads, i, n, c)
				}
			}
		}
		p.Close()
	}
}

// TestPoolIsShared has several goroutines use one pool, with pauses long
// enough for its workers to fall asleep in between.
func TestPoolIsShared(t *testing.T) {
	p := NewPool(3)
	defer p.Close()
	var wg sync.WaitGroup
	var total atomic.Int64
	for range 4 {
		wg.Go(func() {
			for i := range 200 {
				if i%20 == 0 {
					time.Sleep(200 * time.Microsecond)
				}
				var own atomic.Int64
				p.Run(5, func(task, _ int) { own.Add(int64(task)) })
				if own.Load() != 10 {
					t.Errorf("tasks add up to %d, want 10", own.Load())
				}
				total.Add(own.Load())
			}
		})
	}
	wg.Wait()
	if total.Load() != 4*200*10 {
		t.Errorf("total %d", total.Load())
	}
}

func TestPoolNilAndClosed(t *testing.T) {
	var none *Pool
	closed := NewPool(3)
	closed.Close()
	closed.Close()
	for _, p := range []*Pool{none, closed} {
		n := 0
		p.Run(10, func(_, worker int) { n += 1 + worker })
		if n != 10 {
			t.Errorf("ran %d tasks on the caller, want 10", n)
		}
	}
	if none.Threads() != 1 {
		t.Error("a nil pool has one thread")
	}
	none.Close()
}

// TestPoolSurvivesPanic: a panic of the caller's own task leaves the pool whole.
func TestPoolSurvivesPanic(t *testing.T) {
	p := NewPool(1)
	defer p.Close()
	func() {
		defer func() { _ = recover() }()
		p.Run(3, func(int, int) { panic("task") })
	}()
	p.Run(2, func(int, int) {})
}

func BenchmarkPoolRun(b *testing.B) {
	p := NewPool(0)
	defer p.Close()
	for b.Loop() {
		p.Run(2, func(int, int) {})
	}
}

// A panic on a worker's goroutine reaches the caller of Run, and the pool goes on.
func TestPoolCarriesPanics(t *testing.T) {
	p := NewPool(4)
	defer p.Close()
	run := func(n int, f func(task, worker int)) (value any) {
		defer func() { value = recover() }()
		p.Run(n, f)
		return nil
	}
	carried := 0
	for range 300 {
		got := run(64, func(_, worker int) {
			if worker > 0 {
				panic("worker")
			}
			time.Sleep(20 * time.Microsecond)
		})
		if failed, ok := got.(*Panic); ok {
			carried++
			if failed.Value != "worker" || !strings.Contains(failed.Error(), "TestPoolCarriesPanics") {
				t.Fatalf("carried %v", failed)
			}
		} else if got != nil {
			t.Fatalf("carried %v", got)
		}
		if got := run(64, func(task, worker int) {
			if worker == 0 {
				panic(task)
			}
			panic("worker")
		}); got == nil {
			t.Fatal("a panic was lost")
		}
		var sum atomic.Int64
		if got := run(100, func(task, _ int) { sum.Add(int64(task)) }); got != nil || sum.Load() != 4950 {
			t.Fatalf("after a panic: %v, sum %d", got, sum.Load())
		}
	}
	if carried == 0 {
		t.Error("no worker ever panicked")
	}
}
