package pipeline

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"causerie/models/dialogue"
	"causerie/models/gpt2"
	"causerie/pipeline/sampling"
)

func TestChatReply(t *testing.T) {
	const promptTokens = 5 // <|user|> H i <|end|> <|assistant|>
	tests := []struct {
		name string
		says string
		o    Options
		want Reply
	}{
		{"to its end", "Hello there!", Options{},
			Reply{Text: "Hello there!", FinishReason: FinishStop, CompletionTokens: 12}},
		{"Chinese", "你好！", Options{},
			Reply{Text: "你好！", FinishReason: FinishStop, CompletionTokens: 9}},
		{"cut", "Hello there!", Options{MaxTokens: 7},
			Reply{Text: "Hello t", FinishReason: FinishLength, CompletionTokens: 7}},
		{"cut within a character", "你好！", Options{MaxTokens: 4},
			Reply{Text: "你", FinishReason: FinishLength, CompletionTokens: 4}},
		{"cut, whole sentences", "One. Two. Three.", Options{MaxTokens: 12, WholeSentences: true},
			Reply{Text: "One. Two.", FinishReason: FinishLength, CompletionTokens: 12}},
		{"exactly as long as allowed", "Hello", Options{MaxTokens: 6},
			Reply{Text: "Hello", FinishReason: FinishStop, CompletionTokens: 5}},
		{"stop string", "One two three", Options{Stop: []string{"xx", " two"}},
			Reply{Text: "One", FinishReason: FinishStop, CompletionTokens: 7}},
		{"half a stop string", "One tw", Options{Stop: []string{" two"}},
			Reply{Text: "One tw", FinishReason: FinishStop, CompletionTokens: 6}},
		{"spaces and roles", " Assistant:  Hi , you .\nUser: what", Options{},
			Reply{Text: "Hi, you.", FinishReason: FinishStop, CompletionTokens: 29}},
		{"raw", " Hi ,  you .", Options{Raw: true},
			Reply{Text: " Hi ,  you .", FinishReason: FinishStop, CompletionTokens: 12}},
	}
	for _, test := range tests {
		e := recite(t, test.says)
		streamed := ""
		got, err := e.Chat(t.Context(), ChatRequest{Messages: hello, Options: test.o}, func(p Piece) error {
			if p.Text == "" && p.FinishReason == "" || strings.ContainsRune(p.Text, '\uFFFD') {
				t.Errorf("%s: piece %q", test.name, p.Text)
			}
			streamed += p.Text
			return nil
		})
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		test.want.PromptTokens = promptTokens
		got.IDs = nil
		if diff := cmp.Diff(test.want, got, sameReply); diff != "" || streamed != got.Text {
			t.Errorf("%s: streamed %q, (-want +got):\n%s", test.name, streamed, diff)
		}
	}
}

func TestChatMinTokensAndBias(t *testing.T) {
	e := recite(t, "")
	end := e.Model().Template.Stops()[0]
	got, err := e.Chat(t.Context(), ChatRequest{Messages: hello}, nil)
	if err != nil || got.CompletionTokens != 0 || got.FinishReason != FinishStop || !slices.Equal(got.IDs, []int32{end}) {
		t.Errorf("an empty reply is %+v, %v", got, err)
	}
	got, err = e.Chat(t.Context(), ChatRequest{Messages: hello, Options: Options{MinTokens: 3, MaxTokens: 3}}, nil)
	if err != nil || got.CompletionTokens != 3 || slices.Contains(got.IDs, end) {
		t.Errorf("with at least 3 tokens: %+v, %v", got, err)
	}
	bias := Options{MaxTokens: 4, Options: sampling.Options{LogitBias: map[int32]float64{'A': 900}}}
	got, err = e.Chat(t.Context(), ChatRequest{Messages: hello, Options: bias}, nil)
	if letter := e.Model().Tokenizer.Decode([]int32{'A'}); err != nil || got.Text != strings.Repeat(letter, 4) {
		t.Errorf("with a bias: %+v, %v", got, err)
	}
}

