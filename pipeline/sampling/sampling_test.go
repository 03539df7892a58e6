package sampling

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"causerie/models/kernels"
)

var inf = float32(math.Inf(1))

func TestPenalties(t *testing.T) {
	tests := []struct {
		name  string
		apply func(logits []float32)
		in    []float32
		want  []float32
	}{
		{"bias", func(l []float32) { Bias(l, map[int32]float64{0: 1, 2: -3, 9: 5, -1: 5}) },
			[]float32{1, 2, 3}, []float32{2, 2, 0}},
		{"repetition moves both signs down", func(l []float32) { RepetitionPenalty(l, []int32{0, 1, 3, 7}, 2) },
			[]float32{4, -4, 4, 0}, []float32{2, -8, 4, 0}},
		{"repetition below 1 moves up", func(l []float32) { RepetitionPenalty(l, []int32{0, 1}, 0.5) },
			[]float32{4, -4}, []float32{8, -2}},
		{"presence", func(l []float32) { CountPenalties(l, map[int32]int{0: 1, 1: 3, 8: 1}, 0.5, 0) },
			[]float32{1, 1, 1}, []float32{0.5, 0.5, 1}},
		{"frequency", func(l []float32) { CountPenalties(l, map[int32]int{0: 1, 1: 3, 2: 0}, 0, 0.5) },
			[]float32{1, 1, 1}, []float32{0.5, -0.5, 1}},
		{"both", func(l []float32) { CountPenalties(l, map[int32]int{1: 2}, 1, 0.25) },
			[]float32{1, 1, 1}, []float32{1, -0.5, 1}},
		{"bigram", func(l []float32) { NoRepeatNGrams(l, []int32{1, 2, 1, 0, 1}, 2) },
			[]float32{1, 1, 1}, []float32{removed, 1, removed}},
		{"trigram", func(l []float32) { NoRepeatNGrams(l, []int32{0, 1, 2, 2, 0, 1}, 3) },
			[]float32{1, 1, 1}, []float32{1, 1, removed}},
		{"unigram", func(l []float32) { NoRepeatNGrams(l, []int32{2, 9}, 1) },
			[]float32{1, 1, 1}, []float32{1, 1, removed}},
		{"n-gram longer than the history", func(l []float32) { NoRepeatNGrams(l, []int32{0, 0}, 3) },
			[]float32{1, 1, 1}, []float32{1, 1, 1}},
		{"no n-gram rule", func(l []float32) { NoRepeatNGrams(l, []int32{0, 0}, 0) },
			[]float32{1, 1, 1}, []float32{1, 1, 1}},
		{"ban", func(l []float32) { Ban(l, []int32{1, 5, -2}) },
			[]float32{1, 1, 1}, []float32{1, removed, 1}},
	}
	for _, test := range tests {
		got := slices.Clone(test.in)
		test.apply(got)
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}

// logits of probabilities, so that tests can speak in the latter.
func logitsOf(probabilities ...float64) []float32 {
	out := make([]float32, len(probabilities))
	for i, p := range probabilities {
		out[i] = float32(math.Log(p))
	}
	return out
}

func ids(c []Candidate) []int32 {
	out := []int32{}
	for _, x := range c {
		out = append(out, x.ID)
	}
	slices.Sort(out)
	return out
}

func TestTruncations(t *testing.T) {
	few := logitsOf(0.1, 0.4, 0.05, 0.3, 0.15)
	ties := []float32{2, 5, 5, 2, 1}
	tests := []struct {
		name   string
		apply  func(c []Candidate) []Candidate
		logits []float32
		want   []int32
	}{
		{"top-k 0 keeps all", func(c []Candidate) []Candidate { return TopK(c, 0) }, few, []int32{0, 1, 2, 3, 4}},
		{"top-k 1", func(c []Candidate) []Candidate { return TopK(c, 1) }, few, []int32{1}},
		{"top-k 3", func(c []Candidate) []Candidate { return TopK(c, 3) }, few, []int32{1, 3, 4}},
		{"top-k with more than there are", func(c []Candidate) []Candidate { return TopK(c, 50) }, few, []int32{0, 1, 2, 3, 4}},
		{"top-k keeps ties of the first", func(c []Candidate) []Candidate { return TopK(c, 1) }, ties, []int32{1, 2}},
		{"top-k keeps ties of the third", func(c []Candidate) []Candidate { return TopK(c, 3) }, ties, []int32{0, 1, 2, 3}},
		{"top-p 0 keeps the best", func(c []Candidate) []Candidate { return TopP(c, 0, 0) }, few, []int32{1}},
		{"top-p 0.5", func(c []Candidate) []Candidate { return TopP(c, 0.5, 0) }, few, []int32{1, 3}},
		{"top-p 0.8", func(c []Candidate) []Candidate { return TopP(c, 0.8, 0) }, few, []int32{1, 3, 4}},
		{"top-p 1 keeps all", func(c []Candidate) []Candidate { return TopP(c, 1, 0) }, few, []int32{0, 1, 2, 3, 4}},
		{"top-p takes the lower id of a tie", func(c []Candidate) []Candidate { return TopP(c, 0.4, 0) }, ties, []int32{1}},
		{"min-p 0 keeps all", func(c []Candidate) []Candidate { return MinP(c, 0) }, few, []int32{0, 1, 2, 3, 4}},
		{"min-p 0.3", func(c []Candidate) []Candidate { return MinP(c, 0.3) }, few, []int32{1, 3, 4}},
		{"min-p 1 keeps the best and its ties", func(c []Candidate) []Candidate { return MinP(c, 1) }, ties, []int32{1, 2}},
		{"of one", func(c []Candidate) []Candidate { return MinP(TopP(TopK(c, 4), 0.1, 0), 0.9) }, logitsOf(1), []int32{0}},
		{"of none", func(c []Candidate) []Candidate { return MinP(TopP(TopK(c, 4), 0.1, 0), 0.9) }, []float32{removed}, []int32{}},
	}
	for _, test := range tests {
		if diff := cmp.Diff(test.want, ids(test.apply(weighed(test.logits)))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}

// A selection by heap must agree with a full sort, on rows of real size.
func TestTruncationsAgreeWithSorting(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 0))
	for trial := range 60 {
		logits := make([]float32, 1+random.IntN(9000))
		for i := range logits {
			logits[i] = float32(math.Round(random.NormFloat64()*40) / 10) // many ties
		}
		all := weighed(logits)
		sorted := slices.Clone(all)
		slices.SortFunc(sorted, func(a, b Candidate) int {
			if better(a, b) {
				return -1
			}
			return 1
		})
		k := 1 + random.IntN(len(all))
		kept := k
		for kept < len(sorted) && sorted[kept].Logit == sorted[k-1].Logit {
			kept++
		}
		if got := TopK(slices.Clone(all), k); len(got) != kept || !cmp.Equal(ids(sorted[:kept]), ids(got)) {
			t.Fatalf("trial %d: top-%d of %d differs from sorting", trial, k, len(all))
		}
		p := random.Float64()
		total, sum, n := mass(sorted), 0.0, 0
		for n < len(sorted) && (n == 0 || sum < p*total) {
			sum += float64(sorted[n].Weight)
			n++
		}
		if got := TopP(slices.Clone(all), p, 0); len(got) != n || !cmp.Equal(ids(sorted[:n]), ids(got)) {
			t.Fatalf("trial %d: top-p %v of %d kept %d, by sorting %d", trial, p, len(all), len(got), n)
		}
	}
}

func TestArgmax(t *testing.T) {
	nan := float32(math.NaN())
	for _, test := range []struct {
		logits []float32
		want   int32
	}{
		{[]float32{1, 3, 2}, 1},
		{[]float32{1, 3, 3, 3}, 1}, // the lowest id wins a tie
		{[]float32{removed, -5}, 1},
		{[]float32{nan, 1, nan}, 1},
		{[]float32{removed, removed}, -1},
		{[]float32{nan}, -1},
		{nil, -1},
	} {
		if got := Argmax(test.logits); got != test.want {
			t.Errorf("Argmax(%v) = %d, want %d", test.logits, got, test.want)
		}
	}
}

func TestDrawDividesTheInterval(t *testing.T) {
	c := weighed(logitsOf(0.25, 0.5, 0.25))
	for _, test := range []struct {
		u    float64
		want int32
	}{{0, 0}, {0.2, 0}, {0.26, 1}, {0.5, 1}, {0.74, 1}, {0.76, 2}, {0.999999, 2}} {
		if got := Draw(c, test.u); got != test.want {
			t.Errorf("Draw(%v) = %d, want %d", test.u, got, test.want)
		}
	}
	if got := Draw(nil, 0.5); got != -1 {
		t.Errorf("Draw of nothing = %d, want -1", got)
	}
	if got := Draw([]Candidate{{4, 1, 0.4}, {7, 2, 1}}, 1); got != 7 {
		t.Errorf("a u past the end gives %d, want the best, 7", got)
	}
}

// What the sampler leaves out beforehand changes nothing: its candidates are
// those of the rules applied to the whole row one after the other.
func TestSamplerKeepsWhatTheRulesKeep(t *testing.T) {
	random := rand.New(rand.NewPCG(9, 0))
	for trial := range 300 {
		logits := make([]float32, 1+random.IntN(9000))
		spread := math.Pow(10, 2*random.Float64()-1.5)
		for i := range logits {
			switch random.IntN(40) {
			case 0:
				logits[i] = removed
			case 1:
				logits[i] = float32(math.NaN())
			default:
				logits[i] = float32(random.NormFloat64() * spread)
			}
		}
		o := Options{Temperature: 0.1 + 2*random.Float64(), TopK: []int{0, 1, 7, 60, 2000}[random.IntN(5)],
			TopP: []float64{1, 0.3, 0.9, 0.99}[random.IntN(4)], MinP: []float64{0, 0.05, 0.5}[random.IntN(3)]}
		s := New(o, nil, uint64(trial), 0)
		s.maxima = maxima(nil, logits)
		got := s.truncate(slices.Clone(logits), kernels.Max(s.maxima))

		want := Candidates(nil, logits)
		Temperature(want, o.Temperature)
		want = TopK(want, o.TopK)
		Weigh(want)
		want = MinP(TopP(want, o.TopP, 0), o.MinP)
		if diff := cmp.Diff(spreadOf(want), spreadOf(got)); diff != "" {
			t.Fatalf("trial %d of %d logits, %+v (-rules +sampler):\n%s", trial, len(logits), o, diff)
		}
	}
}

func spreadOf(c []Candidate) map[int32]float32 {
	out := make(map[int32]float32)
	for _, x := range c {
		out[x.ID] = x.Logit
	}
	return out
}

func TestBest(t *testing.T) {
	random := rand.New(rand.NewPCG(2, 0))
	for range 50 {
		logits := make([]float32, 1+random.IntN(3000))
		for i := range logits {
			logits[i] = float32(random.IntN(200))
		}
		sorted := Candidates(nil, logits)
		slices.SortFunc(sorted, compare)
		k := min(len(logits), 1+random.IntN(30))
		if diff := cmp.Diff(sorted[:k], Best(nil, logits, k)); diff != "" {
			t.Fatalf("the best %d of %d (-sorted +got):\n%s", k, len(logits), diff)
		}
	}
}

// Draws follow the softmax: chi-squared over 4 candidates stays small.
func TestDrawFollowsProbabilities(t *testing.T) {
	want := []float64{0.1, 0.2, 0.3, 0.4}
	s := New(Options{Temperature: 1}, nil, 7, 0)
	const n = 40000
	var counts [4]float64
	for range n {
		id, err := s.Next(logitsOf(want...))
		if err != nil {
			t.Fatal(err)
		}
		counts[id]++
	}
	chi := 0.0
	for i, p := range want {
		chi += (counts[i] - n*p) * (counts[i] - n*p) / (n * p)
	}
	if chi > 16.3 { // the 0.999 quantile with 3 degrees of freedom
		t.Errorf("chi-squared %.1f: drew %v", chi, counts)
	}
}

func TestSamplerSeeds(t *testing.T) {
	draw := func(seed, stream uint64) (out []int32) {
		s := New(Options{Temperature: 1}, nil, seed, stream)
		for range 50 {
			id, err := s.Next(make([]float32, 1000))
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, id)
		}
		return out
	}
	if diff := cmp.Diff(draw(1, 0), draw(1, 0)); diff != "" {
		t.Errorf("the same seed drew differently:\n%s", diff)
	}
	if cmp.Equal(draw(1, 0), draw(2, 0)) || cmp.Equal(draw(1, 0), draw(1, 1)) {
		t.Error("another seed or stream drew the same tokens")
	}
}

