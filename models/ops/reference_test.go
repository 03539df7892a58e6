package ops

import "math"

// The operators in float64, written as plainly as their formulas: what the
// operators' values are compared with, and what finite differences are taken
// of. Matrices are row-major.

type matrix struct {
	rows, cols int
	v          []float64
}

func (m matrix) at(i, j int) float64 { return m.v[i*m.cols+j] }

func zeros(rows, cols int) matrix {
	return matrix{rows: rows, cols: cols, v: make([]float64, rows*cols)}
}

func refLinear(x, w, b matrix) matrix {
	y := zeros(x.rows, w.rows)
	for i := range x.rows {
		for j := range w.rows {
			sum := b.v[j]
			for p := range x.cols {
				sum += x.at(i, p) * w.at(j, p)
			}
			y.v[i*y.cols+j] = sum
		}
	}
	return y
}

func refLayerNorm(x, gamma, beta matrix, eps float64) matrix {
	y := zeros(x.rows, x.cols)
	for i := range x.rows {
		var mean, variance float64
		for j := range x.cols {
			mean += x.at(i, j) / float64(x.cols)
		}
		for j := range x.cols {
			variance += (x.at(i, j) - mean) * (x.at(i, j) - mean) / float64(x.cols)
		}
		for j := range x.cols {
			y.v[i*y.cols+j] = (x.at(i, j)-mean)/math.Sqrt(variance+eps)*gamma.v[j] + beta.v[j]
		}
	}
	return y
}

func refGELU(x matrix) matrix {
	y := zeros(x.rows, x.cols)
	for i, v := range x.v {
		y.v[i] = 0.5 * v * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(v+0.044715*v*v*v)))
	}
	return y
}

func refGELUErf(x matrix) matrix {
	y := zeros(x.rows, x.cols)
	for i, v := range x.v {
		y.v[i] = v * math.Erfc(-v/math.Sqrt2) / 2
	}
	return y
}

func refAdd(x, f matrix) matrix {
	y := zeros(x.rows, x.cols)
	for i := range y.v {
		y.v[i] = x.v[i] + f.v[i]
	}
	return y
}

func refGather(x matrix, rows []int) matrix {
	y := zeros(len(rows), x.cols)
	for i, r := range rows {
		copy(y.v[i*x.cols:(i+1)*x.cols], x.v[r*x.cols:(r+1)*x.cols])
	}
	return y
}

// refRows picks a row of x for each id.
func refRows(x matrix, ids []int32) matrix {
	rows := make([]int, len(ids))
	for i, id := range ids {
		rows[i] = int(id)
	}
	return refGather(x, rows)
}

func refEmbed(tokens, positions matrix, ids []int32, spans []Span) matrix {
	y := zeros(len(ids), tokens.cols)
	for _, s := range spans {
		for i := range s.Rows {
			for j := range tokens.cols {
				r := s.First + i
				y.v[r*y.cols+j] = tokens.at(int(ids[r]), j) + positions.at(s.Past+i, j)
			}
		}
	}
	return y
}

// refAttention looks at one query row and one head at a time. A row sees all
// rows of its span, or those up to itself.
func refAttention(qkv matrix, spans []Span, heads int, all bool) matrix {
	width := qkv.cols / 3
	size := width / heads
	y := zeros(qkv.rows, width)
	for _, s := range spans {
		for i := s.First; i < s.First+s.Rows; i++ {
			last := i
			if all {
				last = s.First + s.Rows - 1
			}
			for h := range heads {
				p := refProbabilities(qkv, s.First, last, i, h*size, size)
				for t, weight := range p {
					for j := range size {
						y.v[i*width+h*size+j] += weight * qkv.at(s.First+t, 2*width+h*size+j)
					}
				}
			}
		}
	}
	return y
}

// refProbabilities is the softmax of row i's scaled scores against rows
// first…last.
func refProbabilities(qkv matrix, first, last, i, from, size int) []float64 {
	width := qkv.cols / 3
	p := make([]float64, last-first+1)
	var sum float64
	for t := range p {
		var score float64
		for j := range size {
			score += qkv.at(i, from+j) * qkv.at(first+t, width+from+j)
		}
		p[t] = math.Exp(score / math.Sqrt(float64(size)))
		sum += p[t]
	}
	for t := range p {
		p[t] /= sum
	}
	return p
}

func refLoss(x, w matrix, targets []int32, weights []float32) float64 {
	logits := refLinear(x, w, zeros(w.rows, 1))
	var loss float64
	for i, target := range targets {
		var sum float64
		for j := range w.rows {
			sum += math.Exp(logits.at(i, j))
		}
		loss += float64(weights[i]) * (math.Log(sum) - logits.at(i, int(target)))
	}
	return loss
}

func refPreferenceLoss(x, w matrix, targets []int32, weights []float32, replies []Reply, beta float64) (loss float64) {
	reward := func(r Reply) float64 {
		rows := matrix{r.Rows, x.cols, x.v[r.First*x.cols : (r.First+r.Rows)*x.cols]}
		nats := refLoss(rows, w, targets[r.First:r.First+r.Rows], weights[r.First:r.First+r.Rows])
		return beta * (-nats - r.Reference)
	}
	for i := 0; i < len(replies); i += 2 {
		loss += math.Log(1 + math.Exp(reward(replies[i+1])-reward(replies[i])))
	}
	return loss
}
