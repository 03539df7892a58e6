package corpora

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"causerie/models/dialogue"
)

// preferenceLine is a line of FormatPreferences.
func preferenceLine(prompt, preferred, rejected string) string {
	quote := func(s string) string {
		text, err := json.Marshal(s)
		if err != nil {
			panic(err) // of a string, which cannot be
		}
		return string(text)
	}
	return fmt.Sprintf(`{"input":{"messages":[{"role":"user","content":%s}]},"preferred_output":[{"role":"assistant","content":%s}],"non_preferred_output":[{"role":"assistant","content":%s}]}`,
		quote(prompt), quote(preferred), quote(rejected)) + "\n"
}

// preference is a pair of replies to a dialogue of talk.
func preference(preferred, rejected string, prompt ...string) Dialogue {
	d := talk(prompt...)
	d.Turns = append(d.Turns, dialogue.Assistant(preferred))
	d.Rejected = rejected
	return d
}

func TestPreferences(t *testing.T) {
	content := `{"id":"p","lang":"en","input":{"messages":[{"role":"developer","content":"Be short."},{"role":"user","content":[{"type":"text","text":"Hi!"}]}],` +
		`"tools":[],"parallel_tool_calls":true},"preferred_output":[{"role":"assistant","content":"Hi."}],"non_preferred_output":[{"role":"assistant","content":"Well, hello you!"}]}
` + preferenceLine("你好", "您好。", "嗨")
	want := []Dialogue{
		{ID: "p", Lang: "en", Turns: []dialogue.Turn{dialogue.System("Be short."), dialogue.User("Hi!"), dialogue.Assistant("Hi.")}, Rejected: "Well, hello you!"},
		{ID: "x.txt:2", Turns: []dialogue.Turn{dialogue.User("你好"), dialogue.Assistant("您好。")}, Rejected: "嗨"},
	}
	// The keys tell the format, whatever the file is called.
	r, got, bad := readString(t, "x.txt", content, Options{})
	if d := cmp.Diff(want, got); d != "" || len(bad) > 0 || r.Format() != FormatPreferences {
		t.Errorf("format %s, bad lines %q, dialogues (-want +got):\n%s", r.Format(), bad, d)
	}
}

func TestBadPreferences(t *testing.T) {
	good := preferenceLine("a", "b", "c")
	with := func(input, preferred, rejected string) string {
		return fmt.Sprintf(`{"input":%s,"preferred_output":%s,"non_preferred_output":%s}`, input, preferred, rejected)
	}
	input, b, c := `{"messages":[{"role":"user","content":"a"}]}`, `[{"role":"assistant","content":"b"}]`, `[{"role":"assistant","content":"c"}]`
	for _, tt := range []struct{ line, reason string }{
		{`{"messages":[{"role":"assistant","content":"b"}]}`, `key "input" is missing: a preference is {"input": {"messages": […]}, "preferred_output": […], "non_preferred_output": […]}`},
		{with(`"a"`, b, c), `key "input": a string where an object is expected`},
		{with(`{}`, b, c), `key "input.messages" is missing or empty`},
		{with(`{"messages":[{"role":"user","content":"a"}],"tools":[{"type":"function"}]}`, b, c), `input.tools: tools are not supported`},
		{with(`{"messages":[{"role":"user","content":"a"}],"parallel_tool_calls":1}`, b, c), `key "input.parallel_tool_calls": a number where true or false is expected`},
		{with(`{"messages":[{"role":"user"}]}`, b, c), `input.messages[0]: key "content" is missing`},
		{with(`{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}`, b, c), `input.messages: the last one is of the role assistant; it must be the user's, to whom the outputs reply`},
		{with(input, `[]`, c), `key "preferred_output" is missing or empty`},
		{with(input, b, `null`), `key "non_preferred_output" is missing or empty`},
		{with(input, `[{"role":"assistant","content":"b"},{"role":"assistant","content":"d"}]`, c), `preferred_output: 2 messages where one is expected`},
		{with(input, b, `[{"role":"user","content":"c"}]`), `non_preferred_output[0]: the role is user, not assistant`},
		{with(input, b, `[{"role":"assistant","content":" "}]`), `non_preferred_output[0]: key "content" is empty`},
		{with(input, `[{"role":"assistant","content":"b","weight":0}]`, c), `preferred_output[0]: key "weight": an output counts whole or is left out`},
		{with(input, `[{"role":"assistant","tool_calls":[{}]}]`, c), `preferred_output[0]: calls of tools are not supported`},
		{with(input, b, b), `preferred_output and non_preferred_output are the same, so there is nothing to learn`},
		{with(input, b, `[{"role":"assistant","content":"\ud800"}]`), `the reply that is not preferred: a \u escape is half a surrogate pair, which is not Unicode`},
		{`{"id":{},"input":{}}`, `key "id": neither a string nor a number`},
	} {
		_, dialogues, bad := readString(t, "x.jsonl", good+tt.line+"\n"+good, Options{Format: FormatPreferences})
		if d := cmp.Diff([]string{"x.jsonl:2: " + tt.reason}, bad); d != "" || len(dialogues) != 2 {
			t.Errorf("%s: %d dialogues, bad lines (-want +got):\n%s", tt.line, len(dialogues), d)
		}
	}
}

