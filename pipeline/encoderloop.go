package pipeline

import (
	"slices"
	"sync"

	"causerie/models/bert"
	"causerie/models/kernels"
)

// encoderLoop owns an encoder. Each step is one forward pass over whole texts
// side by side, of one request or several.
//
// Only the loop's goroutine touches its fields, but for the inbox.
type encoderLoop struct {
	model  *bert.Model
	pool   *kernels.Pool
	runner *bert.Runner
	room   int // tokens of a step
	claim  claim

	jobs     []*embedJob
	parts    []embedPart
	segments []bert.Segment
	tokens   int
	rows     []int // of the step, whose states are wanted
	hidden   []float32

	inbox struct {
		sync.Mutex
		jobs   []*embedJob
		closed bool
	}
	wake    chan struct{} // has room for one
	stopped chan struct{}
}

// newEncoderLoop starts the goroutine that owns the model; close ends it.
func newEncoderLoop(model *bert.Model, pool *kernels.Pool, room int) *encoderLoop {
	l := &encoderLoop{
		model: model, pool: pool, runner: bert.NewRunner(model, pool), room: room,
		wake: make(chan struct{}, 1), stopped: make(chan struct{}),
	}
	go l.run()
	return l
}

func (l *encoderLoop) submit(j *embedJob) {
	l.inbox.Lock()
	l.inbox.jobs = append(l.inbox.jobs, j)
	l.inbox.Unlock()
	l.rouse()
}

// rouse has the loop look again for what it can do.
func (l *encoderLoop) rouse() {
	select {
	case l.wake <- struct{}{}:
	default: // it will
	}
}

// close ends the loop after its current step. Nobody may wait for vectors any more.
func (l *encoderLoop) close() {
	l.inbox.Lock()
	l.inbox.closed = true
	l.inbox.Unlock()
	l.rouse()
	<-l.stopped
}

func (l *encoderLoop) run() {
	defer close(l.stopped)
	for l.receive() {
		l.step()
	}
}

// receive takes in what has arrived and waits while there is nothing to do. It
// returns false when the loop is closed.
func (l *encoderLoop) receive() bool {
	for {
		l.inbox.Lock()
		l.jobs = append(l.jobs, l.inbox.jobs...)
		l.inbox.jobs = l.inbox.jobs[:0]
		closed := l.inbox.closed
		l.inbox.Unlock()
		l.jobs = slices.DeleteFunc(l.jobs, func(j *embedJob) bool { return j.ended || j.gone.Load() })
		busy := slices.ContainsFunc(l.jobs, (*embedJob).open)
		l.claim.set(busy && !closed)
		if closed {
			return false
		}
		if busy {
			return true
		}
		<-l.wake
	}
}

// step computes some texts. Whatever goes wrong in it ends their requests, and
// the loop goes on.
func (l *encoderLoop) step() {
	l.plan()
	err := guard(func() error {
		l.hidden = growTo(l.hidden, len(l.rows)*l.model.Config.Width)
		rows := l.rows
		if len(rows) == l.tokens {
			rows = nil // all, in order
		}
		if err := l.runner.Hidden(l.segments, rows, l.hidden); err != nil {
			return err
		}
		l.pool.Run(len(l.parts), func(task, _ int) { l.parts[task].pool(l.hidden, l.model.Config.Width) })
		return nil
	})
	if err != nil { // what the step left behind is not to be trusted
		l.runner = bert.NewRunner(l.model, l.pool)
	}
	for _, p := range l.parts {
		if err != nil {
			p.job.fail(err)
			continue
		}
		p.job.settle()
	}
}

// plan takes one text of each request in turn until the step is full; the first
// is taken in any case. The next step begins with another request.
func (l *encoderLoop) plan() {
	l.parts, l.segments, l.rows, l.tokens = l.parts[:0], l.segments[:0], l.rows[:0], 0
	if len(l.jobs) > 1 {
		l.jobs = append(l.jobs[1:], l.jobs[0])
	}
	for found := true; found; {
		found = false
		for _, j := range l.jobs {
			if !j.open() {
				continue
			}
			ids := j.texts[j.next]
			if l.tokens > 0 && l.tokens+len(ids) > l.room {
				return
			}
			found = true
			l.parts = append(l.parts, j.part(len(l.rows)))
			l.segments = append(l.segments, bert.Segment{Tokens: ids})
			l.rows = j.pooling.appendRows(l.rows, l.tokens, len(ids))
			l.tokens += len(ids)
		}
	}
}
