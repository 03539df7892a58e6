package pipeline

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// shelfOf is a shelf of small engines, which counts how often each was opened.
func shelfOf(t *testing.T, most int) (*Shelf, *sync.Map) {
	t.Helper()
	opened := &sync.Map{}
	s := NewShelf(ShelfOptions{
		Most: most,
		Open: func(_ context.Context, name string) (*Engine, error) {
			n, _ := opened.LoadOrStore(name, new(atomic.Int64))
			n.(*atomic.Int64).Add(1)
			if name == "broken" {
				return nil, errors.New("no such model")
			}
			return NewEngine(randomModel(t, 256), EngineOptions{Threads: 1})
		},
		Failed: func(err error) { t.Error(err) },
	})
	t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s, opened
}

func times(opened *sync.Map, name string) int64 {
	n, ok := opened.Load(name)
	if !ok {
		return 0
	}
	return n.(*atomic.Int64).Load()
}

// use opens an engine and writes with it.
func use(t *testing.T, s *Shelf, name string) (e *Engine, done func()) {
	t.Helper()
	e, done, err := s.Use(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Generate(t.Context(), GenerateRequest{Text: "hi", Options: Options{MaxTokens: 2}}, nil); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return e, done
}

func TestShelf(t *testing.T) {
	s, opened := shelfOf(t, 2)
	for _, name := range []string{"a", "b", "a", "c", "a", "b"} { // b goes for c, and c for b
		_, done := use(t, s, name)
		done()
	}
	if times(opened, "a") != 1 || times(opened, "b") != 2 || times(opened, "c") != 1 {
		t.Errorf("opened a %d, b %d and c %d times", times(opened, "a"), times(opened, "b"), times(opened, "c"))
	}
	// With all in use another must wait, and gets the place of the first that is
	// free.
	_, doneA := use(t, s, "a")
	b, doneB := use(t, s, "b")
	brief, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, _, err := s.Use(brief, "c"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a third engine beside two in use: %v", err)
	}
	waited := make(chan func(), 1)
	go func() {
		_, done := use(t, s, "c")
		waited <- done
	}()
	doneA()
	(<-waited)()
	// One that is dropped stays open for who uses it.
	s.Drop("b")
	if _, err := b.Generate(t.Context(), GenerateRequest{Text: "hi", Options: Options{MaxTokens: 2}}, nil); err != nil {
		t.Errorf("a dropped engine in use: %v", err)
	}
	doneB()
	doneB() // once is enough
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		if _, err := b.Generate(t.Context(), GenerateRequest{Text: "hi", Options: Options{MaxTokens: 2}}, nil); errors.Is(err, ErrClosed) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("a dropped engine that nobody uses is never closed")
		}
	}
	for range 2 { // a failure is not remembered
		if _, _, err := s.Use(t.Context(), "broken"); err == nil {
			t.Error("a broken model opens")
		}
	}
	if times(opened, "broken") != 2 {
		t.Errorf("tried %d times", times(opened, "broken"))
	}
	if err := s.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if _, _, err := s.Use(t.Context(), "a"); !errors.Is(err, ErrClosed) {
		t.Errorf("after the end: %v", err)
	}
}

// TestShelfAtOnce uses and drops from many goroutines; no more than two engines
// may ever be open.
func TestShelfAtOnce(t *testing.T) {
	s, _ := shelfOf(t, 2)
	var working sync.WaitGroup
	for i := range 6 {
		working.Go(func() {
			r := rand.New(rand.NewPCG(uint64(i), 1))
			for range 20 {
				name := fmt.Sprint(r.IntN(4))
				_, done, err := s.Use(t.Context(), name)
				if err != nil {
					t.Error(err)
					return
				}
				s.mu.Lock()
				if n := len(s.open) + s.closing; n > 2 {
					t.Errorf("%d engines are open", n)
				}
				s.mu.Unlock()
				if r.IntN(5) == 0 {
					s.Drop(name)
				}
				done()
			}
		})
	}
	working.Wait()
}
