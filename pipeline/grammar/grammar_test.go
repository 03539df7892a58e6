package grammar

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pb33f/jsonschema/v6"
)

// letters is a vocabulary of the 256 bytes, some words, and some tokens that
// span what a grammar tells apart.
func letters() *Vocabulary {
	var tokens []Token
	for b := range 256 {
		tokens = append(tokens, Token{ID: int32(b), Text: string([]byte{byte(b)})})
	}
	for _, s := range []string{
		`{"`, `":`, `": "`, `","`, `", "`, `"}`, `"}]`, `]}`, `}}`, `},{"`, `[[`, `]]`, `,"`, `, `, `: `, `\"`, `\\`, `\u00`, `""`, `":1`, `":[`,
		"true", "false", "null", "tru", "ll,", "the", " the", "name", `"name`, `"name":`, "你好", "\xe4\xbd", "\xa0", "\xe4\xbd\xa0\xe5", "é", "😀", "\xf0\x9f",
		"12", "123", "0.", ".5", "-1", "e+", "1e", "00", "  ", "\n", "\n  ", "abc", "aaaaaaaaaaaaaaaaaaaa", "2024", "-0", "T12:", "@", ".com",
	} {
		tokens = append(tokens, Token{ID: int32(len(tokens)), Text: s})
	}
	return NewVocabulary(len(tokens)+3, tokens)
}

// compile makes the grammar of a schema and a validator that nobody here wrote.
func compile(t testing.TB, schema string) (*Grammar, *jsonschema.Schema) {
	t.Helper()
	g, err := Schema([]byte(schema))
	if err != nil {
		t.Fatalf("%s: %v", schema, err)
	}
	return g, validator(t, schema)
}

func validator(t testing.TB, schema string) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(schema))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("schema.json", doc); err != nil {
		t.Fatal(err)
	}
	v, err := c.Compile("schema.json")
	if err != nil {
		t.Fatalf("%s: %v", schema, err)
	}
	return v
}

// accepts tells whether a text is one of the grammar, byte by byte.
func accepts(g *Grammar, text string) bool {
	m := NewAutomaton(g, letters()).Matcher()
	for i := range len(text) {
		if _, ok := m.Accept(int32(text[i])); !ok {
			return false
		}
	}
	return m.Ends()
}

