package pipeline

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Shelf holds engines that are opened when they are first asked for. No more
// than ShelfOptions.Most are open at a time: the one that was used least
// recently is closed for another, and while all are in use who needs another
// waits. Methods may be called from any goroutine.
type Shelf struct {
	o       ShelfOptions
	ctx     context.Context // of opening; ends with the shelf
	cancel  context.CancelFunc
	running sync.WaitGroup // openings and closings

	mu      sync.Mutex
	open    map[string]*shelved // by the name they are asked for
	closing int                 // that still take memory
	closed  bool
	changed chan struct{} // closed when there may be room
}

// ShelfOptions say how engines are opened. Open must be set.
type ShelfOptions struct {
	Open func(ctx context.Context, name string) (*Engine, error)
	Most int // engines that are open at a time; 1 when 0
	// Failed is told of engines that did not close well; nil: nobody is.
	Failed func(error)
}

// shelved is an engine that is open or being opened.
type shelved struct {
	ready  chan struct{} // closed when one of these is there:
	engine *Engine
	err    error
	users  int
	used   time.Time // last
}

// NewShelf makes an empty shelf. Close it.
func NewShelf(o ShelfOptions) *Shelf {
	o.Most = max(1, o.Most)
	if o.Failed == nil {
		o.Failed = func(error) {}
	}
	s := &Shelf{o: o, open: make(map[string]*shelved), changed: make(chan struct{})}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// Use is the engine of that name, opened if need be. It stays open until done
// is called, also if it is dropped meanwhile.
func (s *Shelf) Use(ctx context.Context, name string) (e *Engine, done func(), err error) {
	entry, err := s.take(ctx, name)
	if err != nil {
		return nil, nil, err
	}
	done = sync.OnceFunc(func() { s.leave(entry) })
	select {
	case <-entry.ready:
	case <-ctx.Done():
		done()
		return nil, nil, context.Cause(ctx)
	}
	if entry.err != nil {
		done()
		return nil, nil, entry.err
	}
	return entry.engine, done, nil
}

// take finds the entry of a name, or makes one when there is room.
func (s *Shelf) take(ctx context.Context, name string) (*shelved, error) {
	for {
		s.mu.Lock()
		if s.closed {
			s.mu.Unlock()
			return nil, ErrClosed
		}
		entry := s.open[name]
		if entry == nil && s.makeRoom() {
			entry = &shelved{ready: make(chan struct{})}
			s.open[name] = entry
			s.running.Go(func() { s.fill(name, entry) })
		}
		if entry != nil {
			entry.users++
			entry.used = time.Now()
			s.mu.Unlock()
			return entry, nil
		}
		changed := s.changed
		s.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// makeRoom reports whether one more may be opened. If not, it closes the one
// that nobody uses and that was used least recently.
func (s *Shelf) makeRoom() bool {
	if len(s.open)+s.closing < s.o.Most {
		return true
	}
	if s.closing > 0 {
		return false
	}
	oldest := ""
	for name, entry := range s.open {
		if entry.users == 0 && (oldest == "" || entry.used.Before(s.open[oldest].used)) {
			oldest = name
		}
	}
	if oldest != "" {
		s.drop(oldest)
	}
	return false
}

// fill opens an engine. One that cannot be opened is tried anew when it is
// asked for again.
func (s *Shelf) fill(name string, entry *shelved) {
	engine, err := s.o.Open(s.ctx, name)
	s.mu.Lock()
	defer s.mu.Unlock()
	entry.engine, entry.err = engine, err
	close(entry.ready)
	if err != nil && s.open[name] == entry {
		delete(s.open, name)
		s.announce()
	}
}

func (s *Shelf) leave(entry *shelved) {
	s.mu.Lock()
	defer s.mu.Unlock()
	entry.users--
	entry.used = time.Now()
	if entry.users == 0 {
		s.announce()
	}
}

// announce wakes those who wait for room, or for the last user of an engine.
func (s *Shelf) announce() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// Drop forgets an engine and closes it when nobody uses it any more.
func (s *Shelf) Drop(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(name)
}

func (s *Shelf) drop(name string) {
	entry := s.open[name]
	if entry == nil {
		return
	}
	delete(s.open, name)
	s.closing++
	s.running.Go(func() {
		err := s.end(entry)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.closing--
		s.announce()
		if err != nil {
			s.o.Failed(fmt.Errorf("closing the engine of %s: %w", name, err))
		}
	})
}

// end waits for the last user of an engine and closes it.
func (s *Shelf) end(entry *shelved) error {
	<-entry.ready
	for {
		s.mu.Lock()
		users, changed := entry.users, s.changed
		s.mu.Unlock()
		if users == 0 {
			break
		}
		<-changed
	}
	if entry.engine == nil {
		return nil
	}
	return entry.engine.Close(context.Background()) // it has no requests
}

// Close refuses new uses and closes all engines, each after its last user has
// left. When ctx ends first, the requests in them are ended.
func (s *Shelf) Close(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	var engines []*shelved
	for name, entry := range s.open {
		engines = append(engines, entry)
		s.drop(name)
	}
	s.announce()
	s.mu.Unlock()
	s.cancel()
	gone := make(chan struct{})
	go func() {
		s.running.Wait()
		close(gone)
	}()
	select {
	case <-gone:
		return nil
	case <-ctx.Done():
	}
	var err error
	for _, entry := range engines {
		<-entry.ready
		if entry.engine != nil {
			err = errors.Join(err, entry.engine.Close(ctx))
		}
	}
	<-gone
	return errors.Join(ctx.Err(), err)
}
