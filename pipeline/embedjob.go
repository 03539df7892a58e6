package pipeline

import (
	"context"
	"slices"
	"sync/atomic"

	"causerie/models/gpt2"
)

// embedWindow is how many vectors of one request may be there that nobody has
// taken yet: a request of thousands of texts whose client reads slowly takes no
// more memory than one of hundreds.
const embedWindow = 256

// embedJob is an embedding request in a loop. The loop computes its texts in
// order and its caller takes their vectors in order.
type embedJob struct {
	texts      [][]int32
	pooling    Pooling
	dimensions int
	adapter    *gpt2.Adapter
	vectors    [][]float32 // those not taken yet

	next  int          // the loop's: the first text that no step has taken
	ended bool         // the loop's: nothing is left to do
	ready atomic.Int64 // texts that have a vector, or had one
	taken atomic.Int64 // of those, the ones whose vectors the caller took

	progress chan struct{} // there is more, has room for one
	failed   chan error    // likewise
	gone     atomic.Bool   // the caller has left
}

func newEmbedJob(req EmbedRequest, texts [][]int32) *embedJob {
	return &embedJob{
		texts: texts, pooling: req.Pooling, dimensions: req.Dimensions, adapter: req.Adapter, vectors: make([][]float32, len(texts)),
		progress: make(chan struct{}, 1), failed: make(chan error, 1),
	}
}

// open says whether the job has a text to compute now.
func (j *embedJob) open() bool {
	return j.next < len(j.texts) && j.next-int(j.taken.Load()) < embedWindow
}

// settle tells the caller that all texts before next have their vectors.
func (j *embedJob) settle() {
	j.ready.Store(int64(j.next))
	j.ended = j.ended || j.next == len(j.texts)
	select {
	case j.progress <- struct{}{}:
	default: // it was told already
	}
}

// fail ends the job.
func (j *embedJob) fail(err error) {
	if !j.ended {
		j.ended = true
		j.failed <- err
	}
}

// deliver hands the vectors on as they come. wake is called now and then, when
// the loop may compute more.
func (j *embedJob) deliver(ctx context.Context, emit func(int, []float32) error, wake func()) error {
	for i := range j.texts {
		for int64(i) >= j.ready.Load() {
			select {
			case <-j.progress:
			case err := <-j.failed:
				return err
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		vector := j.vectors[i]
		j.vectors[i], j.texts[i] = nil, nil
		if err := emit(i, vector); err != nil {
			return err
		}
		j.taken.Store(int64(i + 1))
		if (i+1)%(embedWindow/4) == 0 {
			wake()
		}
	}
	return nil
}

// embedPart is one text in a step.
type embedPart struct {
	job  *embedJob
	text int
	row  int // the first of its rows, among all whose hidden states are wanted
	rows int
}

// part takes the job's next text: row is where its states will be.
func (j *embedJob) part(row int) embedPart {
	from, to := j.pooling.rows(len(j.texts[j.next]))
	p := embedPart{job: j, text: j.next, row: row, rows: to - from}
	j.next++
	return p
}

// pool makes a text's vector from the hidden states of a step, [rows, width].
func (p embedPart) pool(hidden []float32, width int) {
	j := p.job
	j.vectors[p.text] = j.pooling.pool(hidden[p.row*width:(p.row+p.rows)*width], width, j.dimensions)
}

// appendRows appends the rows that are wanted of a text of n tokens whose first
// row is number first.
func (p Pooling) appendRows(rows []int, first, n int) []int {
	from, to := p.rows(n)
	for i := from; i < to; i++ {
		rows = append(rows, first+i)
	}
	return rows
}

// planEmbeds adds whole texts of at most room rows to the plan, in the order of
// their arrival, and returns how many rows they have. The first is taken in any
// case: a text is never cut, as its rows are wanted at once.
func (l *loop) planEmbeds(room int) int {
	rows := 0
	out := &l.plan.out
	for _, j := range l.embeds {
		for j.open() {
			ids := j.texts[j.next]
			if rows > 0 && rows+len(ids) > room {
				return rows
			}
			l.plan.embeds = append(l.plan.embeds, j.part(len(out.HiddenRows)))
			l.plan.segments = append(l.plan.segments, gpt2.Segment{Tokens: ids, Adapter: j.adapter})
			l.plan.mixed = true
			out.HiddenRows = j.pooling.appendRows(out.HiddenRows, l.plan.rows, len(ids))
			l.plan.rows += len(ids)
			rows += len(ids)
		}
	}
	return rows
}

// settleEmbeds tells the requests of a step that it is done.
func (l *loop) settleEmbeds() {
	for _, p := range l.plan.embeds {
		p.job.settle()
	}
	l.dropEmbeds()
}

func (l *loop) dropEmbeds() {
	l.embeds = slices.DeleteFunc(l.embeds, func(j *embedJob) bool { return j.ended })
}
