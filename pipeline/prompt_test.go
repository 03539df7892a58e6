package pipeline

import (
	"errors"
	"strings"
	"testing"

	"causerie/models/dialogue"
)

// letters is a template that spells every character as its code point and
// shows turns in brackets, so that prompts can be read.
type letters struct{ dialogue.Template }

func (letters) spell(dst []int32, text string) []int32 {
	for _, r := range text {
		dst = append(dst, r)
	}
	return dst
}

func (l letters) Begin(dst []int32) []int32        { return l.spell(dst, "^") }
func (l letters) AppendPrompt(dst []int32) []int32 { return l.spell(dst, ">") }
func (l letters) AppendTurn(dst []int32, t dialogue.Turn) []int32 {
	return l.spell(dst, string(t.Role[0])+t.Text+"|")
}

func TestChatPrompt(t *testing.T) {
	u, a, s := dialogue.User, dialogue.Assistant, dialogue.System
	talk := []dialogue.Turn{s("S"), u("one"), a("two"), u("three"), a("four"), u("five")}
	tests := []struct {
		name           string
		turns          []dialogue.Turn
		reply, context int
		want           string
		dropped        int
	}{
		{"all fits", talk, 10, 100, "^sS|uone|atwo|uthree|afour|ufive>", 0},
		{"just fits", talk, 10, 44, "^sS|uone|atwo|uthree|afour|ufive|>", 0},
		{"one token short: a whole exchange goes", talk, 10, 43, "^sS|uthree|afour|ufive|>", 2},
		{"only the newest", talk, 10, 30, "^sS|ufive|>", 4},
		{"exactly the newest", talk, 10, 21, "^sS|ufive|>", 4},
		{"a huge reply takes half the context", talk, 1000, 40, "^sS|ufive|>", 4},
		{"ends with the assistant", talk[:5], 5, 23, "^sS|uthree|afour|>", 2},
		{"no user at all", []dialogue.Turn{a("hi")}, 5, 20, "^ahi|>", 0},
		{"system text alone", []dialogue.Turn{s("S")}, 5, 20, "^sS|>", 0},
		{"later system turns are turns", []dialogue.Turn{u("a"), s("b"), u("c")}, 2, 10, "^sb|uc|>", 1},
	}
	for _, test := range tests {
		ids, dropped, err := chatPrompt(letters{}, test.turns, test.reply, test.context)
		var got strings.Builder
		for _, id := range ids {
			got.WriteRune(id)
		}
		want := strings.TrimSuffix(strings.TrimSuffix(test.want, ">"), "|") + "|>"
		if err != nil || got.String() != want || dropped != test.dropped {
			t.Errorf("%s: %q, dropped %d, %v; want %q, %d", test.name, got.String(), dropped, err, want, test.dropped)
		}
	}
}

func TestChatPromptTooLong(t *testing.T) {
	u, s := dialogue.User, dialogue.System
	for _, test := range []struct {
		name  string
		turns []dialogue.Turn
		want  PromptTooLongError
	}{
		{"newest turn", []dialogue.Turn{u("old"), u("a long question")}, PromptTooLongError{19, 8, 20}},
		{"system text", []dialogue.Turn{s("long instructions"), u("a")}, PromptTooLongError{24, 8, 20}},
		{"system text alone", []dialogue.Turn{s("long instructions")}, PromptTooLongError{21, 8, 20}},
		{"answered newest turn", []dialogue.Turn{u("a question"), dialogue.Assistant("an answer")}, PromptTooLongError{25, 8, 20}},
	} {
		if _, _, err := chatPrompt(letters{}, test.turns, 8, 20); !isTooLong(err, test.want) {
			t.Errorf("%s: %v, want %v", test.name, err, &test.want)
		}
	}
	if _, _, err := chatPrompt(letters{}, nil, 8, 20); !errors.Is(err, ErrNoMessages) {
		t.Errorf("no turns: %v", err)
	}
}
