package safetensors

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"slices"
	"strings"
	"testing"
)

// raw builds a file from a header as text and the data after it.
func raw(header string, data int) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	b = append(b, header...)
	return append(b, make([]byte, data)...)
}

func open(b []byte) (*File, error) {
	return New(bytes.NewReader(b), int64(len(b)), "m.safetensors")
}

func TestHeaderErrors(t *testing.T) {
	long := binary.LittleEndian.AppendUint64(nil, math.MaxUint64)
	for _, test := range []struct {
		name string
		file []byte
		want string
	}{
		{"empty", nil, "0 bytes are too few"},
		{"seven bytes", make([]byte, 7), "7 bytes are too few"},
		{"no header", make([]byte, 8), `want a JSON object {…}, not ""`},
		{"giant header", append(long, "{}"...), "not a safetensors file"},
		{"header beyond the file", raw("{}", 0)[:9], "truncated: the header needs 10 bytes, the file has 9"},
		{"Git LFS", []byte("version https://git-lfs.github.com/spec/v1\noid sha256:0"), "git lfs pull"},
		{"not JSON", raw("{abc}", 0), "header: line 1"},
		{"space first", raw(" {}", 0), "want a JSON object"},
		{"array", raw("[]", 0), "want a JSON object"},
		{"two objects", raw("{}{}", 0), "something follows"},
		{"duplicate tensor", raw(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`, 8), `key "a" is there twice`},
		{"tensor not an object", raw(`{"a":5}`, 0), "tensor a: want a JSON object"},
		{"null tensor", raw(`{"a":null}`, 0), "tensor a: want a JSON object"},
		{"no dtype", raw(`{"a":{"shape":[1],"data_offsets":[0,4]}}`, 4), "tensor a: dtype is missing"},
		{"dtype in other case", raw(`{"a":{"DType":"F32","shape":[1],"data_offsets":[0,4]}}`, 4), "dtype is missing"},
		{"unknown dtype", raw(`{"a":{"dtype":"F33","shape":[1],"data_offsets":[0,4]}}`, 4), `tensor a: dtype "F33" is not one of the format's`},
		{"numeric dtype", raw(`{"a":{"dtype":32,"shape":[1],"data_offsets":[0,4]}}`, 4), "tensor a: dtype cannot be 32"},
		{"no shape", raw(`{"a":{"dtype":"F32","data_offsets":[0,4]}}`, 4), "tensor a: shape is missing"},
		{"null shape", raw(`{"a":{"dtype":"F32","shape":null,"data_offsets":[0,4]}}`, 4), "tensor a: shape is missing"},
		{"negative shape", raw(`{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}`, 4), "tensor a: shape cannot be [-1]"},
		{"fraction in shape", raw(`{"a":{"dtype":"F32","shape":[1.5],"data_offsets":[0,4]}}`, 4), "tensor a: shape cannot be [1.5]"},
		{"negative offset", raw(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[-4,0]}}`, 4), "tensor a: data_offsets cannot be"},
		{"one offset", raw(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[4]}}`, 4), "must be two numbers, not 1"},
		{"three offsets", raw(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4,8]}}`, 4), "must be two numbers, not 3"},
		{"backwards", raw(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}`, 4), "before their begin"},
		{"giant offset", raw(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,18446744073709551615]}}`, 4), "beyond any file"},
		{"shape overflows", raw(`{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}}`, 0), "is too large"},
		{"shape overflows beside zero", raw(`{"a":{"dtype":"F32","shape":[0,18446744073709551615],"data_offsets":[0,0]}}`, 0), "is too large"},
		{"span and shape differ", raw(`{"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,20]}}`, 20), "F32 of shape [2 3] takes 24 bytes, its data_offsets span 20"},
		{"half a byte", raw(`{"a":{"dtype":"F4","shape":[3],"data_offsets":[0,1]}}`, 1), "does not fill whole bytes"},
		{"overlap", raw(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`, 8), "tensor b overlaps tensor a"},
		{"gap", raw(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}}`, 12), "tensor b begins at byte 8 of the data, there is a gap after byte 4"},
		{"truncated", raw(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, 7), "truncated: its tensors need 70 bytes, the file has 69"},
		{"too long", raw(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, 9), "1 bytes follow the last tensor: its tensors need 70 bytes, the file has 71"},
		{"metadata not an object", raw(`{"__metadata__":[]}`, 0), "__metadata__: want a JSON object"},
		{"metadata not strings", raw(`{"__metadata__":{"format":1}}`, 0), "__metadata__: format: want a string, not 1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := open(test.file)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("got %v, want an error with %q", err, test.want)
			}
			if !strings.HasPrefix(err.Error(), "m.safetensors: ") {
				t.Errorf("%v does not name the file", err)
			}
		})
	}
}

func source(name string, dtype DType, values []float32, shape ...int) Source {
	return Source{Name: name, DType: dtype, Shape: shape, Values: func() []float32 { return values }}
}

