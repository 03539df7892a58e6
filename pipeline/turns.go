package pipeline

import (
	"container/list"
	"time"
)

// turns is a line of the clients who were refused. They do not wait in it: they
// were told when to come back, by how far they are from its front and how fast
// places become free. Who comes early keeps the place in line. The zero value
// is empty.
type turns struct {
	line    list.List // of *turn, in the order of arrival
	clients map[string]*list.Element
	arrived int64 // turns that there ever were
}

type turn struct {
	client string
	number int64
	at     time.Time // when the client was told to come
}

const (
	// maxTurns bounds the memory; who is refused beyond it is not remembered.
	maxTurns = 10_000
	// soonest and latest are when a client may be told to come back. OpenAI's
	// clients do not listen to anybody who asks them to wait for a minute.
	soonest, latest = 100 * time.Millisecond, 59 * time.Second
	// late is by how many places a client is told to come later than its turn:
	// it is better that some places wait for clients than the other way round.
	late = 8
	// patience is how much later than it was told a client may come.
	patience = 5 * time.Second
)

// before is how many are in line before a client: all, if it has no turn.
func (t *turns) before(client string) int {
	e, ok := t.clients[client]
	if !ok {
		return t.line.Len()
	}
	// Some that came between the two have left the line already.
	ahead := e.Value.(*turn).number - t.line.Front().Value.(*turn).number
	return int(min(ahead, int64(t.line.Len()-1)))
}

// give refuses a client and says how long to wait until about all that are
// before it have had their turn, when a place becomes free every pace; 0 is
// when that is not known yet.
func (t *turns) give(client string, now time.Time, pace time.Duration) time.Duration {
	wait := time.Second
	if pace > 0 {
		wait = min(max(soonest, time.Duration(t.before(client)+late)*pace), latest)
	}
	if e, ok := t.clients[client]; ok {
		e.Value.(*turn).at = now.Add(wait)
		return wait
	}
	if client != "" && t.line.Len() < maxTurns {
		if t.clients == nil {
			t.clients = map[string]*list.Element{}
		}
		t.arrived++
		t.clients[client] = t.line.PushBack(&turn{client, t.arrived, now.Add(wait)})
	}
	return wait
}

// end takes a client out of the line, if it is there.
func (t *turns) end(client string) {
	if e, ok := t.clients[client]; ok {
		t.line.Remove(e)
		delete(t.clients, client)
	}
}

// lapse takes out those at the front who have not come when they should.
func (t *turns) lapse(now time.Time) {
	for e := t.line.Front(); e != nil; e = t.line.Front() {
		front := e.Value.(*turn)
		if now.Before(front.at.Add(patience)) {
			return
		}
		t.end(front.client)
	}
}
