package pipeline

import (
	"fmt"
	"runtime/debug"

	"causerie/models/kernels"
)

// PanicError is a bug that ended a request: something panicked while it was
// being computed. Other requests go on.
type PanicError struct {
	Value any
	Stack []byte
}

// Error gives what the panic said and where.
func (e *PanicError) Error() string {
	return fmt.Sprintf("a panic while computing: %v\n%s", e.Value, e.Stack)
}

// guard calls f and returns a panic in it as an error.
func guard(f func() error) (err error) {
	defer func() {
		switch v := recover().(type) {
		case nil:
		case *kernels.Panic: // of another thread
			err = &PanicError{v.Value, v.Stack}
		default:
			err = &PanicError{v, debug.Stack()}
		}
	}()
	return f()
}

// collapse ends the requests of a step that failed, and starts the others
// again on new memory: what the step left behind is not to be trusted.
func (l *loop) collapse(err error) {
	for _, p := range l.plan.parts {
		if !p.sequence.done {
			p.sequence.fail(err)
		}
	}
	for _, p := range l.plan.embeds {
		p.job.fail(err)
	}
	if l.plan.empty() { // the plan itself: nothing says which request it was
		for _, s := range append(l.running, append(l.preempted, l.waiting...)...) {
			s.fail(err)
		}
		for _, j := range l.embeds {
			j.fail(err)
		}
	}
	l.renew()
	again := append(append([]*sequence(nil), l.running...), l.preempted...)
	l.running, l.preempted = l.running[:0], l.preempted[:0]
	for _, s := range again {
		if !s.done {
			s.cache, s.known = l.memory.NewCache(), 0
			l.preempted = append(l.preempted, s)
		}
	}
	waiting := l.waiting
	l.waiting = l.waiting[:0]
	for _, s := range waiting {
		if !s.done {
			s.cache = l.memory.NewCache()
			l.waiting = append(l.waiting, s)
		}
	}
	l.dropEmbeds()
}
