package pipeline

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestFairShares has clients ask again as soon as they are served, and come
// back when they are told to. All time is simulated: a reply takes a slot for 20 ms.
func TestFairShares(t *testing.T) {
	for _, c := range []struct{ slots, queue, clients int }{
		{4, 64, 1000}, {4, 64, 80}, {4, 64, 200}, {1, 2, 10}, {8, 4, 50}, {4, 1000, 1000}, {4, 64, 3000}, {4, 64, 20},
	} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				served, refused, busy := crowd(c.slots, c.queue, c.clients, 2*time.Minute)
				total, squares := 0.0, 0.0
				for _, n := range served {
					total += float64(n)
					squares += float64(n) * float64(n)
				}
				least, equal := float64(slices.Min(served)), total/float64(c.clients)
				jain := total * total / (float64(c.clients) * squares)
				t.Logf("%.0f replies, %d refused, slots busy %.3f; the smallest share %.2f, Jain's index %.3f", total, refused, busy, least/equal, jain)
				if least < 0.75*equal || jain < 0.93 {
					t.Errorf("a client got %.0f replies, %.1f each were equal; Jain's index %.3f", least, equal, jain)
				}
				if busy < 0.98 {
					t.Errorf("slots were busy %.3f of the time", busy)
				}
			})
		})
	}
}

// crowd returns how many replies each client got, how often any was refused and
// what part of the time slots were in use.
func crowd(slots, queue, clients int, long time.Duration) (served []int, refused int, busy float64) {
	const reply = 20 * time.Millisecond
	p := &places{slots: slots, queue: queue}
	slot := make(chan struct{}, slots) // first come, first served
	served = make([]int, clients)
	var refusals sync.Mutex
	var used time.Duration
	end := time.Now().Add(long)
	var group sync.WaitGroup
	for i := range clients {
		random := rand.New(rand.NewPCG(uint64(i), 1))
		group.Go(func() {
			for time.Now().Before(end) {
				time.Sleep(time.Duration(random.Int64N(int64(200 * time.Microsecond)))) // the network
				v, err := p.take(fmt.Sprint(i))
				if busy, ok := errors.AsType[*BusyError](err); ok {
					refusals.Lock()
					refused++
					refusals.Unlock()
					time.Sleep(busy.After)
					continue
				}
				slot <- struct{}{}
				time.Sleep(reply)
				<-slot
				v.leave()
				refusals.Lock()
				used += reply
				refusals.Unlock()
				served[i]++
			}
		})
	}
	group.Wait()
	return served, refused, float64(used) / float64(int64(slots)*int64(long))
}

// TestSlowReaderHoldsNoPlace: what has been computed takes no place, however
// long its client reads.
func TestSlowReaderHoldsNoPlace(t *testing.T) {
	e := engineOf(t, randomModel(t, 64), EngineOptions{MaxSequences: 1, MaxQueue: 1})
	request := GenerateRequest{IDs: []int32{65}, Options: Options{MaxTokens: 30, IgnoreEnd: true}}
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	release, ended := make(chan struct{}), make(chan error, 2)
	slow := func() {
		_, err := e.Generate(ctx, request, func(Piece) error {
			select {
			case <-release:
			case <-ctx.Done():
			}
			return nil
		})
		ended <- err
	}
	go slow()
	waitPlaces(t, e, 0, 1) // computed, and not one piece is read to its end
	for range 3 {
		if _, err := e.Generate(t.Context(), request, nil); err != nil {
			t.Errorf("beside a slow reader: %v", err)
		}
	}
	// Those who only read are bounded too: by as many as may wait.
	go slow()
	waitPlaces(t, e, 1, 1)
	time.Sleep(50 * time.Millisecond)
	waitPlaces(t, e, 1, 1)
	close(release)
	if err := errors.Join(<-ended, <-ended); err != nil {
		t.Error(err)
	}
	waitPlaces(t, e, 0, 0)
}

// waitPlaces waits until so many requests have a place, and so many only read.
func waitPlaces(t *testing.T, e *Engine, taken, unread int) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		e.places.mu.Lock()
		a, b := e.places.taken, e.places.unread
		e.places.mu.Unlock()
		if a == taken && b == unread {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d places and %d readers, still not %d and %d", a, b, taken, unread)
		}
	}
}

// TestTurnsLapse: who does not come back does not hold others up for good, and
// is forgotten.
func TestTurnsLapse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &places{slots: 1, queue: 4}
		var held []*place
		for i := range 5 {
			v, err := p.take(fmt.Sprint(i))
			if err != nil {
				t.Fatal(err)
			}
			held = append(held, v)
		}
		for i := range maxTurns + 100 {
			if _, err := p.take(fmt.Sprint("gone ", i)); !errors.Is(err, ErrBusy) {
				t.Fatal(err)
			}
		}
		if n := len(p.turns.clients); n != maxTurns || p.turns.line.Len() != n {
			t.Errorf("%d clients are remembered", n)
		}
		held[0].leave()
		held[1].leave()
		if _, err := p.take("new"); !errors.Is(err, ErrBusy) {
			t.Errorf("a newcomer before those who were refused: %v", err)
		}
		if v, err := p.take("gone 0"); err != nil {
			t.Errorf("the first who was refused: %v", err)
		} else {
			v.leave()
		}
		time.Sleep(time.Second + patience)
		if v, err := p.take("new"); err != nil {
			t.Errorf("a newcomer when nobody is in line any more: %v", err)
		} else {
			v.leave()
		}
		if n := len(p.turns.clients); n != 0 || p.turns.line.Len() != 0 {
			t.Errorf("%d clients are remembered", n)
		}
		for _, v := range held[2:] {
			v.leave()
		}
	})
}
