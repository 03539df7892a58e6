package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"causerie/models/kernels"
)

const encoderFolders = "../models/hf/testdata/encoders"

// openEncoder opens a golden encoder that ends with the test.
func openEncoder(t testing.TB, name string, o EncoderOptions) *Encoder {
	t.Helper()
	o.Threads = max(o.Threads, 1)
	e, err := OpenEncoder(t.Context(), filepath.Join(encoderFolders, name), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := e.Close(ctx); err != nil {
			t.Errorf("closing: %v", err)
		}
	})
	return e
}

func vectorsOf(t testing.TB, e *Encoder, req EmbedRequest) [][]float32 {
	t.Helper()
	out, err := e.Embed(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	return out.Vectors
}

func cosine[A, B float32 | float64](a []A, b []B) float64 {
	var ab, aa, bb float64
	for i := range a {
		x, y := float64(a[i]), float64(b[i])
		ab, aa, bb = ab+x*y, aa+x*x, bb+y*y
	}
	return ab / math.Sqrt(aa*bb)
}

// TestVectorsAgainstSentenceTransformers: text in, vector out, for every pooling
// and file format of the golden folders, with texts cut off as it does.
func TestVectorsAgainstSentenceTransformers(t *testing.T) {
	for _, dtype := range []kernels.DType{kernels.Float32, kernels.BFloat16, kernels.Int8} {
		for _, name := range []string{"mean", "cls", "max", "plain"} {
			t.Run(dtype.String()+"/"+name, func(t *testing.T) {
				data, err := os.ReadFile(filepath.Join(encoderFolders, name, "golden.json"))
				if err != nil {
					t.Fatal(err)
				}
				var golden struct {
					Texts []struct {
						Text   string    `json:"text"`
						IDs    []int32   `json:"ids"`
						Vector []float64 `json:"vector"`
					} `json:"texts"`
				}
				if err := json.Unmarshal(data, &golden); err != nil || len(golden.Texts) == 0 {
					t.Fatalf("%d texts, %v", len(golden.Texts), err)
				}
				e := openEncoder(t, name, EncoderOptions{DType: &dtype})
				for _, g := range golden.Texts {
					out, err := e.Embed(t.Context(), EmbedRequest{Inputs: texts(g.Text), Truncate: true})
					if err != nil {
						t.Fatal(err)
					}
					if out.Tokens != len(g.IDs) {
						t.Errorf("%q has %d tokens, want %d", g.Text, out.Tokens, len(g.IDs))
					}
					least := map[kernels.DType]float64{kernels.Float32: 1 - 1e-11, kernels.BFloat16: 0.9995, kernels.Int8: 0.995}[dtype]
					if c := cosine(out.Vectors[0], g.Vector); !(c >= least) {
						t.Errorf("%q: the cosine is %.12f", g.Text, c)
					}
				}
			})
		}
	}
}

// TestEncoderBitEqual is the promise: a text's vector has the same bits alone,
// beside others of its request, beside other requests, as ids, in steps of any
// size and on any number of threads; for every dtype.
func TestEncoderBitEqual(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	many := make([]string, 90)
	for i := range many {
		words := make([]string, 1+r.IntN(9))
		for j := range words {
			words[j] = []string{"cat", "the mat", "hello", "你好", "世界", "?"}[r.IntN(6)]
		}
		many[i] = strings.Join(words, " ")
	}
	for _, dtype := range []kernels.DType{kernels.Float32, kernels.BFloat16, kernels.Int8} {
		for _, name := range []string{"mean", "cls", "max"} {
			t.Run(dtype.String()+"/"+name, func(t *testing.T) {
				e := openEncoder(t, name, EncoderOptions{DType: &dtype})
				want := make([][]float32, len(many))
				for i, text := range many {
					want[i] = vectorsOf(t, e, EmbedRequest{Inputs: texts(text), Truncate: true})[0]
				}
				for _, o := range []EncoderOptions{{}, {StepTokens: 1}, {Threads: 2, StepTokens: 70}, {Threads: 3}} {
					o.DType = &dtype
					e := openEncoder(t, name, o)
					var group sync.WaitGroup
					for from := range 4 {
						group.Go(func() { checkVectors(t, e, many[from*10:], want[from*10:]) })
					}
					group.Wait()
				}
			})
		}
	}
}

func checkVectors(t *testing.T, e *Encoder, texts []string, want [][]float32) {
	inputs := make([]EmbedInput, len(texts))
	for i, text := range texts {
		inputs[i].Text = text
		if i%3 == 0 {
			inputs[i].IDs = e.Model().Tokenizer.Encode(nil, e.Model().Settings.Prompt+text)
		}
	}
	seen := 0
	_, err := e.Embed(context.Background(), EmbedRequest{Inputs: inputs, Truncate: true, Emit: func(i int, v []float32) error {
		if i != seen {
			t.Errorf("vector %d came after %d", i, seen-1)
		}
		seen++
		if !slices.Equal(v, want[i]) {
			t.Errorf("%q has another vector alone than in company", texts[i])
		}
		return nil
	}})
	if err != nil || seen != len(texts) {
		t.Errorf("%d vectors of %d: %v", seen, len(texts), err)
	}
}

func TestEncoderRefuses(t *testing.T) {
	e := openEncoder(t, "mean", EncoderOptions{})
	long := strings.Repeat("cat ", 20)
	for _, c := range []struct {
		name string
		req  EmbedRequest
		want string
	}{
		{"an empty text", EmbedRequest{Inputs: texts("a", " ")}, "input 1 is empty"},
		{"no ids", EmbedRequest{Inputs: []EmbedInput{{IDs: []int32{}}}}, "input 0 is empty"},
		{"a long text", EmbedRequest{Inputs: texts("a", long)}, "input 1 has 22 tokens, but the model's context holds 16"},
		{"a foreign id", EmbedRequest{Inputs: []EmbedInput{{IDs: []int32{1, 9999}}}}, "token id 9999"},
		{"a negative id", EmbedRequest{Inputs: []EmbedInput{{IDs: []int32{-1}}}}, "token id -1"},
		{"too many dimensions", EmbedRequest{Inputs: texts("a"), Dimensions: 33}, "between 1 and 32"},
		{"a pooling nobody knows", EmbedRequest{Inputs: texts("a"), Pooling: "median"}, "unknown pooling"},
	} {
		if _, err := e.Embed(t.Context(), c.req); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	short := vectorsOf(t, e, EmbedRequest{Inputs: texts(long, strings.Repeat("cat ", 14)), Truncate: true, Dimensions: 5})
	if !slices.Equal(short[0], short[1]) || len(short[0]) != 5 {
		t.Error("a text that is too long is not what fits of it")
	}
	if c := cosine(short[0], short[0]); math.Abs(c-1) > 1e-9 {
		t.Errorf("a vector cut off has a length of %g", c)
	}
}

// TestEncoderClose: a request under way is refused nothing until Close loses
// its patience; new ones are refused at once, and so is one too many.
func TestEncoderClose(t *testing.T) {
	e := openEncoder(t, "mean", EncoderOptions{MaxQueue: 1})
	started, goOn, stopped := make(chan bool), make(chan bool), make(chan error, 1)
	go func() {
		many := slices.Repeat(texts("cat"), 2*embedWindow)
		_, err := e.Embed(context.Background(), EmbedRequest{Inputs: many, Emit: func(i int, _ []float32) error {
			if i == 0 {
				close(started)
				<-goOn
			}
			return nil
		}})
		stopped <- err
	}()
	<-started
	if _, err := e.Embed(t.Context(), EmbedRequest{Inputs: texts("a")}); !errors.Is(err, ErrBusy) {
		t.Errorf("one request too many: %v", err)
	}
	hurry, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := e.Embed(hurry, EmbedRequest{Inputs: texts("a")}); !errors.Is(err, context.Canceled) {
		t.Errorf("a client that has gone: %v", err)
	}
	closed := make(chan error, 1)
	go func() { closed <- e.Close(hurry) }()
	<-e.ctx.Done()
	close(goOn)
	if err := <-stopped; !errors.Is(err, ErrClosed) {
		t.Errorf("the request under way: %v", err)
	}
	if err := <-closed; !errors.Is(err, context.Canceled) {
		t.Errorf("Close in a hurry: %v", err)
	}
	if _, err := e.Embed(t.Context(), EmbedRequest{Inputs: texts("a")}); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// TestEncoderSurvivesAPanic: the request in which something panics ends, and
// the next one is served as ever.
func TestEncoderSurvivesAPanic(t *testing.T) {
	e := openEncoder(t, "mean", EncoderOptions{Threads: 2})
	want := vectorsOf(t, e, EmbedRequest{Inputs: texts("hello")})[0]
	block := e.model.Net.Blocks[1]
	e.model.Net.Blocks[1] = nil
	var bug *PanicError
	if _, err := e.Embed(t.Context(), EmbedRequest{Inputs: texts("hello", "world")}); !errors.As(err, &bug) {
		t.Errorf("a panic came out as %v", err)
	}
	e.model.Net.Blocks[1] = block
	if got := vectorsOf(t, e, EmbedRequest{Inputs: texts("hello")})[0]; !slices.Equal(got, want) {
		t.Error("after a panic a text has another vector")
	}
}

// TestManyInputsInBoundedMemory: of 2,048 texts no more are computed than a
// window ahead of what the client has taken, and others are served meanwhile.
func TestManyInputsInBoundedMemory(t *testing.T) {
	e := openEncoder(t, "mean", EncoderOptions{})
	many := make([][]int32, 2048)
	for i := range many {
		many[i] = []int32{e.model.CLS, int32(10 + i%50), e.model.SEP}
	}
	j := newEmbedJob(EmbedRequest{Pooling: PoolMean, Dimensions: e.Width()}, many)
	e.loop.submit(j)
	for j.ready.Load() < embedWindow {
		time.Sleep(time.Millisecond)
	}
	vectorsOf(t, e, EmbedRequest{Inputs: texts("hello")}) // at least one step more
	if n := j.ready.Load(); n != embedWindow {
		t.Errorf("%d vectors wait for a client that takes none, the window is %d", n, embedWindow)
	}
	next := 0
	err := j.deliver(t.Context(), func(i int, v []float32) error {
		if i != next || len(v) != e.Width() {
			t.Fatalf("vector %d of %d numbers, want number %d", i, len(v), next)
		}
		next++
		if n := int(j.ready.Load()) - i; n > embedWindow {
			t.Fatalf("%d vectors wait after number %d was taken", n, i)
		}
		return nil
	}, e.loop.rouse)
	if err != nil || next != len(many) {
		t.Errorf("%d vectors, %v", next, err)
	}
}
