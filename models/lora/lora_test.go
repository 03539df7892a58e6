package lora

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"causerie/models/gpt2"
	"causerie/models/kernels"
	"causerie/models/ops"
)

// TestAgainstPEFT holds logits, loss and gradients against those of Python's
// peft in float64.
func TestAgainstPEFT(t *testing.T) {
	pool := kernels.NewPool(2)
	defer pool.Close()
	for _, name := range goldens {
		t.Run(name, func(t *testing.T) {
			m := openBase(t)
			a, g := openGolden(t, name, m.Config)
			r := gpt2.NewRunner(m, pool)
			segments, targets, weights, want := g.batch(a.Net)
			if d := difference(logits(t, r, segments...), want); d > 1e-4 {
				t.Errorf("logits differ by %.2g", d)
			}
			if d := difference(logits(t, r, segments...), ofBase(t, r, segments)); d < 1e-2 {
				t.Errorf("the adapter changes the logits by %.2g only", d)
			}
			a.Trainable()
			loss, err := r.LossAndGrad(segments, targets, weights, 1)
			if err != nil {
				t.Fatal(err)
			}
			if math.Abs(loss.Sum-g.LossSum) > 1e-4 {
				t.Errorf("loss %g, want %g", loss.Sum, g.LossSum)
			}
			checkGradients(t, a, filepath.Join("testdata", name, "gradients.safetensors"))
			for _, p := range m.Params() {
				if p.Grad != nil {
					t.Fatalf("the base has a gradient of %s", p.Name)
				}
			}
		})
	}
}

// ofBase are the logits of the base alone.
func ofBase(t *testing.T, r *gpt2.Runner, segments []gpt2.Segment) (list []float64) {
	bare := slices.Clone(segments)
	for i := range bare {
		bare[i].Adapter = nil
	}
	for _, v := range logits(t, r, bare...) {
		list = append(list, float64(v))
	}
	return list
}

func checkGradients(t *testing.T, a *Adapter, path string) {
	t.Helper()
	file := readTensors(t, path)
	if got, want := len(a.Params()), len(file.Tensors()); got != want {
		t.Fatalf("%d factors, PEFT has %d", got, want)
	}
	for _, p := range a.Params() {
		tensor, ok := file.Tensor(p.Name)
		if !ok {
			t.Fatalf("PEFT has no gradient of %s", p.Name)
		}
		want := make([]float32, tensor.Len())
		if err := tensor.ReadFloats(want, 0); err != nil {
			t.Fatal(err)
		}
		if p.Conv1D {
			transposed := make([]float32, len(want))
			transpose(transposed, want, p.Shape[1], p.Shape[0])
			want = transposed
		}
		close32(t, "gradient of "+p.Name, p.Grad, want, 5e-5)
	}
}

// TestOneBaseServesAllAdapters: in one batch, over caches or not, with any
// number of threads, trainable or frozen, every sequence gets the bits that it
// gets alone.
func TestOneBaseServesAllAdapters(t *testing.T) {
	m := openBase(t)
	var set Set
	adapters := []*gpt2.Adapter{nil}
	for _, name := range goldens {
		a, err := set.Load(name, filepath.Join("testdata", name), m.Config)
		if err != nil {
			t.Fatal(err)
		}
		adapters = append(adapters, a.Net)
	}
	if names := set.Names(); !slices.Equal(names, []string{"all", "default", "pattern"}) {
		t.Errorf("names %q", names)
	}
	var segments []gpt2.Segment
	var want []float32
	for i := range 8 {
		ids := make([]int32, 3+i%3*7)
		for j := range ids {
			ids[j] = int32((7*i + 5*j) % m.Config.VocabSize)
		}
		s := gpt2.Segment{Tokens: ids, Adapter: adapters[i/2]}
		segments = append(segments, s)
		want = append(want, logits(t, gpt2.NewRunner(m, nil), s)...)
	}
	for threads := range 3 {
		pool := kernels.NewPool(threads + 1)
		defer pool.Close()
		if threads == 2 {
			m.Freeze(pool, kernels.Float32)
		}
		r := gpt2.NewRunner(m, pool)
		if !slices.Equal(logits(t, r, segments...), want) {
			t.Errorf("%d threads: the batch gives other logits than its sequences alone", threads+1)
		}
		if got := cached(t, r, segments); !slices.Equal(got, want) {
			t.Errorf("%d threads: other logits over caches", threads+1)
		}
	}
}

