package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"causerie/pipeline"
)

// The cases of this file are those that other servers of language models hold
// themselves to: llama.cpp, Ollama and vLLM.

// answer is what the tests read of chat completions and text completions.
type answer struct {
	Choices []struct {
		Index        int
		Text         string
		Message      struct{ Content string }
		FinishReason string `json:"finish_reason"`
	}
	Usage usage
	Error *struct{ Message string }
}

// text is the first choice of either kind.
func (a answer) text() string { return a.Choices[0].Text + a.Choices[0].Message.Content }

// askFor posts a body and reads the answer, which must be good.
func (f *fixture) askFor(t *testing.T, path, body string) answer {
	t.Helper()
	status, _, data := f.do(t, http.MethodPost, path, body)
	var a answer
	if err := json.Unmarshal(data, &a); err != nil || status != http.StatusOK {
		t.Fatalf("%s: status %d, %v: %s", body, status, err, data)
	}
	return a
}

// streamed posts a body with stream and puts the first choice together.
func (f *fixture) streamed(t *testing.T, path, body string) (text string, chunks int, finish string) {
	t.Helper()
	_, _, data := f.do(t, http.MethodPost, path, strings.Replace(body, "{", `{"stream":true,`, 1))
	for _, e := range events(t, data) {
		if e == "[DONE]" {
			return text, chunks, finish
		}
		var chunk struct {
			Choices []struct {
				Text         string
				Delta        struct{ Content string }
				FinishReason string `json:"finish_reason"`
			}
		}
		if err := json.Unmarshal([]byte(e), &chunk); err != nil {
			t.Fatal(err)
		}
		for _, c := range chunk.Choices {
			text += c.Text + c.Delta.Content
			finish += c.FinishReason
			chunks++
		}
	}
	t.Fatalf("the stream has no [DONE]: %s", data)
	return "", 0, ""
}

// both runs a test on the two endpoints that write text; the body it gets has a
// prompt and is open at its end.
func both(t *testing.T, test func(t *testing.T, f *fixture, path, open string)) {
	f := withEngine(t)
	t.Run("chat", func(t *testing.T) {
		test(t, f, "/v1/chat/completions", `{"messages":[{"role":"user","content":"tell me a story about rain"}],`)
	})
	t.Run("text", func(t *testing.T) { test(t, f, "/v1/completions", `{"prompt":"tell me a story about rain",`) })
}

func TestSameSeedSameReply(t *testing.T) {
	both(t, func(t *testing.T, f *fixture, path, open string) {
		different := map[string]bool{}
		for seed := range 4 {
			body := fmt.Sprintf(`%s"seed":%d,"temperature":1.5,"max_tokens":24}`, open, seed)
			first := f.askFor(t, path, body)
			different[first.text()] = true
			for range 2 {
				if again := f.askFor(t, path, body); again.text() != first.text() {
					t.Errorf("seed %d gave %q and %q", seed, first.text(), again.text())
				}
			}
			if text, _, finish := f.streamed(t, path, body); text != first.text() || finish != first.Choices[0].FinishReason {
				t.Errorf("seed %d gave %q, and streamed %q (%s)", seed, first.text(), text, finish)
			}
		}
		if len(different) < 2 {
			t.Error("different seeds all gave the same reply")
		}
	})
}

// TestRepliesAtTheSameTime asks for many replies at once; each must be what it
// is alone.
func TestRepliesAtTheSameTime(t *testing.T) {
	both(t, func(t *testing.T, f *fixture, path, open string) {
		bodies, alone := make([]string, 12), make([]answer, 12)
		for i := range bodies {
			bodies[i] = fmt.Sprintf(`%s"seed":%d,"temperature":1.2,"max_tokens":%d}`, open, i, 4+i)
			alone[i] = f.askFor(t, path, bodies[i])
		}
		var group sync.WaitGroup
		for i, body := range bodies {
			group.Go(func() {
				status, _, data := f.do(t, http.MethodPost, path, body)
				var together answer
				if err := json.Unmarshal(data, &together); err != nil || status != http.StatusOK {
					t.Errorf("status %d, %v: %s", status, err, data)
					return
				}
				if diff := cmp.Diff(alone[i], together); diff != "" {
					t.Errorf("request %d differs among others: %s", i, diff)
				}
			})
		}
		group.Wait()
	})
}

