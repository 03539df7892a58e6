package hf

import (
	"fmt"
	"math"

	"causerie/models/hf/safetensors"
	"causerie/models/kernels"
)

// packingRows lays out a matrix that the file has as [out, in].
type packingRows struct {
	matrix
	dst *kernels.Packed
}

func (p packingRows) step() int { return roundToParts(p.matrix.step()) }

func (p packingRows) run(first, rows int, s *scratch) error {
	n := rows * p.dst.K
	switch {
	case p.DType == safetensors.I8 && p.dst.DType() == kernels.Int8:
		q := grow(&s.bytes[0], n)
		if err := p.readInt8(q, first, rows, 0, p.dst.K); err != nil {
			return err
		}
		p.dst.FillInt8(nil, first, q, p.scales[first:first+rows])
	case p.DType == safetensors.BF16 && p.dst.DType() == kernels.BFloat16:
		h := grow(&s.halves[0], n)
		if err := p.readBFloat16(h, first, rows, 0, p.dst.K); err != nil {
			return err
		}
		p.dst.FillBFloat16(nil, first, h)
	default:
		values := grow(&s.floats, n)
		if err := p.read(values, first, rows, s); err != nil {
			return err
		}
		if err := p.fits(values, p.dst.DType()); err != nil {
			return err
		}
		p.dst.Fill(nil, first, values)
	}
	return nil
}

// packingColumns lays out a Conv1D's weight, which the file has as [in, out].
// Its pieces are strips of columns: rows of what is laid out.
type packingColumns struct {
	matrix
	dst *kernels.Packed
}

// stripBytes is how much of a row a strip takes: enough for reading it to cost
// more than asking for it.
const stripBytes = 1024

func (p packingColumns) rows() int { return p.dst.N }

func (p packingColumns) step() int { return roundToParts(stripBytes / p.DType.Size()) }

func (p packingColumns) run(first, rows int, s *scratch) error {
	in := p.dst.K
	n := rows * in
	switch {
	case p.DType == safetensors.I8 && p.dst.DType() == kernels.Int8:
		q, turned := grow(&s.bytes[0], n), grow(&s.bytes[1], n)
		if err := p.readInt8(q, 0, in, first, rows); err != nil {
			return err
		}
		transposeInt8(turned, q, in, rows)
		p.dst.FillInt8(nil, first, turned, p.scales[first:first+rows])
	case p.DType == safetensors.BF16 && p.dst.DType() == kernels.BFloat16:
		h, turned := grow(&s.halves[0], n), grow(&s.halves[1], n)
		if err := p.readBFloat16(h, 0, in, first, rows); err != nil {
			return err
		}
		transpose(turned, in, h, in, rows)
		p.dst.FillBFloat16(nil, first, turned)
	default:
		values, turned := grow(&s.floats, n), grow(&s.rows, n)
		if err := p.readStrip(values, 0, in, first, rows, s); err != nil {
			return err
		}
		if err := p.fits(values, p.dst.DType()); err != nil {
			return err
		}
		transpose(turned, in, values, in, rows)
		p.dst.Fill(nil, first, turned)
	}
	return nil
}

// roundToParts rounds a number of rows to what Packed can be filled with.
func roundToParts(rows int) int {
	return max(1, rows/kernels.PackRows) * kernels.PackRows
}

// fits says when a value would become an infinity in the dtype.
func (m matrix) fits(values []float32, dtype kernels.DType) error {
	if dtype != kernels.BFloat16 || m.DType != safetensors.F32 {
		return nil
	}
	const limit = 0x7f7f8000 // the least float32 that rounds to infinity
	for _, v := range values {
		if math.Float32bits(v)&0x7fffffff >= limit {
			return fmt.Errorf("%s: tensor %s: the value %g is beyond the range of bf16", m.File().Name(), m.Name, v)
		}
	}
	return nil
}