// Truncations that truncate nothing leave the draws as they are, and greedy
// options ignore them.
func TestSamplerNeutralOptions(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 0))
	logits := make([]float32, 500)
	for i := range logits {
		logits[i] = float32(random.NormFloat64())
	}
	plain := New(Options{Temperature: 0.9}, nil, 3, 0)
	neutral := New(Options{Temperature: 0.9, TopK: 500, TopP: 1, RepetitionPenalty: 1}, nil, 3, 0)
	greedy := New(Options{TopK: 3, TopP: 0.5, MinP: 0.1}, nil, 3, 0)
	for range 100 {
		a, _ := plain.Next(slices.Clone(logits))
		b, _ := neutral.Next(slices.Clone(logits))
		g, _ := greedy.Next(slices.Clone(logits))
		if a != b || g != Argmax(logits) {
			t.Fatalf("drew %d, with neutral options %d; greedy %d instead of %d", a, b, g, Argmax(logits))
		}
	}
}

func TestSamplerHistory(t *testing.T) {
	s := New(Options{RepetitionPenalty: 2, PresencePenalty: 0.5, NoRepeatNGram: 2, Exempt: []int32{4}}, []int32{0, 4}, 0, 0)
	want := []int32{1, 2, 0, 0, 1}
	for step, id := range want {
		logits := []float32{4, 3.9, 2.5, 1.2, 0}
		got, err := s.Next(logits)
		if err != nil || got != id {
			t.Fatalf("step %d: got %d, %v; want %d (penalized logits %v)", step, got, err, id, logits)
		}
	}
	if s.counts[4] != 0 || slices.Contains(s.seen, 4) {
		t.Errorf("an exempt id was counted: %v %v", s.counts, s.seen)
	}
}

