package pipeline

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/fstest"
	"unicode/utf8"

	"github.com/pb33f/jsonschema/v6"

	"causerie/models/dialogue"
	"causerie/models/gpt2"
	"causerie/models/tokenizer"
	"causerie/pipeline/grammar"
	"causerie/pipeline/sampling"
)

const personSchema = `{"type":"object","properties":{"name":{"type":"string"},"age":{"type":"integer","minimum":0,"maximum":150},
	"tags":{"type":"array","items":{"enum":["old","new","你好"]},"maxItems":3},"next":{"anyOf":[{"$ref":"#"},{"type":"null"}]}},
	"required":["name","age","next"],"additionalProperties":false}`

// form makes a grammar of a schema and what tells whether a text satisfies it,
// with a validator from elsewhere.
func formOf(t testing.TB, schema string) (*grammar.Grammar, func(text string) error) {
	t.Helper()
	g, err := grammar.Schema([]byte(schema))
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(schema))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("schema.json", doc); err != nil {
		t.Fatal(err)
	}
	validator, err := c.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return g, func(text string) error {
		if err := json.Unmarshal([]byte(text), new(any)); err != nil {
			return err
		}
		value, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
		if err != nil {
			return err
		}
		return validator.Validate(value)
	}
}

// A model that says anything says JSON of the schema, whatever the options,
// streamed in whole characters, and guesses change nothing.
func TestConstrainedReplies(t *testing.T) {
	e := engineOf(t, randomModel(t, 400), EngineOptions{})
	plain := engineOf(t, randomModel(t, 400), EngineOptions{MaxSequences: 1, NoSpeculation: true, NoPrefixCache: true})
	for i, schema := range []string{personSchema, `{"type":"object"}`, `{"type":"array","items":{"type":"string","maxLength":9},"minItems":2}`, `{"type":"number"}`, `true`} {
		g, valid := formOf(t, schema)
		for j, o := range []sampling.Options{
			{}, {Temperature: 1}, {Temperature: 2, TopP: 0.9}, {Temperature: 0.7, TopK: 5, RepetitionPenalty: 1.3}, {Temperature: 1, MinP: 0.1, PresencePenalty: 2, FrequencyPenalty: 2},
			{Temperature: 1, LogitBias: map[int32]float64{'{': -100, 200: 50}, NoRepeatNGram: 1},
		} {
			req := ChatRequest{Messages: hello, Options: Options{Options: o, Grammar: g, MaxTokens: 150, Seed: seed(uint64(10*i + j)), LogProbs: true, TopLogProbs: 3}}
			streamed := make([]string, 3)
			got, err := e.ChatN(t.Context(), req, 3, func(p Piece) error {
				if !utf8.ValidString(p.Text) {
					t.Errorf("piece %q", p.Text)
				}
				streamed[p.Index] += p.Text
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			want, err := plain.ChatN(t.Context(), req, 3, nil)
			if err != nil {
				t.Fatal(err)
			}
			for k, reply := range got {
				if err := valid(reply.Text); err != nil {
					t.Errorf("%s, %+v: %q: %v", schema, o, reply.Text, err)
				}
				if reply.Text != streamed[k] || reply.Text != want[k].Text || reply.FinishReason != want[k].FinishReason {
					t.Errorf("streamed %q, whole %q, without guesses %q", streamed[k], reply.Text, want[k].Text)
				}
				if len(reply.LogProbs) != reply.CompletionTokens {
					t.Errorf("%d log-probabilities of %d tokens", len(reply.LogProbs), reply.CompletionTokens)
				}
			}
		}
	}
}

// Replies are whole whenever their length allows it, and cut off otherwise.
func TestConstrainedRepliesFit(t *testing.T) {
	e := engineOf(t, randomModel(t, 200), EngineOptions{})
	g, valid := formOf(t, personSchema)
	fewest, ok := e.automaton(g).Shortest()
	if !ok || fewest != len(`{"name":"","age":0,"next":null}`) {
		t.Fatalf("%d tokens are enough (%t)", fewest, ok)
	}
	for _, limit := range []int{fewest, fewest + 1, fewest + 7, 100} {
		for s := range uint64(5) {
			o := Options{Grammar: g, MaxTokens: limit, Seed: seed(s), IgnoreEnd: s%2 == 0}
			o.Temperature = 1
			reply, err := e.Generate(t.Context(), GenerateRequest{IDs: []int32{1, 2}, Options: o}, nil)
			if err != nil || reply.FinishReason != FinishStop || valid(reply.Text) != nil {
				t.Errorf("%d tokens: %q (%s), %v", limit, reply.Text, reply.FinishReason, err)
			}
		}
	}
	// A number that may end and could only go on with more than is left.
	number, _ := formOf(t, `{"type":"number","minimum":7,"maximum":7.5}`)
	for s := range uint64(9) {
		o := Options{Grammar: number, MaxTokens: 2, IgnoreEnd: true, Seed: seed(s)}
		reply, err := e.Generate(t.Context(), GenerateRequest{IDs: []int32{1, 2}, Options: o}, nil)
		if err != nil || reply.Text != "7" || reply.FinishReason != FinishStop {
			t.Errorf("a number in two tokens: %q (%s), %v", reply.Text, reply.FinishReason, err)
		}
	}
	o := Options{Grammar: g, MaxTokens: fewest - 1}
	reply, err := e.Chat(t.Context(), ChatRequest{Messages: hello, Options: o}, nil)
	if err != nil || reply.FinishReason != FinishLength || reply.CompletionTokens != fewest-1 {
		t.Errorf("too few tokens: %+v, %v", reply, err)
	}
	// Without a length of the client's own there is always room.
	o = Options{Grammar: g, MaxTokens: 2, WholeSentences: true}
	reply, err = e.Chat(t.Context(), ChatRequest{Messages: hello, Options: o}, nil)
	if err != nil || reply.FinishReason != FinishStop || valid(reply.Text) != nil || reply.CompletionTokens > fewest+2 {
		t.Errorf("room for two more: %+v, %v", reply, err)
	}
}

// What puts a chat's replies right leaves JSON alone; stop strings still hold.
func TestConstrainedRepliesAreLeftAlone(t *testing.T) {
	tok := bytesTokenizer(t)
	tpl := dialogue.ForTokenizer(tok)
	prompt, _, err := chatPrompt(tpl, hello, 1, 100)
	if err != nil {
		t.Fatal(err)
	}
	says := `{"a": "  Assistant:  Hi , you .\nUser: what"}`
	model := reciter(t, tok, len(prompt), append(tok.Encode(nil, says), tok.Encode(nil, " and more")...))
	e := engineOf(t, model, EngineOptions{})
	for _, test := range []struct {
		o    Options
		want string
	}{
		{Options{}, says}, {Options{WholeSentences: true}, says}, {Options{Stop: []string{"you"}}, `{"a": "  Assistant:  Hi , `},
	} {
		test.o.Grammar, test.o.MaxTokens = grammar.JSONObject(), 100
		reply, err := e.Chat(t.Context(), ChatRequest{Messages: hello, Options: test.o}, nil)
		if err != nil || reply.Text != test.want || reply.FinishReason != FinishStop {
			t.Errorf("%q (%s), %v; want %q", reply.Text, reply.FinishReason, err, test.want)
		}
	}
}

// A vocabulary of words, in which the schema may not be writable.
func TestConstrainedWordPiece(t *testing.T) {
	words := `[PAD] [UNK] [CLS] [SEP] [MASK] { } [ ] " : , - . name age 你 好 hello world true false null 0 1 2 ##0 ##1 ##s ##ing`
	tok, err := tokenizer.Load(fstest.MapFS{"vocab.txt": {Data: []byte(strings.ReplaceAll(words, " ", "\n") + "\n")}})
	if err != nil {
		t.Fatal(err)
	}
	net, err := gpt2.New(gpt2.Config{VocabSize: tok.VocabSize(), Positions: 120, Width: 32, Heads: 4, Layers: 1})
	if err != nil {
		t.Fatal(err)
	}
	net.Init(3)
	e := engineOf(t, Model{Name: "words", Net: net, Tokenizer: tok, Template: dialogue.ForTokenizer(tok)}, EngineOptions{})
	g, valid := formOf(t, `{"type":"object","properties":{"name":{"type":"string","maxLength":30},"age":{"type":"integer"}},"required":["name","age"]}`)
	for s := range uint64(20) {
		o := Options{Grammar: g, MaxTokens: 40, Seed: seed(s)}
		o.Temperature = 1
		reply, err := e.Chat(t.Context(), ChatRequest{Messages: hello, Options: o}, nil)
		if err != nil || valid(reply.Text) != nil || reply.FinishReason != FinishStop {
			t.Errorf("%q (%s), %v", reply.Text, reply.FinishReason, err)
		}
	}
	g, _ = formOf(t, `{"enum":["firstName"]}`)
	_, err = e.Chat(t.Context(), ChatRequest{Messages: hello, Options: Options{Grammar: g}}, nil)
	if option, ok := errors.AsType[*OptionError](err); !ok || option.Field != "response_format" {
		t.Errorf("what cannot be written: %v", err)
	}
}

// Forms are kept while they are used and forgotten when there are too many.
func TestFormsAreKept(t *testing.T) {
	e := engineOf(t, randomModel(t, 100), EngineOptions{})
	first := e.automaton(grammar.JSONObject())
	for i := range 2 * maxForms {
		g, _ := formOf(t, fmt.Sprintf(`{"const":%d}`, i))
		e.automaton(g)
		if e.automaton(grammar.JSONObject()) != first {
			t.Fatal("a form in use was forgotten")
		}
	}
	if n := len(e.forms.list); n != maxForms {
		t.Errorf("%d forms are kept", n)
	}
}

// TestMaskedDistribution draws from masked logits and, with the same random
// numbers, from a vocabulary of the allowed tokens alone: a mask renormalises
// and does nothing else.
func TestMaskedDistribution(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	for _, o := range []sampling.Options{{Temperature: 1}, {Temperature: 0.6, TopP: 0.8}, {Temperature: 1.4, TopK: 7}, {Temperature: 1, MinP: 0.2}, {}} {
		const vocab = 1000
		logits, set := make([]float32, vocab), make([]uint64, (vocab+63)/64)
		var allowed []int32
		for id := range logits {
			logits[id] = float32(r.NormFloat64() * 3)
			if r.IntN(4) == 0 {
				set[id/64] |= 1 << (id % 64)
				allowed = append(allowed, int32(id))
			}
		}
		end := int32(17)
		masked, few := sampling.New(o, nil, 1, 2), sampling.New(o, nil, 1, 2)
		counts := map[int32]int{}
		for range 2000 {
			row := append([]float32(nil), logits...)
			sampling.Keep(row, set, []int32{end})
			got, err := masked.Next(row)
			if err != nil {
				t.Fatal(err)
			}
			var small []float32
			var ids []int32
			for id := range int32(vocab) {
				if set[id/64]>>(id%64)&1 == 1 || id == end {
					small, ids = append(small, logits[id]), append(ids, id)
				}
			}
			want, err := few.Next(small)
			if err != nil || o.TopK == 0 && ids[want] != got {
				t.Fatalf("%+v: drew %d, of the allowed tokens alone %d, %v", o, got, ids[want], err)
			}
			counts[got]++
			counts[ids[want]]--
		}
		for id, n := range counts { // top-k puts its tokens in an order of its own
			if n < -150 || n > 150 { // five standard deviations of the difference of two such counts
				t.Errorf("%+v: token %d was drawn %d times more often", o, id, n)
			}
		}
		if len(allowed) == 0 {
			t.Fatal("nothing is allowed")
		}
	}
}
