package safetensors

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"

	"causerie/models/float16"
)

// Source is a tensor to write.
type Source struct {
	Name  string
	DType DType
	Shape []int
	// Values gives the values of an F32, F16 or BF16 tensor in row-major order,
	// when the tensor's turn has come. The slice is not kept: the next Source
	// may reuse its memory.
	Values func() []float32
	// Stream, when there is no Values, writes the values of a tensor of any
	// type as the file has them: in row-major order, little-endian.
	Stream func(io.Writer) error
}

// Write writes a safetensors file with the tensors in the order given.
// metadata may be nil. A finite value beyond the range of the tensor's dtype is
// an error, for it would come back as an infinity.
func Write(w io.Writer, metadata map[string]string, tensors []Source) error {
	header, err := marshalHeader(metadata, tensors)
	if err != nil {
		return err
	}
	if _, err := w.Write(header); err != nil {
		return err
	}
	var buffer []byte
	for _, t := range tensors {
		if buffer, err = t.write(w, buffer); err != nil {
			return fmt.Errorf("tensor %s: %w", t.Name, err)
		}
	}
	return nil
}

// write writes the tensor's values. It hands the buffer on to the next tensor.
func (t *Source) write(w io.Writer, buffer []byte) (_ []byte, err error) {
	if t.Values == nil {
		return buffer, t.stream(w)
	}
	values := t.Values()
	if n := count(t.Shape); n != len(values) {
		return nil, fmt.Errorf("shape %d is %d values, it has %d", t.Shape, n, len(values))
	}
	for first := 0; first < len(values); first += chunk {
		piece := values[first:min(first+chunk, len(values))]
		if buffer, err = AppendFloats(buffer[:0], piece, t.DType); err != nil {
			return nil, err
		}
		if _, err := w.Write(buffer); err != nil {
			return nil, err
		}
	}
	return buffer, nil
}

// stream lets the tensor write itself, and counts.
func (t *Source) stream(w io.Writer) error {
	counted := &counter{w: w}
	if err := t.Stream(counted); err != nil {
		return err
	}
	if want := int64(count(t.Shape) * t.DType.Size()); counted.n != want {
		return fmt.Errorf("%s of shape %d is %d bytes, %d were written", t.DType, t.Shape, want, counted.n)
	}
	return nil
}

// counter counts the bytes written through it.
type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

func count(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

// marshalHeader is the file up to the first tensor's bytes.
func marshalHeader(metadata map[string]string, tensors []Source) ([]byte, error) {
	out := bytes.NewBuffer(make([]byte, 8, 1024))
	out.WriteByte('{')
	if metadata != nil {
		if err := member(out, metadataKey, metadata); err != nil {
			return nil, err
		}
	}
	seen := map[string]bool{metadataKey: true}
	offset := 0
	for _, t := range tensors {
		if seen[t.Name] {
			return nil, fmt.Errorf("tensor name %q is taken", t.Name)
		}
		seen[t.Name] = true
		if !t.DType.IsFloat() && (t.DType != I8 || t.Values != nil) {
			return nil, fmt.Errorf("tensor %s: cannot write type %q", t.Name, string(t.DType))
		}
		size := count(t.Shape) * t.DType.Size()
		err := member(out, t.Name, struct {
			DType  DType  `json:"dtype"`
			Shape  []int  `json:"shape"`
			Offset [2]int `json:"data_offsets"`
		}{t.DType, append([]int{}, t.Shape...), [2]int{offset, offset + size}})
		if err != nil {
			return nil, err
		}
		offset += size
	}
	out.WriteByte('}')
	for out.Len()%8 != 0 { // the format asks for aligned data
		out.WriteByte(' ')
	}
	if out.Len()-8 > maxHeader {
		return nil, fmt.Errorf("a header of %d bytes is longer than the format's limit of %d", out.Len()-8, maxHeader)
	}
	binary.LittleEndian.PutUint64(out.Bytes(), uint64(out.Len()-8))
	return out.Bytes(), nil
}

// member appends `"key":value` and the comma that may come before it.
func member(out *bytes.Buffer, key string, value any) error {
	k, err := json.Marshal(key)
	if err != nil {
		return err
	}
	v, err := json.Marshal(value)
	if err != nil {
		return err
	}
	if out.Bytes()[out.Len()-1] != '{' {
		out.WriteByte(',')
	}
	out.Write(k)
	out.WriteByte(':')
	out.Write(v)
	return nil
}

// AppendFloats appends values in the file's form: F32, or rounded to F16 or
// BF16. A finite value beyond the range of the dtype is an error.
func AppendFloats(dst []byte, values []float32, dtype DType) ([]byte, error) {
	if dtype == F32 {
		if littleEndian {
			return append(dst, byteView(values)...), nil
		}
		for _, v := range values {
			dst = binary.LittleEndian.AppendUint32(dst, math.Float32bits(v))
		}
		return dst, nil
	}
	narrow, infinity := float16.Bits, uint16(0x7c00)
	if dtype == BF16 {
		narrow, infinity = float16.BFloatBits, 0x7f80
	}
	for _, v := range values {
		h := narrow(v)
		if h&0x7fff == infinity && !math.IsInf(float64(v), 0) {
			return nil, fmt.Errorf("the value %g is beyond the range of %s", v, dtype)
		}
		dst = binary.LittleEndian.AppendUint16(dst, h)
	}
	return dst, nil
}
