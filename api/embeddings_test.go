package api

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strings"
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

func TestEmbeddingsRefusals(t *testing.T) {
	f, _ := withEmbedder(t)
	for _, c := range []struct{ body, param, message string }{
		{`{}`, "input", "input is missing"},
		{`{"input":null}`, "input", "input is missing"},
		{`{"input":5}`, "input", "must be a string or an array, not the number 5"},
		{`{"input":[]}`, "input", "at least one text"},
		{`{"input":[""]}`, "input", "input 0 is empty"},
		{`{"input":["a",true]}`, "input", "input[1] must be a string or an array of token ids, not a boolean"},
		{`{"input":["a",null]}`, "input", "input[1] must be"},
		{`{"input":[[1,"x"]]}`, "input", "input[0][1] must be a token id"},
		{`{"input":[1,2.5]}`, "input", "input[1] must be a token id"},
		{`{"input":[-1]}`, "input", "token id -1"},
		{`{"input":[1,99999]}`, "input", "token id 99999"},
		{`{"input":"a","dimensions":0}`, "dimensions", "at least 1"},
		{`{"input":"a","dimensions":4096}`, "dimensions", "between 1 and 32"},
		{`{"input":"a","encoding_format":"hex"}`, "encoding_format", `not "hex"`},
		{fmt.Sprintf(`{"input":%q}`, strings.Repeat("zq ", 200)), "input", "the model's context holds 128"},
		{`{"input":[` + strings.Repeat(`"a",`, maxInputs) + `"a"]}`, "input", "2049 texts"},
	} {
		status, _, data := f.do(t, http.MethodPost, "/v1/embeddings", c.body)
		e := errorOf(t, data)
		if status != http.StatusBadRequest || e.Param == nil || *e.Param != c.param || !strings.Contains(e.Message, c.message) {
			t.Errorf("%.60s: %d %s, want %q", c.body, status, data, c.message)
		}
	}
	f.SetModel(Model{ID: "tiny"})
	if status, _, data := f.do(t, http.MethodPost, "/v1/embeddings", `{"input":"a"}`); status != http.StatusBadRequest {
		t.Errorf("a model that does not embed: %d %s", status, data)
	}
}