func TestTexts(t *testing.T) {
	for _, test := range []struct {
		schema  string
		yes, no []string
	}{
		{`{"type":"object"}`, []string{`{}`, `{"a":1}`, `{"a": [null, true], "b": {"c": -1.5e-3}}`, `{"\u0061":1}`[0:1] + `"é":"\ud83d\ude00\n"}`},
			[]string{``, `[]`, `{"a"}`, `{"a":1,}`, ` {}`, `{} `, `{"a":01}`, `{"a":"\x"}`, "{\"a\":\"\n\"}", `{"a":"\ud83d"}`, "{\"a\":\"\xe4\xbd\"}", `{"a":  1}`}},
		{`{"type":"object","properties":{"name":{"type":"string"},"age":{"type":"integer"}},"required":["name"]}`,
			[]string{`{"name":"x"}`, `{"name":"x","age":3}`, `{"name": "x", "age": -3}`}, []string{`{}`, `{"age":3,"name":"x"}`, `{"name":"x","b":1}`, `{"name":1}`}},
		{`{"type":"object","properties":{"a":{"type":"null"},"b":{"type":"null"}}}`, []string{`{}`, `{"a":null}`, `{"b":null}`, `{"a":null,"b":null}`}, []string{`{,"b":null}`, `{"b":null,"a":null}`}},
		{`{"type":"object","properties":{"ab":{"const":1},"aé":{"const":2}},"additionalProperties":{"type":"boolean"}}`,
			[]string{`{"ab":1,"aé":2,"a":true}`, `{"abc":false,"x":true}`, `{"":true}`, `{"aè":true}`, `{"b":true}`}, []string{`{"ab":true}`, `{"aé":false}`, `{"x":true,"ab":1}`, `{"x":1}`}},
		{`{"type":"object","required":["x","y"],"additionalProperties":{"type":"integer"}}`, []string{`{"x":1,"y":2}`, `{"x":1,"y":2,"z":3}`}, []string{`{}`, `{"x":1}`, `{"y":1,"x":2}`}},
		{`{"type":"array","items":{"type":"integer"},"minItems":1,"maxItems":3}`, []string{`[1]`, `[1,2,3]`, `[1, 2]`}, []string{`[]`, `[1,2,3,4]`, `[1,]`, `["a"]`}},
		{`{"type":"array","items":{"type":"boolean"},"minItems":2}`, []string{`[true,false]`, `[true,true,true,true]`}, []string{`[]`, `[true]`}},
		{`{"type":"array","maxItems":0}`, []string{`[]`}, []string{`[1]`}},
		{`{"type":"string","minLength":2,"maxLength":3}`, []string{`"ab"`, `"你好吗"`, `"\n\\"`, `"😀\ud83d\ude00"`}, []string{`"a"`, `"abcd"`, `""`, `"你"`}},
		{`{"type":"string","pattern":"^[a-c]+\\d{2,3}$"}`, []string{`"a12"`, `"abc123"`}, []string{`"12"`, `"a1"`, `"a1234"`, `"xa12"`}},
		{`{"type":"string","pattern":"b+"}`, []string{`"b"`, `"abba"`, `"\"b"`}, []string{`""`, `"a"`}},
		{`{"type":"string","pattern":"^(?:\"|\\\\|\\n|é)$"}`, []string{`"\""`, `"\\"`, `"\n"`, `"é"`}, []string{`"""`, `"a"`, `"n"`}},
		{`{"type":"string","pattern":"^a$|^b|c$"}`, []string{`"a"`, `"bx"`, `"xc"`}, []string{`"xa"`, `"ax"`, `"cx"`}},
		{`{"type":"string","format":"date"}`, []string{`"2024-02-28"`, `"1999-12-31"`}, []string{`"2024-02-30"`, `"2024-13-01"`, `"24-01-01"`}},
		{`{"enum":["red","rest",5,null,{"a":[1,"x"]},true,"a\"b"]}`, []string{`"red"`, `"rest"`, `5`, `null`, `{"a":[1,"x"]}`, `true`, `"a\"b"`}, []string{`"re"`, `6`, `red`, `{"a":[1]}`}},
		{`{"type":"string","enum":["a",1]}`, []string{`"a"`}, []string{`1`}},
		{`{"const":"你好"}`, []string{`"你好"`}, []string{`"你"`}},
		{`{"type":"integer","minimum":-12,"maximum":105}`, []string{`0`, `-12`, `-1`, `9`, `99`, `100`, `105`}, []string{`106`, `-13`, `-0`, `01`, `1.0`, `1000`, `-20`}},
		{`{"type":"integer","exclusiveMinimum":2.5,"exclusiveMaximum":7}`, []string{`3`, `6`}, []string{`2`, `7`, `30`}},
		{`{"type":"integer","minimum":1234}`, []string{`1234`, `99999`, `1300`}, []string{`1233`, `999`, `-5`}},
		{`{"type":"number","minimum":0.25,"exclusiveMaximum":1.5}`, []string{`0.25`, `1`, `1.499`, `0.3`, `1.0`}, []string{`0.2`, `0`, `1.5`, `1.50`, `2`, `-1`, `0.`, `1e0`}},
		{`{"type":"number","exclusiveMinimum":0,"maximum":10}`, []string{`0.001`, `10`, `10.0`, `3.5`}, []string{`0`, `0.0`, `10.1`, `-1`, `11`}},
		{`{"type":"number","minimum":-1.5,"maximum":-0.5}`, []string{`-1.5`, `-1`, `-0.5`, `-0.75`}, []string{`-1.6`, `-0.4`, `-0`, `0`, `1`}},
		{`{"type":"number"}`, []string{`0`, `-0.5`, `1e5`, `1.25E-3`}, []string{`1.`, `.5`, `+1`, `1e`, `01`, `1e555`}},
		{`{"type":["string","null"]}`, []string{`"a"`, `null`}, []string{`1`}},
		{`{"anyOf":[{"type":"object","properties":{"k":{"const":"a"},"v":{"type":"integer"}},"required":["k","v"]},{"type":"object","properties":{"k":{"const":"ab"}},"required":["k"]}]}`,
			[]string{`{"k":"a","v":1}`, `{"k":"ab"}`}, []string{`{"k":"a"}`, `{"k":"ab","v":1}`}},
		{`{"$ref":"#/$defs/node","$defs":{"node":{"type":"object","properties":{"v":{"type":"integer"},"next":{"anyOf":[{"$ref":"#/$defs/node"},{"type":"null"}]}},"required":["v","next"]}}}`,
			[]string{`{"v":1,"next":null}`, `{"v":1,"next":{"v":2,"next":null}}`}, []string{`{"v":1}`, `{"v":1,"next":{}}`}},
		{`{"type":"array","items":{"$ref":"#"}}`, []string{`[]`, `[[],[[]]]`}, []string{`[1]`}},
		{`{"properties":{"a/b~c":{"$ref":"#/properties/d"},"d":{"type":"null"}}}`, []string{`{"a/b~c":null}`}, []string{`{"a/b~c":1}`}},
		{`{"allOf":[{"type":"null"}],"description":"x"}`, []string{`null`}, []string{`1`}},
		{`true`, []string{`{"a":[1,"b"]}`, `1`, `"x"`}, []string{`x`}},
	} {
		g, valid := compile(t, test.schema)
		for _, text := range test.yes {
			if !accepts(g, text) {
				t.Errorf("%s does not take %s", test.schema, text)
			}
			var v any
			if err := json.Unmarshal([]byte(text), &v); err != nil || valid.Validate(v) != nil {
				t.Errorf("the test is wrong: %s is not valid for %s: %v", text, test.schema, valid.Validate(v))
			}
		}
		for _, text := range test.no {
			if accepts(g, text) {
				t.Errorf("%s takes %s", test.schema, text)
			}
		}
	}
}

