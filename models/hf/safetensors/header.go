package safetensors

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/bits"

	"causerie/models/hf/internal/strictjson"
)

const (
	// maxHeader is the format's own limit for the length of the header.
	maxHeader = 100_000_000
	// lfsPointer starts the small text file that stands in for a large one
	// in a repository cloned without Git LFS.
	lfsPointer = "version https://git-lfs"
)

func (f *File) readHeader(size int64) error {
	if size < 8 {
		return fmt.Errorf("%d bytes are too few for a safetensors file", size)
	}
	start := make([]byte, min(size, int64(len(lfsPointer))))
	if err := readFull(f.r, start, 0); err != nil {
		return err
	}
	if bytes.HasPrefix(start, []byte(lfsPointer)) {
		return errors.New("this is a Git LFS pointer, not the file itself: fetch it with `git lfs pull`")
	}
	length := binary.LittleEndian.Uint64(start)
	if length > maxHeader {
		return fmt.Errorf("not a safetensors file: it claims a header of %d bytes, %d are allowed", length, maxHeader)
	}
	if int64(length) > size-8 {
		return fmt.Errorf("truncated: the header needs %d bytes, the file has %d", length+8, size)
	}
	header := make([]byte, length)
	if err := readFull(f.r, header, 8); err != nil {
		return err
	}
	if err := f.parseHeader(header); err != nil {
		return fmt.Errorf("header: %w", err)
	}
	f.index()
	return f.checkSpans(int64(length)+8, size)
}

func readFull(r io.ReaderAt, p []byte, offset int64) error {
	n, err := r.ReadAt(p, offset)
	switch {
	case n == len(p):
		return nil
	case err == nil, errors.Is(err, io.EOF):
		return io.ErrUnexpectedEOF
	}
	return err
}

// parseHeader fills metadata and tensors; offsets are still relative to the
// end of the header and unchecked.
func (f *File) parseHeader(header []byte) error {
	if len(header) == 0 || header[0] != '{' {
		return fmt.Errorf("want a JSON object {…}, not %q", strictjson.Show(header))
	}
	members, err := strictjson.Object(header)
	if err != nil {
		return err
	}
	for _, m := range members {
		if m.Key == metadataKey {
			if f.metadata, err = parseMetadata(m.Value); err != nil {
				return fmt.Errorf("%s: %w", metadataKey, err)
			}
			continue
		}
		t, err := parseTensor(m.Value)
		if err != nil {
			return fmt.Errorf("tensor %s: %w", m.Key, err)
		}
		t.Name, t.file = m.Key, f
		f.tensors = append(f.tensors, t)
	}
	return nil
}

const metadataKey = "__metadata__"

func parseMetadata(value json.RawMessage) (map[string]string, error) {
	members, err := strictjson.Object(value)
	if err != nil {
		return nil, err
	}
	metadata := make(map[string]string, len(members))
	for _, m := range members {
		var text *string
		if err := json.Unmarshal(m.Value, &text); err != nil || text == nil {
			return nil, fmt.Errorf("%s: want a string, not %s", m.Key, strictjson.Show(m.Value))
		}
		metadata[m.Key] = *text
	}
	return metadata, nil
}

// parseTensor reads {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}
// and checks it in itself.
func parseTensor(value json.RawMessage) (*Tensor, error) {
	members, err := strictjson.Object(value)
	if err != nil {
		return nil, err
	}
	var dtype *string
	var shape, span []uint64
	for _, m := range members {
		switch m.Key {
		case "dtype":
			err = json.Unmarshal(m.Value, &dtype)
		case "shape":
			err = json.Unmarshal(m.Value, &shape)
		case "data_offsets":
			err = json.Unmarshal(m.Value, &span)
		}
		if err != nil {
			return nil, fmt.Errorf("%s cannot be %s", m.Key, strictjson.Show(m.Value))
		}
	}
	switch {
	case dtype == nil:
		return nil, errors.New("dtype is missing")
	case shape == nil: // null too; a single value has the shape []
		return nil, errors.New("shape is missing")
	case len(span) != 2:
		return nil, fmt.Errorf("data_offsets must be two numbers, not %d", len(span))
	case span[0] > span[1]:
		return nil, fmt.Errorf("data_offsets end at %d, before their begin %d", span[1], span[0])
	case span[1] > 1<<62:
		return nil, fmt.Errorf("data_offsets end at %d, beyond any file", span[1])
	}
	t := &Tensor{DType: DType(*dtype), Shape: make([]int, len(shape)), offset: int64(span[0]), size: int64(span[1] - span[0])}
	want, err := byteSize(t.DType, shape)
	if err != nil {
		return nil, err
	}
	if want != uint64(t.size) {
		return nil, fmt.Errorf("%s of shape %d takes %d bytes, its data_offsets span %d", t.DType, shape, want, t.size)
	}
	for i, d := range shape {
		if d > 1<<48 { // beside a zero, any number would fit
			return nil, fmt.Errorf("shape %d is too large", shape)
		}
		t.Shape[i] = int(d)
	}
	return t, nil
}

// byteSize is the number of bytes that a tensor takes.
func byteSize(dtype DType, shape []uint64) (uint64, error) {
	total, ok := widths[dtype]
	if !ok {
		return 0, fmt.Errorf("dtype %q is not one of the format's", string(dtype))
	}
	for _, d := range shape {
		high, low := bits.Mul64(total, d)
		if high != 0 {
			return 0, fmt.Errorf("shape %d is too large", shape)
		}
		total = low
	}
	if total%8 != 0 {
		return 0, fmt.Errorf("%s of shape %d does not fill whole bytes", dtype, shape)
	}
	return total / 8, nil
}

// checkSpans checks that the tensors' bytes follow one another from the end
// of the header to the end of the file, and makes offsets absolute.
func (f *File) checkSpans(start, size int64) error {
	end := int64(0)
	for i, t := range f.tensors {
		switch {
		case t.offset < end:
			return fmt.Errorf("tensor %s overlaps tensor %s", t.Name, f.tensors[i-1].Name)
		case t.offset > end:
			return fmt.Errorf("tensor %s begins at byte %d of the data, there is a gap after byte %d", t.Name, t.offset, end)
		}
		end += t.size
		t.offset += start
	}
	switch {
	case end > size-start:
		return fmt.Errorf("truncated: its tensors need %d bytes, the file has %d", end+start, size)
	case end < size-start:
		return fmt.Errorf("%d bytes follow the last tensor: its tensors need %d bytes, the file has %d", size-start-end, end+start, size)
	}
	return nil
}