func TestSamplerExemptFromNGrams(t *testing.T) {
	s := New(Options{NoRepeatNGram: 1, Exempt: []int32{1}}, []int32{0, 1}, 0, 0)
	if id, err := s.Next([]float32{5, 4, 3}); id != 1 || err != nil {
		t.Errorf("got %d, %v; want the exempt 1", id, err)
	}
}

func TestSamplerNothingLeft(t *testing.T) {
	nan := float32(math.NaN())
	for _, o := range []Options{{}, {Temperature: 1, TopK: 2, TopP: 0.9, MinP: 0.1}} {
		o.Banned = []int32{0, 1}
		for _, logits := range [][]float32{{1, 2}, {1, 2, removed}, {nan, nan, nan}, {1, 2, inf}, {}} {
			if id, err := New(o, nil, 0, 0).Next(slices.Clone(logits)); !errors.Is(err, ErrNothingLeft) {
				t.Errorf("%v: got %d, %v", logits, id, err)
			}
		}
	}
	s := New(Options{}, nil, 0, 0)
	if id, err := s.NextWithout([]float32{3, 2, 1}, []int32{0}); id != 1 || err != nil {
		t.Errorf("without token 0 got %d, %v", id, err)
	}
}

func TestValidate(t *testing.T) {
	valid := []Options{
		{},
		{Temperature: 2, TopK: 40, TopP: 0.9, MinP: 0.05, RepetitionPenalty: 1.1, PresencePenalty: -2, FrequencyPenalty: 2, NoRepeatNGram: 3},
		{LogitBias: map[int32]float64{0: -100, 5: 100}},
	}
	for _, o := range valid {
		if err := o.Validate(); err != nil {
			t.Errorf("%+v: %v", o, err)
		}
	}
	nan := math.NaN()
	tests := []struct {
		o    Options
		want string
	}{
		{Options{Temperature: -1}, "temperature must lie between 0 and 100, not -1"},
		{Options{Temperature: nan}, "temperature must lie between 0 and 100, not NaN"},
		{Options{TopK: -1}, "top_k must be at least 0, not -1"},
		{Options{TopP: 1.5}, "top_p must lie between 0 and 1, not 1.5"},
		{Options{MinP: -0.5}, "min_p must lie between 0 and 1, not -0.5"},
		{Options{RepetitionPenalty: -1}, "repetition_penalty must lie between 0.01 and 100, not -1"},
		{Options{PresencePenalty: math.Inf(1)}, "presence_penalty must lie between -100 and 100, not +Inf"},
		{Options{FrequencyPenalty: -101}, "frequency_penalty must lie between -100 and 100, not -101"},
		{Options{NoRepeatNGram: -2}, "no_repeat_ngram must be at least 0, not -2"},
		{Options{LogitBias: map[int32]float64{-3: 1}}, "logit_bias has the token id -3: ids start at 0"},
		{Options{LogitBias: map[int32]float64{3: nan}}, "logit_bias of token 3 must lie between -1000 and 1000, not NaN"},
	}
	for _, test := range tests {
		err := test.o.Validate()
		if bad, ok := errors.AsType[*Error](err); !ok || bad.Error() != test.want {
			t.Errorf("got %v, want %s", err, test.want)
		}
	}
}

