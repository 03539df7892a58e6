package hf

import (
	"math"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"causerie/models/gpt2"
	"causerie/models/hf/safetensors"
	"causerie/models/kernels"
)

// wide is a model whose matrices take several strips and blocks of rows, with
// remainders everywhere.
var wide = gpt2.Config{VocabSize: 1501, Positions: 8, Width: 140, Heads: 7, Layers: 1, Inner: 1210, Untied: true}

// saveRandom writes a random model as a folder.
func saveRandom(t testing.TB, c gpt2.Config, dtype safetensors.DType) string {
	t.Helper()
	m, err := gpt2.New(c)
	if err != nil {
		t.Fatal(err)
	}
	m.Init(3)
	dir := t.TempDir()
	if err := Save(dir, Config{Model: c}, Generation{}, m.Params(), dtype); err != nil {
		t.Fatal(err)
	}
	return dir
}

// A model laid out while it is read is, bit for bit, the one that is loaded
// first and frozen then, from every stored type in every serving type.
func TestLoadFrozenIsLoadThenFreeze(t *testing.T) {
	folders := map[string]string{}
	for _, name := range append(slices.Clone(goldens), "int8") {
		folders[name] = filepath.Join("testdata", name)
	}
	for _, dtype := range []safetensors.DType{F32, F16, BF16} {
		folders["wide "+string(dtype)] = saveRandom(t, wide, dtype)
	}
	folders["wide I8"] = store(t, openTest(t, folders["wide F32"]), I8)
	for name, dir := range folders {
		for _, dtype := range []kernels.DType{kernels.Float32, kernels.BFloat16, kernels.Int8} {
			t.Run(name+"/"+dtype.String(), func(t *testing.T) {
				f := openTest(t, dir)
				if f.DType() == I8 && dtype == kernels.Int8 {
					t.Skip("rounding again what was dequantized need not give the same scales: TestInt8IsKept")
				}
				want := load(t, f)
				want.Freeze(nil, dtype)
				sameWeights(t, loadFrozen(t, f, dtype), want)
			})
		}
	}
}

func loadFrozen(t *testing.T, f *Folder, dtype kernels.DType) *gpt2.Model {
	t.Helper()
	m, err := gpt2.NewFrozen(f.Config.Model, dtype)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.LoadInto(m.Params()); err != nil {
		t.Fatal(err)
	}
	if m.DType() != dtype {
		t.Errorf("the model is %v, not %v", m.DType(), dtype)
	}
	return m
}

// sameWeights compares all parameters, row by row.
func sameWeights(t *testing.T, got, want *gpt2.Model) {
	t.Helper()
	for i, g := range got.Params() {
		w := want.Params()[i]
		if w.Packed == nil || g.Packed == nil {
			sameRow(t, g.Name, 0, g.Data, w.Data)
			continue
		}
		a, b := make([]float32, g.Packed.K), make([]float32, g.Packed.K)
		for row := range g.Packed.N {
			g.Packed.Row(row, a)
			w.Packed.Row(row, b)
			sameRow(t, g.Name, row, a, b)
		}
	}
}

func sameRow(t *testing.T, name string, row int, got, want []float32) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d values, want %d", name, len(got), len(want))
	}
	for i, v := range got {
		if math.Float32bits(v) != math.Float32bits(want[i]) {
			t.Fatalf("%s, row %d, value %d: got %g, want %g", name, row, i, v, want[i])
		}
	}
}

// Nothing is lost of an int8 folder that is served as int8: its weights are
// those that dequantizing gives.
func TestInt8IsKept(t *testing.T) {
	for _, dir := range []string{filepath.Join("testdata", "int8"), store(t, openTest(t, saveRandom(t, wide, F32)), I8)} {
		f := openTest(t, dir)
		want := load(t, f)
		want.Freeze(nil, kernels.Float32)
		sameWeights(t, loadFrozen(t, f, kernels.Int8), want)
	}
}

