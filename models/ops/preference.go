package ops

import (
	"math"

	"github.com/nlpodyssey/spago/mat"

	"causerie/models/kernels"
)

// PreferenceLoss is the LM head and the loss of direct preference optimization
// in one operator: Rafailov et al. (2023), equation 7. With log π of a reply
// the sum of weight·log softmax(x·Wᵀ)[target] over its rows,
//
//	scale · Σ -log σ(beta·((log π(chosen) - ref(chosen)) - (log π(rejected) - ref(rejected))))
//
// over the pairs. As in Loss, logits of at most a few hundred rows exist at a
// time. A row's gradient hangs on both replies of its pair, so pairs are taken
// whole, as many as fit; only the logits of a pair that is longer than that are
// computed twice. The operator must be the root of the graph.
type PreferenceLoss struct {
	ws      *Workspace
	x, w    mat.Tensor
	targets []int32
	weights []float32
	replies []Reply
	beta    float64
	scale   float32
	train   bool

	dx             *Tensor
	hidden, logits *Tensor
	nats           []float64 // of the rows of a chunk

	// Sum is the unscaled sum of the losses once the operator has run,
	// LogProbs the log π of each reply.
	Sum      float64
	LogProbs []float64
}

// Reply is the rows of a sequence, of which those with a weight predict a
// reply. Replies 2i and 2i+1 are a pair, the chosen one first.
type Reply struct {
	First, Rows int
	Reference   float64 // log probability by the model that is not to be left behind
}

// NewPreferenceLoss prepares the operator; Run puts it on the graph.
//
//	x        [rows, width]
//	w        [vocab, width]
//	targets  one id for each row
//	weights  one for each row; a row of weight 0 is no part of a reply
//	replies  two for each pair
func NewPreferenceLoss(ws *Workspace, x, w mat.Tensor, targets []int32, weights []float32, replies []Reply, beta float64, scale float32) *PreferenceLoss {
	return &PreferenceLoss{ws: ws, x: x, w: w, targets: targets, weights: weights, replies: replies, beta: beta, scale: scale}
}

// Run computes the loss; with train set its gradients as well.
func (o *PreferenceLoss) Run(train bool) mat.Tensor {
	o.train = train
	return run(o)
}

// Operands returns the hidden state and the head's weight.
func (o *PreferenceLoss) Operands() []mat.Tensor { return []mat.Tensor{o.x, o.w} }

// Forward computes the loss, a [1, 1] tensor.
func (o *PreferenceLoss) Forward() (mat.Tensor, error) {
	x, w := asTensor(o.x), asTensor(o.w)
	if o.train {
		o.dx = o.ws.New(x.rows, x.cols)
		clear(o.dx.data)
	}
	o.LogProbs = make([]float64, len(o.replies))
	o.hidden = o.ws.New(min(lossRows, x.rows), x.cols)
	o.logits = o.ws.New(o.hidden.rows, w.rows)
	o.nats = make([]float64, o.hidden.rows)
	for first := 0; first < len(o.replies); {
		var rows []replyRow
		end := first
		for end < len(o.replies) {
			pair := o.counted(end)
			if end > first && len(rows)+len(pair) > lossRows {
				break
			}
			rows, end = append(rows, pair...), end+2
		}
		o.group(x, w, first, end, rows)
		first = end
	}
	o.hidden.release()
	o.logits.release()
	y := o.ws.New(1, 1)
	y.data[0] = float32(o.Sum) * o.scale
	return y, nil
}

// replyRow is a row that counts, and the reply that it belongs to.
type replyRow struct{ row, reply int }

// counted lists the rows of the pair of replies from i on.
func (o *PreferenceLoss) counted(i int) (rows []replyRow) {
	for _, reply := range []int{i, i + 1} {
		r := o.replies[reply]
		for row := r.First; row < r.First+r.Rows; row++ {
			if o.weights[row] != 0 {
				rows = append(rows, replyRow{row, reply})
			}
		}
	}
	return rows
}

// group adds the losses of the pairs among replies first to end, whose rows
// these are, and their gradients when training.
func (o *PreferenceLoss) group(x, w *Tensor, first, end int, rows []replyRow) {
	for _, part := range chunksOf(rows) {
		o.project(x, w, part)
		o.logProbs(w, part)
	}
	slopes := make([]float64, end-first)
	for i := first; i < end; i += 2 {
		loss, slope := o.pair(i)
		o.Sum += loss
		slopes[i-first], slopes[i-first+1] = slope, -slope
	}
	if !o.train {
		return
	}
	parts := chunksOf(rows)
	for _, part := range parts {
		if len(parts) > 1 {
			o.project(x, w, part)
		}
		o.gradients(w, part, func(reply int) float32 { return float32(slopes[reply-first]) * o.scale })
	}
}

// chunksOf cuts a list of rows into parts of at most lossRows.
func chunksOf(rows []replyRow) (parts [][]replyRow) {
	for ; len(rows) > 0; rows = rows[min(lossRows, len(rows)):] {
		parts = append(parts, rows[:min(lossRows, len(rows))])
	}
	return parts
}

// pair is the loss of a pair whose log probabilities are known, and its
// derivative by -log π of the chosen reply; that by the rejected one's is the
// negative.
func (o *PreferenceLoss) pair(i int) (loss, slope float64) {
	margin := o.beta * ((o.LogProbs[i] - o.replies[i].Reference) - (o.LogProbs[i+1] - o.replies[i+1].Reference))
	// -log σ(m) = log(1 + e^-m), written so that no exponential overflows.
	loss = math.Max(-margin, 0) + math.Log1p(math.Exp(-math.Abs(margin)))
	return loss, o.beta / (1 + math.Exp(margin))
}

// project gathers rows and computes their logits.
func (o *PreferenceLoss) project(x, w *Tensor, rows []replyRow) {
	width := x.cols
	for i, r := range rows {
		copy(o.hidden.data[i*width:(i+1)*width], x.data[r.row*width:(r.row+1)*width])
	}
	o.ws.project(o.logits.data, o.hidden.data, w, nil, len(rows))
}

// logProbs adds the rows whose logits are there to their replies'.
func (o *PreferenceLoss) logProbs(w *Tensor, rows []replyRow) {
	vocab := w.rows
	o.ws.pool.Run(len(rows), func(i, _ int) {
		r := rows[i].row
		o.nats[i] = float64(o.weights[r]) * kernels.CrossEntropyLoss(o.logits.data[i*vocab:(i+1)*vocab], o.targets[r])
	})
	for i, r := range rows {
		o.LogProbs[r.reply] -= o.nats[i]
	}
}

// gradients turns the logits that are there into gradients; slope is the
// derivative by -log π of a reply.
func (o *PreferenceLoss) gradients(w *Tensor, rows []replyRow, slope func(reply int) float32) {
	width, vocab := w.cols, w.rows
	o.ws.pool.Run(len(rows), func(i, _ int) {
		r := rows[i]
		kernels.CrossEntropyRow(o.logits.data[i*vocab:(i+1)*vocab], o.targets[r.row], o.weights[r.row]*slope(r.reply))
	})
	if w.grad != nil {
		o.ws.weightGradient(w, o.logits.data, o.hidden.data, len(rows))
	}
	o.ws.inputGradient(o.hidden.data, o.logits.data, w, len(rows))
	for i, r := range rows {
		copy(o.dx.data[r.row*width:(r.row+1)*width], o.hidden.data[i*width:(i+1)*width])
	}
}

// Backward hands on the gradient that Forward computed.
func (o *PreferenceLoss) Backward(mat.Tensor) error {
	o.x.AccGrad(o.dx)
	return nil
}
