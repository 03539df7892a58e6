package pipeline

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"causerie/models/dialogue"
	"causerie/pipeline/sampling"
)

// conversation makes request number n: prompts of many lengths, some with a
// common start, some longer than one prefill step.
func conversation(n int) ChatRequest {
	turns := []dialogue.Turn{dialogue.System("Be brief.")}
	for i := range n%4 + 1 {
		turns = append(turns, dialogue.User(fmt.Sprintf("question %d of %d", i, n%3)), dialogue.Assistant(strings.Repeat("because ", i*3)))
	}
	return ChatRequest{
		Messages: append(turns, dialogue.User(fmt.Sprint("last ", n))),
		Options: Options{
			Options:   sampling.Options{Temperature: 0.9, TopP: 0.95, RepetitionPenalty: 1.1},
			MaxTokens: 12, Seed: seed(uint64(n)), Raw: true,
		},
	}
}

// sameReply leaves out what may differ between equal requests.
var sameReply = cmpopts.IgnoreFields(Reply{}, "CachedTokens", "Times")

// A reply depends on its request alone: not on what runs beside it, what ran
// before, how many threads compute or how many sequences there are.
func TestRequestsAreIndependent(t *testing.T) {
	const requests = 12
	var want []Reply
	for n := range requests {
		e := engineOf(t, randomModel(t, 320), EngineOptions{})
		reply, err := e.Chat(t.Context(), conversation(n), nil)
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, reply)
	}
	for _, o := range []EngineOptions{{Threads: 1, MaxSequences: 1}, {Threads: 2, MaxSequences: 3}, {Threads: 1, MaxSequences: 8}} {
		e := engineOf(t, randomModel(t, 320), o)
		var group sync.WaitGroup
		for round := range 2 { // the second finds full caches
			for n := range requests {
				group.Go(func() {
					got, err := e.Chat(t.Context(), conversation(n), nil)
					if err != nil {
						t.Error(err)
					} else if diff := cmp.Diff(want[n], got, sameReply); diff != "" {
						t.Errorf("%+v, round %d, request %d (-alone +together):\n%s", o, round, n, diff)
					}
				})
			}
			if round == 0 {
				group.Wait()
			}
		}
		group.Wait()
	}
}

// gate holds an engine's loop before its next step until open is called.
type gate struct {
	mu     sync.Mutex
	closed bool
	opened *sync.Cond
	step   func(n int) // called before step n, from 0
	steps  int
}

func newGate() *gate {
	g := &gate{}
	g.opened = sync.NewCond(&g.mu)
	return g
}

func (g *gate) pass() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for g.closed {
		g.opened.Wait()
	}
	if g.step != nil {
		g.step(g.steps)
		g.steps++
	}
}

// onStep has f called before each step from now on.
func (g *gate) onStep(f func(n int)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.step, g.steps = f, 0
}

func (g *gate) set(closed bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = closed
	g.opened.Broadcast()
}

func TestQueue(t *testing.T) {
	g := newGate()
	e := engineOf(t, randomModel(t, 32), EngineOptions{MaxSequences: 1, MaxQueue: 2, before: g.pass})
	g.set(true)
	request := GenerateRequest{IDs: []int32{1}, Options: Options{MaxTokens: 2}}

	running := make(chan error)
	go func() {
		_, err := e.Generate(t.Context(), request, nil)
		running <- err
	}()
	waitFor(t, e, 1)
	ctx, cancel := context.WithCancelCause(t.Context())
	gone := errors.New("gone")
	waiting := make(chan error)
	go func() {
		_, err := e.Generate(ctx, request, nil)
		waiting <- err
	}()
	served := make(chan error)
	waitFor(t, e, 2)
	go func() {
		_, err := e.Generate(t.Context(), request, nil)
		served <- err
	}()
	waitFor(t, e, 3)
	_, err := e.Generate(t.Context(), request, nil)
	if busy, ok := errors.AsType[*BusyError](err); !errors.Is(err, ErrBusy) || !ok || busy.After < time.Second || busy.Waiting != 2 {
		t.Errorf("with a full queue: %v", err)
	}
	cancel(gone)
	if err := <-waiting; !errors.Is(err, gone) {
		t.Errorf("a waiting request that goes away: %v", err)
	}
	g.set(false)
	if err := errors.Join(<-running, <-served); err != nil {
		t.Errorf("the running and a waiting request: %v", err)
	}
	waitFor(t, e, 0)
}

