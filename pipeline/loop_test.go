package pipeline

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"causerie/models/dialogue"
	"causerie/models/kernels"
)

// A client that does not read holds nobody up, and its own reply is whole when
// it reads on.
func TestSlowReaderHoldsNobodyUp(t *testing.T) {
	e := engineOf(t, randomModel(t, 300), EngineOptions{MaxSequences: 1})
	request := GenerateRequest{IDs: []int32{1, 2}, Options: Options{MaxTokens: 200, IgnoreEnd: true, Seed: seed(1)}}
	request.Options.Temperature = 1
	started, hold := make(chan bool), make(chan bool)
	slow := make(chan Reply)
	streamed := ""
	go func() {
		reply, err := e.Generate(t.Context(), request, func(p Piece) error {
			if streamed == "" {
				close(started)
				<-hold
			}
			streamed += p.Text
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		slow <- reply
	}()
	<-started
	for range 3 { // there is one place: the slow one's
		if _, err := e.Generate(t.Context(), request, nil); err != nil {
			t.Fatal(err)
		}
	}
	close(hold)
	want, err := e.Generate(t.Context(), request, nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, <-slow, sameReply); diff != "" || streamed != want.Text {
		t.Errorf("streamed %q (-want +got):\n%s", streamed, diff)
	}
}

// An engine claims the processors while it has work, and only then: a training
// beside it must go on.
func TestClaimsWhileBusy(t *testing.T) {
	var seen atomic.Bool
	e := engineOf(t, randomModel(t, 300), EngineOptions{before: func() { // between steps
		if kernels.Claimed() {
			seen.Store(true)
		}
	}})
	request := GenerateRequest{IDs: []int32{1, 2}, Options: Options{MaxTokens: 20, IgnoreEnd: true, Seed: seed(1)}}
	if _, err := e.Generate(t.Context(), request, nil); err != nil {
		t.Fatal(err)
	}
	if !seen.Load() {
		t.Error("an engine with work has claimed nothing")
	}
	for start := time.Now(); kernels.Claimed(); time.Sleep(time.Millisecond) {
		if time.Since(start) > 10*time.Second {
			t.Fatal("an engine without work goes on claiming")
		}
	}
}

// A client that leaves frees its place at the next step, and what was computed
// for it is found again.
func TestLeavingFreesThePlace(t *testing.T) {
	e := engineOf(t, randomModel(t, 3000), EngineOptions{MaxSequences: 1})
	ids := make([]int32, 500)
	for i := range ids {
		ids[i] = int32(i % 251)
	}
	ctx, cancel := context.WithCancel(t.Context())
	endless := GenerateRequest{IDs: ids, Options: Options{MaxTokens: 2400, IgnoreEnd: true}}
	endless.Options.LogitBias = map[int32]float64{66: 900}
	_, err := e.Generate(ctx, endless, func(Piece) error {
		cancel()
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	next, err := e.Generate(t.Context(), GenerateRequest{IDs: append(slices.Clone(ids), 7), Options: Options{MaxTokens: 1}}, nil)
	if err != nil || next.CachedTokens != len(ids) {
		t.Errorf("the next request found %d of %d tokens, %v", next.CachedTokens, len(ids), err)
	}
	if s := e.Stats(); s.GeneratedTokens > 1000 {
		t.Errorf("%d tokens were written for a client that had left", s.GeneratedTokens)
	}
}

// Replies being written get their token in every step while a long prompt is
// computed beside them, and prompts begin in the order of their arrival.
func TestStepsAreShared(t *testing.T) {
	g := newGate()
	e := engineOf(t, randomModel(t, 1000), EngineOptions{MixedTokens: 32, NoSpeculation: true, before: g.pass})
	started, done := make(chan bool), make(chan error, 3)
	go func() {
		o := Options{MaxTokens: 900, IgnoreEnd: true}
		o.LogitBias = map[int32]float64{66: 900}
		pieces := 0
		_, err := e.Generate(t.Context(), GenerateRequest{IDs: []int32{1}, Options: o}, func(Piece) error {
			if pieces++; pieces == 1 {
				g.set(true)
				close(started)
			}
			return nil
		})
		done <- err
	}()
	<-started
	before := e.Stats()
	served := make(chan string, 2)
	ask := func(name string, n int) {
		ids := make([]int32, n)
		for i := range ids {
			ids[i] = int32(len(name) + i)
		}
		for i := range ids {
			ids[i] %= 251
		}
		go func() {
			_, err := e.Generate(t.Context(), GenerateRequest{IDs: ids, Options: Options{MaxTokens: 1, IgnoreEnd: true}}, nil)
			served <- name
			done <- err
		}()
	}
	ask("long", 700)
	waitForOrders(t, e, 1)
	ask("shorter", 300)
	waitForOrders(t, e, 2)
	g.set(false)
	if err := errors.Join(<-done, <-done, <-done); err != nil {
		t.Fatal(err)
	}
	if s := e.Stats(); s.Steps-before.Steps < 1000/32 || s.Steps > 905 {
		t.Errorf("%d steps; 1000 prompt tokens take 32 of them, and the reply 900 that hold those", s.Steps-before.Steps)
	}
	if first := <-served; first != "long" {
		t.Errorf("the %s prompt was served first", first)
	}
}

// Reply i of n is the reply to one request with that stream.
func TestChatN(t *testing.T) {
	e := engineOf(t, randomModel(t, 200), EngineOptions{MaxSequences: 3})
	req := ChatRequest{Messages: []dialogue.Turn{dialogue.User("What is tea?")}, Options: Options{MaxTokens: 15, Seed: seed(8), Stream: 2}}
	req.Options.Temperature = 1
	streamed, finished := make([]string, 5), make([]FinishReason, 5)
	got, err := e.ChatN(t.Context(), req, 5, func(p Piece) error {
		if finished[p.Index] != "" {
			t.Errorf("a piece of reply %d after its last: %+v", p.Index, p)
		}
		streamed[p.Index] += p.Text
		finished[p.Index] = p.FinishReason
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	different := false
	for i, reply := range got {
		one := req
		one.Options.Stream += uint64(i)
		want, err := e.Chat(t.Context(), one, nil)
		if diff := cmp.Diff(want, reply, sameReply); err != nil || diff != "" || streamed[i] != want.Text || finished[i] != want.FinishReason {
			t.Errorf("reply %d, streamed %q, %v (-alone +of five):\n%s", i, streamed[i], err, diff)
		}
		different = different || reply.Text != got[0].Text
	}
	if !different {
		t.Error("all replies are the same")
	}
	for _, n := range []int{0, 129} {
		if _, err := e.ChatN(t.Context(), req, n, nil); err == nil || !strings.Contains(err.Error(), "n must lie") {
			t.Errorf("%d replies: %v", n, err)
		}
	}
}

// waitForOrders waits until the loop, which must be held, has n sequences to
// take in.
func waitForOrders(t *testing.T, e *Engine, n int) {
	t.Helper()
	in := &e.loop.inbox
	deadline := time.Now().Add(10 * time.Second)
	for {
		in.mu.Lock()
		have := len(in.sequences)
		in.mu.Unlock()
		if have == n {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d sequences wait to be taken in, still not %d", have, n)
		}
		time.Sleep(time.Millisecond)
	}
}

// A request for many replies leaves a place to one that comes later and asks
// for one.
func TestManyRepliesShareThePlaces(t *testing.T) {
	g := newGate()
	e := engineOf(t, randomModel(t, 100), EngineOptions{MaxSequences: 2, NoSpeculation: true, before: g.pass})
	g.set(true)
	request := func(id int32) GenerateRequest {
		return GenerateRequest{IDs: []int32{id, 2}, Options: Options{MaxTokens: 50, IgnoreEnd: true}}
	}
	many := make(chan error, 1)
	go func() {
		_, err := e.GenerateN(t.Context(), request(1), 20, nil)
		many <- err
	}()
	waitForOrders(t, e, 20)
	one := make(chan error, 1)
	go func() {
		_, err := e.Generate(t.Context(), request(3), nil)
		one <- err
	}()
	waitForOrders(t, e, 21)
	var written int64 // of all, when the one reply was last being written
	g.onStep(func(int) {
		for _, s := range e.loop.running {
			if s.tokens[0] == 3 {
				written = e.loop.stats.GeneratedTokens
			}
		}
	})
	g.set(false)
	if err := errors.Join(<-one, <-many); err != nil {
		t.Fatal(err)
	}
	// It waits for one of the two that may have begun, and runs beside another.
	if written == 0 || written > 50*4 {
		t.Errorf("the one reply was complete after %d tokens in all", written)
	}
}

// The replies to one prompt are written side by side, and all end when their
// client leaves.
func TestManyRepliesEndTogether(t *testing.T) {
	e := engineOf(t, randomModel(t, 300), EngineOptions{MaxSequences: 8, NoSpeculation: true})
	ctx, cancel := context.WithCancel(t.Context())
	pieces := make(map[int]int)
	o := Options{MaxTokens: 250, IgnoreEnd: true, Raw: true}
	o.LogitBias = map[int32]float64{66: 900}
	replies, err := e.GenerateN(ctx, GenerateRequest{IDs: []int32{1, 2}, Options: o}, 6, func(p Piece) error {
		if pieces[p.Index]++; len(pieces) == 6 {
			cancel()
		}
		return nil
	})
	if !errors.Is(err, context.Canceled) || len(replies) != 6 {
		t.Fatalf("%d replies, %v", len(replies), err)
	}
	for i, n := range pieces {
		if n > 100 {
			t.Errorf("reply %d had %d pieces before the last began", i, n)
		}
	}
	if s := idleStats(e); s.GeneratedTokens > 6*200 || s.Running+s.Waiting != 0 {
		t.Errorf("the replies went on without their client: %+v", s)
	}
}

func TestStatsAreKept(t *testing.T) {
	e := engineOf(t, randomModel(t, 64), EngineOptions{})
	if _, err := e.Generate(t.Context(), GenerateRequest{IDs: []int32{1, 2, 3}, Options: Options{MaxTokens: 5, IgnoreEnd: true}}, nil); err != nil {
		t.Fatal(err)
	}
	s := idleStats(e)
	if s.PromptTokens != 3 || s.GeneratedTokens != 5 || s.Running != 0 || s.KVUsed != s.KVCached || s.KVCached == 0 || s.KVBytes < s.KVUsed {
		t.Errorf("%+v", s)
	}
}

// idleStats are an engine's figures once it has nothing left to do.
func idleStats(e *Engine) Stats {
	deadline := time.Now().Add(5 * time.Second)
	for e.Stats().Running > 0 && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond)
	}
	return e.Stats()
}

// A reply's times are in order, and the one that waits begins after the one
// that has the only place.
func TestTimes(t *testing.T) {
	g := newGate()
	e := engineOf(t, randomModel(t, 300), EngineOptions{MaxSequences: 1, before: g.pass})
	g.set(true)
	replies := make(chan Reply, 2)
	for i := range 2 {
		go func() {
			reply, err := e.Generate(t.Context(), GenerateRequest{IDs: []int32{int32(i + 1), 2}, Options: Options{MaxTokens: 20, IgnoreEnd: true}}, nil)
			if err != nil {
				t.Error(err)
			}
			replies <- reply
		}()
		waitFor(t, e, i+1)
	}
	g.set(false)
	first, second := <-replies, <-replies
	if second.Times.Begun.Before(first.Times.Begun) {
		first, second = second, first
	}
	for _, times := range []Times{first.Times, second.Times} {
		stages := []time.Time{times.Queued, times.Begun, times.First, times.Done}
		if times.Queued.IsZero() || !slices.IsSortedFunc(stages, time.Time.Compare) {
			t.Errorf("%v", stages)
		}
	}
	if second.Times.Begun.Before(first.Times.Done) {
		t.Errorf("the second began at %v, the first was done at %v", second.Times.Begun, first.Times.Done)
	}
}
