package hf

import (
	"context"
	"fmt"
	"io"
	"os"
	"strconv"

	"causerie/models/hf/safetensors"
)

// Store writes the folder's model anew with its weights in another dtype, as
// Save does. I8 writes int8 weights with scales, which only this package reads
// (see its documentation); what is int8 already is copied as it is. Values are
// read and written a piece at a time, so memory does not grow with the model
// (only with its largest Conv1D).
func (f *Folder) Store(ctx context.Context, dir string, dtype safetensors.DType) error {
	if !dtype.IsFloat() && dtype != I8 {
		return fmt.Errorf("%s: weights cannot be stored as %q", dir, string(dtype))
	}
	sources, err := f.sources(dtype)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	metadata := map[string]string{"format": "pt"}
	if dtype == I8 {
		// Releases of transformers that look at the format refuse any other than pt.
		metadata = map[string]string{"format": int8Format, "version": strconv.Itoa(int8Version)}
	}
	err = WriteFile(dir, weightsFile, func(w io.Writer) error {
		return safetensors.Write(&cancellable{ctx, w}, metadata, sources)
	})
	if err != nil {
		return err
	}
	if err := writeConfig(dir, f.Config, dtype); err != nil {
		return err
	}
	return WriteGeneration(dir, f.Generation)
}

// sources lists what to write. The float32 tensors of an int8 file come first,
// so that each begins at a multiple of its values' size.
func (f *Folder) sources(dtype safetensors.DType) ([]safetensors.Source, error) {
	found, err := f.match(layout(f.Config.Model))
	if err != nil {
		return nil, err
	}
	if err := f.checkTied(); err != nil {
		return nil, err
	}
	var floats, ints []safetensors.Source
	var s scratch // one tensor's turn comes after another's
	i := 0
	for spec := range layout(f.Config.Model) {
		m, err := openMatrix(found[i])
		if err != nil {
			return nil, err
		}
		i++
		name := storedName(spec.name)
		if dtype != I8 || !spec.quantized() {
			as := dtype
			if dtype == I8 {
				as = F32
			}
			floats = append(floats, safetensors.Source{Name: name, DType: as, Shape: spec.shape,
				Stream: func(w io.Writer) error { return m.writeFloats(w, as, &s) }})
			continue
		}
		q := &quantizer{matrix: m, byColumn: spec.byColumn(), s: &s}
		floats = append(floats, safetensors.Source{Name: name + scaleSuffix, DType: F32, Shape: []int{spec.scales()}, Stream: q.writeScales})
		ints = append(ints, safetensors.Source{Name: name, DType: I8, Shape: spec.shape, Stream: q.writeInt8})
	}
	return append(floats, ints...), nil
}

// checkTied compares a tied head that is stored beside the embedding with it.
func (f *Folder) checkTied() error {
	h, e := f.tensors[head], f.tensors[embedding]
	if h == nil || e == nil || f.Config.Model.Untied {
		return nil
	}
	c, err := f.compareTied(h, e)
	if err != nil {
		return err
	}
	return runPieces(appendPieces(nil, c))
}

// writeFloats writes a tensor's values as floats.
func (m matrix) writeFloats(w io.Writer, dtype safetensors.DType, s *scratch) error {
	var buffer []byte
	return m.each(s, func(first int, values []float32) (err error) {
		if buffer, err = safetensors.AppendFloats(buffer[:0], values, dtype); err != nil {
			return err
		}
		_, err = w.Write(buffer)
		return err
	})
}

// each reads all rows, some at a time.
func (m matrix) each(s *scratch, f func(first int, values []float32) error) error {
	for first := 0; first < m.rows(); first += m.step() {
		rows := min(m.step(), m.rows()-first)
		values := grow(&s.floats, rows*m.width())
		if err := m.read(values, first, rows, s); err != nil {
			return err
		}
		if err := f(first, values); err != nil {
			return err
		}
	}
	return nil
}

// cancellable stops writing when its context ends.
type cancellable struct {
	ctx context.Context
	w   io.Writer
}

func (c *cancellable) Write(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.w.Write(p)
}
