package lora

import (
	"fmt"
	"slices"
	"sync"

	"causerie/models/gpt2"
)

// Set holds the adapters of one base model by name. It may be used from any
// goroutine; adapters that are being served stay valid when they are removed.
// The zero value is an empty set.
type Set struct {
	mu     sync.RWMutex
	byName map[string]*Adapter
}

// Add makes an adapter known by a name that is not taken.
func (s *Set) Add(name string, a *Adapter) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if name == "" {
		return fmt.Errorf("lora: an adapter needs a name")
	}
	if _, taken := s.byName[name]; taken {
		return fmt.Errorf("lora: an adapter called %q is there already", name)
	}
	if s.byName == nil {
		s.byName = make(map[string]*Adapter)
	}
	s.byName[name] = a
	return nil
}

// Load opens the adapter folder dir for a model of the given shape and adds it.
func (s *Set) Load(name, dir string, model gpt2.Config) (*Adapter, error) {
	a, err := OpenDir(dir, model)
	if err != nil {
		return nil, err
	}
	return a, s.Add(name, a)
}

// Get finds an adapter.
func (s *Set) Get(name string) (*Adapter, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	a, ok := s.byName[name]
	return a, ok
}

// Remove forgets an adapter and reports whether there was one.
func (s *Set) Remove(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.byName[name]
	delete(s.byName, name)
	return ok
}

// Names lists the adapters in order.
func (s *Set) Names() []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	names := make([]string, 0, len(s.byName))
	for name := range s.byName {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
