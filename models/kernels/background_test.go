package kernels

import (
	"sync/atomic"
	"testing"
	"time"
)

// TestBackgroundGivesWay: under a claim, a background pool works a small part
// of the time, but goes on; another pool does not care.
func TestBackgroundGivesWay(t *testing.T) {
	const tasks, each = 40, time.Millisecond
	busy := func(int, int) {
		for start := time.Now(); time.Since(start) < each; {
		}
	}
	for _, threads := range []int{1, 2} {
		p := NewBackgroundPool(threads)
		defer p.Close()
		Claim()
		Claim()
		Release()
		start := time.Now()
		p.Run(tasks, busy)
		took, worked := time.Since(start), tasks*each/time.Duration(threads)
		Release()
		if took < worked/2*backgroundParts {
			t.Errorf("%d threads: %v of work under a claim took %v only", threads, worked, took)
		}
	}
	if Claimed() {
		t.Fatal("a claim is left")
	}
}

// TestReleaseEndsPauses: nobody sleeps on when the claim has ended.
func TestReleaseEndsPauses(t *testing.T) {
	p := NewBackgroundPool(2)
	defer p.Close()
	for range 20 {
		var ran atomic.Int32
		done := make(chan struct{})
		Claim()
		go func() {
			defer close(done)
			p.Run(100, func(int, int) { ran.Add(1) })
		}()
		time.Sleep(time.Millisecond)
		Release()
		<-done
		if ran.Load() != 100 {
			t.Fatalf("%d of 100 tasks ran", ran.Load())
		}
	}
}

// TestBackgroundKeepsBits: pausing in the middle of products changes nothing.
func TestBackgroundKeepsBits(t *testing.T) {
	const m, n, k = 300, 200, 700
	r := newRand(1)
	x, w := random(r, m*k), random(r, n*k)
	want := make([]float32, m*n)
	Linear(nil, want, x, w, nil, m, n, k)
	p := NewBackgroundPool(3)
	defer p.Close()
	Claim()
	defer Release()
	got := make([]float32, m*n)
	Linear(p, got, x, w, nil, m, n, k)
	sameBits(t, "a product of a background pool", got, want)
}