// waitFor waits until the engine has accepted n requests that are not done.
func waitFor(t *testing.T, e *Engine, n int) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		e.places.mu.Lock()
		have := e.places.taken
		e.places.mu.Unlock()
		if have == n {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d requests, still not %d", have, n)
		}
		time.Sleep(time.Millisecond)
	}
}

func TestCloseDrains(t *testing.T) {
	g := newGate()
	e := engineOf(t, randomModel(t, 32), EngineOptions{MaxSequences: 1, before: g.pass})
	g.set(true)
	running := make(chan error)
	go func() {
		_, err := e.Generate(t.Context(), GenerateRequest{IDs: []int32{1}, Options: Options{MaxTokens: 3}}, nil)
		running <- err
	}()
	waitFor(t, e, 1)
	closed := make(chan error)
	go func() { closed <- e.Close(context.Background()) }()
	for !e.isClosed() {
		time.Sleep(time.Millisecond)
	}
	if _, err := e.Generate(t.Context(), GenerateRequest{IDs: []int32{1}}, nil); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	select {
	case err := <-closed:
		t.Errorf("Close did not wait: %v", err)
	default:
	}
	g.set(false)
	if err := errors.Join(<-closed, <-running); err != nil {
		t.Errorf("Close: %v", err)
	}
}

func (e *Engine) isClosed() bool {
	e.places.mu.Lock()
	defer e.places.mu.Unlock()
	return e.places.closed
}

func TestCloseLosesPatience(t *testing.T) {
	g := newGate()
	e := engineOf(t, randomModel(t, 2000), EngineOptions{MaxSequences: 1, before: g.pass})
	ended := make(chan error, 2)
	started := make(chan bool)
	var once sync.Once
	go func() { // writes until it is stopped
		_, err := e.Generate(context.Background(), GenerateRequest{IDs: []int32{65}, Options: Options{MaxTokens: 1999, IgnoreEnd: true,
			Options: sampling.Options{LogitBias: map[int32]float64{66: 900}}}}, func(Piece) error {
			once.Do(func() {
				g.set(true)
				close(started)
				for !e.isClosed() {
					time.Sleep(time.Millisecond)
				}
				time.Sleep(200 * time.Millisecond) // longer than Close waits
			})
			return nil
		})
		ended <- err
	}()
	<-started
	go func() { // waits for its turn
		_, err := e.Generate(context.Background(), GenerateRequest{IDs: []int32{65}}, nil)
		ended <- err
	}()
	waitFor(t, e, 2)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	time.AfterFunc(40*time.Millisecond, func() { g.set(false) })
	if err := e.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Close: %v", err)
	}
	for range 2 {
		if err := <-ended; !errors.Is(err, ErrClosed) {
			t.Errorf("a request cut off by Close: %v", err)
		}
	}
}

func TestNewEngineErrors(t *testing.T) {
	noTemplate := randomModel(t, 16)
	noTemplate.Template = nil
	badDefaults := randomModel(t, 16)
	badDefaults.Chat.TopP = 3
	for name, test := range map[string]struct {
		m Model
		o EngineOptions
	}{
		"no network":       {Model{}, EngineOptions{}},
		"no template":      {noTemplate, EngineOptions{}},
		"bad defaults":     {badDefaults, EngineOptions{}},
		"negative threads": {randomModel(t, 16), EngineOptions{Threads: -1}},
	} {
		if e, err := NewEngine(test.m, test.o); err == nil {
			t.Errorf("%s: no error", name)
			_ = e.Close(t.Context())
		}
	}
}