func TestLengthLimit(t *testing.T) {
	both(t, func(t *testing.T, f *fixture, path, open string) {
		for _, n := range []int{1, 2, 7, 30} {
			got := f.askFor(t, path, fmt.Sprintf(`%s"max_tokens":%d,"ignore_eos":true,"seed":1}`, open, n))
			if got.Usage.CompletionTokens != n || got.Choices[0].FinishReason != "length" {
				t.Errorf("max_tokens %d gave %d tokens and %q", n, got.Usage.CompletionTokens, got.Choices[0].FinishReason)
			}
			got = f.askFor(t, path, fmt.Sprintf(`%s"max_tokens":40,"min_tokens":%d,"seed":1}`, open, n))
			if got.Usage.CompletionTokens < n {
				t.Errorf("min_tokens %d gave %d tokens", n, got.Usage.CompletionTokens)
			}
		}
	})
}

// TestStopStrings takes strings out of the middle of replies, wherever tokens
// begin and end, and asks again with them as stops.
func TestStopStrings(t *testing.T) {
	both(t, func(t *testing.T, f *fixture, path, open string) {
		tried := 0
		for seed := range 12 {
			body := fmt.Sprintf(`%s"seed":%d,"max_tokens":60,"ignore_eos":true,"temperature":1.5,"top_p":1`, open, seed)
			runes := []rune(f.askFor(t, path, body+`}`).text())
			for _, length := range []int{1, 2, 5} {
				if len(runes) < 3*length {
					continue
				}
				stop := string(runes[len(runes)/2 : len(runes)/2+length])
				if strings.TrimSpace(stop) == "" || strings.ContainsRune(stop, '\uFFFD') {
					continue // the end of a reply may lose such anyway
				}
				quoted, err := json.Marshal([]string{"no such thing", stop})
				if err != nil {
					t.Fatal(err)
				}
				want, _, _ := strings.Cut(string(runes), stop)
				asked := body + `,"stop":` + string(quoted) + `}`
				got := f.askFor(t, path, asked)
				streamed, _, finish := f.streamed(t, path, asked)
				tried++
				// Spaces at the end of a chat reply are not part of it.
				if strings.TrimRight(got.text(), " \n") != strings.TrimRight(want, " \n") || got.Choices[0].FinishReason != "stop" {
					t.Errorf("seed %d, stop %q: %q (%s), want %q", seed, stop, got.text(), got.Choices[0].FinishReason, want)
				}
				if streamed != got.text() || finish != "stop" {
					t.Errorf("seed %d, stop %q: streamed %q (%s), whole %q", seed, stop, streamed, finish, got.text())
				}
			}
		}
		if tried < 10 {
			t.Errorf("only %d stops were tried", tried)
		}
	})
}

func TestLogitBias(t *testing.T) {
	engine, err := tinyEngine()
	if err != nil {
		t.Fatal(err)
	}
	want := engine.Model().Tokenizer.Encode(nil, "e")[0]
	both(t, func(t *testing.T, f *fixture, path, open string) {
		got := f.askFor(t, path, fmt.Sprintf(`%s"logit_bias":{"%d":100},"max_tokens":5,"seed":1}`, open, want))
		if got.text() != "eeeee" {
			t.Errorf("with all weight on e the reply is %q", got.text())
		}
		got = f.askFor(t, path, fmt.Sprintf(`%s"logit_bias":{"%d":-100},"max_tokens":30,"seed":1,"ignore_eos":true}`, open, want))
		if strings.HasPrefix(got.text(), "e") {
			t.Errorf("with no weight on e the reply is %q", got.text())
		}
	})
}