func TestRefusals(t *testing.T) {
	for _, test := range []struct{ schema, path, problem string }{
		{``, "#", "not valid JSON"},
		{`{"type":"object"`, "#", "not valid JSON"},
		{`{} {}`, "#", "more than one"},
		{`{"type":"object","type":"array"}`, "#", "twice"},
		{`5`, "#", "not a number"},
		{`{"type":"object","properties":{"a":{"oneOf":[]}}}`, "#/properties/a", `"oneOf" is not supported; use anyOf`},
		{`{"type":"object","patternProperties":{}}`, "#", "patternProperties"},
		{`{"type":"object","properties":{"a":{"type":"array","items":{"not":{}}}}}`, "#/properties/a/items", `"not"`},
		{`{"type":"array","uniqueItems":true}`, "#", "uniqueItems"},
		{`{"type":"number","multipleOf":2}`, "#", "multipleOf"},
		{`{"type":"text"}`, "#/type", "must be object"},
		{`{"type":[]}`, "#/type", "must be object"},
		{`{"type":"object","required":["a"],"additionalProperties":false}`, "#/required", `"a" is not one`},
		{`{"type":"object","properties":{"b":{}},"required":["a"]}`, "#/required", `"a" is not one`},
		{`{"type":"object","properties":[]}`, "#/properties", "an object"},
		{`{"type":"string","minLength":-1}`, "#/minLength", "between 0"},
		{`{"type":"string","maxLength":1e3}`, "#/maxLength", "integer"},
		{`{"type":"string","maxLength":1000000}`, "#/maxLength", "between 0"},
		{`{"type":"string","pattern":"(?=a)"}`, "#/pattern", "not supported"},
		{`{"type":"string","pattern":"a^b"}`, "#/pattern", "in the middle"},
		{`{"type":"string","pattern":"a\\b"}`, "#/pattern", "in the middle"},
		{`{"type":"string","pattern":"a","maxLength":3}`, "#", `"maxLength" is not supported beside "pattern"`},
		{`{"type":"string","format":"iri"}`, "#/format", "supported are date"},
		{`{"type":"string","enum":["a"],"minLength":3}`, "#", `"minLength" is not supported beside "enum"`},
		{`{"type":"integer","enum":["a"]}`, "#", "none of its values"},
		{`{"enum":[]}`, "#/enum", "not empty"},
		{`{"anyOf":[{"type":"null"}],"minimum":3}`, "#", "beside"},
		{`{"anyOf":[]}`, "#/anyOf", "not empty"},
		{`{"allOf":[{},{}]}`, "#", "one schema"},
		{`{"$ref":"#/$defs/a"}`, "#/$ref", "points at nothing"},
		{`{"$ref":"http://example.org/a"}`, "#/$ref", "does not point into"},
		{`{"$ref":"#/$defs/a","$defs":{"a":{"$ref":"#/$defs/b"},"b":{"$ref":"#/$defs/a"}}}`, "#/$defs/", "circle"},
		{`{"type":"object","properties":{"a":{"$ref":"#"}},"required":["a"]}`, "#", "no finite value"},
		{`{"type":"integer","minimum":3,"maximum":2}`, "#", "no finite value"},
		{`{"type":"integer","minimum":1e30}`, "#/minimum", "must lie"},
		{`{"type":"number","minimum":"a"}`, "#/minimum", "a number"},
		{`{"minimum":1,"maxLength":3}`, "#", `"type" is missing`},
		{`false`, "#", "no finite value"},
		{`{"type":"array","items":{"type":"array","items":{"type":"string","maxLength":30000},"maxItems":30000},"minItems":30000,"prefixItems":[]}`, "#", "prefixItems"},
		{`{"type":"object","properties":{"a":{"type":"string","maxLength":32000},"b":{"type":"string","maxLength":32000},"c":{"type":"string","maxLength":32000},"d":{"type":"string","maxLength":32000},"e":{"type":"string","maxLength":32000}}}`, "#", "too large"},
		{strings.Repeat(`{"items":`, 200) + `{}` + strings.Repeat(`}`, 200), "#", "nests deeper"},
	} {
		_, err := Schema([]byte(test.schema))
		e, ok := err.(*SchemaError)
		if !ok || !strings.HasPrefix(e.Path, test.path) || !strings.Contains(e.Problem, test.problem) {
			t.Errorf("%.100s: %v; want %s: … %s", test.schema, err, test.path, test.problem)
		}
	}
}

