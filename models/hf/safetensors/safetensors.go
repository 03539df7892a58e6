// Package safetensors reads and writes the safetensors format, the plain file
// of named tensors in which models are passed around.
//
// A file is eight bytes with the length of the header (little-endian), the
// header (a JSON object: for each tensor its dtype, shape and the span of its
// bytes) and the tensors' bytes, one after another without gaps. The format is
// described at https://huggingface.co/docs/safetensors.
//
// # Reading
//
// New checks the whole header before anything else is read: a length beyond
// the file, a duplicate name, overlapping or missing spans, a span that does
// not fit the shape, a truncated file are errors that name file and tensor.
// Nothing larger than the header is allocated, so a hostile file can do no
// harm.
//
//	f, err := os.Open("model.safetensors")
//	info, err := f.Stat()
//	file, err := safetensors.New(f, info.Size(), f.Name())
//	t, ok := file.Tensor("wte.weight")
//	values := make([]float32, t.Len())
//	err = t.ReadFloats(values, 0)
//
// Values are read straight into the caller's memory, in pieces, from several
// goroutines if wanted: as float32, or as they are stored with ReadBFloat16 and
// ReadInt8. Files are not memory-mapped: a mapped file that another program
// truncates kills the process with a signal that cannot be handled, and reading
// is about as fast where, as here, every value is copied once anyway (package hf
// has figures).
//
// # Writing
//
// Write streams tensors to any io.Writer, each converted to the dtype it asks
// for as its turn comes, or written by its own function.
package safetensors

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"unsafe"
)

// DType is the type of a tensor's values, by the name it has in the header.
type DType string

// The types whose values this package reads and writes. A file may hold
// tensors of the format's other types beside them; they can be listed but not
// read.
const (
	F32  DType = "F32"  // IEEE 754 single precision
	F16  DType = "F16"  // IEEE 754 half precision
	BF16 DType = "BF16" // bfloat16, the upper half of an F32
	I8   DType = "I8"   // whole numbers from -128 to 127
)

// widths in bits of one value, for every type of the format.
var widths = map[DType]uint64{
	F32: 32, F16: 16, BF16: 16,
	"F64": 64, "C64": 64, "I64": 64, "U64": 64, "I32": 32, "U32": 32, "I16": 16, "U16": 16,
	I8: 8, "U8": 8, "BOOL": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8,
	"F6_E2M3": 6, "F6_E3M2": 6, "F4": 4,
}

// IsFloat says whether ReadFloats knows the type.
func (d DType) IsFloat() bool { return d == F32 || d == F16 || d == BF16 }

// Size is the number of bytes of one value, for the types named above.
func (d DType) Size() int { return int(widths[d] / 8) }

// File is an opened safetensors file. Its methods may be called from several
// goroutines.
type File struct {
	name     string
	r        io.ReaderAt
	metadata map[string]string
	tensors  []*Tensor
	byName   map[string]*Tensor
}

// Tensor is one tensor of a file.
type Tensor struct {
	Name  string
	DType DType
	Shape []int // empty for a single value

	file   *File
	offset int64 // of the first byte, from the start of the file
	size   int64 // in bytes
}

// New reads and checks the header of a file of size bytes. The name is only
// used in errors. The reader stays the caller's: it must live as long as
// tensors are read from it, and New never closes it.
func New(r io.ReaderAt, size int64, name string) (*File, error) {
	f := &File{name: name, r: r}
	if err := f.readHeader(size); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return f, nil
}

// Name is the name the file was opened with.
func (f *File) Name() string { return f.name }

// Metadata is the free-form "__metadata__" of the header; it may be nil.
func (f *File) Metadata() map[string]string { return f.metadata }

// Tensors lists all tensors in the order of their bytes in the file.
func (f *File) Tensors() []*Tensor { return f.tensors }

// Tensor looks a tensor up by its name.
func (f *File) Tensor(name string) (*Tensor, bool) {
	t, ok := f.byName[name]
	return t, ok
}

// File is the file the tensor is part of.
func (t *Tensor) File() *File { return t.file }

// Len is the number of values.
func (t *Tensor) Len() int {
	n := 1
	for _, d := range t.Shape { // cannot overflow: the header was checked
		n *= d
	}
	return n
}

