package pipeline

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"causerie/models/dialogue"
	"causerie/models/gpt2"
	"causerie/models/kernels"
	"causerie/models/lora"
	"causerie/pipeline/grammar"
	"causerie/pipeline/sampling"
)

// TestInvariance is the promise that load has no effect on a reply. Random
// requests are answered one by one by an engine that does nothing cleverly:
// no batch, no prefix reused, no guesses, one thread. Then engines of many
// kinds answer them in random company: batched, in chunks of all sizes, over
// caches that fill up, with evictions and preemptions, two threads, guesses,
// several replies at once, clients that leave. Every token and every bit of
// every log-probability and embedding must be the same.
//
//	go test ./pipeline -run Invariance -v
//
// CAUSERIE_LONG=1 makes it run many more schedules, CAUSERIE_SEED=n others.
func TestInvariance(t *testing.T) {
	rounds, first := 3, uint64(1)
	if os.Getenv("CAUSERIE_LONG") != "" {
		rounds = 60
	}
	if s := os.Getenv("CAUSERIE_SEED"); s != "" {
		if _, err := fmt.Sscan(s, &first); err != nil {
			t.Fatal(err)
		}
	}
	for _, dtype := range []kernels.DType{kernels.Float32, kernels.BFloat16, kernels.Int8} {
		t.Run(dtype.String(), func(t *testing.T) {
			var sum Stats
			for seed := first; seed < first+uint64(rounds); seed++ {
				t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) { checkSchedule(t, dtype, seed, &sum) })
			}
			if sum.CachedTokens == 0 || sum.AcceptedTokens == 0 || sum.AcceptedTokens == sum.GuessedTokens {
				t.Errorf("something was never put to the test: %+v", sum)
			}
		})
	}
}

// checkSchedule makes requests from a seed and compares what engines answer.
func checkSchedule(t *testing.T, dtype kernels.DType, seed uint64, sum *Stats) {
	random := rand.New(rand.NewPCG(seed, 77))
	tasks := make([]task, 10+random.IntN(10))
	for i := range tasks {
		tasks[i] = randomTask(random)
	}
	plain := engineOf(t, randomModel(t, invarianceContext), EngineOptions{
		DType: &dtype, Threads: 1, MaxSequences: 1, NoPrefixCache: true, NoSpeculation: true, StepTokens: 1 << 12,
	})
	want := make([]outcome, len(tasks))
	for i, k := range tasks {
		want[i] = k.plainly(t, plain)
	}
	for range 4 {
		o := randomEngine(random)
		o.DType = &dtype
		e := engineOf(t, randomModel(t, invarianceContext), o)
		runTogether(t, random, e, o, tasks, want)
		s := e.Stats()
		sum.CachedTokens += s.CachedTokens
		sum.GuessedTokens += s.GuessedTokens
		sum.AcceptedTokens += s.AcceptedTokens
		t.Logf("%s: %d replies of %d tokens in %d steps; %d of %d prompt tokens reused, %d of %d guesses right, %d preempted",
			describe(o), len(tasks), s.GeneratedTokens, s.Steps, s.CachedTokens, s.PromptTokens, s.AcceptedTokens, s.GuessedTokens, s.Preemptions)
	}
}

// invarianceContext makes prompts of several blocks.
const invarianceContext = 640

// task is one request, of a kind that the fields that are set say.
type task struct {
	chat     *ChatRequest
	generate *GenerateRequest
	embed    *EmbedRequest
	n        int
}

// outcome is all that a task gave and must always give.
type outcome struct {
	replies []Reply
	vectors [][]float32
}