// write lets a model that knows nothing write a text: every token is drawn
// from those that are allowed, until the text has to end, or at random once it
// may.
func write(t testing.TB, a *Automaton, r *rand.Rand, left int) (text string, whole bool) {
	t.Helper()
	m := a.Matcher()
	var out strings.Builder
	for ; left > 0 && !m.Done(left); left-- {
		if m.Ends() && r.IntN(3) == 0 {
			break
		}
		mask := allowed(t, m, left)
		if mask.Count() == 0 {
			t.Fatalf("nothing may follow %q with %d left, the state needs %d", out.String(), left, m.state.need)
		}
		id := int32(r.IntN(a.vocabulary.size))
		for !mask.Has(id) {
			id = int32(r.IntN(a.vocabulary.size))
		}
		piece, ok := m.Accept(id)
		if !ok {
			t.Fatalf("token %d is allowed after %q and not accepted", id, out.String())
		}
		out.WriteString(piece)
	}
	return out.String(), m.Ends()
}

func allowed(t testing.TB, m *Matcher, left int) Mask {
	t.Helper()
	mask, err := m.Allowed(left)
	if err != nil {
		t.Fatal(err)
	}
	return mask
}

// A grammar that leaves too much open ends the text and not the server.
func TestTooComplex(t *testing.T) {
	g, err := Schema([]byte(`{"type":"string","pattern":"^(\\w?){1000}(\\w?){1000}(\\w?){1000}(\\w?){1000}$"}`))
	if err != nil {
		t.Fatal(err)
	}
	m := NewAutomaton(g, letters()).Matcher()
	start := time.Now()
	for err == nil && !m.Done(300) {
		var mask Mask
		if mask, err = m.Allowed(300); err == nil {
			for id := int32(255); ; id-- {
				if mask.Has(id) {
					m.Accept(id)
					break
				}
			}
		}
	}
	if !errors.Is(err, ErrTooComplex) || time.Since(start) > 20*time.Second {
		t.Errorf("%v after %s", err, time.Since(start))
	}
}

