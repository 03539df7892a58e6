package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
)

// generator makes requests from the OpenAPI document: such as it describes, and
// such as it nearly describes.
type generator struct {
	document map[string]any
	random   *rand.Rand
	known    map[string][]string           // ids that there are, by the parameter that they are for
	tuning   func() (files, jobs []string) // makes some; nil: the server does not fine-tune
	wrong    float64                       // the chance that a value is not as its schema says
}

// specified is an operation of the document.
type specified struct {
	method, path string
	parameters   []any
	body         map[string]any // its content, by type
}

// operations are those of the document, in order.
func (g *generator) operations() (list []specified) {
	paths := g.document["paths"].(map[string]any)
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		item := paths[path].(map[string]any)
		shared, _ := item["parameters"].([]any)
		for _, method := range slices.Sorted(maps.Keys(item)) {
			if method == "parameters" {
				continue
			}
			entry := item[method].(map[string]any)
			own, _ := entry["parameters"].([]any)
			o := specified{method: strings.ToUpper(method), path: path, parameters: slices.Concat(shared, own)}
			if body, ok := entry["requestBody"].(map[string]any); ok {
				o.body = g.resolve(body)["content"].(map[string]any)
			}
			list = append(list, o)
		}
	}
	return list
}

// resolve follows a reference.
func (g *generator) resolve(schema map[string]any) map[string]any {
	for {
		ref, ok := schema["$ref"].(string)
		if !ok {
			return schema
		}
		at := any(g.document)
		for step := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
			at = at.(map[string]any)[step]
		}
		schema = at.(map[string]any)
	}
}

// request is one for an operation.
func (g *generator) request(o specified) *http.Request {
	target, query, number := o.path, url.Values{}, g.random.IntN(1<<20)
	for _, p := range o.parameters {
		p := g.resolve(p.(map[string]any))
		name, schema := p["name"].(string), p["schema"].(map[string]any)
		switch {
		case p["in"] == "path":
			target = strings.ReplaceAll(target, "{"+name+"}", url.PathEscape(g.id(name, number)))
		case p["in"] != "query" || g.random.IntN(3) > 0 || name == "stream": // events of a job that nobody works on never end
		case p["style"] == "deepObject":
			query.Set(name+"["+g.text(5)+"]", g.text(5))
		case name == "after":
			query.Set(name, g.id("item_id", number))
		default:
			query.Set(name, fmt.Sprint(g.value(schema, 0)))
		}
	}
	body, kind := g.body(o)
	r := httptest.NewRequest(o.method, target, bytes.NewReader(body))
	r.URL.RawQuery = query.Encode()
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	return r
}

func (g *generator) body(o specified) ([]byte, string) {
	if media, ok := o.body["application/json"].(map[string]any); ok {
		value := g.value(media["schema"].(map[string]any), 0)
		data, err := json.Marshal(value)
		if err != nil {
			panic(err) // it has only what JSON has
		}
		return data, "application/json"
	}
	media, ok := o.body["multipart/form-data"].(map[string]any)
	if !ok {
		return nil, ""
	}
	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	if fields, ok := g.value(media["schema"].(map[string]any), 0).(map[string]any); ok {
		for _, name := range slices.Sorted(maps.Keys(fields)) {
			if name == "file" {
				part, _ := w.CreateFormFile(name, "a.jsonl") // a buffer takes everything
				fmt.Fprint(part, fields[name])
			} else {
				_ = w.WriteField(name, fmt.Sprint(fields[name]))
			}
		}
	}
	_ = w.Close()
	return form.Bytes(), w.FormDataContentType()
}

// id is one for a parameter, or one that never was; those of the same number
// belong together.
func (g *generator) id(parameter string, number int) string {
	ids := g.known[parameter]
	if len(ids) == 0 || g.chance(0.1) {
		return "none"
	}
	return ids[number%len(ids)]
}

func (g *generator) chance(p float64) bool { return g.random.Float64() < p }

