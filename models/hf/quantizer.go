package hf

import (
	"io"

	"causerie/models/hf/safetensors"
	"causerie/models/kernels"
)

// quantizer writes a matrix as int8 and, in a tensor before it, the scales.
type quantizer struct {
	matrix
	byColumn bool // the file has [in, out]: an output is a column
	s        *scratch
}

// writeScales writes the scale of each output.
func (z *quantizer) writeScales(w io.Writer) error {
	all := z.scales
	if all == nil {
		err := z.outputs(func(_ int, _ []int8, scales []float32) error {
			all = append(all, scales...)
			return nil
		})
		if err != nil {
			return err
		}
	}
	out, err := safetensors.AppendFloats(nil, all, F32)
	if err != nil {
		return err
	}
	_, err = w.Write(out)
	return err
}

// writeInt8 writes the integers, as many as fit the scratch at a time.
func (z *quantizer) writeInt8(w io.Writer) error {
	switch {
	case z.scales != nil:
		return z.copyInt8(w)
	case !z.byColumn:
		return z.outputs(func(_ int, q []int8, _ []float32) error {
			_, err := w.Write(bytesOf(q))
			return err
		})
	}
	in, out := z.rows(), z.width()
	turned := make([]int8, in*out)
	err := z.outputs(func(first int, q []int8, scales []float32) error {
		transpose(turned[first:], out, q, len(scales), in)
		return nil
	})
	if err != nil {
		return err
	}
	_, err = w.Write(bytesOf(turned))
	return err
}

// copyInt8 writes what is int8 already.
func (z *quantizer) copyInt8(w io.Writer) error {
	for first := 0; first < z.rows(); first += z.step() {
		rows := min(z.step(), z.rows()-first)
		q := grow(&z.s.bytes[0], rows*z.width())
		if err := z.readInt8(q, first, rows, 0, z.width()); err != nil {
			return err
		}
		if _, err := w.Write(bytesOf(q)); err != nil {
			return err
		}
	}
	return nil
}

// outputs quantizes some outputs at a time: f gets their integers [outputs, in]
// and their scales.
func (z *quantizer) outputs(f func(first int, q []int8, scales []float32) error) error {
	outputs, in, step := z.rows(), z.width(), z.step()
	if z.byColumn {
		outputs, in, step = in, outputs, stripBytes/z.DType.Size()
	}
	for first := 0; first < outputs; first += step {
		n := min(step, outputs-first)
		rows, err := z.readOutputs(first, n, in)
		if err != nil {
			return err
		}
		q, scales := grow(&z.s.bytes[1], n*in), make([]float32, n)
		kernels.QuantizeRows(q, scales, rows, n, in)
		if err := f(first, q, scales); err != nil {
			return err
		}
	}
	return nil
}

// readOutputs reads the weights [n, in] of n outputs.
func (z *quantizer) readOutputs(first, n, in int) ([]float32, error) {
	values := grow(&z.s.floats, n*in)
	if !z.byColumn {
		return values, z.read(values, first, n, z.s)
	}
	if err := z.readStrip(values, 0, in, first, n, z.s); err != nil {
		return nil, err
	}
	rows := grow(&z.s.rows, n*in)
	transpose(rows, in, values, in, n)
	return rows, nil
}
