package corpora

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"causerie/models/dialogue"
)

// draw shows an example one target a line: what was read last, what comes next,
// its weight, and whether it is text that counts.
func draw(b *strings.Builder, tok Tokenizer, e Example) {
	fmt.Fprintf(b, "%d rows, %d bytes of text\n", len(e.Tokens), e.TextBytes)
	for i := range e.Tokens {
		kind := ""
		if e.Text[i] {
			kind = " text"
		}
		fmt.Fprintf(b, "  %q -> %q  %g%s\n", tok.AppendToken(nil, e.Tokens[i]), tok.AppendToken(nil, e.Targets[i]), e.Weights[i], kind)
	}
}

// TestEncodeGolden keeps the exact examples of small dialogues, for all
// templates, losses and kinds of cuts, in a file that is meant to be read.
func TestEncodeGolden(t *testing.T) {
	system := Dialogue{Turns: []dialogue.Turn{
		dialogue.System("Be."), dialogue.User("hi"), dialogue.Assistant("yo"), dialogue.User("ok"), dialogue.Assistant("ah"),
	}}
	weighted := talk("q", "bad", "r", "good")
	weighted.Turns[1].Weight = 0
	tests := []struct {
		name string
		tok  byteTokenizer
		d    Dialogue
		o    EncodeOptions
	}{
		{"markers, all", markerTokens, talk("hi", "yo"), EncodeOptions{}},
		{"markers, replies", markerTokens, talk("hi", "yo"), EncodeOptions{Loss: LossReplies}},
		{"chitchat, all", chitchatTokens, talk("hi", "yo"), EncodeOptions{}},
		{"chitchat, replies", chitchatTokens, talk("hi", "yo"), EncodeOptions{Loss: LossReplies}},
		{"DialoGPT, all: the first id is nobody's target", dialoGPTTokens, talk("hi", "yo"), EncodeOptions{}},
		{"DialoGPT, replies", dialoGPTTokens, talk("hi", "yo"), EncodeOptions{Loss: LossReplies}},
		{"a system turn is read, not learnt", markerTokens, system, EncodeOptions{}},
		{"windows repeat the system turn", markerTokens, system, EncodeOptions{Context: 14}},
		{"no place for system turns", dialoGPTTokens, system, EncodeOptions{}},
		{"a reply of weight 0", markerTokens, weighted, EncodeOptions{}},
		{"a reply of weight 0, replies", markerTokens, weighted, EncodeOptions{Loss: LossReplies}},
		{"two windows", markerTokens, talk("ab", "cd", "ef", "gh"), EncodeOptions{Context: 9}},
		{"the end of the dialogue has no room", markerTokens, talk("ab", "cd", "ef", "gh"), EncodeOptions{Context: 15}},
		{"an exchange of two windows", markerTokens, talk("abcdef", "ghij"), EncodeOptions{Context: 12}},
		{"an exchange of two windows, replies", markerTokens, talk("abcdef", "ghij"), EncodeOptions{Context: 12, Loss: LossReplies}},
		{"a long reply is cut", markerTokens, talk("ab", "cdefghij"), EncodeOptions{Context: 9}},
		{"a long question is cut, unlearnt", markerTokens, talk("abcdefgh", "ij"), EncodeOptions{Context: 9, Loss: LossReplies}},
		{"whole runes are cut", markerTokens, talk("你好吗", "很好"), EncodeOptions{Context: 13}},
		{"a single turn", markerTokens, talk("alone"), EncodeOptions{}},
		{"a single turn, replies: nothing to learn", markerTokens, talk("alone"), EncodeOptions{Loss: LossReplies}},
		{"names of markers are text", markerTokens, talk("<|end|>"), EncodeOptions{}},
	}
	var b strings.Builder
	for _, tt := range tests {
		fmt.Fprintf(&b, "== %s\n", tt.name)
		for _, e := range Encode(tt.tok, dialogue.ForTokenizer(tt.tok), tt.d, tt.o) {
			draw(&b, tt.tok, e)
		}
	}
	golden(t, "encode.golden", []byte(b.String()))
}

