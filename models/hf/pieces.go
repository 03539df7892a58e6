package hf

import (
	"runtime"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
)

// pieceSize is about how many values one piece of work has: enough to be worth
// handing out, few enough that its values stay in the cache.
const pieceSize = 1 << 17

// job is work on the rows of a matrix; rows may be worked on at the same time.
type job interface {
	rows() int
	step() int // how many rows make a piece
	run(first, rows int, s *scratch) error
}

// scratch is a worker's memory.
type scratch struct {
	floats, rows, scales []float32
	bytes                [2][]int8
	halves               [2][]uint16
}

// grow gives the first n values of a buffer, enlarged if need be.
func grow[T any](buffer *[]T, n int) []T {
	if cap(*buffer) < n {
		*buffer = make([]T, n)
	}
	return (*buffer)[:n]
}

// piece is a span of a job's rows.
type piece struct {
	job         job
	first, rows int
}

func appendPieces(pieces []piece, j job) []piece {
	for first, rows, step := 0, j.rows(), j.step(); first < rows; first += step {
		pieces = append(pieces, piece{j, first, min(step, rows-first)})
	}
	return pieces
}

// runPieces works on all cores and returns the first error.
func runPieces(pieces []piece) error {
	var group errgroup.Group
	var next atomic.Int64
	for range min(runtime.GOMAXPROCS(0), len(pieces)) {
		group.Go(func() error {
			var s scratch
			for {
				i := int(next.Add(1)) - 1
				if i >= len(pieces) {
					return nil
				}
				p := pieces[i]
				if err := p.job.run(p.first, p.rows, &s); err != nil {
					next.Store(int64(len(pieces))) // the others stop too
					return err
				}
			}
		})
	}
	return group.Wait()
}