// randomTask makes prompts that often start alike, repeat themselves and are of
// all lengths, and options of all kinds.
func randomTask(r *rand.Rand) task {
	if r.IntN(8) == 0 {
		req := &EmbedRequest{Pooling: []Pooling{PoolMean, PoolLast, PoolDecayed}[r.IntN(3)]}
		for range 1 + r.IntN(6) {
			req.Inputs = append(req.Inputs, EmbedInput{Text: randomText(r, 1+r.IntN(60))})
		}
		return task{embed: req}
	}
	k := task{n: 1}
	if r.IntN(3) == 0 {
		k.n = 2 + r.IntN(3)
	}
	o := Options{
		Options: sampling.Options{
			Temperature: []float64{0, 0.3, 0.8, 1.5}[r.IntN(4)],
			TopP:        []float64{0, 0.5, 0.95}[r.IntN(3)], TopK: []int{0, 5, 40}[r.IntN(3)],
			RepetitionPenalty: []float64{1, 1.2}[r.IntN(2)], PresencePenalty: float64(r.IntN(2)) / 2,
		},
		MaxTokens: 1 + r.IntN([]int{30, 60, 200}[r.IntN(3)]), MinTokens: r.IntN(4), Seed: seed(r.Uint64()), Stream: uint64(r.IntN(3)),
		LogProbs: r.IntN(2) == 0, TopLogProbs: r.IntN(6), IgnoreEnd: r.IntN(3) == 0, Raw: r.IntN(2) == 0,
	}
	if r.IntN(2) == 0 {
		o.Adapter = adapters()[r.IntN(2)]
	}
	if r.IntN(4) == 0 {
		o.Grammar = testForms()[r.IntN(2)]
	}
	if r.IntN(6) == 0 {
		o.Stop = []string{string(rune('a' + r.IntN(26)))}
	}
	if r.IntN(2) == 0 {
		o.PromptLogProbs = r.IntN(4) == 0
		k.generate = &GenerateRequest{Text: systems[r.IntN(len(systems))] + randomText(r, 1+r.IntN(40)), Options: o}
		return k
	}
	k.chat = &ChatRequest{Options: o, Messages: []dialogue.Turn{dialogue.System(systems[r.IntN(len(systems))])}}
	for range r.IntN(3) {
		k.chat.Messages = append(k.chat.Messages, dialogue.User(randomText(r, 5)), dialogue.Assistant(randomText(r, 6)))
	}
	k.chat.Messages = append(k.chat.Messages, dialogue.User(randomText(r, 1+r.IntN(12))))
	return k
}

// testForms are two for replies.
var testForms = sync.OnceValue(func() []*grammar.Grammar {
	g, err := grammar.Schema([]byte(`{"type":"object","properties":{"again":{"type":"array","items":{"enum":["again and again","你好"]}},"n":{"type":"integer"}},"required":["again"]}`))
	if err != nil {
		panic(err)
	}
	return []*grammar.Grammar{g, grammar.JSONObject()}
})

// adapters are two for models like randomModel's.
var adapters = sync.OnceValue(func() (list []*gpt2.Adapter) {
	for seed := range uint64(2) {
		a, err := lora.New(gpt2.Config{VocabSize: 1, Positions: 1, Width: 32, Heads: 4, Layers: 2}, lora.Config{Rank: 3, Targets: []string{lora.AllLinear}}, seed)
		if err != nil {
			panic(err)
		}
		r := rand.New(rand.NewPCG(seed, 5))
		for _, p := range a.Params() {
			for i := range p.Data {
				p.Data[i] += float32(r.NormFloat64()) / 4
			}
		}
		list = append(list, a.Net)
	}
	return list
})

// systems are what prompts start with: longer than a block, and shorter.
var systems = []string{
	"", "Be brief. ", strings.Repeat("You are kind and patient. ", 5), strings.Repeat("You are kind and wordy. ", 6),
}

func randomText(r *rand.Rand, words int) string {
	list := []string{"rain", "tea", "你好", "why", "the", "again", "and", "again"}
	out := make([]string, words)
	for i := range out {
		out[i] = list[r.IntN(len(list))]
	}
	return strings.Join(out, " ")
}

// plainly answers a task with nothing shared: n replies are n requests.
func (k task) plainly(t *testing.T, e *Engine) outcome {
	t.Helper()
	var out outcome
	if k.embed != nil {
		for _, in := range k.embed.Inputs {
			one := *k.embed
			one.Inputs = []EmbedInput{in}
			got, err := e.Embed(t.Context(), one)
			if err != nil {
				t.Fatal(err)
			}
			out.vectors = append(out.vectors, got.Vectors[0])
		}
		return out
	}
	for i := range k.n {
		var reply Reply
		var err error
		if k.chat != nil {
			one := *k.chat
			one.Options.Stream += uint64(i)
			reply, err = e.Chat(t.Context(), one, nil)
		} else {
			one := *k.generate
			one.Options.Stream += uint64(i)
			one.Options.PromptLogProbs = one.Options.PromptLogProbs && i == 0
			reply, err = e.Generate(t.Context(), one, nil)
		}
		if err != nil {
			t.Fatal(err)
		}
		out.replies = append(out.replies, reply)
	}
	return out
}