// check holds a text against JSON and its schema.
func check(t testing.TB, schema string, v *jsonschema.Schema, text string) {
	t.Helper()
	var value any
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		t.Fatalf("%s: %v in %q", schema, err, text)
	}
	exact, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if err := v.Validate(exact); err != nil {
		t.Fatalf("%s: %q: %v", schema, text, err)
	}
}

// TestRandomSchemas writes texts at random for random schemas, with more room
// and less: what is written whole is valid, and it is whole whenever the room
// was enough.
func TestRandomSchemas(t *testing.T) {
	vocabulary := letters()
	schemas := 400
	if testing.Short() {
		schemas = 50
	}
	for seed := range uint64(schemas) {
		r := rand.New(rand.NewPCG(seed, 1))
		schema := randomSchema(r)
		g, valid := compile(t, schema)
		a := NewAutomaton(g, vocabulary)
		shortest, ok := a.Shortest()
		if !ok {
			t.Fatalf("%s: not writable", schema)
		}
		for _, room := range []int{shortest, shortest + 1, shortest + r.IntN(20), 2*shortest + r.IntN(200)} {
			text, whole := write(t, a, r, room)
			if !whole {
				t.Fatalf("%s: %d tokens were enough, and the text is %q", schema, room, text)
			}
			check(t, schema, valid, text)
		}
		if shortest > 1 {
			if text, whole := write(t, a, r, shortest/2); whole {
				check(t, schema, valid, text) // fewer tokens may do than are counted on
			}
		}
	}
}

// randomSchema makes a schema with definitions that may refer to themselves.
func randomSchema(r *rand.Rand) string {
	defs := map[string]any{}
	for _, name := range []string{"x", "y"} {
		defs[name] = map[string]any{"anyOf": []any{randomPart(r, 2), map[string]any{"type": "null"}}}
	}
	root := randomPart(r, 3)
	root["$defs"] = defs
	if _, ok := root["$ref"]; ok {
		root = map[string]any{"type": "array", "items": map[string]any{"$ref": "#/$defs/x"}, "$defs": defs}
	}
	b, err := json.Marshal(root)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func randomPart(r *rand.Rand, depth int) map[string]any {
	if depth == 0 {
		return randomLeaf(r)
	}
	switch r.IntN(7) {
	case 0, 1, 2:
		properties, required := map[string]any{}, []any{}
		for range r.IntN(5) {
			name := []string{"name", "a", "ab", "年", `q"t`, "x y", "aé"}[r.IntN(7)]
			properties[name] = randomPart(r, depth-1)
			if r.IntN(2) == 0 && !slices.Contains(required, any(name)) {
				required = append(required, name)
			}
		}
		o := map[string]any{"type": "object", "properties": properties, "required": required}
		if r.IntN(3) == 0 {
			o["additionalProperties"] = randomPart(r, depth-1)
		}
		return o
	case 3:
		a := map[string]any{"type": "array", "items": randomPart(r, depth-1)}
		if r.IntN(2) == 0 {
			a["minItems"] = r.IntN(3)
			a["maxItems"] = 2 + r.IntN(3)
		}
		return a
	case 4:
		return map[string]any{"anyOf": []any{randomPart(r, depth-1), randomPart(r, depth-1)}}
	case 5:
		return map[string]any{"$ref": "#/$defs/" + []string{"x", "y"}[r.IntN(2)]}
	}
	return randomLeaf(r)
}

func randomLeaf(r *rand.Rand) map[string]any {
	low := r.IntN(2000) - 1000
	fine := func() float64 { return float64(r.IntN(4000)-2000) / []float64{1, 10, 100, 8}[r.IntN(4)] }
	switch r.IntN(11) {
	case 0:
		return map[string]any{"type": "string"}
	case 1:
		n := r.IntN(6)
		return map[string]any{"type": "string", "minLength": n, "maxLength": n + r.IntN(30)}
	case 2:
		return map[string]any{"type": "string", "pattern": []string{`^[a-z]{2,5}-\d+$`, `b`, `^é?[^"x]*$`, `\d\s\S$`, `^(foo|bar[0-9]|\\n"){1,3}$`, `^\p{Han}+.?$`}[r.IntN(6)]}
	case 3:
		names := []string{"date", "time", "date-time", "duration", "email", "hostname", "ipv4", "ipv6", "uuid", "uri"}
		return map[string]any{"type": "string", "format": names[r.IntN(len(names))]}
	case 4:
		return map[string]any{"enum": []any{"red", "reddish", 1, 12, nil, []any{1, "a"}, map[string]any{"k": "v"}, -0.5}[r.IntN(4):]}
	case 5:
		return map[string]any{"type": "integer", "minimum": low, "maximum": low + r.IntN(2000)}
	case 6:
		return map[string]any{"type": []string{"integer", "number", "boolean", "null"}[r.IntN(4)]}
	case 7:
		return map[string]any{"type": []any{"integer", "null", "string"}, []string{"minimum", "exclusiveMaximum"}[r.IntN(2)]: fine()}
	case 8:
		x := fine()
		return map[string]any{"type": "number", []string{"minimum", "exclusiveMinimum"}[r.IntN(2)]: x, []string{"maximum", "exclusiveMaximum"}[r.IntN(2)]: x + float64(1+r.IntN(300))/16}
	case 9:
		return map[string]any{"const": []any{"same", 7, false}[r.IntN(3)]}
	}
	return map[string]any{}
}

// TestMasksAreExact compares what Allowed says of each token with what becomes
// of its bytes, at many places of many texts.
func TestMasksAreExact(t *testing.T) {
	v := letters()
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 2))
		g, err := Schema([]byte(randomSchema(r)))
		if err != nil {
			t.Fatal(err)
		}
		a := NewAutomaton(g, v)
		m := a.Matcher()
		for left := 10 + r.IntN(60); left > 0 && !m.Done(left); left-- {
			mask := slices.Clone(allowed(t, m, left))
			var may []int32
			for id := range int32(v.size) {
				s := dead
				if token, ok := v.tokens[id]; ok {
					s = a.follow(m.state, token.Text)
				}
				if want := s != dead && s.need <= m.limit; want != mask.Has(id) {
					t.Fatalf("seed %d: token %q: %t, want %t", seed, v.tokens[id].Text, mask.Has(id), want)
				} else if want {
					may = append(may, id)
				}
			}
			if _, ok := m.Accept(may[r.IntN(len(may))]); !ok {
				t.Fatal("not accepted")
			}
		}
	}
}