// randomDialogue has some system turns, some texts of several bytes a rune, and
// turns that need not alternate.
func randomDialogue(rng *rand.Rand) Dialogue {
	alphabet := []rune("ab 你好吗é🙂")
	d := Dialogue{ID: "random"}
	for i := range 1 + rng.IntN(8) {
		text := make([]rune, 1+rng.IntN(12))
		for j := range text {
			text[j] = alphabet[rng.IntN(len(alphabet))]
		}
		turn := dialogue.Turn{Role: dialogue.RoleUser, Text: string(text), Weight: 1}
		switch k := rng.IntN(10); {
		case k == 0, i == 0 && k < 3:
			turn.Role = dialogue.RoleSystem
		case k < 5:
			turn.Role = dialogue.RoleAssistant
		}
		if rng.IntN(8) == 0 {
			turn.Weight = 0
		}
		d.Turns = append(d.Turns, turn)
	}
	return d
}

func learntBytes(d Dialogue, loss Loss) (n int) {
	for _, turn := range d.Turns {
		if turn.Weight != 0 && (turn.Role == dialogue.RoleAssistant || turn.Role == dialogue.RoleUser && loss != LossReplies) {
			n += len(turn.Text)
		}
	}
	return n
}

// TestEncodeProperties holds what is true of every example of every dialogue.
func TestEncodeProperties(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		d := randomDialogue(rng)
		tok := []byteTokenizer{markerTokens, chitchatTokens, dialoGPTTokens}[rng.IntN(3)]
		o := EncodeOptions{Context: []int{0, 0, 1000, 100, 60, 20, 7, 3, 2}[rng.IntN(9)], Loss: []Loss{LossAll, LossReplies}[rng.IntN(2)]}
		tpl := dialogue.ForTokenizer(tok)
		examples := Encode(tok, tpl, d, o)
		text := 0
		for _, e := range examples {
			checkExample(t, tok, tpl, o, e)
			text += e.TextBytes
		}
		e := newEncoder(tok, tpl, o)
		e.encode(d, func(*window) {})
		want := learntBytes(d, o.Loss) - e.cutBytes
		// DialoGPT's spelling has no target for a window's first byte, and so
		// none at all for a window of a single byte.
		missing := 0
		if before, _ := tpl.Markers(dialogue.RoleUser); before+len(tpl.Begin(nil)) == 0 {
			missing = len(examples) + len(d.Turns)
		}
		if text > want || text < want-missing {
			t.Fatalf("%d bytes of text are learnt, want %d (%d cut): %+v %+v", text, want, e.cutBytes, d, o)
		}
		if t.Failed() {
			t.Fatalf("dialogue %+v, options %+v", d, o)
		}
	}
}

func checkExample(t *testing.T, tok byteTokenizer, tpl dialogue.Template, o EncodeOptions, e Example) {
	t.Helper()
	n := len(e.Tokens)
	if n == 0 || o.Context > 0 && n > o.Context || len(e.Targets) != n || len(e.Weights) != n || len(e.Text) != n {
		t.Errorf("%d tokens, %d targets, %d weights, %d marks", n, len(e.Targets), len(e.Weights), len(e.Text))
	}
	learnt, text := 0, 0
	for i := range e.Tokens {
		if i+1 < n && e.Targets[i] != e.Tokens[i+1] {
			t.Errorf("target %d is %d, the next token %d", i, e.Targets[i], e.Tokens[i+1])
		}
		if e.Text[i] && (e.Weights[i] == 0 || e.Targets[i] >= 256) {
			t.Errorf("target %d is marked as text", i)
		}
		if e.Text[i] {
			text++
		}
		if e.Weights[i] != 0 {
			learnt++
		}
	}
	if learnt == 0 {
		t.Error("an example to learn nothing from")
	}
	if text != e.TextBytes { // a byte is a token here
		t.Errorf("%d targets are text, TextBytes is %d", text, e.TextBytes)
	}
	if begin := tpl.Begin(nil); len(begin) > 0 && e.Tokens[0] != begin[0] {
		t.Errorf("the example begins with %d, dialogues with %d", e.Tokens[0], begin[0])
	}
}