// stream is what a Source writes by itself.
func stream(b []byte) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := w.Write(b)
		return err
	}
}

// Values can be read as they are stored.
func TestReadAsStored(t *testing.T) {
	var b bytes.Buffer
	err := Write(&b, nil, []Source{
		{Name: "brain", DType: BF16, Shape: []int{3}, Stream: stream([]byte{1, 2, 3, 4, 0xff, 0x7f})},
		{Name: "int8", DType: I8, Shape: []int{2, 2}, Stream: stream([]byte{0, 127, 128, 255})},
	})
	if err != nil {
		t.Fatal(err)
	}
	f, err := open(b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	brain, _ := f.Tensor("brain")
	halves := make([]uint16, 2)
	if err := brain.ReadBFloat16(halves, 1); err != nil || halves[0] != 0x0403 || halves[1] != 0x7fff {
		t.Errorf("%x, %v", halves, err)
	}
	ints, _ := f.Tensor("int8")
	q := make([]int8, 3)
	if err := ints.ReadInt8(q, 1); err != nil || !slices.Equal(q, []int8{127, -128, -1}) {
		t.Errorf("%d, %v", q, err)
	}
	for what, err := range map[string]error{
		"values 2 to 5 asked for, it has 4":                  ints.ReadInt8(q, 2),
		"values 2 to 4 asked for, it has 3":                  brain.ReadBFloat16(halves, 2),
		"its values are BF16, not I8":                        brain.ReadInt8(q, 0),
		"its values are I8, not BF16":                        ints.ReadBFloat16(halves, 0),
		"values of type I8 are not supported, only F32, F16": ints.ReadFloats(nil, 0),
	} {
		if err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("got %v, want an error with %q", err, what)
		}
	}
	if n := testing.AllocsPerRun(10, func() { _, _ = ints.ReadInt8(q, 1), brain.ReadBFloat16(halves, 1) }); n != 0 {
		t.Errorf("%g allocations", n)
	}
}

func TestWriteThenRead(t *testing.T) {
	const n = 3*chunk + 5 // more than one piece
	values := make([]float32, n)
	for i := range values {
		values[i] = float32(i%2048) / 64 // exact in F16 up to 11 bits
	}
	small := []float32{0, 1, -2, 0.5, float32(math.Inf(-1)), 0x1p-24}
	var b bytes.Buffer
	err := Write(&b, map[string]string{"format": "pt"}, []Source{
		source("单 \"quoted\"", F32, values, n), source("half", F16, values, 1, n), source("brain", BF16, small, 2, 3),
		source("empty", F32, nil, 0, 4), source("scalar", F32, []float32{7}),
	})
	if err != nil {
		t.Fatal(err)
	}
	f, err := open(b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if f.Metadata()["format"] != "pt" {
		t.Errorf("metadata is %v", f.Metadata())
	}
	if first := f.Tensors()[0]; first.offset%8 != 0 {
		t.Errorf("the data begin at byte %d, not aligned", first.offset)
	}
	for _, want := range []struct {
		name   string
		shape  []int
		values []float32
	}{{"单 \"quoted\"", []int{n}, values}, {"half", []int{1, n}, values}, {"empty", []int{0, 4}, nil}, {"scalar", []int{}, []float32{7}}} {
		tensor, ok := f.Tensor(want.name)
		if !ok {
			t.Fatalf("no tensor %s", want.name)
		}
		if !slices.Equal(tensor.Shape, want.shape) {
			t.Errorf("%s: shape %d, want %d", want.name, tensor.Shape, want.shape)
		}
		got := make([]float32, tensor.Len())
		if err := tensor.ReadFloats(got, 0); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got, want.values) {
			t.Errorf("%s: other values came back", want.name)
		}
	}
	brain, _ := f.Tensor("brain")
	got := make([]float32, 3)
	if err := brain.ReadFloats(got, 2); err != nil || !slices.Equal(got, small[2:5]) {
		t.Errorf("got %v, %v, want %v", got, err, small[2:5])
	}
	for _, first := range []int{-1, 4, math.MaxInt} {
		if err := brain.ReadFloats(got, first); err == nil {
			t.Errorf("3 values from %d of 6: no error", first)
		}
	}
}

