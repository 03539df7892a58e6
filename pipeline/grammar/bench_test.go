package grammar

import (
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/tiktoken-go/tokenizer/codec"

	"causerie/models/tokenizer"
	"causerie/pipeline/sampling"
)

// bundled is the vocabulary of the bundled model, 10,000 words.
func bundled(b *testing.B) *Vocabulary {
	b.Helper()
	t, err := tokenizer.Load(os.DirFS("../../models/bundled"))
	if err != nil {
		b.Fatal(err)
	}
	var tokens []Token
	for id := range int32(t.VocabSize()) {
		if !t.IsSpecial(id) {
			tokens = append(tokens, Token{ID: id, Text: string(t.AppendToken(nil, id))})
		}
	}
	return NewVocabulary(t.VocabSize(), tokens)
}

// gpt2 is GPT-2's own vocabulary, 50,257 words with the one that ends a text.
func gpt2(b *testing.B) *Vocabulary {
	b.Helper()
	const words = 50256
	c := codec.NewR50kBase()
	var tokens []Token
	for id := range uint(words) {
		s, err := c.Decode([]uint{id})
		if err != nil {
			b.Fatal(err)
		}
		tokens = append(tokens, Token{ID: int32(id), Text: s})
	}
	return NewVocabulary(words+1, tokens)
}

// BenchmarkStep is what a grammar costs for each token of a reply: the mask, laid
// over the logits, and the token taken in. A new automaton knows nothing yet; a known one has seen
// replies of the schema before.
//
//	go test ./pipeline/grammar -run xxx -bench Step
func BenchmarkStep(b *testing.B) {
	schemas := map[string]string{
		"object":  `{"type":"object"}`,
		"person":  `{"type":"object","properties":{"name":{"type":"string"},"age":{"type":"integer","minimum":0,"maximum":150},"tags":{"type":"array","items":{"enum":["old","new","other"]}}},"required":["name","age","tags"],"additionalProperties":false}`,
		"counted": `{"type":"array","items":{"type":"string","maxLength":500}}`,
		"pattern": `{"type":"array","items":{"type":"string","pattern":"^[a-z]+(?: [a-z]+)*$"}}`,
	}
	for name, load := range map[string]func(*testing.B) *Vocabulary{"10k": bundled, "50k": gpt2} {
		v := load(b)
		for schema, text := range schemas {
			g, err := Schema([]byte(text))
			if err != nil {
				b.Fatal(err)
			}
			b.Run(name+"/"+schema+"/new", func(b *testing.B) {
				replies(b, func() *Automaton { return NewAutomaton(g, v) })
			})
			b.Run(name+"/"+schema+"/known", func(b *testing.B) {
				a := NewAutomaton(g, v)
				for seed := range uint64(10) {
					reply(b, a, seed)
				}
				b.ResetTimer()
				replies(b, func() *Automaton { return a })
			})
		}
	}
}

// replies writes b.N tokens at least.
func replies(b *testing.B, automaton func() *Automaton) {
	longest := time.Duration(0)
	for steps, seed := 0, uint64(0); steps < b.N; seed++ {
		n, took := reply(b, automaton(), seed%10)
		steps, longest = steps+n, max(longest, took)
	}
	b.ReportMetric(float64(longest.Nanoseconds()), "longest-ns")
}

// reply writes a text of at most 150 tokens. It returns how many it has and
// the longest time that one of them took.
func reply(b *testing.B, a *Automaton, seed uint64) (steps int, longest time.Duration) {
	r := rand.New(rand.NewPCG(seed, 6))
	m := a.Matcher()
	logits := make([]float32, a.vocabulary.size)
	for done := false; steps < 150 && !done; steps++ {
		b.StopTimer()
		for i := range logits {
			logits[i] = r.Float32()
		}
		b.StartTimer()
		start := time.Now()
		m.Ends()
		mask, err := m.Allowed(150 - steps)
		if err != nil {
			b.Fatal(err)
		}
		sampling.Keep(logits, mask, nil)
		took := time.Since(start)
		b.StopTimer()
		id := sampling.Argmax(logits)
		b.StartTimer()
		start = time.Now()
		if _, ok := m.Accept(id); !ok {
			b.Fatal("not accepted")
		}
		done = m.Done(149 - steps)
		longest = max(longest, took+time.Since(start))
	}
	return steps, longest
}