// checkPair holds what is true of every pair of examples: both begin with the
// same prompt, and the reply counts and nothing else.
func checkPair(t *testing.T, tok byteTokenizer, tpl dialogue.Template, o EncodeOptions, pair []Example) {
	t.Helper()
	if len(pair) != 2 {
		t.Fatalf("%d examples are no pair", len(pair))
	}
	var first [2]int
	for i, e := range pair {
		checkExample(t, tok, tpl, o, e)
		first[i] = slices.IndexFunc(e.Weights, func(w float32) bool { return w != 0 })
		// Only the end of a reply that was cut does not count.
		for _, w := range e.Weights[first[i] : len(e.Weights)-1] {
			if w != 1 {
				t.Errorf("weights %v: the reply does not count whole", e.Weights)
			}
		}
	}
	if first[0] != first[1] || !slices.Equal(pair[0].Tokens[:first[0]+1], pair[1].Tokens[:first[1]+1]) {
		t.Errorf("the prompts differ: %d, %d", pair[0].Tokens[:first[0]+1], pair[1].Tokens[:first[1]+1])
	}
	if slices.Equal(pair[0].Targets, pair[1].Targets) {
		t.Error("the replies do not differ")
	}
}

func TestEncodePreferences(t *testing.T) {
	tpl := dialogue.ForTokenizer(markerTokens)
	d := preference("yes", "no way", "hi", "hello", "sure?")
	d.Turns = append([]dialogue.Turn{dialogue.System("be kind")}, d.Turns...)
	spell := func(e Example) string {
		var b []byte
		for i, id := range append(slices.Clone(e.Tokens), e.Targets[len(e.Targets)-1]) {
			if i > 0 && e.Weights[i-1] != 0 {
				b = append(b, '*')
			}
			b = markerTokens.AppendToken(b, id)
		}
		return string(b)
	}
	for _, tt := range []struct {
		context    int
		yes, no    string
		system     string
		cut, pairs int
	}{
		{context: 0, yes: "<|system|>be kind<|end|><|user|>hi<|end|><|assistant|>hello<|end|><|user|>sure?<|end|><|assistant|>*y*e*s*<|end|>",
			no: "<|system|>be kind<|end|><|user|>hi<|end|><|assistant|>hello<|end|><|user|>sure?<|end|><|assistant|>*n*o* *w*a*y*<|end|>", pairs: 1},
		// The oldest exchange goes first.
		{context: 25, yes: "<|system|>be kind<|end|><|user|>sure?<|end|><|assistant|>*y*e*s*<|end|>",
			no: "<|system|>be kind<|end|><|user|>sure?<|end|><|assistant|>*n*o* *w*a*y*<|end|>", pairs: 1},
		// Then replies are shortened, and their ends do not count.
		{context: 18, yes: "<|system|>be kind<|end|><|user|>s<|end|><|assistant|>*y*e*s*<|end|>",
			no: "<|system|>be kind<|end|><|user|>s<|end|><|assistant|>*n*o* *w*a<|end|>", cut: 1, pairs: 1},
		{context: 3},
	} {
		o := EncodeOptions{Context: tt.context, Preferences: true}
		pair := Encode(markerTokens, tpl, d, o)
		if len(pair) != 2*tt.pairs {
			t.Errorf("context %d: %d examples", tt.context, len(pair))
			continue
		}
		if tt.pairs == 0 {
			continue
		}
		checkPair(t, markerTokens, tpl, o, pair)
		if yes, no := spell(pair[0]), spell(pair[1]); yes != tt.yes || no != tt.no {
			t.Errorf("context %d:\n%s\n%s\nwant\n%s\n%s", tt.context, yes, no, tt.yes, tt.no)
		}
	}
	// Replies that are the same as far as they have room are no pair.
	if pair := Encode(markerTokens, tpl, preference(strings.Repeat("a", 99)+"b", strings.Repeat("a", 99)+"c", "hi"), EncodeOptions{Context: 30, Preferences: true}); len(pair) != 0 {
		t.Errorf("%d examples of equal replies", len(pair))
	}
}