func TestTextCompletions(t *testing.T) {
	f := withEngine(t)
	ask := func(body string) answer {
		t.Helper()
		return f.askFor(t, "/v1/completions", body)
	}
	// A prompt alone, in a list, and as token ids is the same prompt.
	one := ask(`{"prompt":"hello","seed":3,"max_tokens":9}`)
	var tokens struct{ Tokens []int32 }
	_, _, data := f.do(t, http.MethodPost, "/v1/tokenize", `{"prompt":"hello"}`)
	if err := json.Unmarshal(data, &tokens); err != nil {
		t.Fatal(err)
	}
	ids, err := json.Marshal(tokens.Tokens)
	if err != nil {
		t.Fatal(err)
	}
	for _, prompt := range []string{`["hello"]`, string(ids), `[` + string(ids) + `]`} {
		if got := ask(`{"prompt":` + prompt + `,"seed":3,"max_tokens":9}`); got.text() != one.text() || got.Usage != one.Usage {
			t.Errorf("prompt %s gave %q, not %q", prompt, got.text(), one.text())
		}
	}
	if one.Usage.PromptTokens != len(tokens.Tokens) {
		t.Errorf("the prompt has %d tokens, not %d", len(tokens.Tokens), one.Usage.PromptTokens)
	}
	// Several prompts are answered in order, each as if it were alone.
	many := ask(`{"prompt":["hello","rain","你好"],"seed":3,"max_tokens":9,"n":2}`)
	if len(many.Choices) != 6 || many.Choices[0].Text != one.text() {
		t.Errorf("unexpected choices %+v", many.Choices)
	}
	for i, c := range many.Choices {
		if c.Index != i {
			t.Errorf("choice %d has index %d", i, c.Index)
		}
	}
	if rain := ask(`{"prompt":"rain","seed":3,"max_tokens":9,"n":2}`); rain.Choices[1].Text != many.Choices[3].Text {
		t.Errorf("among others %q, alone %q", many.Choices[3].Text, rain.Choices[1].Text)
	}
	// Echo puts the prompt first, also when nothing else is asked for.
	if got := ask(`{"prompt":"hello","seed":3,"max_tokens":9,"echo":true}`); got.text() != "hello"+one.text() {
		t.Errorf("with echo %q", got.text())
	}
	got := ask(`{"prompt":` + string(ids) + `,"max_tokens":0,"echo":true}`)
	if got.text() != "hello" || got.Choices[0].FinishReason != "length" || got.Usage != (usage{len(tokens.Tokens), 0, len(tokens.Tokens)}) {
		t.Errorf("echo alone: %+v", got)
	}
	if text, chunks, finish := f.streamed(t, "/v1/completions", `{"prompt":"hello","max_tokens":0,"echo":true}`); text != "hello" || chunks != 2 || finish != "length" {
		t.Errorf("echo alone streamed %q in %d chunks (%s)", text, chunks, finish)
	}
	// Sixteen tokens are the default, as in OpenAI's specification.
	if got := ask(`{"prompt":"hello","ignore_eos":true}`); got.Usage.CompletionTokens != 16 {
		t.Errorf("%d tokens without max_tokens", got.Usage.CompletionTokens)
	}
}

// TestTokens: tokenize and detokenize are inverse, and agree with count_tokens
// and with the usage of a chat.
func TestTokens(t *testing.T) {
	f := withEngine(t)
	var got struct {
		Count  int
		Max    int `json:"max_model_len"`
		Tokens []int32
		Pieces []tokenPiece
		Input  int `json:"input_tokens"`
		Prompt string
	}
	ask := func(path, body string) {
		t.Helper()
		got.Tokens, got.Pieces, got.Prompt = nil, nil, ""
		if status, _, data := f.do(t, http.MethodPost, path, body); status != http.StatusOK || json.Unmarshal(data, &got) != nil {
			t.Fatalf("%s %s: %d %s", path, body, status, data)
		}
	}
	for _, text := range []string{"", "hello there", "你好，世界", "tab\tand\nline", "<|end|> is no end", "🙂"} {
		quoted, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		ask("/v1/tokenize", `{"prompt":`+string(quoted)+`,"with_pieces":true}`)
		count, ids := got.Count, got.Tokens
		var bytes []byte
		for i, p := range got.Pieces {
			if p.Special || p.ID != ids[i] {
				t.Errorf("%q: piece %d is %+v", text, i, p)
			}
			for _, b := range p.Bytes {
				bytes = append(bytes, byte(b))
			}
		}
		if string(bytes) != text || len(got.Pieces) != count || len(ids) != count || got.Max != 128 {
			t.Errorf("%q: pieces spell %q, %+v", text, bytes, got)
		}
		ask("/v1/count_tokens", `{"prompt":`+string(quoted)+`}`)
		if got.Input != count {
			t.Errorf("%q: counted %d, tokenized %d", text, got.Input, count)
		}
		list, err := json.Marshal(ids)
		if err != nil {
			t.Fatal(err)
		}
		if ask("/v1/detokenize", `{"tokens":`+string(list)+`}`); got.Prompt != text {
			t.Errorf("%q came back as %q", text, got.Prompt)
		}
	}
	ask("/v1/tokenize", `{"prompt":"<|user|>hi<|end|>","parse_special":true,"with_pieces":true}`)
	if first, last := got.Pieces[0], got.Pieces[len(got.Pieces)-1]; !first.Special || !last.Special || first.Token != "<|user|>" {
		t.Errorf("special tokens: %+v", got.Pieces)
	}
	messages := `"messages":[{"role":"system","content":"be kind"},{"role":"user","content":"hello"}]`
	ask("/v1/count_tokens", `{`+messages+`}`)
	if used := f.askFor(t, "/v1/chat/completions", `{`+messages+`,"max_tokens":1}`).Usage; used.PromptTokens != got.Input {
		t.Errorf("counted %d tokens, but the chat used %d", got.Input, used.PromptTokens)
	}
}

