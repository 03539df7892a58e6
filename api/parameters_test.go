package api

import (
	"fmt"
	"net/http"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/openai/openai-go/v3"
)

// parameter is what becomes of a parameter of OpenAI's API: values that are
// served, and values that are refused because this server cannot give what they
// ask for. Served values of a parameter that cannot be given ask for nothing.
type parameter struct {
	served  []string
	refused []string
}

// chatParameters are all the parameters of OpenAI's specification 2.3.0 for chat
// completions, and those that came since.
var chatParameters = map[string]parameter{
	"messages":               {served: []string{`[{"role":"user","content":"hi"}]`}},
	"model":                  {served: []string{`"tiny"`}},
	"frequency_penalty":      {served: []string{`0.5`, `null`}},
	"presence_penalty":       {served: []string{`-2`}},
	"temperature":            {served: []string{`0`, `1.5`}},
	"top_p":                  {served: []string{`0.9`}},
	"logit_bias":             {served: []string{`{"7":-100}`}},
	"logprobs":               {served: []string{`true`, `false`}},
	"max_completion_tokens":  {served: []string{`3`}},
	"max_tokens":             {served: []string{`3`}},
	"n":                      {served: []string{`2`}},
	"seed":                   {served: []string{`-7`}},
	"stop":                   {served: []string{`"a"`, `["a","b"]`}},
	"store":                  {served: []string{`true`, `false`}},
	"metadata":               {served: []string{`{"a":"b"}`, `null`}},
	"stream":                 {served: []string{`true`, `false`}},
	"stream_options":         {served: []string{`{"include_usage":true}`, `{"include_obfuscation":false}`}, refused: []string{`{"include_obfuscation":true}`}},
	"top_logprobs":           {served: []string{`3`}},
	"response_format":        {served: []string{`{"type":"text"}`, `{"type":"json_object"}`, `{"type":"json_schema","json_schema":{"name":"a","schema":{"type":"null"},"strict":true}}`}},
	"user":                   {served: []string{`"me"`}},
	"safety_identifier":      {served: []string{`"me"`}},
	"prompt_cache_key":       {served: []string{`"k"`}},
	"prompt_cache_retention": {served: []string{`"24h"`}},
	"prompt_cache_options":   {served: []string{`{}`}},
	"parallel_tool_calls":    {served: []string{`true`, `false`}},
	"tools":                  {served: []string{`[]`, `null`}, refused: []string{`[{"type":"function","function":{"name":"f"}}]`}},
	"tool_choice":            {served: []string{`"none"`, `"auto"`}, refused: []string{`"required"`, `{"type":"function","function":{"name":"f"}}`}},
	"functions":              {served: []string{`[]`}, refused: []string{`[{"name":"f"}]`}},
	"function_call":          {served: []string{`"none"`, `"auto"`}, refused: []string{`{"name":"f"}`}},
	"audio":                  {served: []string{`null`}, refused: []string{`{"voice":"alloy","format":"wav"}`}},
	"modalities":             {served: []string{`["text"]`}, refused: []string{`["text","audio"]`}},
	"moderation":             {served: []string{`null`}, refused: []string{`{"model":"omni-moderation-latest"}`}},
	"prediction":             {served: []string{`null`}, refused: []string{`{"type":"content","content":"x"}`}},
	"reasoning_effort":       {served: []string{`"none"`, `null`}, refused: []string{`"low"`, `"high"`}},
	"verbosity":              {served: []string{`"medium"`}, refused: []string{`"low"`, `"high"`}},
	"service_tier":           {served: []string{`"auto"`, `"default"`}, refused: []string{`"flex"`, `"priority"`}},
	"web_search_options":     {served: []string{`null`}, refused: []string{`{}`}},
}

// besides are fields that a parameter is only allowed with.
var besides = map[string]string{"top_logprobs": `"logprobs":true`, "stream_options": `"stream":true`, "metadata": `"store":true`}

// TestEveryParameter goes through OpenAI's parameters: each is served, or refused
// by its name with a reason, and documented.
func TestEveryParameter(t *testing.T) {
	f := withEngine(t)
	ask := func(name, value string) (int, []byte) {
		fields := []string{fmt.Sprintf("%q:%s", name, value)}
		for other, given := range map[string]string{"messages": `[{"role":"user","content":"hi"}]`, "max_tokens": "2"} {
			if name != other {
				fields = append(fields, fmt.Sprintf("%q:%s", other, given))
			}
		}
		if besides[name] != "" {
			fields = append(fields, besides[name])
		}
		status, _, data := f.post(t, "{"+strings.Join(fields, ",")+"}")
		return status, data
	}
	for name, p := range chatParameters {
		for _, value := range p.served {
			if status, data := ask(name, value); status != http.StatusOK {
				t.Errorf("%s: %s is answered with %d %s", name, value, status, data)
			}
		}
		for _, value := range p.refused {
			status, data := ask(name, value)
			e := errorOf(t, data)
			if status != http.StatusBadRequest || e.Code == nil || *e.Code != "unsupported_parameter" || e.Param == nil ||
				!strings.HasPrefix(*e.Param, name) || !strings.Contains(e.Message, *e.Param) {
				t.Errorf("%s: %s is answered with %d %s", name, value, status, data)
			}
		}
	}
}

// TestParametersAreAllOfThem holds the list to the types of OpenAI's client, which are
// generated from the specification, and to the documentation.
func TestParametersAreAllOfThem(t *testing.T) {
	docs, err := os.ReadFile("../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		params reflect.Type
		fields *fields
	}{{reflect.TypeFor[openai.ChatCompletionNewParams](), &chatFields}, {reflect.TypeFor[openai.CompletionNewParams](), &completionFields}} {
		for i := range test.params.NumField() {
			name, _, _ := strings.Cut(test.params.Field(i).Tag.Get("json"), ",")
			if name == "" || name == "-" {
				continue
			}
			_, refused := test.fields.refused[name]
			if !refused && !slices.Contains(test.fields.served, name) && !slices.Contains(test.fields.idle, name) {
				t.Errorf("%s: %s is not known", test.params.Name(), name)
			}
			if !strings.Contains(string(docs), "`"+name) {
				t.Errorf("docs/api.md does not mention %s", name)
			}
			if _, ok := chatParameters[name]; !ok && test.fields == &chatFields {
				t.Errorf("%s is not in the test above", name)
			}
		}
	}
}

// Fields that no reply depends on must still be what they are said to be.
func TestIdleFieldsHaveTheirTypes(t *testing.T) {
	f := withEngine(t)
	for _, field := range []string{`"user":5`, `"safety_identifier":{}`, `"prompt_cache_key":[]`, `"prompt_cache_retention":1`, `"prompt_cache_options":"x"`, `"parallel_tool_calls":"yes"`} {
		status, _, data := f.post(t, `{"messages":[{"role":"user","content":"hi"}],"max_tokens":1,`+field+`}`)
		name := strings.Split(field, `"`)[1]
		if e := errorOf(t, data); status != http.StatusBadRequest || e.Param == nil || *e.Param != name || !strings.Contains(e.Message, "must be") {
			t.Errorf("%s is answered with %d %s", field, status, data)
		}
	}
}
