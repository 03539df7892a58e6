package pipeline

import (
	"context"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"causerie/models/dialogue"
	"causerie/models/gpt2"
	"causerie/models/tokenizer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bytesTokenizer has one token for each byte and the turn markers: 261 ids.
func bytesTokenizer(t testing.TB) *tokenizer.BPE {
	t.Helper()
	tok, err := tokenizer.TrainBPE(slices.Values([]string{}), tokenizer.TrainOptions{VocabSize: 261, Specials: dialogue.Specials()})
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// randomModel has random weights: what it says makes no sense, but is a
// function of every token it reads.
func randomModel(t testing.TB, positions int) Model {
	t.Helper()
	tok := bytesTokenizer(t)
	net, err := gpt2.New(gpt2.Config{VocabSize: tok.VocabSize(), Positions: positions, Width: 32, Heads: 4, Layers: 2})
	if err != nil {
		t.Fatal(err)
	}
	net.Init(11)
	// The usual start is so small that all tokens are about equally likely;
	// larger weights make the choice depend on the text.
	for _, p := range net.Params() {
		if p.Decay {
			for i := range p.Data {
				p.Data[i] *= 12
			}
		}
	}
	return Model{Name: "random", Net: net, Tokenizer: tok, Template: dialogue.ForTokenizer(tok), Chat: ChatDefaults()}
}

// reciter is a model that knows one text by heart: after a prompt of n tokens
// it says script(n), token for token. Its position embedding alone decides: the
// one of position p points at the token that follows there.
func reciter(t testing.TB, tok tokenizer.Tokenizer, prompt int, script []int32) Model {
	t.Helper()
	const positions = 160
	vocab := tok.VocabSize()
	net, err := gpt2.New(gpt2.Config{VocabSize: vocab, Positions: positions, Width: vocab, Heads: 1, Layers: 1, Untied: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range net.Params() {
		switch p.Name {
		case "wpe.weight":
			for i, id := range script {
				p.Data[(prompt-1+i)*vocab+int(id)] = 1
			}
		case "ln_f.weight":
			for i := range p.Data {
				p.Data[i] = 1
			}
		case "lm_head.weight":
			for i := range vocab {
				p.Data[i*vocab+i] = 1
			}
		}
	}
	return Model{Name: "reciter", Net: net, Tokenizer: tok, Template: dialogue.ForTokenizer(tok), Chat: Options{MaxTokens: 60}}
}

// hello is the conversation that recite answers.
var hello = []dialogue.Turn{dialogue.User("Hi")}

// recite is an engine that answers hello with text, and then ends its turn.
func recite(t testing.TB, text string) *Engine {
	t.Helper()
	tok := bytesTokenizer(t)
	tpl := dialogue.ForTokenizer(tok)
	prompt, _, err := chatPrompt(tpl, hello, 1, 100)
	if err != nil {
		t.Fatal(err)
	}
	script := append(tok.Encode(nil, text), tpl.Stops()[0])
	return engineOf(t, reciter(t, tok, len(prompt), script), EngineOptions{})
}

// engineOf makes an engine that ends with the test.
func engineOf(t testing.TB, m Model, o EngineOptions) *Engine {
	t.Helper()
	o.Threads = max(o.Threads, 1)
	e, err := NewEngine(m, o)
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

func seed(n uint64) *uint64 { return &n }