// preferenceFile has n preferences of different lengths.
func preferenceFile(t testing.TB, letter string, n int) string {
	t.Helper()
	var b strings.Builder
	for i := range n {
		b.WriteString(preferenceLine(fmt.Sprintf("%s%d", letter, i), strings.Repeat("x", i%17+1), strings.Repeat("y", i%5+1)))
	}
	return writeFile(t, letter+".jsonl", []byte(b.String()))
}

// TestPreferenceBatches: pairs stay together wherever they are put, and Index
// says which they are.
func TestPreferenceBatches(t *testing.T) {
	o := LoadOptions{Encode: EncodeOptions{Context: 64, Preferences: true}}
	d := load(t, o, Source{Path: preferenceFile(t, "a", 30)}, Source{Path: preferenceFile(t, "b", 11), Weight: 3})
	if total := d.Total(); total.Dialogues != 41 || total.Examples != 82 {
		t.Fatalf("%+v", total)
	}
	var all []Example
	for b := range d.Batches(100) {
		for i, e := range b.Examples {
			if b.Index[i] != len(all) {
				t.Errorf("example %d has index %d", len(all), b.Index[i])
			}
			all = append(all, e)
		}
		if len(b.Examples)%2 != 0 {
			t.Errorf("a batch of %d examples", len(b.Examples))
		}
	}
	if _, err := d.Stream(d.Longest()-1, 3); err == nil || !strings.Contains(err.Error(), "pair of examples") {
		t.Errorf("a budget smaller than the longest pair: %v", err)
	}
	s, err := d.Stream(max(100, d.Longest()), 3)
	if err != nil {
		t.Fatal(err)
	}
	drawn := map[int]int{}
	for range 200 {
		b := s.Next()
		checkBatch(t, b, 100)
		for i := 0; i < len(b.Examples); i += 2 {
			at := b.Index[i]
			if at%2 != 0 || b.Index[i+1] != at+1 {
				t.Fatalf("examples %d and %d are no pair", at, b.Index[i+1])
			}
			if diff := cmp.Diff(all[at:at+2], b.Examples[i:i+2]); diff != "" {
				t.Fatal(diff)
			}
			drawn[at]++
		}
	}
	var first, second float64
	for at, n := range drawn {
		if at < 60 {
			first += float64(n) / 30
		} else {
			second += float64(n) / 11
		}
	}
	if len(drawn) != 41 || second/first < 2.5 || second/first > 3.5 {
		t.Errorf("%d pairs drawn, the second file %.2f times as often", len(drawn), second/first)
	}
	// A dialogue that is no preference cannot be one of a pair.
	if _, err := Load(t.Context(), markerTokens, dialogue.ForTokenizer(markerTokens), []Source{{Path: corpusFile(t, "c", 3)}}, o); err == nil || !strings.Contains(err.Error(), "no preference") {
		t.Errorf("dialogues as preferences: %v", err)
	}
}

func TestValidatePreferences(t *testing.T) {
	lines := preferenceLine("hi", "yes", "no") + preferenceLine("hi", "no", "yes") + preferenceLine("hi", "yes", "no") +
		preferenceLine(strings.Repeat("long ", 9), "yes", "no") + preferenceLine("same", "yes", "yes")
	train := writeFile(t, "train.jsonl", []byte(lines))
	valid := writeFile(t, "valid.jsonl", []byte(preferenceLine("hi", "no", "yes")+preferenceLine("new", "yes", "no")))
	o := validateOptions(LossReplies, 30)
	o.Encode.Preferences, o.Read.Format = true, FormatPreferences
	f, err := Validate(t.Context(), []Source{{Path: train}}, []string{valid}, o)
	if err != nil {
		t.Fatal(err)
	}
	got := f.Train[0]
	want := FileFindings{
		FileReport: got.FileReport, Weight: 1, Examples: 8, Preferences: 4, Rows: got.Rows, Learnt: 4 * (4 + 3), LongestRow: got.LongestRow,
		TooLong: Lines{1, []int{4}}, Duplicated: Lines{1, []int{3}}, Reversed: Lines{2, []int{2, 3}},
	}
	if d := cmp.Diff(want, got); d != "" || got.Skipped != 1 {
		t.Errorf("%d bad lines, findings (-want +got):\n%s", got.Skipped, d)
	}
	if overlap := f.Valid[0].Overlap; overlap.Count != 1 {
		t.Errorf("overlap %+v", overlap)
	}
	var text bytes.Buffer
	if err := f.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"4 preferences", "contradicting an earlier line, which prefers the other reply: lines 2, 3", "without the oldest turns"} {
		if !strings.Contains(text.String(), part) {
			t.Errorf("%q is not in\n%s", part, text.String())
		}
	}
	d := load(t, LoadOptions{Read: Options{SkipBad: true}, Encode: o.Encode}, Source{Path: train})
	if total := d.Total(); total.Tokens != got.Rows || total.Learnt != got.Learnt || total.Examples != got.Examples {
		t.Errorf("loaded %+v, found %+v", total, got)
	}
}

