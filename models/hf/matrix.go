package hf

import (
	"encoding/binary"
	"fmt"
	"math"

	"causerie/models/float16"
	"causerie/models/hf/safetensors"
)

// stored is a tensor and, if it holds int8, the tensor with its scales.
type stored struct {
	*safetensors.Tensor
	scale    *safetensors.Tensor
	byColumn bool // the scales belong to columns, as in a Conv1D, not to rows
}

// matrix reads a tensor of one or two dimensions as float32, or as stored,
// and checks what it reads.
type matrix struct {
	*safetensors.Tensor
	scales   []float32 // of int8; nil otherwise
	byColumn bool
}

// openMatrix reads a tensor's scales, if it has any.
func openMatrix(t stored) (matrix, error) {
	m := matrix{Tensor: t.Tensor, byColumn: t.byColumn}
	if t.scale == nil {
		if !t.DType.IsFloat() {
			return m, t.ReadFloats(nil, 0) // says so
		}
		return m, nil
	}
	m.scales = make([]float32, t.scale.Len())
	if err := t.scale.ReadFloats(m.scales, 0); err != nil {
		return m, err
	}
	for i, v := range m.scales {
		if !(v >= 0 && v <= math.MaxFloat32/127) {
			return m, fmt.Errorf("%s: tensor %s: value %d is %g: not the scale of any weights", t.scale.File().Name(), t.scale.Name, i, v)
		}
	}
	return m, nil
}

// rows and width are those in the file; a vector's width is 1.
func (m matrix) rows() int {
	if len(m.Shape) == 2 {
		return m.Shape[0]
	}
	return m.Len()
}

func (m matrix) width() int {
	if len(m.Shape) == 2 {
		return m.Shape[1]
	}
	return 1
}

func (m matrix) step() int { return max(1, pieceSize/max(1, m.width())) }

// read reads whole rows as float32 and checks them.
func (m matrix) read(dst []float32, first, rows int, s *scratch) error {
	return m.readStrip(dst, first, rows, 0, m.width(), s)
}

// readStrip reads columns [col, col+n) of some rows as float32, [rows, n].
func (m matrix) readStrip(dst []float32, first, rows, col, n int, s *scratch) error {
	if m.scales == nil {
		if err := strip(m.ReadFloats, dst, first, rows, col, n, m.width()); err != nil {
			return err
		}
		if i := notFinite(dst); i >= 0 {
			return m.damaged(first, col, n, i, "%g", dst[i])
		}
		return nil
	}
	q := grow(&s.bytes[0], len(dst))
	if err := m.readInt8(q, first, rows, col, n); err != nil {
		return err
	}
	for r := range rows {
		row, values := dst[r*n:(r+1)*n], q[r*n:(r+1)*n]
		if m.byColumn {
			for i, scale := range m.scales[col : col+n] {
				row[i] = float32(values[i]) * scale
			}
			continue
		}
		scale := m.scales[first+r]
		for i, v := range values {
			row[i] = float32(v) * scale
		}
	}
	return nil
}

// readInt8 reads part of an int8 matrix as it is stored.
func (m matrix) readInt8(dst []int8, first, rows, col, n int) error {
	if err := strip(m.ReadInt8, dst, first, rows, col, n, m.width()); err != nil {
		return err
	}
	if i := lowestInt8(dst); i >= 0 {
		return m.damaged(first, col, n, i, "%d", dst[i])
	}
	return nil
}

// readBFloat16 reads part of a bfloat16 matrix as it is stored.
func (m matrix) readBFloat16(dst []uint16, first, rows, col, n int) error {
	if err := strip(m.ReadBFloat16, dst, first, rows, col, n, m.width()); err != nil {
		return err
	}
	for i, v := range dst {
		if v&bfloat16Infinity == bfloat16Infinity {
			return m.damaged(first, col, n, i, "%g", float16.BFloatFromBits(v))
		}
	}
	return nil
}

// bfloat16Infinity has all bits of the exponent set, and no other.
const bfloat16Infinity = 0x7f80

// strip reads columns [col, col+n) of some rows of a matrix of a width.
func strip[T any](read func([]T, int) error, dst []T, first, rows, col, n, width int) error {
	if n == width {
		return read(dst, first*width)
	}
	for r := range rows {
		if err := read(dst[r*n:(r+1)*n], (first+r)*width+col); err != nil {
			return err
		}
	}
	return nil
}

// damaged names the value number i of a strip that no weight can have.
func (m matrix) damaged(first, col, n, i int, verb string, value any) error {
	return fmt.Errorf("%s: tensor %s: value %d is "+verb+": the file is damaged, or its training diverged",
		m.File().Name(), m.Name, (first+i/n)*m.width()+col+i%n, value)
}

// notFinite is the index of the first infinity or NaN, or -1.
func notFinite(values []float32) int {
	const exponent = 0x7f800000
	for i, v := range values {
		if math.Float32bits(v)&exponent == exponent {
			return i
		}
	}
	return -1
}

// lowestInt8 is the index of the first -128, or -1: symmetric int8 ends at
// -127, and kernels count on it.
func lowestInt8(q []int8) int {
	raw := bytesOf(q)
	i := 0
	for ; i+8 <= len(raw); i += 8 {
		// Which bytes are 0x80 is which bytes of x are zero (Warren, Hacker's
		// Delight, section 6-1).
		const low7, high = 0x7f7f7f7f7f7f7f7f, 0x8080808080808080
		x := binary.LittleEndian.Uint64(raw[i:]) ^ high
		if ^((x&low7 + low7) | x | low7) != 0 {
			break
		}
	}
	for ; i < len(q); i++ {
		if q[i] == math.MinInt8 {
			return i
		}
	}
	return -1
}
