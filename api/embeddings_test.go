package api

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"math"
	"net/http"
	"testing"

	"causerie/pipeline"
)

func withEmbedder(t *testing.T) (*fixture, *pipeline.Engine) {
	t.Helper()
	engine, err := tinyEngine()
	if err != nil {
		t.Fatal(err)
	}
	f := newFixture(t, engine)
	f.SetModel(Model{ID: "tiny", Chatter: engine, Embedder: engine, Defaults: engine.ChatDefaults()})
	return f, engine
}

func TestEmbeddings(t *testing.T) {
	f, engine := withEmbedder(t)
	want, err := engine.Embed(t.Context(), pipeline.EmbedRequest{Inputs: []pipeline.EmbedInput{{Text: "hello"}, {Text: "你好"}}})
	if err != nil {
		t.Fatal(err)
	}
	ids, err := json.Marshal([][]int32{engine.Model().Tokenizer.Encode(nil, "hello"), engine.Model().Tokenizer.Encode(nil, "你好")})
	if err != nil {
		t.Fatal(err)
	}
	for name, body := range map[string]string{
		"texts":  `{"model":"tiny","input":["hello","你好"],"user":"somebody"}`,
		"ids":    `{"input":` + string(ids) + `,"encoding_format":"float"}`,
		"base64": `{"input":["hello","你好"],"encoding_format":"base64"}`,
	} {
		status, _, data := f.do(t, http.MethodPost, "/v1/embeddings", body)
		var list struct {
			Object, Model string
			Data          []struct {
				Object    string
				Index     int
				Embedding json.RawMessage
			}
			Usage struct {
				Prompt int `json:"prompt_tokens"`
				Total  int `json:"total_tokens"`
			}
		}
		if err := json.Unmarshal(data, &list); err != nil || status != http.StatusOK {
			t.Fatalf("%s: status %d, %v: %s", name, status, err, data)
		}
		if list.Object != "list" || list.Model != "tiny" || len(list.Data) != 2 || list.Usage.Prompt != want.Tokens || list.Usage.Total != want.Tokens {
			t.Errorf("%s: %s", name, data)
		}
		for i, d := range list.Data {
			if d.Object != "embedding" || d.Index != i {
				t.Errorf("%s: item %d is a %s with index %d", name, i, d.Object, d.Index)
			}
			for j, x := range vectorOf(t, d.Embedding) {
				if x != want.Vectors[i][j] {
					t.Fatalf("%s: vector %d differs at %d: %g, want %g", name, i, j, x, want.Vectors[i][j])
				}
			}
		}
	}
}

// vectorOf reads a vector in either encoding.
func vectorOf(t *testing.T, raw json.RawMessage) (v []float32) {
	t.Helper()
	if raw[0] != '"' {
		if err := json.Unmarshal(raw, &v); err != nil {
			t.Fatal(err)
		}
		return v
	}
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		t.Fatal(err)
	}
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	for ; len(data) > 0; data = data[4:] {
		v = append(v, math.Float32frombits(binary.LittleEndian.Uint32(data)))
	}
	return v
}

func TestAModelThatOnlyChats(t *testing.T) {
	f := newFixture(t, nil)
	f.SetModel(Model{ID: "tiny"})
	for path, body := range map[string]string{
		"/v1/embeddings": `{"input":"a"}`, "/v1/completions": `{"prompt":"a"}`, "/v1/tokenize": `{"prompt":"a"}`, "/v1/detokenize": `{"tokens":[]}`,
	} {
		status, _, data := f.do(t, http.MethodPost, path, body)
		if e := errorOf(t, data); status != http.StatusBadRequest || *e.Param != "model" {
			t.Errorf("%s of a model that only chats: %d %s", path, status, data)
		}
	}
}