// cached gives each sequence a cache and feeds it in two calls.
func cached(t *testing.T, r *gpt2.Runner, segments []gpt2.Segment) (all []float32) {
	t.Helper()
	parts := [2][]gpt2.Segment{slices.Clone(segments), slices.Clone(segments)}
	for i, s := range segments {
		c := r.Model().NewCache()
		parts[0][i].Tokens, parts[1][i].Tokens = s.Tokens[:2], s.Tokens[2:]
		parts[0][i].Cache, parts[1][i].Cache = c, c
	}
	first, second := logits(t, r, parts[0]...), logits(t, r, parts[1]...)
	vocab := r.Model().Config.VocabSize
	for _, s := range segments {
		n := (len(s.Tokens) - 2) * vocab
		all = append(append(all, first[:2*vocab]...), second[:n]...)
		first, second = first[2*vocab:], second[n:]
	}
	return all
}

func TestMerge(t *testing.T) {
	for _, name := range goldens {
		m := openBase(t)
		a, g := openGolden(t, name, m.Config)
		if err := a.Merge(nil, m); err != nil {
			t.Fatal(err)
		}
		segments, _, _, want := g.batch(nil)
		if d := difference(logits(t, gpt2.NewRunner(m, nil), segments...), want); d > 1e-4 {
			t.Errorf("%s: merged, the logits differ by %.2g", name, d)
		}
		m.Freeze(nil, kernels.Float32)
		if err := a.Merge(nil, m); err == nil {
			t.Error("merged into a model that serves")
		}
	}
}

func TestSaveAndOpen(t *testing.T) {
	m := openBase(t)
	for _, name := range goldens {
		a, _ := openGolden(t, name, m.Config)
		dir := filepath.Join(t.TempDir(), "saved")
		if err := a.Save(dir); err != nil {
			t.Fatal(err)
		}
		b, err := OpenDir(dir, m.Config)
		if err != nil {
			t.Fatal(err)
		}
		if fmt.Sprintf("%+v", a.Config) != fmt.Sprintf("%+v", b.Config) {
			t.Errorf("saved %+v, read %+v", a.Config, b.Config)
		}
		for i, p := range a.Params() {
			if q := b.Params()[i]; p.Name != q.Name || !slices.Equal(p.Data, q.Data) {
				t.Errorf("%s: %s is another one", name, p.Name)
			}
		}
		for i, c := range a.Net.Changes() {
			if c != nil && c.Scale != b.Net.Changes()[i].Scale {
				t.Errorf("%s: another scale", name)
			}
		}
	}
}

func TestNewAdapterChangesNothing(t *testing.T) {
	m := openBase(t)
	a, err := New(m.Config, Config{Rank: 3, Targets: []string{AllLinear}}, 5)
	if err != nil {
		t.Fatal(err)
	}
	s := gpt2.Segment{Tokens: []int32{1, 2, 3}}
	r := gpt2.NewRunner(m, nil)
	want := logits(t, r, s)
	s.Adapter = a.Net
	if !slices.Equal(logits(t, r, s), want) {
		t.Error("a new adapter changes logits")
	}
	b, err := New(m.Config, Config{Rank: 3, Targets: []string{AllLinear}}, 5)
	if err != nil {
		t.Fatal(err)
	}
	bound := 1 / math.Sqrt(float64(m.Config.Width))
	for i, p := range a.Params() {
		if !slices.Equal(p.Data, b.Params()[i].Data) {
			t.Errorf("%s differs between adapters of one seed", p.Name)
		}
		if largest := slices.Max(p.Data); !p.Conv1D && (float64(largest) > bound || largest == 0) || p.Conv1D && largest != 0 {
			t.Errorf("%s: largest value %g", p.Name, largest)
		}
	}
}

