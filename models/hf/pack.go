package hf

import (
	"fmt"

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
	case p.keepsInt8(p.dst):
		q := grow(&s.bytes[0], n)
		if err := p.readInt8(q, first, rows, 0, p.dst.K); err != nil {
			return err
		}
		p.dst.FillInt8(nil, first, q, p.scales[first:first+rows])
	case p.keepsBFloat16(p.dst):
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
		return p.round(p.dst, first, values, s)
	}
	return nil
}

// packingColumns lays out a Conv1D's weight, which the file has as [in, out].
// Its pieces are strips of columns: rows of what is laid out.
type packingColumns struct {
	matrix
	dst *kernels.Packed
}

// stripBytes is how much of a row a strip takes, as stored or as float32 when
// it is converted: enough for reading it to cost more than asking for it, little
// enough for a worker's memory to be a few megabytes.
const stripBytes = 1024

func (p packingColumns) rows() int { return p.dst.N }

func (p packingColumns) step() int {
	width := F32.Size()
	if p.keepsInt8(p.dst) || p.keepsBFloat16(p.dst) {
		width = p.DType.Size()
	}
	return roundToParts(stripBytes / width)
}

func (p packingColumns) run(first, rows int, s *scratch) error {
	in := p.dst.K
	n := rows * in
	switch {
	case p.keepsInt8(p.dst):
		q, turned := grow(&s.bytes[0], n), grow(&s.bytes[1], n)
		if err := p.readInt8(q, 0, in, first, rows); err != nil {
			return err
		}
		transposeInt8(turned, q, in, rows)
		p.dst.FillInt8(nil, first, turned, p.scales[first:first+rows])
	case p.keepsBFloat16(p.dst):
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
		transpose(turned, in, values, in, rows)
		return p.round(p.dst, first, turned, s)
	}
	return nil
}

// round lays out float32 rows, rounded to the weight's dtype. It does what
// Packed.Fill would do in memory of its own.
func (m matrix) round(dst *kernels.Packed, first int, values []float32, s *scratch) error {
	switch dst.DType() {
	case kernels.Int8:
		q, scales := grow(&s.bytes[0], len(values)), grow(&s.scales, len(values)/dst.K)
		kernels.QuantizeRows(q, scales, values, len(scales), dst.K)
		dst.FillInt8(nil, first, q, scales)
	case kernels.BFloat16:
		h := grow(&s.halves[0], len(values))
		for i, v := range values {
			h[i] = kernels.ToBFloat16(v)
			if h[i]&^(1<<15) == bfloat16Infinity { // values are finite
				return fmt.Errorf("%s: tensor %s: the value %g is beyond the range of bf16", m.File().Name(), m.Name, v)
			}
		}
		dst.FillBFloat16(nil, first, h)
	default:
		dst.Fill(nil, first, values)
	}
	return nil
}

// keepsInt8 and keepsBFloat16 say whether stored values can be laid out as they
// are.
func (m matrix) keepsInt8(dst *kernels.Packed) bool {
	return m.DType == I8 && dst.DType() == kernels.Int8
}

func (m matrix) keepsBFloat16(dst *kernels.Packed) bool {
	return m.DType == BF16 && dst.DType() == kernels.BFloat16
}

// roundToParts rounds a number of rows to what Packed can be filled with.
func roundToParts(rows int) int {
	return max(1, rows/kernels.PackRows) * kernels.PackRows
}