// What an automaton has forgotten it finds again, also in the middle of replies.
func TestForgetting(t *testing.T) {
	g, valid := compile(t, `{"type":"object","properties":{"a":{"type":"array","items":{"type":"string","maxLength":40}}},"required":["a"],"additionalProperties":{}}`)
	a := NewAutomaton(g, letters())
	const enough = 20
	var forgotten atomic.Int64
	var writers, forgetter sync.WaitGroup
	texts := make([][]string, 4)
	for n := range texts {
		writers.Go(func() {
			r := rand.New(rand.NewPCG(uint64(n), 3))
			for len(texts[n]) == 0 || forgotten.Load() < enough {
				text, _ := write(t, a, r, 300)
				texts[n] = append(texts[n], text)
			}
		})
	}
	stop := make(chan struct{})
	forgetter.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				runtime.Gosched()
				a.mu.Lock()
				a.renew()
				a.mu.Unlock()
				forgotten.Add(1)
			}
		}
	})
	writers.Wait()
	close(stop)
	forgetter.Wait()
	for _, text := range slices.Concat(texts...) {
		check(t, "", valid, text)
	}
	if a.era < enough {
		t.Errorf("the automaton has forgotten %d times", a.era)
	}
}

// A vocabulary of words writes JSON without spaces where there must be none,
// and what it has no words for is refused.
func TestWords(t *testing.T) {
	var tokens []Token
	for i, s := range strings.Fields(`{ } [ ] " : , name age hello world . 1 2 true false null 你 好`) {
		tokens = append(tokens, Token{ID: int32(i), Text: s, Spaced: true})
	}
	for _, s := range []string{"s", "ing", "3"} {
		tokens = append(tokens, Token{ID: int32(len(tokens)), Text: s})
	}
	v := NewVocabulary(len(tokens), tokens)
	schema := `{"type":"object","properties":{"name":{"type":"string"},"age":{"type":"integer"}},"required":["name","age"]}`
	g, valid := compile(t, schema)
	a := NewAutomaton(g, v)
	m := a.Matcher()
	text := ""
	for word := range strings.FieldsSeq(`{ " name " : " hello world . 你 好 hello " , " age " : 1 3 }`) {
		i := slices.IndexFunc(tokens, func(t Token) bool { return t.Text == word })
		allowed(t, m, 100)
		piece, ok := m.Accept(int32(i))
		if !ok {
			t.Fatalf("%q is not accepted after %q", word, text)
		}
		text += piece
	}
	if want := `{"name":"hello world.你好hello","age": 13}`; text != want {
		t.Errorf("wrote %s, want %s", text, want)
	}
	for seed := range uint64(50) {
		text, whole := write(t, a, rand.New(rand.NewPCG(seed, 4)), 20)
		if !whole {
			t.Fatalf("cut: %q", text)
		}
		check(t, schema, valid, text)
	}
	g, _ = compile(t, `{"enum":["Name"]}`)
	if n, ok := NewAutomaton(g, v).Shortest(); ok {
		t.Errorf("it can be written in %d tokens", n)
	}
	// Where one of two can be written, the other is never begun.
	g, _ = compile(t, `{"enum":["nameX","names","nam"]}`)
	for seed := range uint64(20) {
		if text, _ := write(t, NewAutomaton(g, v), rand.New(rand.NewPCG(seed, 5)), 9); text != `"names"` {
			t.Errorf("wrote %s", text)
		}
	}
}