func TestChatErrors(t *testing.T) {
	e := engineOf(t, randomModel(t, 64), EngineOptions{})
	user := func(n int) []dialogue.Turn { return []dialogue.Turn{dialogue.User(strings.Repeat("x", n))} }
	if _, err := e.Chat(t.Context(), ChatRequest{}, nil); !errors.Is(err, ErrNoMessages) {
		t.Errorf("no messages: %v", err)
	}
	_, err := e.Chat(t.Context(), ChatRequest{Messages: user(60), Options: Options{MaxTokens: 10}}, nil)
	if want := (PromptTooLongError{PromptTokens: 63, ReplyTokens: 10, Context: 64}); !isTooLong(err, want) {
		t.Errorf("a long prompt: %v, want %v", err, &want)
	}
	for field, o := range map[string]Options{
		"temperature": {Options: sampling.Options{Temperature: -1}},
		"max_tokens":  {MaxTokens: -1},
		"min_tokens":  {MinTokens: -1},
		"stop":        {Stop: []string{""}},
		"logit_bias":  {Options: sampling.Options{LogitBias: map[int32]float64{261: 1}}},
	} {
		_, err := e.Chat(t.Context(), ChatRequest{Messages: hello, Options: o}, nil)
		if bad, ok := errors.AsType[*OptionError](err); !ok || bad.Field != field {
			t.Errorf("bad %s: %v", field, err)
		}
	}
	broken := errors.New("the client went away")
	reply, err := e.Chat(t.Context(), ChatRequest{Messages: hello, Options: Options{MaxTokens: 5}}, func(Piece) error { return broken })
	if !errors.Is(err, broken) || reply.FinishReason != "" {
		t.Errorf("a failing receiver: %+v, %v", reply, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := e.Chat(ctx, ChatRequest{Messages: hello}, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled request: %v", err)
	}
}

func isTooLong(err error, want PromptTooLongError) bool {
	got, ok := errors.AsType[*PromptTooLongError](err)
	return ok && *got == want
}

// Ending the context in the middle of a reply ends it there, with what was shown.
func TestChatCancel(t *testing.T) {
	e := recite(t, "Hello there, how are you?")
	ctx, cancel := context.WithCancel(t.Context())
	shown := ""
	reply, err := e.Chat(ctx, ChatRequest{Messages: hello}, func(p Piece) error {
		if shown += p.Text; len(shown) >= 5 {
			cancel()
		}
		return nil
	})
	if !errors.Is(err, context.Canceled) || reply.Text != "Hello" || shown != "Hello" {
		t.Errorf("got %+v, %v", reply, err)
	}
	if reply, err := e.Chat(t.Context(), ChatRequest{Messages: hello}, nil); err != nil || reply.Text != "Hello there, how are you?" {
		t.Errorf("the next request: %+v, %v", reply, err)
	}
}

func TestGenerate(t *testing.T) {
	m := randomModel(t, 64)
	m.Ends = []int32{7}
	e := engineOf(t, m, EngineOptions{})
	prompt := []int32{1, 2, 3}
	free, err := e.Generate(t.Context(), GenerateRequest{IDs: prompt, Options: Options{MaxTokens: 20, IgnoreEnd: true}}, nil)
	if err != nil || len(free.IDs) != 20 || free.FinishReason != FinishLength || free.PromptTokens != 3 {
		t.Fatalf("got %+v, %v", free, err)
	}
	// Greedy by hand, over the whole row of ids each time and without a cache.
	runner := gpt2.NewRunner(m.Net, nil)
	tokens, logits := slices.Clone(prompt), make([]float32, m.Net.Config.VocabSize)
	for range 20 {
		if err := runner.Logits([]gpt2.Segment{{Tokens: tokens}}, []int{len(tokens) - 1}, logits); err != nil {
			t.Fatal(err)
		}
		tokens = append(tokens, sampling.Argmax(logits))
	}
	if diff := cmp.Diff(tokens[3:], free.IDs); diff != "" {
		t.Errorf("greedy ids (-by hand +engine):\n%s", diff)
	}
	// The third id made an end: the reply ends with it.
	m2 := randomModel(t, 64)
	m2.Ends = free.IDs[2:3]
	ended, err := engineOf(t, m2, EngineOptions{}).Generate(t.Context(), GenerateRequest{IDs: prompt, Options: Options{MaxTokens: 20}}, nil)
	n := slices.Index(free.IDs, free.IDs[2]) + 1
	if err != nil || !slices.Equal(ended.IDs, free.IDs[:n]) || ended.FinishReason != FinishStop || ended.CompletionTokens != n-1 {
		t.Errorf("with an end: %+v, %v", ended, err)
	}
	// Text in, text out: exactly the model's bytes.
	tok := m.Tokenizer
	text, err := e.Generate(t.Context(), GenerateRequest{Text: "ab c", Options: Options{MaxTokens: 8}}, nil)
	byIDs, err2 := e.Generate(t.Context(), GenerateRequest{IDs: tok.Encode(nil, "ab c"), Options: Options{MaxTokens: 8}}, nil)
	if err != nil || err2 != nil || !cmp.Equal(text, byIDs, sameReply) {
		t.Errorf("by text %+v, %v; by ids %+v, %v", text, err, byIDs, err2)
	}
}

func TestGenerateErrors(t *testing.T) {
	m := randomModel(t, 16)
	e := engineOf(t, m, EngineOptions{})
	if _, err := e.Generate(t.Context(), GenerateRequest{}, nil); !errors.Is(err, ErrNoPrompt) {
		t.Errorf("no prompt: %v", err)
	}
	_, err := e.Generate(t.Context(), GenerateRequest{IDs: []int32{0, 261}}, nil)
	if bad, ok := errors.AsType[*TokenError](err); !ok || *bad != (TokenError{ID: 261, Position: 1, VocabSize: 261}) {
		t.Errorf("an id outside: %v", err)
	}
	_, err = e.Generate(t.Context(), GenerateRequest{IDs: make([]int32, 10), Options: Options{MaxTokens: 7}}, nil)
	if !isTooLong(err, PromptTooLongError{PromptTokens: 10, ReplyTokens: 7, Context: 16}) {
		t.Errorf("too long: %v", err)
	}
	if reply, err := e.Generate(t.Context(), GenerateRequest{IDs: make([]int32, 10), Options: Options{MaxTokens: 6, IgnoreEnd: true}}, nil); err != nil || len(reply.IDs) != 6 {
		t.Errorf("up to the last place: %+v, %v", reply, err)
	}
	bare := randomModel(t, 16)
	bare.Tokenizer, bare.Template = nil, nil
	b := engineOf(t, bare, EngineOptions{})
	if _, err := b.Generate(t.Context(), GenerateRequest{Text: "hi"}, nil); !errors.Is(err, ErrNoTokenizer) {
		t.Errorf("text without tokenizer: %v", err)
	}
	if _, err := b.Chat(t.Context(), ChatRequest{Messages: hello}, nil); !errors.Is(err, ErrNoTokenizer) {
		t.Errorf("chat without tokenizer: %v", err)
	}
	if reply, err := b.Generate(t.Context(), GenerateRequest{IDs: []int32{0}, Options: Options{MaxTokens: 3}}, nil); err != nil || len(reply.IDs) != 3 || reply.Text != "" {
		t.Errorf("ids without tokenizer: %+v, %v", reply, err)
	}
}
