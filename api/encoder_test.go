package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"causerie/pipeline"
)

// withEncoder serves a model that chats and a sentence encoder beside it.
func withEncoder(t *testing.T) (*fixture, *pipeline.Encoder) {
	t.Helper()
	engine, err := tinyEngine()
	if err != nil {
		t.Fatal(err)
	}
	encoder, err := pipeline.OpenEncoder(t.Context(), "../models/hf/testdata/encoders/mean", pipeline.EncoderOptions{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := encoder.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	f := newFixture(t, nil)
	if err := f.SetModel(ModelOf("tiny", time.Unix(1700000000, 0), engine), EncoderOf("mini", time.Unix(1700000001, 0), encoder)); err != nil {
		t.Fatal(err)
	}
	return f, encoder
}

// embedded posts a request for vectors and returns them.
func (f *fixture) embedded(t *testing.T, body string) (model string, vectors [][]float32, tokens int) {
	t.Helper()
	status, _, data := f.do(t, http.MethodPost, "/v1/embeddings", body)
	var list struct {
		Model string
		Data  []struct {
			Index     int
			Embedding json.RawMessage
		}
		Usage struct {
			Total int `json:"total_tokens"`
		}
	}
	if err := json.Unmarshal(data, &list); err != nil || status != http.StatusOK {
		t.Fatalf("status %d, %v: %.300s", status, err, data)
	}
	for i, d := range list.Data {
		if d.Index != i {
			t.Fatalf("item %d has index %d", i, d.Index)
		}
		vectors = append(vectors, vectorOf(t, d.Embedding))
	}
	return list.Model, vectors, list.Usage.Total
}

func TestEncoderBesideAModelThatChats(t *testing.T) {
	f, encoder := withEncoder(t)
	if _, _, data := f.do(t, http.MethodGet, "/v1/models", ""); !strings.Contains(string(data), `"id":"tiny"`) || !strings.Contains(string(data), `"id":"mini"`) {
		t.Errorf("models: %s", data)
	}
	want, err := encoder.Embed(t.Context(), pipeline.EmbedRequest{Inputs: []pipeline.EmbedInput{{Text: "hello world"}, {Text: "你好"}}})
	if err != nil {
		t.Fatal(err)
	}
	ids := fmt.Sprint(encoder.Model().Tokens("hello world"))
	for body, n := range map[string]int{
		`{"model":"mini","input":["hello world","你好"]}`:                               2,
		`{"input":["hello world","你好"],"encoding_format":"base64"}`:                   2, // nobody else only embeds
		`{"model":"mini","input":` + strings.ReplaceAll(ids, " ", ",") + `}`:          1,
		`{"model":"mini","input":["hello world"],"truncate":false,"user":"somebody"}`: 1,
	} {
		model, vectors, tokens := f.embedded(t, body)
		if model != "mini" || len(vectors) != n || !slices.Equal(vectors[0], want.Vectors[0]) || n == 2 && (!slices.Equal(vectors[1], want.Vectors[1]) || tokens != want.Tokens) {
			t.Errorf("%s: %d vectors of %s, %d tokens", body, len(vectors), model, tokens)
		}
	}
	if model, vectors, _ := f.embedded(t, `{"model":"tiny","input":"hello world"}`); model != "tiny" || slices.Equal(vectors[0], want.Vectors[0]) {
		t.Errorf("the model that chats is asked, %s answers", model)
	}
	if status, _, data := f.do(t, http.MethodPost, "/v1/tokenize", `{"model":"mini","prompt":"hello"}`); status != http.StatusOK {
		t.Errorf("tokens: %d %s", status, data)
	}
}

func TestEncoderRefusesWhatItCannotDo(t *testing.T) {
	f, _ := withEncoder(t)
	const hello = `"messages":[{"role":"user","content":"hello"}]`
	long := strings.Repeat("cat ", 20)
	for _, c := range []struct{ path, body, param, code, want string }{
		{"/v1/chat/completions", `{"model":"mini",` + hello + `}`, "model", "", `"mini" only embeds texts`},
		{"/v1/chat/completions", `{"model":"mini","stream":true,` + hello + `}`, "model", "", `"mini" only embeds texts`},
		{"/v1/completions", `{"model":"mini","prompt":"hello"}`, "model", "", `"mini" only embeds texts`},
		{"/v1/count_tokens", `{"model":"mini",` + hello + `}`, "model", "", `"mini" only embeds texts`},
		{"/v1/embeddings", `{"model":"mini","input":["a","` + long + `"]}`, "input", "context_length_exceeded", `input 1 has 22 tokens, but the model's context holds 16; with "truncate": true`},
		{"/v1/embeddings", `{"model":"mini","input":"a","dimensions":33}`, "dimensions", "", "between 1 and 32"},
		{"/v1/embeddings", `{"model":"mini","input":[1,99999]}`, "input", "", "token id 99999"},
		{"/v1/embeddings", `{"model":"text-embedding-3-small","input":"a"}`, "model", "model_not_found", `"tiny", "mini"`},
	} {
		status, _, data := f.do(t, http.MethodPost, c.path, c.body)
		e := errorOf(t, data)
		if status/100 != 4 || e.Param == nil || *e.Param != c.param || !strings.Contains(e.Message, c.want) || c.code != "" && (e.Code == nil || *e.Code != c.code) {
			t.Errorf("%s %s: %d %s", c.path, c.body, status, data)
		}
	}
	_, cut, tokens := f.embedded(t, `{"model":"mini","input":["`+long+`","`+strings.Repeat("cat ", 14)+`"],"truncate":true}`)
	if tokens != 32 || !slices.Equal(cut[0], cut[1]) {
		t.Errorf("%d tokens of two texts cut off at 16", tokens)
	}
}

// TestAsManyInputsAsThereMayBe: 2,048 texts come back in order, each with the
// vector that it has alone, in an answer whose length nobody knew at its start.
func TestAsManyInputsAsThereMayBe(t *testing.T) {
	f, _ := withEncoder(t)
	texts := make([]string, maxInputs)
	for i := range texts {
		texts[i] = []string{"cat", "the mat", "hello 世界"}[i%3]
	}
	body, err := json.Marshal(map[string]any{"model": "mini", "input": texts, "encoding_format": "base64"})
	if err != nil {
		t.Fatal(err)
	}
	_, vectors, _ := f.embedded(t, string(body))
	if len(vectors) != maxInputs {
		t.Fatalf("%d vectors", len(vectors))
	}
	for i, text := range texts[:3] {
		_, alone, _ := f.embedded(t, `{"model":"mini","input":"`+text+`"}`)
		for j := i; j < len(vectors); j += 3 {
			if !slices.Equal(vectors[j], alone[0]) {
				t.Fatalf("vector %d is another than that of %q alone", j, text)
			}
		}
	}
}

// failingEmbedder breaks after so many vectors.
type failingEmbedder struct{ after int }

func (e failingEmbedder) Embed(_ context.Context, r pipeline.EmbedRequest) (pipeline.Embeddings, error) {
	for i := range e.after {
		if err := r.Emit(i, make([]float32, 384)); err != nil {
			return pipeline.Embeddings{}, err
		}
	}
	return pipeline.Embeddings{}, errors.New("a fault in the middle")
}

// TestAnAnswerThatBreaks: before anything was sent the client gets an error,
// after that a connection that broke, never half a list that looks whole.
func TestAnAnswerThatBreaks(t *testing.T) {
	f := newFixture(t, nil)
	if err := f.SetModel(Model{ID: "early", Embedder: failingEmbedder{5}}, Model{ID: "late", Embedder: failingEmbedder{500}}); err != nil {
		t.Fatal(err)
	}
	status, _, data := f.do(t, http.MethodPost, "/v1/embeddings", `{"model":"early","input":"a"}`)
	if errorOf(t, data); status != http.StatusInternalServerError {
		t.Errorf("early: %d %s", status, data)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, f.http.URL+"/v1/embeddings", strings.NewReader(`{"model":"late","input":"a"}`))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := f.http.Client().Do(req)
	if err == nil {
		_, err = io.ReadAll(resp.Body)
		resp.Body.Close()
	}
	if err == nil {
		t.Error("late: the answer looks whole")
	}
	if !strings.Contains(f.log.String(), "a fault in the middle") {
		t.Errorf("the log does not say why: %s", f.log)
	}
}