func TestKeys(t *testing.T) {
	a, err := Schema([]byte(`{"type": "object" , "properties":{"b":{}, "a":{}}}`))
	if err != nil {
		t.Fatal(err)
	}
	b, _ := Schema([]byte(`{"type":"object","properties":{"b":{},"a":{}}}`))
	c, _ := Schema([]byte(`{"type":"object","properties":{"a":{},"b":{}}}`))
	if a.Key() != b.Key() || a.Key() == c.Key() {
		t.Error("keys do not tell what is the same")
	}
}

func FuzzSchema(f *testing.F) {
	for seed := range uint64(30) {
		f.Add([]byte(randomSchema(rand.New(rand.NewPCG(seed, 1)))))
	}
	f.Add([]byte(`{"type":"string","pattern":"^(a|b*){3}[^c]$"}`))
	f.Add([]byte(`{"$ref":"#/$defs/a","$defs":{"a":{"anyOf":[{"$ref":"#/$defs/a"},{"type":"null"}]}}}`))
	v := letters()
	f.Fuzz(func(t *testing.T, schema []byte) {
		g, err := Schema(schema)
		if err != nil {
			if _, ok := err.(*SchemaError); !ok {
				t.Fatalf("an error of another kind: %v", err)
			}
			return
		}
		a := NewAutomaton(g, v)
		shortest, ok := a.Shortest()
		if !ok {
			t.Fatal("bytes can write everything")
		}
		if shortest > 2000 {
			return
		}
		text, whole := write(t, a, rand.New(rand.NewPCG(1, 2)), shortest+50)
		if !whole || !json.Valid([]byte(text)) {
			t.Fatalf("%s wrote %q", schema, text)
		}
	})
}

func ExampleSchema() {
	g, err := Schema([]byte(`{"type": "object", "properties": {"sky": {"enum": ["blue"]}}, "required": ["sky"]}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	v := NewVocabulary(6, []Token{{0, `{"`, false}, {1, `sky":`, false}, {2, `"blue`, false}, {3, `"`, false}, {4, `}`, false}, {5, `"}`, false}})
	m := NewAutomaton(g, v).Matcher()
	for left := 10; !m.Done(left); left-- {
		for id := range int32(6) {
			if mask, _ := m.Allowed(left); mask.Has(id) {
				text, _ := m.Accept(id)
				fmt.Print(text)
				break
			}
		}
	}
	// Output: {"sky":"blue"}
}