// TestHoldOutPreferences: all replies to a prompt are on one side.
func TestHoldOutPreferences(t *testing.T) {
	var b strings.Builder
	for i := range 60 {
		b.WriteString(preferenceLine(fmt.Sprint("question ", i/3), fmt.Sprint("good ", i), "bad"))
	}
	path := writeFile(t, "p.jsonl", []byte(b.String()))
	h, err := ChooseHoldOut(t.Context(), []string{path}, Options{}, 0.25, 1)
	if err != nil {
		t.Fatal(err)
	}
	held := map[string]int{}
	if err := eachDialogue(t.Context(), path, Options{}, func(d Dialogue) {
		if h.Held(d) {
			held[d.Turns[0].Text]++
		}
	}); err != nil {
		t.Fatal(err)
	}
	for prompt, n := range held {
		if n != 3 {
			t.Errorf("%d of 3 replies to %q are held out", n, prompt)
		}
	}
	if len(held) != 5 {
		t.Errorf("%d prompts of 20 are held out", len(held))
	}
}

// TestExampleOfPreferences reads the example that comes with the program.
func TestExampleOfPreferences(t *testing.T) {
	const path = "starter:examples/manners.jsonl"
	langs := map[string]int{}
	if err := eachDialogue(t.Context(), path, Options{}, func(d Dialogue) {
		langs[d.Lang]++
		if better := d.Turns[1].Text; len(better) > 70 {
			t.Errorf("%s: %q is not short", d.ID, better)
		}
	}); err != nil {
		t.Fatal(err)
	}
	if langs["en"] != langs["zh"] || langs["en"] < 100 {
		t.Errorf("dialogues: %v", langs)
	}
	o := validateOptions(LossReplies, 0)
	o.Encode.Preferences = true
	f, err := Validate(t.Context(), []Source{{Path: path}}, nil, o)
	if err != nil {
		t.Fatal(err)
	}
	if got := f.Train[0]; got.Format != FormatPreferences || got.Duplicated.Count+got.Reversed.Count > 0 || f.Err(false) != nil {
		t.Errorf("%+v, %v", got, f.Err(false))
	}
}

func FuzzPreferences(f *testing.F) {
	f.Add([]byte(preferenceLine("你好", "您好", "hi")))
	f.Add([]byte(`{"input":{"messages":[{"role":"user","content":[{"type":"text","text":"a"}]}],"tools":null},"preferred_output":[{"role":"assistant","content":"b","weight":1}],"non_preferred_output":[{}]}`))
	f.Add([]byte(`{"input":[],"preferred_output":{}}` + "\n{}\n[]\n\xff"))
	f.Fuzz(func(t *testing.T, data []byte) {
		o := Options{Format: FormatPreferences}
		checkReading(t, "fuzz", data, o)
		o.MaxLine = 1 << 16
		r, err := NewReader("fuzz", bytes.NewReader(data), o)
		if err != nil {
			return
		}
		dialogues, _, _ := readAll(r)
		for _, d := range dialogues {
			last := d.Turns[len(d.Turns)-1]
			if d.Rejected == "" || last.Role != dialogue.RoleAssistant || last.Text == d.Rejected || d.Turns[len(d.Turns)-2].Role != dialogue.RoleUser {
				t.Errorf("%+v is no preference", d)
			}
		}
	})
}

// FuzzEncodePreferences: any texts, in any window, give pairs that keep their promises.
func FuzzEncodePreferences(f *testing.F) {
	f.Add("hello", "你好", "no", 9, byte(0))
	f.Add("<|end|>", "🙂\xff", "🙂x", 3, byte(5))
	f.Add(strings.Repeat("long ", 99), "x", strings.Repeat("y", 80), 64, byte(8))
	f.Fuzz(func(t *testing.T, prompt, better, worse string, context int, kind byte) {
		o := EncodeOptions{Context: context % 600, Preferences: true}
		if o.Validate() != nil || better == worse || prompt == "" || better == "" || worse == "" {
			return
		}
		tok := []byteTokenizer{markerTokens, chitchatTokens, dialoGPTTokens, markerTokens}[kind&3]
		tpl := dialogue.ForTokenizer(tok)
		d := preference(better, worse, prompt, worse, prompt)
		if kind&8 != 0 {
			d.Turns = append([]dialogue.Turn{dialogue.System(better)}, d.Turns...)
		}
		if pair := Encode(tok, tpl, d, o); len(pair) > 0 {
			checkPair(t, tok, tpl, o, pair)
		} else if o.Context == 0 {
			t.Error("no pair")
		}
	})
}
