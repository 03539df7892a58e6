package pipeline

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"causerie/models/tokenizer"
)

// broken is a tokenizer with a bug: one token makes it panic.
type broken struct {
	tokenizer.Tokenizer
	id int32
}

func (b broken) AppendToken(dst []byte, id int32) []byte {
	if id == b.id {
		panic("no such token")
	}
	return b.Tokenizer.AppendToken(dst, id)
}

// A bug that one reply runs into ends that reply alone.
func TestPanicWhilePicking(t *testing.T) {
	for _, threads := range []int{1, 2} {
		m := randomModel(t, 64)
		m.Tokenizer = broken{m.Tokenizer, 66}
		g := newGate()
		e := engineOf(t, m, EngineOptions{Threads: threads, before: g.pass})
		g.set(true)
		var group sync.WaitGroup
		for i, id := range []int32{65, 66, 67, 66} {
			group.Go(func() {
				o := Options{MaxTokens: 5, IgnoreEnd: true}
				o.LogitBias = map[int32]float64{id: 900}
				reply, err := e.Generate(t.Context(), GenerateRequest{IDs: []int32{1, 2}, Options: o}, nil)
				bug, ok := errors.AsType[*PanicError](err)
				switch {
				case id == 66 && (!ok || bug.Value != "no such token" || !strings.Contains(err.Error(), "AppendToken")):
					t.Errorf("the broken reply: %v", err)
				case id != 66 && (err != nil || len(reply.IDs) != 5):
					t.Errorf("a reply beside it: %v, %v", reply, err)
				}
			})
			waitFor(t, e, i+1)
		}
		g.set(false)
		group.Wait()
	}
}

// A bug in the network ends the requests of that step; the others and the next
// ones are answered, to the bit as ever.
func TestPanicInAStep(t *testing.T) {
	for _, threads := range []int{1, 2} {
		m := randomModel(t, 64)
		g := newGate()
		e := engineOf(t, m, EngineOptions{Threads: threads, MaxSequences: 2, before: g.pass})
		request := GenerateRequest{IDs: []int32{1, 2, 3}, Options: Options{MaxTokens: 12, IgnoreEnd: true}}
		want, err := e.Generate(t.Context(), request, nil)
		if err != nil {
			t.Fatal(err)
		}
		g.set(true)
		results := make(chan error, 4)
		for i := range 4 { // two are in the step, two wait
			go func() {
				if i == 3 {
					_, err := e.Embed(t.Context(), EmbedRequest{Inputs: texts("rain")})
					results <- err
					return
				}
				reply, err := e.Generate(t.Context(), request, nil)
				if err == nil && reply.Text != want.Text {
					t.Errorf("a reply after the panic is %q, not %q", reply.Text, want.Text)
				}
				results <- err
			}()
			waitFor(t, e, i+1)
		}
		block := m.Net.Blocks[1]
		g.onStep(func(step int) {
			m.Net.Blocks[1] = block
			if step == 0 {
				m.Net.Blocks[1] = nil
			}
		})
		g.set(false)
		failed := 0
		for range 4 {
			if err := <-results; err != nil {
				failed++
				if _, ok := errors.AsType[*PanicError](err); !ok {
					t.Errorf("not a panic: %v", err)
				}
			}
		}
		if failed != 3 {
			t.Errorf("%d requests failed; two replies and the text to embed were in the step", failed)
		}
		if got, err := e.Generate(t.Context(), request, nil); err != nil || got.Text != want.Text {
			t.Errorf("the next request: %q, %v; want %q", got.Text, err, want.Text)
		}
	}
}