// value is one of a schema.
func (g *generator) value(schema map[string]any, depth int) any {
	schema = g.resolve(schema)
	if g.chance(g.wrong) || depth > 8 {
		return g.anything()
	}
	for _, word := range []string{"oneOf", "anyOf"} {
		if choices, ok := schema[word].([]any); ok {
			chosen := g.resolve(choices[g.random.IntN(len(choices))].(map[string]any))
			if _, object := schema["properties"]; !object {
				return g.value(chosen, depth+1)
			}
			schema = merged(schema, chosen)
		}
	}
	if all, ok := schema["allOf"].([]any); ok {
		for _, part := range all {
			schema = merged(schema, g.resolve(part.(map[string]any)))
		}
	}
	if value, ok := schema["const"]; ok {
		return value
	}
	if values, ok := schema["enum"].([]any); ok {
		return values[g.random.IntN(len(values))]
	}
	return g.typed(schema, depth)
}

// merged is a schema with the properties that another requires and adds.
func merged(a, b map[string]any) map[string]any {
	out := maps.Clone(a)
	for name, value := range b {
		switch have := out[name].(type) {
		case map[string]any:
			more, _ := value.(map[string]any)
			have = maps.Clone(have)
			maps.Copy(have, more)
			out[name] = have
		case []any:
			more, _ := value.([]any)
			out[name] = slices.Concat(have, more)
		default:
			out[name] = value
		}
	}
	return out
}

func (g *generator) typed(schema map[string]any, depth int) any {
	kind := schema["type"]
	if kinds, ok := kind.([]any); ok {
		kind = kinds[g.random.IntN(len(kinds))]
	}
	switch kind {
	case "string":
		if schema["format"] == "binary" {
			return exampleFile
		}
		return g.text(min(12, number(schema, "maxLength", 12)))
	case "integer", "number":
		low := number(schema, "minimum", -3)
		return low + g.random.IntN(min(number(schema, "maximum", low+300)-low, 300)+1)
	case "boolean":
		return g.chance(0.5)
	case "null":
		return nil
	case "array":
		items, _ := schema["items"].(map[string]any)
		low := number(schema, "minItems", 0)
		list := make([]any, low+g.random.IntN(min(number(schema, "maxItems", low+2)-low, 2)+1))
		for i := range list {
			list[i] = g.value(items, depth+1)
		}
		return list
	case "object", nil:
		return g.object(schema, depth)
	}
	return g.anything()
}

func (g *generator) object(schema map[string]any, depth int) any {
	properties, _ := schema["properties"].(map[string]any)
	required, _ := schema["required"].([]any)
	out := map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		needed := slices.Contains(required, any(name)) && !g.chance(g.wrong)
		if needed || g.chance(0.15) {
			out[name] = g.value(properties[name].(map[string]any), depth+1)
		}
	}
	if more, ok := schema["additionalProperties"].(map[string]any); ok {
		for range g.random.IntN(3) {
			out[fmt.Sprint(g.random.IntN(300))] = g.value(more, depth+1)
		}
	} else if g.chance(g.wrong) {
		out[g.text(4)] = g.anything()
	}
	return out
}

// number is a bound of a schema.
func number(schema map[string]any, name string, otherwise int) int {
	switch n := schema[name].(type) {
	case int:
		return n
	case float64:
		return int(n)
	}
	return otherwise
}

// pieces are what texts are made of: also such as break things.
var pieces = []string{"a", "hello ", "你", "🙂", "\x00", "\u202e", "<|end|>", `"`, "%", "/", " ", "0", "\n"}

func (g *generator) text(most int) string {
	var b strings.Builder
	for range g.random.IntN(most + 1) {
		b.WriteString(pieces[g.random.IntN(len(pieces))])
	}
	return b.String()
}

// anything is a value of no schema.
func (g *generator) anything() any {
	values := []any{
		nil, true, -1, 0, 1, 2.5, 1e300, int64(1) << 62, "", "x", []any{}, []any{nil}, []any{1, "a"}, map[string]any{}, map[string]any{"": nil}, g.text(20),
		strings.Repeat("[", 50), map[string]any{"type": "x"},
	}
	return values[g.random.IntN(len(values))]
}

// exampleFile is what may be uploaded.
const exampleFile = `{"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"hello"}]}` + "\n"