// TestAbortedStreamFreesItsPlace on an engine with room for one reply.
func TestAbortedStreamFreesItsPlace(t *testing.T) {
	shared, err := tinyEngine()
	if err != nil {
		t.Fatal(err)
	}
	engine, err := pipeline.NewEngine(*shared.Model(), pipeline.EngineOptions{Threads: 1, MaxSequences: 1, MaxQueue: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := engine.Close(ctx); err != nil {
			t.Error(err)
		}
	}()
	f := newFixture(t, nil)
	f.SetModel(ModelOf("tiny", time.Now(), engine))
	body := `{"messages":[{"role":"user","content":"hello"}],"seed":1,"max_tokens":5}`
	want := f.askFor(t, "/v1/chat/completions", body).text()
	for range 8 {
		ctx, leave := context.WithCancel(t.Context())
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, f.http.URL+"/v1/chat/completions",
			strings.NewReader(`{"messages":[{"role":"user","content":"hello"}],"ignore_eos":true,"max_tokens":100,"stream":true}`))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := f.http.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := resp.Body.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		leave()
		resp.Body.Close()
		if got := f.askFor(t, "/v1/chat/completions", body).text(); got != want {
			t.Errorf("after an aborted stream the reply is %q, not %q", got, want)
		}
	}
}

// TestTextStreamOrder: in a stream of text completions every chunk has the same
// id, each choice ends once, usage comes alone and last.
func TestTextStreamOrder(t *testing.T) {
	f := withEngine(t)
	_, _, data := f.do(t, http.MethodPost, "/v1/completions",
		`{"prompt":["hello","rain"],"n":2,"max_tokens":7,"seed":5,"ignore_eos":true,"stream":true,"stream_options":{"include_usage":true}}`)
	got := events(t, data)
	if len(got) < 6 || got[len(got)-1] != "[DONE]" {
		t.Fatalf("the stream does not end with [DONE]: %q", got)
	}
	ids, finished := map[string]bool{}, map[int]int{}
	for i, e := range got[:len(got)-1] {
		var chunk struct {
			ID, Object string
			Choices    []struct {
				Index        int
				Text         string
				FinishReason *string `json:"finish_reason"`
			}
			Usage *usage
		}
		if err := json.Unmarshal([]byte(e), &chunk); err != nil {
			t.Fatal(err)
		}
		ids[chunk.ID+" "+chunk.Object] = true
		if last := i == len(got)-2; last != (chunk.Usage != nil) || last != (len(chunk.Choices) == 0) {
			t.Errorf("chunk %d of %d is %s", i, len(got), e)
		}
		for _, c := range chunk.Choices {
			if finished[c.Index] > 0 {
				t.Errorf("choice %d goes on after its end: %s", c.Index, e)
			}
			if c.FinishReason != nil {
				finished[c.Index]++
			}
		}
		if chunk.Usage != nil && (chunk.Usage.CompletionTokens != 4*7 || chunk.Usage.TotalTokens != chunk.Usage.PromptTokens+28) {
			t.Errorf("usage %+v", chunk.Usage)
		}
	}
	if len(ids) != 1 || len(finished) != 4 {
		t.Errorf("ids %v, ends %v", ids, finished)
	}
}

// TestAbortedStreamKeepsItsCache: what was computed for a client that left is
// not computed again for the next that asks the same.
func TestAbortedStreamKeepsItsCache(t *testing.T) {
	shared, err := tinyEngine()
	if err != nil {
		t.Fatal(err)
	}
	engine, err := pipeline.NewEngine(*shared.Model(), pipeline.EngineOptions{Threads: 1, MaxSequences: 1, MaxQueue: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := engine.Close(ctx); err != nil {
			t.Error(err)
		}
	}()
	f := newFixture(t, nil)
	if err := f.SetModel(ModelOf("tiny", time.Now(), engine)); err != nil {
		t.Fatal(err)
	}
	const open = `{"messages":[{"role":"user","content":"tell me a long story about the rain of yesterday"}],"ignore_eos":true,"seed":1,"max_tokens":`
	ctx, leave := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, f.http.URL+"/v1/chat/completions", strings.NewReader(open+`60,"stream":true}`))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := f.http.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := resp.Body.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	leave()
	resp.Body.Close()
	before := engine.Stats()
	got := f.askFor(t, "/v1/chat/completions", open+`3}`)
	after := engine.Stats()
	// All but the last token of the prompt is known; a block may be begun only.
	if cached := after.CachedTokens - before.CachedTokens; cached < int64(got.Usage.PromptTokens)/2 {
		t.Errorf("of %d tokens only %d were known", got.Usage.PromptTokens, cached)
	}
}