// together answers a task as it stands.
func (k task) together(ctx context.Context, e *Engine, emit func(Piece) error) (out outcome, err error) {
	switch {
	case k.embed != nil:
		var got Embeddings
		got, err = e.Embed(ctx, *k.embed)
		out.vectors = got.Vectors
	case k.chat != nil:
		out.replies, err = e.ChatN(ctx, *k.chat, k.n, emit)
	default:
		out.replies, err = e.GenerateN(ctx, *k.generate, k.n, emit)
	}
	return out, err
}

// randomEngine makes options from one end of what they may be to the other.
func randomEngine(r *rand.Rand) EngineOptions {
	block := int64(2*4*(8+32)*4) * gpt2.BlockTokens // layers, heads, key and padded value, bytes
	return EngineOptions{
		Threads:         1 + r.IntN(2),
		MaxSequences:    []int{1, 2, 5, 16}[r.IntN(4)],
		MaxQueue:        1 << 10,
		StepTokens:      []int{1, 7, 64, 100, 512}[r.IntN(5)],
		MixedTokens:     []int{1, 13, 128}[r.IntN(3)],
		KVBytes:         block * []int64{6, 7, 10, 200}[r.IntN(4)], // a context takes 5 blocks
		NoPrefixCache:   r.IntN(4) == 0,
		NoSpeculation:   r.IntN(3) == 0,
		SpeculationRows: []int{2, 8, 40}[r.IntN(3)],
	}
}

func describe(o EngineOptions) string {
	return fmt.Sprintf("%d threads, %d at once, steps of %d/%d, %d KiB, cache %t, guesses %t",
		o.Threads, o.MaxSequences, o.StepTokens, o.MixedTokens, o.KVBytes>>10, !o.NoPrefixCache, !o.NoSpeculation)
}

// runTogether starts all tasks at random moments, some of them twice, and some
// whose client leaves half-way.
func runTogether(t *testing.T, random *rand.Rand, e *Engine, o EngineOptions, tasks []task, want []outcome) {
	t.Helper()
	var group sync.WaitGroup
	for _, i := range append(random.Perm(len(tasks)), random.Perm(len(tasks))...) {
		leaves, slow := random.IntN(7) == 0, random.IntN(9) == 0
		group.Go(func() {
			ctx, leave := context.WithCancel(t.Context())
			defer leave()
			streamed := make([]string, tasks[i].n)
			pieces := 0
			got, err := tasks[i].together(ctx, e, func(p Piece) error {
				streamed[p.Index] += p.Text
				if pieces++; leaves && pieces > 2 {
					leave()
				}
				if slow {
					time.Sleep(200 * time.Microsecond)
				}
				return nil
			})
			if leaves && errors.Is(err, context.Canceled) {
				checkStart(t, got, want[i])
				return
			}
			if err != nil {
				t.Errorf("%s: task %d: %v", describe(o), i, err)
				return
			}
			if diff := compareOutcomes(want[i], got); diff != "" {
				t.Errorf("%s: task %d (-alone +together):\n%s", describe(o), i, diff)
			}
			for j, reply := range got.replies {
				if reply.Text != streamed[j] {
					t.Errorf("task %d: reply %d streamed %q of %q", i, j, streamed[j], reply.Text)
				}
			}
		})
		if random.IntN(3) == 0 {
			time.Sleep(time.Duration(random.IntN(2000)) * time.Microsecond)
		}
	}
	group.Wait()
}

// compareOutcomes compares to the bit: cmp takes equal floats for equal, so
// that leaves only zeros of different sign, and NaN, which is equal to nothing.
func compareOutcomes(want, got outcome) string {
	for i := range want.vectors {
		for j, x := range want.vectors[i] {
			if math.Float32bits(x) != math.Float32bits(got.vectors[i][j]) {
				return fmt.Sprintf("component %d of vector %d is %v, not %v", j, i, got.vectors[i][j], x)
			}
		}
	}
	return cmp.Diff(want.replies, got.replies, sameReply)
}

// checkStart checks the replies of a request that was cut off.
func checkStart(t *testing.T, got, want outcome) {
	t.Helper()
	for i, reply := range got.replies {
		if !strings.HasPrefix(want.replies[i].Text, reply.Text) || !slices.Equal(reply.IDs, want.replies[i].IDs[:len(reply.IDs)]) {
			t.Errorf("an interrupted reply is %q; whole it is %q", reply.Text, want.replies[i].Text)
		}
	}
}
