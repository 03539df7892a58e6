package hf

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/nlpodyssey/gopickle/pytorch"
	"github.com/nlpodyssey/gopickle/types"

	"causerie/models/hf/safetensors"
)

const pickleFile = "pytorch_model.bin"

// readPickle reads PyTorch's pickle of a state dict into memory as a file of
// safetensors, whose name is only used in errors, so that all that follows is
// the same for both. Tensors of whole numbers, which are buffers, are left out.
//
// gopickle builds tensors and containers and runs nothing that a pickle asks
// for; what it does not know is an error. It panics on some damaged files.
func readPickle(file, name string) (_ *safetensors.File, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the file is damaged: %v", r)
		}
	}()
	root, err := pytorch.Load(file)
	if err != nil {
		return nil, err
	}
	var sources []safetensors.Source
	for key, value := range members(root) {
		k, isName := key.(string)
		t, isTensor := value.(*pytorch.Tensor)
		if !isName || !isTensor {
			continue // metadata
		}
		values, err := contiguous(t)
		if err != nil {
			return nil, fmt.Errorf("tensor %s: %w", k, err)
		}
		if values != nil {
			sources = append(sources, safetensors.Source{Name: k, DType: F32, Shape: t.Size, Values: func() []float32 { return values }})
		}
	}
	if len(sources) == 0 {
		return nil, errors.New("holds no tensors by name: want the state dict of a model")
	}
	slices.SortFunc(sources, func(a, b safetensors.Source) int { return cmp.Compare(a.Name, b.Name) })
	var out bytes.Buffer
	if err := safetensors.Write(&out, nil, sources); err != nil {
		return nil, err
	}
	return safetensors.New(bytes.NewReader(out.Bytes()), int64(out.Len()), name)
}

// members visits a pickled dictionary; anything else has none.
func members(root any) func(yield func(key, value any) bool) {
	return func(yield func(key, value any) bool) {
		switch d := root.(type) {
		case *types.OrderedDict:
			for key, entry := range d.Map {
				if !yield(key, entry.Value) {
					return
				}
			}
		case *types.Dict:
			for _, entry := range *d {
				if !yield(entry.Key, entry.Value) {
					return
				}
			}
		}
	}
}

// contiguous returns the values of a tensor of floats in row-major order; nil
// for one of whole numbers.
func contiguous(t *pytorch.Tensor) ([]float32, error) {
	var data []float32
	switch s := t.Source.(type) {
	case *pytorch.FloatStorage:
		data = s.Data
	case *pytorch.HalfStorage:
		data = s.Data
	case *pytorch.BFloat16Storage:
		data = s.Data
	default:
		return nil, nil
	}
	n, last := 1, t.StorageOffset
	if len(t.Stride) != len(t.Size) {
		return nil, fmt.Errorf("%d strides for the shape %d", len(t.Stride), t.Size)
	}
	for i, d := range t.Size {
		if d < 1 || d > len(data) || t.Stride[i] < 0 || t.Stride[i] > len(data) {
			return nil, fmt.Errorf("shape %d of stride %d does not fit %d values", t.Size, t.Stride, len(data))
		}
		n *= d
		last += (d - 1) * t.Stride[i]
		if n > len(data) {
			break
		}
	}
	if n > len(data) || t.StorageOffset < 0 || last >= len(data) {
		return nil, fmt.Errorf("shape %d of stride %d does not fit %d values", t.Size, t.Stride, len(data))
	}
	values := make([]float32, 0, n)
	var walk func(dim, at int)
	walk = func(dim, at int) {
		if dim == len(t.Size) {
			values = append(values, data[at])
			return
		}
		for i := range t.Size[dim] {
			walk(dim+1, at+i*t.Stride[dim])
		}
	}
	walk(0, t.StorageOffset)
	return values, nil
}
