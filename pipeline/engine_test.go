package pipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"causerie/models/dialogue"
	"causerie/models/gpt2"
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
					} else if diff := cmp.Diff(want[n], got); diff != "" {
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

// What a cache holds already changes no bit of the logits.
func TestPrefixReuseIsExact(t *testing.T) {
	m := randomModel(t, 400)
	e := engineOf(t, m, EngineOptions{})
	ids := func(n, offset int) []int32 {
		out := make([]int32, n)
		for i := range out {
			out[i] = int32((i*7 + i*i/5 + offset) % 261)
		}
		return out
	}
	base := ids(300, 0)
	prompts := [][]int32{
		base[:10], base[:200], base[:200], base, base[:50],
		slices.Concat(base[:120], ids(80, 3)), ids(5, 9), ids(1, 0), base,
	}
	reused := e.take(nil)
	for i, prompt := range prompts {
		if err := reused.start(t.Context(), e.batcher, prompt); err != nil {
			t.Fatal(err)
		}
		fresh := &sequence{cache: m.Net.NewCache(), step: step{done: make(chan error, 1)}, logits: make([]float32, 261)}
		if err := fresh.start(t.Context(), e.batcher, prompt); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(reused.logits, fresh.logits) {
			t.Errorf("prompt %d: the logits differ from those of an empty cache", i)
		}
		if !slices.Equal(reused.tokens, prompt) || reused.cache.Len() != len(prompt) {
			t.Errorf("prompt %d: the sequence holds %d tokens, its cache %d; want %d", i, len(reused.tokens), reused.cache.Len(), len(prompt))
		}
	}
	e.giveBack(reused)
}

func TestTakePrefersWhatFits(t *testing.T) {
	e := engineOf(t, randomModel(t, 64), EngineOptions{MaxSequences: 2})
	a := e.take(nil)
	a.tokens = []int32{1, 2, 3, 4}
	b := e.take(nil)
	b.tokens = []int32{9, 9}
	e.giveBack(a)
	e.giveBack(b)
	check := func(prompt []int32, want *sequence, why string) {
		t.Helper()
		got := e.take(prompt)
		if got != want {
			t.Errorf("%v took the wrong sequence: want %s", prompt, why)
		}
		e.giveBack(got)
	}
	check([]int32{1, 2, 3, 5}, a, "the one with most of the prompt")
	check([]int32{9, 9, 1}, b, "the one with all of the prompt")
	check([]int32{1, 7}, a, "the one unused for longest")
	check([]int32{1, 8}, b, "the one unused for longest")
}

// A step that fails must not take others of its batch with it.
func TestBatchErrorsStayWithTheirStep(t *testing.T) {
	m := randomModel(t, 32)
	b := &batcher{runner: gpt2.NewRunner(m.Net, nil)}
	good := &step{segment: gpt2.Segment{Tokens: []int32{1, 2}, Cache: m.Net.NewCache()}, logits: make([]float32, 261), done: make(chan error, 1)}
	bad := &step{segment: gpt2.Segment{Tokens: []int32{999}, Cache: m.Net.NewCache()}, logits: make([]float32, 261), done: make(chan error, 1)}
	silent := &step{segment: gpt2.Segment{Tokens: []int32{3}, Cache: m.Net.NewCache()}, done: make(chan error, 1)}
	b.pass([]*step{good, bad, silent})
	if err := <-good.done; err != nil || good.segment.Cache.Len() != 2 {
		t.Errorf("the good step: %v, cache of %d", err, good.segment.Cache.Len())
	}
	if err := <-bad.done; err == nil || bad.segment.Cache.Len() != 0 {
		t.Errorf("the bad step: %v, cache of %d", err, bad.segment.Cache.Len())
	}
	if err := <-silent.done; err != nil || silent.segment.Cache.Len() != 1 {
		t.Errorf("the step without logits: %v", err)
	}
}

// occupy starts a request that goes on until release is called.
func occupy(t *testing.T, e *Engine) (release func()) {
	t.Helper()
	started, hold, done := make(chan bool), make(chan bool), make(chan bool)
	var once sync.Once
	go func() {
		defer close(done)
		_, err := e.Generate(context.Background(), GenerateRequest{IDs: []int32{65}, Options: Options{MaxTokens: 3, IgnoreEnd: true,
			Options: sampling.Options{LogitBias: map[int32]float64{66: 900}}}}, func(Piece) error {
			once.Do(func() { close(started) })
			<-hold
			return nil
		})
		if err != nil && !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
	}()
	<-started
	return sync.OnceFunc(func() { close(hold); <-done })
}

func TestQueue(t *testing.T) {
	e := engineOf(t, randomModel(t, 32), EngineOptions{MaxSequences: 1, MaxQueue: 2})
	release := occupy(t, e)
	request := GenerateRequest{IDs: []int32{1}, Options: Options{MaxTokens: 2}}

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
	if _, err := e.Generate(t.Context(), request, nil); !errors.Is(err, ErrBusy) {
		t.Errorf("with a full queue: %v", err)
	}
	cancel(gone)
	if err := <-waiting; !errors.Is(err, gone) {
		t.Errorf("a waiting request that goes away: %v", err)
	}
	release()
	if err := <-served; err != nil {
		t.Errorf("a waiting request: %v", err)
	}
	waitFor(t, e, 0)
}

// waitFor waits until the engine has accepted n requests that are not done.
func waitFor(t *testing.T, e *Engine, n int) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		e.mu.Lock()
		have := e.accepted
		e.mu.Unlock()
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
	e := engineOf(t, randomModel(t, 32), EngineOptions{MaxSequences: 1})
	release := occupy(t, e)
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
	release()
	if err := <-closed; err != nil {
		t.Errorf("Close: %v", err)
	}
}

func (e *Engine) isClosed() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.closed
}

func TestCloseLosesPatience(t *testing.T) {
	e := engineOf(t, randomModel(t, 2000), EngineOptions{MaxSequences: 1})
	ended := make(chan error, 2)
	started := make(chan bool)
	var once sync.Once
	go func() { // writes until it is stopped
		_, err := e.Generate(context.Background(), GenerateRequest{IDs: []int32{65}, Options: Options{MaxTokens: 1999, IgnoreEnd: true,
			Options: sampling.Options{LogitBias: map[int32]float64{66: 900}}}}, func(Piece) error {
			once.Do(func() {
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