// Bytes is what the tensor takes in the file.
func (t *Tensor) Bytes() int64 { return t.size }

// chunk is the number of values read at a time: the bytes and their float32s
// stay in the cache between the two steps.
const chunk = 1 << 16

// ReadFloats fills dst with the values from index first on (in row-major
// order), converted to float32 exactly. It allocates nothing.
func (t *Tensor) ReadFloats(dst []float32, first int) error {
	if !t.DType.IsFloat() {
		return t.errorf("values of type %s are not supported, only F32, F16 and BF16", t.DType)
	}
	if err := t.checkRange(first, len(dst)); err != nil {
		return err
	}
	for len(dst) > 0 {
		n := min(len(dst), chunk)
		if err := t.readChunk(dst[:n], first); err != nil {
			return err
		}
		dst, first = dst[n:], first+n
	}
	return nil
}

// ReadBFloat16 fills dst with the values of a BF16 tensor from index first on,
// as they are stored. It allocates nothing.
func (t *Tensor) ReadBFloat16(dst []uint16, first int) error {
	if t.DType != BF16 {
		return t.errorf("its values are %s, not %s", t.DType, BF16)
	}
	if err := t.checkRange(first, len(dst)); err != nil {
		return err
	}
	raw := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(dst))), 2*len(dst))
	if err := t.readRaw(raw, first); err != nil {
		return err
	}
	if !littleEndian {
		for i := range dst {
			dst[i] = binary.LittleEndian.Uint16(raw[2*i:])
		}
	}
	return nil
}

// ReadInt8 fills dst with the values of an I8 tensor from index first on. It
// allocates nothing.
func (t *Tensor) ReadInt8(dst []int8, first int) error {
	if t.DType != I8 {
		return t.errorf("its values are %s, not %s", t.DType, I8)
	}
	if err := t.checkRange(first, len(dst)); err != nil {
		return err
	}
	return t.readRaw(unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(dst))), len(dst)), first)
}

// checkRange says when a tensor has no n values from index first on.
func (t *Tensor) checkRange(first, n int) error {
	if first < 0 || n > t.Len() || first > t.Len()-n {
		return t.errorf("values %d to %d asked for, it has %d", first, first+n, t.Len())
	}
	return nil
}

// readRaw reads the bytes of values from index first on.
func (t *Tensor) readRaw(raw []byte, first int) error {
	if len(raw) == 0 {
		return nil
	}
	n, err := t.file.r.ReadAt(raw, t.offset+int64(t.DType.Size())*int64(first))
	if n < len(raw) {
		if err == nil || errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return t.errorf("reading its values: %w", err)
	}
	return nil
}

// readChunk reads the raw bytes into the end of dst's own memory and converts
// them from front to back, in place.
func (t *Tensor) readChunk(dst []float32, first int) error {
	memory := byteView(dst)
	raw := memory[len(memory)-t.DType.Size()*len(dst):]
	if err := t.readRaw(raw, first); err != nil {
		return err
	}
	switch t.DType {
	case F16:
		decodeF16(dst, raw)
	case BF16:
		decodeBF16(dst, raw)
	default:
		if !littleEndian {
			for i := range dst {
				dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
			}
		}
	}
	return nil
}

func (t *Tensor) errorf(format string, args ...any) error {
	return fmt.Errorf("%s: tensor %s: %w", t.file.name, t.Name, fmt.Errorf(format, args...))
}

// littleEndian says whether this machine keeps a float32 as the file does.
var littleEndian = binary.NativeEndian.Uint16([]byte{1, 0}) == 1

// byteView is the memory of a float32 slice.
func byteView(f []float32) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(f))), 4*len(f))
}

// index sorts the tensors by position, and makes them known by name.
func (f *File) index() {
	slices.SortFunc(f.tensors, func(a, b *Tensor) int {
		// An empty tensor at the place of another comes before it.
		return cmp.Or(cmp.Compare(a.offset, b.offset), cmp.Compare(a.size, b.size))
	})
	f.byName = make(map[string]*Tensor, len(f.tensors))
	for _, t := range f.tensors {
		f.byName[t.Name] = t
	}
}