// And storing as int8 is what serving a float folder as int8 does on the fly.
func TestStoreInt8IsServingInt8(t *testing.T) {
	f := openTest(t, saveRandom(t, wide, F16))
	stored := openTest(t, store(t, f, I8))
	sameWeights(t, loadFrozen(t, stored, kernels.Int8), loadFrozen(t, f, kernels.Int8))
}

// A value that bfloat16 has no room for is an error, not an infinity.
func TestLoadFrozenBeyondBFloat16(t *testing.T) {
	m, err := gpt2.New(gpt2.Config{VocabSize: 9, Positions: 4, Width: 8, Heads: 2, Layers: 1})
	if err != nil {
		t.Fatal(err)
	}
	m.Params()[0].Data[3] = -math.MaxFloat32
	dir := t.TempDir()
	if err := Save(dir, Config{Model: m.Config}, Generation{}, m.Params(), F32); err != nil {
		t.Fatal(err)
	}
	f := openTest(t, dir)
	frozen, err := gpt2.NewFrozen(f.Config.Model, kernels.BFloat16)
	if err != nil {
		t.Fatal(err)
	}
	err = f.LoadInto(frozen.Params())
	want := dir + "/model.safetensors: tensor transformer.wte.weight: the value -3.4028235e+38 is beyond the range of bf16"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// Loading for serving takes the memory of the packed weights and a few
// megabytes for the workers, whatever the file holds: far less than the
// float32 model.
func TestLoadFrozenTakesLittleMemory(t *testing.T) {
	c := gpt2.Config{VocabSize: 16000, Positions: 64, Width: 512, Heads: 8, Layers: 3}
	dir := saveRandom(t, c, F32) // 71 MB
	for _, stored := range []string{dir, store(t, openTest(t, dir), I8)} {
		for dtype, bytes := range map[kernels.DType]uint64{kernels.Float32: 4, kernels.BFloat16: 2, kernels.Int8: 1} {
			f := openTest(t, stored)
			m, err := gpt2.NewFrozen(c, dtype)
			if err != nil {
				t.Fatal(err)
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			if err := f.LoadInto(m.Params()); err != nil {
				t.Fatal(err)
			}
			runtime.ReadMemStats(&after)
			bound := uint64(runtime.GOMAXPROCS(0)) * 10 << 20
			if got := after.TotalAlloc - before.TotalAlloc; got > bound {
				t.Errorf("from %s as %v: reading allocated %d bytes in all, at most %d expected", f.DType(), dtype, got, bound)
			}
			weights := uint64(m.WeightBytes())
			if low, high := bytes*uint64(m.ParamCount()), bytes*uint64(m.ParamCount())*11/10; weights < low || weights > high {
				t.Errorf("as %v the weights take %d bytes, want %d to %d", dtype, weights, low, high)
			}
		}
	}
}

func TestTranspose(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, shape := range [][2]int{{1, 1}, {7, 9}, {8, 8}, {8, 9}, {16, 64}, {13, 100}, {100, 13}, {64, 24}} {
		rows, cols := shape[0], shape[1]
		src := make([]int8, rows*cols)
		for i := range src {
			src[i] = int8(r.Uint32())
		}
		want, plain, got := make([]int8, len(src)), make([]int8, len(src)), make([]int8, len(src))
		for i := range rows {
			for j := range cols {
				want[j*rows+i] = src[i*cols+j]
			}
		}
		transpose(plain, rows, src, rows, cols)
		transposeInt8(got, src, rows, cols)
		if !slices.Equal(got, want) || !slices.Equal(plain, want) {
			t.Errorf("%d by %d is wrong", rows, cols)
		}
	}
}

func TestLowestInt8(t *testing.T) {
	for n := range 40 {
		q := make([]int8, n)
		for i := range q {
			q[i] = []int8{0, 127, -127, 1, -1}[i%5]
		}
		if i := lowestInt8(q); i != -1 {
			t.Fatalf("%d values: -128 at %d", n, i)
		}
		for i := range q {
			old := q[i]
			q[i] = math.MinInt8
			if got := lowestInt8(q); got != i {
				t.Fatalf("%d values: -128 at %d, found at %d", n, i, got)
			}
			q[i] = old
		}
	}
}