// TestEncodeWindows: what does not have to be cut is learnt exactly once, in
// windows that begin with the user.
func TestEncodeWindows(t *testing.T) {
	var texts []string
	for i := range 40 {
		texts = append(texts, strings.Repeat(string(rune('a'+i%26)), 1+i*7%10))
	}
	tpl := dialogue.ForTokenizer(markerTokens)
	user, _ := markerTokens.SpecialID(dialogue.MarkerUser)
	for context := 26; context < 400; context += 13 {
		var b strings.Builder
		for _, e := range Encode(markerTokens, tpl, talk(texts...), EncodeOptions{Context: context}) {
			if e.Tokens[0] != user {
				t.Errorf("context %d: a window begins with %q", context, markerTokens.AppendToken(nil, e.Tokens[0]))
			}
			for i, target := range e.Targets {
				if e.Text[i] {
					b.WriteByte(byte(target))
				}
			}
		}
		if got, want := b.String(), strings.Join(texts, ""); got != want {
			t.Errorf("context %d: learnt %q, want %q", context, got, want)
		}
	}
}

// TestEncodeBegins: a window never begins with an answer.
func TestEncodeBegins(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	tpl := dialogue.ForTokenizer(markerTokens)
	user, _ := markerTokens.SpecialID(dialogue.MarkerUser)
	for range 1000 {
		var texts []string
		for range 1 + rng.IntN(9) {
			texts = append(texts, strings.Repeat("x", 1+rng.IntN(20)))
		}
		for context := 6; context < 60; context += 1 + rng.IntN(20) {
			for _, e := range Encode(markerTokens, tpl, talk(texts...), EncodeOptions{Context: context}) {
				if e.Tokens[0] != user {
					t.Fatalf("context %d, %q: a window begins with %d", context, texts, e.Tokens[0])
				}
			}
		}
	}
}

// TestEncodeLongTurn: a turn far longer than the context is cut in reasonable
// time, and in whole runes.
func TestEncodeLongTurn(t *testing.T) {
	tok := runeTokenizer{chitchatTokens}
	tpl := dialogue.ForTokenizer(tok)
	for _, context := range []int{4, 5, 64, 1024} {
		examples := Encode(tok, tpl, talk(strings.Repeat("很", 1<<20), "好"), EncodeOptions{Context: context})
		if len(examples) != 2 {
			t.Fatalf("context %d: %d examples", context, len(examples))
		}
		// [CLS] 很 … 很 | [SEP], then [CLS] 很 … 很 [SEP] 好 | [SEP]
		for i, want := range []int{3 * (context - 1), 3} {
			if e := examples[i]; len(e.Tokens) != context || e.TextBytes != want {
				t.Errorf("context %d, example %d: %d rows, %d bytes, want %d", context, i, len(e.Tokens), e.TextBytes, want)
			}
		}
	}
}

// TestEncodeManyTurns: neither a dialogue of very many exchanges nor an
// exchange of very many turns takes more than its share of time.
func TestEncodeManyTurns(t *testing.T) {
	many := make([]dialogue.Turn, 100_000)
	for i := range many {
		many[i] = dialogue.User("x")
	}
	tpl := dialogue.ForTokenizer(markerTokens)
	check := func(who string) {
		text := 0
		for _, e := range Encode(markerTokens, tpl, Dialogue{Turns: many}, EncodeOptions{Context: 64}) {
			text += e.TextBytes
		}
		if text != len(many) {
			t.Errorf("%s: %d bytes of %d", who, text, len(many))
		}
	}
	check("the user alone")
	for i := range many {
		many[i].Role = dialogue.RoleAssistant
	}
	check("the assistant alone")
	many[0].Role = dialogue.RoleUser
	check("one question")
	for i := range many {
		many[i] = []dialogue.Turn{dialogue.User("x"), dialogue.Assistant("x")}[i%2]
	}
	check("both")
}

func TestEncodeOptionsValidate(t *testing.T) {
	for _, o := range []EncodeOptions{{Context: -1}, {Context: 1}, {Loss: "some"}} {
		if o.Validate() == nil {
			t.Errorf("%+v is valid", o)
		}
	}
	for _, o := range []EncodeOptions{{}, {Context: 512, Loss: LossReplies}} {
		if err := o.Validate(); err != nil {
			t.Errorf("%+v: %v", o, err)
		}
	}
}
