package pipeline

import (
	"slices"
	"sync/atomic"

	"causerie/models/gpt2"
)

// embedJob is an embedding request in the loop.
type embedJob struct {
	request  EmbedRequest
	segments []gpt2.Segment
	next     int // the first text that no step has taken
	left     int // texts without a vector
	out      Embeddings
	ended    bool
	done     chan error  // has room for the one error, or nil
	gone     atomic.Bool // the caller has left
}

func newEmbedJob(req EmbedRequest, segments []gpt2.Segment) *embedJob {
	j := &embedJob{request: req, segments: segments, left: len(segments), done: make(chan error, 1)}
	j.out.Vectors = make([][]float32, len(segments))
	for _, s := range segments {
		j.out.Tokens += len(s.Tokens)
	}
	return j
}

// finish tells the caller, once.
func (j *embedJob) finish(err error) {
	if !j.ended {
		j.ended = true
		j.done <- err
	}
}

// embedPart is one text in a step.
type embedPart struct {
	job  *embedJob
	text int
	row  int // the first of its rows, among all whose hidden states are wanted
}

// planEmbeds adds whole texts of at most room rows to the plan, in the order of
// their arrival, and returns how many rows they have. The first is taken in any
// case: a text is never cut, as its every row is wanted at once.
func (l *loop) planEmbeds(room int) int {
	rows := 0
	for _, j := range l.embeds {
		for ; j.next < len(j.segments); j.next++ {
			s := j.segments[j.next]
			if rows > 0 && rows+len(s.Tokens) > room {
				return rows
			}
			l.plan.embeds = append(l.plan.embeds, embedPart{j, j.next, len(l.plan.out.HiddenRows)})
			l.plan.segments = append(l.plan.segments, s)
			l.plan.mixed = true
			for i := range s.Tokens {
				l.plan.out.HiddenRows = append(l.plan.out.HiddenRows, l.plan.rows+i)
			}
			l.plan.rows += len(s.Tokens)
			rows += len(s.Tokens)
		}
	}
	return rows
}

// settleEmbeds ends the requests that have all their vectors.
func (l *loop) settleEmbeds() {
	for _, p := range l.plan.embeds {
		if p.job.left--; p.job.left == 0 {
			p.job.finish(nil)
		}
	}
	l.dropEmbeds()
}

func (l *loop) dropEmbeds() {
	l.embeds = slices.DeleteFunc(l.embeds, func(j *embedJob) bool { return j.ended })
}

// pool makes a text's vector from the hidden states of a step, [rows, width].
// Sums are in float64 and in the order of the tokens, so they do not depend on
// the step.
func (j *embedJob) pool(p embedPart, hidden []float32, width int) {
	n := len(j.segments[p.text].Tokens)
	sum := make([]float64, j.request.Dimensions)
	for i := range n {
		weight := j.request.Pooling.weight(i, n)
		if weight == 0 {
			continue
		}
		at := (p.row + i) * width
		for c, x := range hidden[at : at+len(sum)] {
			sum[c] += weight * float64(x)
		}
	}
	j.out.Vectors[p.text] = normalised(sum)
}