// FuzzSampler draws from arbitrary logits with arbitrary options: whatever
// passes Validate yields a token that is in the row and not banned, or
// ErrNothingLeft.
func FuzzSampler(f *testing.F) {
	f.Add(0.7, 5, 0.9, 0.05, 1.1, 0.5, 0.5, 2, int32(3), []byte("some logits, made of bytes"))
	f.Add(0.0, 0, 0.0, 0.0, 0.0, 0.0, 0.0, 0, int32(0), []byte{0, 255})
	f.Fuzz(func(t *testing.T, temperature float64, k int, topP, minP, repetition, presence, frequency float64, n int, ban int32, data []byte) {
		o := Options{Temperature: temperature, TopK: k, TopP: topP, MinP: minP, RepetitionPenalty: repetition,
			PresencePenalty: presence, FrequencyPenalty: frequency, NoRepeatNGram: n, Banned: []int32{ban}}
		if o.Validate() != nil {
			return
		}
		logits := make([]float32, len(data))
		for i, b := range data {
			switch b {
			case 0:
				logits[i] = removed
			case 1:
				logits[i] = float32(math.NaN())
			case 2:
				logits[i] = math.MaxFloat32
			default:
				logits[i] = (float32(b) - 128) / 8
			}
		}
		a, b := New(o, []int32{0, 1}, 1, 2), New(o, []int32{0, 1}, 1, 2)
		for range 4 {
			id, err := a.Next(slices.Clone(logits))
			again, err2 := b.Next(slices.Clone(logits))
			if id != again || !errors.Is(err2, err) {
				t.Fatalf("the same seed drew %d and %d (%v, %v)", id, again, err, err2)
			}
			if err == nil && (id < 0 || int(id) >= len(logits) || id == ban || logits[id] == removed) {
				t.Fatalf("drew %d of %v", id, logits)
			}
		}
	})
}

func BenchmarkNext(b *testing.B) {
	const vocab = 50257
	random := rand.New(rand.NewPCG(5, 0))
	trained, flat := make([]float32, vocab), make([]float32, vocab)
	for i := range vocab {
		trained[i] = float32(random.NormFloat64() * 3)
		flat[i] = float32(random.NormFloat64() * 0.1)
	}
	work := make([]float32, vocab)
	for _, c := range []struct {
		name   string
		logits []float32
		o      Options
	}{
		{"greedy", trained, Options{}},
		{"temperature", trained, Options{Temperature: 0.7}},
		{"chat", trained, Options{Temperature: 0.7, TopP: 0.9, RepetitionPenalty: 1.1}},
		{"top-k", trained, Options{Temperature: 0.7, TopK: 40, TopP: 0.9}},
		{"min-p", trained, Options{Temperature: 1, MinP: 0.05}},
		{"flat", flat, Options{Temperature: 0.7, TopP: 0.9}},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			s := New(c.o, nil, 1, 0)
			for b.Loop() {
				copy(work, c.logits)
				if _, err := s.Next(work); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