// TestPEFTReadsWhatWeWrite has PEFT load folders written here: logits within
// 1e-4 of ours, no tensor missing. It needs python3 with torch and peft, and
// runs when CAUSERIE_LONG is set:
//
//	CAUSERIE_LONG=1 go test -run PEFT -v ./models/lora
func TestPEFTReadsWhatWeWrite(t *testing.T) {
	if os.Getenv("CAUSERIE_LONG") == "" {
		t.Skip("set CAUSERIE_LONG to run Python")
	}
	if err := exec.Command("python3", "-c", "import torch, transformers, peft").Run(); err != nil {
		t.Skip("python3 with torch, transformers and peft is not installed")
	}
	m := openBase(t)
	args := []string{filepath.Join("testdata", "check.py"), base}
	for i, c := range []Config{
		{},
		{Rank: 3, Alpha: 7.5, Targets: []string{AllLinear}, RankStabilized: true, Dropout: 0.1},
		{Rank: 2, Targets: []string{"attn.c_proj", "c_fc"}, Ranks: []Exception{{`h\.1\.mlp\.c_fc`, 6}}, Alphas: []Exception{{"c_fc", 4}, {"c_proj", 2}}},
	} {
		a, err := New(m.Config, c, 9)
		if err != nil {
			t.Fatal(err)
		}
		for n, p := range a.Params() {
			for j := range p.Data {
				p.Data[j] += float32(math.Sin(float64(n+3*j))) / 4
			}
		}
		dir := filepath.Join(t.TempDir(), fmt.Sprint(i))
		if err := a.Save(dir); err != nil {
			t.Fatal(err)
		}
		_, g := openGolden(t, "default", m.Config)
		r := gpt2.NewRunner(m, nil)
		for k, s := range g.Segments {
			all := logits(t, r, gpt2.Segment{Tokens: s.Tokens, Adapter: a.Net})
			for j := range s.Logits {
				for l := range s.Logits[j] {
					g.Segments[k].Logits[j][l] = float64(all[j*len(s.Logits[j])+l])
				}
			}
		}
		text, err := json.Marshal(g)
		if err != nil {
			t.Fatal(err)
		}
		answers := filepath.Join(t.TempDir(), "answers.json")
		if err := os.WriteFile(answers, text, 0o644); err != nil {
			t.Fatal(err)
		}
		args = append(args, dir, answers)
	}
	out, err := exec.CommandContext(t.Context(), "python3", args...).CombinedOutput()
	t.Logf("\n%s", out)
	if err != nil {
		t.Error(err)
	}
}

// TestSteadyStateAllocatesNothingOfSize: after the first steps, an adapter's
// training step and a decoding step through one live on the memory of the
// steps before.
func TestSteadyStateAllocatesNothingOfSize(t *testing.T) {
	m := openBase(t)
	a, g := openGolden(t, "all", m.Config)
	a.Trainable()
	a.Net.Dropout = ops.Dropout{P: 0.1, Key: 1}
	r := gpt2.NewRunner(m, nil)
	segments, targets, weights, _ := g.batch(a.Net)
	train := func() {
		if _, err := r.LossAndGrad(segments, targets, weights, 1); err != nil {
			t.Fatal(err)
		}
	}
	cache, row := m.NewCache(), make([]float32, m.Config.VocabSize)
	decode := func() {
		cache.Truncate(3)
		if err := r.Logits([]gpt2.Segment{{Tokens: []int32{1}, Cache: cache, Adapter: a.Net}}, []int{0}, row); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name string
		step func()
		max  uint64
	}{{"training", train, 64 << 10}, {"decoding", decode, 32 << 10}} {
		c.step()
		c.step()
		var before, after runtime.MemStats
		const steps = 10
		runtime.ReadMemStats(&before)
		for range steps {
			c.step()
		}
		runtime.ReadMemStats(&after)
		if got := (after.TotalAlloc - before.TotalAlloc) / steps; got > c.max {
			t.Errorf("a %s step allocates %d bytes, at most %d expected", c.name, got, c.max)
		}
	}
}