func TestWriteErrors(t *testing.T) {
	one := []float32{1}
	for _, test := range []struct {
		name    string
		sources []Source
		want    string
	}{
		{"duplicate", []Source{source("a", F32, one, 1), source("a", F32, one, 1)}, `"a" is taken`},
		{"metadata's name", []Source{source("__metadata__", F32, one, 1)}, "is taken"},
		{"integers", []Source{source("a", "I64", one, 1)}, `cannot write type "I64"`},
		{"floats as int8", []Source{source("a", I8, one, 1)}, `cannot write type "I8"`},
		{"short stream", []Source{{Name: "a", DType: I8, Shape: []int{2, 3}, Stream: stream(make([]byte, 5))}}, "tensor a: I8 of shape [2 3] is 6 bytes, 5 were written"},
		{"long stream", []Source{{Name: "a", DType: BF16, Shape: []int{2}, Stream: stream(make([]byte, 5))}}, "tensor a: BF16 of shape [2] is 4 bytes, 5 were written"},
		{"wrong count", []Source{source("a", F32, one, 2, 3)}, "tensor a: shape [2 3] is 6 values, it has 1"},
		{"beyond F16", []Source{source("a", F16, []float32{1, 65520}, 2)}, "tensor a: the value 65520 is beyond the range of F16"},
		{"beyond BF16", []Source{source("a", BF16, []float32{math.MaxFloat32}, 1)}, "beyond the range of BF16"},
	} {
		if err := Write(io.Discard, nil, test.sources); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want an error with %q", test.name, err, test.want)
		}
	}
	full := errors.New("disk full")
	if err := Write(failingWriter{full}, nil, nil); !errors.Is(err, full) {
		t.Errorf("got %v, want %v", err, full)
	}
}

type failingWriter struct{ err error }

func (w failingWriter) Write([]byte) (int, error) { return 0, w.err }

// A tensor of a type we cannot compute with is listed, but not read.
func TestOtherTypes(t *testing.T) {
	f, err := open(raw(`{"mask":{"dtype":"BOOL","shape":[1,3],"data_offsets":[0,3]},"b":{"dtype":"I64","shape":[],"data_offsets":[3,11]}}`, 11))
	if err != nil {
		t.Fatal(err)
	}
	mask, _ := f.Tensor("mask")
	err = mask.ReadFloats(make([]float32, 3), 0)
	if err == nil || err.Error() != "m.safetensors: tensor mask: values of type BOOL are not supported, only F32, F16 and BF16" {
		t.Error(err)
	}
}

// A file that shrinks after it was opened is an error, not a crash.
func TestFileShrinks(t *testing.T) {
	b := raw(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, 8)
	r := &shrinking{b}
	f, err := New(r, int64(len(b)), "m.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	r.b = b[:len(b)-3]
	a, _ := f.Tensor("a")
	err = a.ReadFloats(make([]float32, 2), 0)
	if !errors.Is(err, io.ErrUnexpectedEOF) || !strings.Contains(err.Error(), "m.safetensors: tensor a") {
		t.Error(err)
	}
}

type shrinking struct{ b []byte }

func (s *shrinking) ReadAt(p []byte, off int64) (int, error) {
	return bytes.NewReader(s.b).ReadAt(p, off)
}

func TestReadFloatsDoesNotAllocate(t *testing.T) {
	var b bytes.Buffer
	values := make([]float32, 100)
	if err := Write(&b, nil, []Source{source("a", F16, values, 100)}); err != nil {
		t.Fatal(err)
	}
	f, err := open(b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	a, _ := f.Tensor("a")
	if n := testing.AllocsPerRun(10, func() { _ = a.ReadFloats(values, 0) }); n != 0 {
		t.Errorf("%g allocations", n)
	}
}

// Whatever the bytes: no panic, no absurd allocation; and what is accepted can
// be read, and written again with the same values.
func FuzzNew(f *testing.F) {
	f.Add(raw(`{"a":{"dtype":"F16","shape":[2],"data_offsets":[0,4]},"b":{"dtype":"BF16","shape":[1,2],"data_offsets":[4,8]}}`, 8))
	f.Add(raw(`{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}`, 4))
	f.Add(raw(`{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}}`, 0))
	f.Add(raw(`{"a":{"dtype":"U8","shape":[0,9],"data_offsets":[0,0]}}`, 0))
	f.Add([]byte("version https://git-lfs.github.com/spec/v1\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		file, err := open(b)
		if err != nil {
			return
		}
		var sources []Source
		for _, tensor := range file.Tensors() {
			if tensor.DType == I8 {
				if err := tensor.ReadInt8(make([]int8, tensor.Len()), 0); err != nil {
					t.Fatal(err)
				}
			}
			if !tensor.DType.IsFloat() {
				continue
			}
			values := make([]float32, tensor.Len())
			if err := tensor.ReadFloats(values, 0); err != nil {
				t.Fatal(err)
			}
			sources = append(sources, source(tensor.Name, F32, values, tensor.Shape...))
		}
		var out bytes.Buffer
		if err := Write(&out, file.Metadata(), sources); err != nil {
			t.Fatal(err)
		}
		again, err := open(out.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range sources {
			tensor, ok := again.Tensor(s.Name)
			if !ok {
				t.Fatalf("tensor %q got lost", s.Name)
			}
			values := make([]float32, tensor.Len())
			if err := tensor.ReadFloats(values, 0); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(byteView(values), byteView(s.Values())) {
				t.Fatalf("tensor %q changed", s.Name)
			}
		}
	})
}
