package dialogue

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// byteTokenizer is the smallest tokenizer there is: a byte is its own id, and
// special tokens follow from 256 on.
type byteTokenizer []string

func (b byteTokenizer) Encode(dst []int32, text string) []int32 {
	for i := range len(text) {
		dst = append(dst, int32(text[i]))
	}
	return dst
}

func (b byteTokenizer) SpecialID(name string) (int32, bool) {
	i := slices.Index(b, name)
	return int32(256 + i), i >= 0
}

var conversation = []Turn{System("S"), User("hi"), Assistant("yo"), User("<|end|>")}

func TestTemplates(t *testing.T) {
	quoted := byteTokenizer(nil).Encode(nil, "<|end|>") // text, never a marker
	tests := []struct {
		name     string
		specials byteTokenizer
		example  []int32 // Begin, every turn, End
		prompt   []int32
		stops    []int32
		system   bool
	}{
		{
			name:     "markers",
			specials: Specials(),
			example: slices.Concat([]int32{257, 'S', 260, 258, 'h', 'i', 260, 259, 'y', 'o', 260, 258},
				quoted, []int32{260, 256}),
			prompt: []int32{259},
			stops:  []int32{260, 256, 258, 259, 257},
			system: true,
		},
		{
			name:     "markers without system and end of text",
			specials: byteTokenizer{MarkerUser, MarkerAssistant, MarkerEnd},
			example:  slices.Concat([]int32{256, 'h', 'i', 258, 257, 'y', 'o', 258, 256}, quoted, []int32{258}),
			prompt:   []int32{257},
			stops:    []int32{258, 256, 257},
		},
		{
			name:     "chitchat",
			specials: byteTokenizer{"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"},
			example:  slices.Concat([]int32{258, 'h', 'i', 259, 'y', 'o', 259}, quoted, []int32{259}),
			stops:    []int32{259, 258},
		},
		{
			name:     "DialoGPT",
			specials: byteTokenizer{EndOfText},
			example:  slices.Concat([]int32{'h', 'i', 256, 'y', 'o', 256}, quoted, []int32{256}),
			stops:    []int32{256},
		},
		{
			name:     "some markers only",
			specials: byteTokenizer{EndOfText, MarkerUser},
			example:  slices.Concat([]int32{'h', 'i', 256, 'y', 'o', 256}, quoted, []int32{256}),
			stops:    []int32{256},
		},
		{
			name:    "no special token",
			example: slices.Concat([]int32{'h', 'i', '\n', 'y', 'o', '\n'}, quoted, []int32{'\n'}),
			stops:   []int32{'\n'},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tpl := ForTokenizer(tt.specials)
			prefix := []int32{-7} // what dst holds already must stay
			got := tpl.Begin(slices.Clone(prefix))
			for _, turn := range conversation {
				got = tpl.AppendTurn(got, turn)
			}
			got = tpl.End(got)
			if d := cmp.Diff(append(prefix, tt.example...), got); d != "" {
				t.Errorf("example (-want +got):\n%s", d)
			}
			if d := cmp.Diff(tt.prompt, tpl.AppendPrompt(nil)); d != "" {
				t.Errorf("prompt (-want +got):\n%s", d)
			}
			if d := cmp.Diff(tt.stops, tpl.Stops()); d != "" {
				t.Errorf("stops (-want +got):\n%s", d)
			}
			if tpl.SystemTurns() != tt.system {
				t.Errorf("SystemTurns() = %v", tpl.SystemTurns())
			}
			checkMarkers(t, tpl)
		})
	}
}

// checkMarkers holds Markers against AppendTurn: what is left between the
// markers is the text, to the byte.
func checkMarkers(t *testing.T, tpl Template) {
	t.Helper()
	for _, turn := range conversation {
		ids := tpl.AppendTurn(nil, turn)
		before, after := tpl.Markers(turn.Role)
		want := byteTokenizer(nil).Encode(nil, turn.Text)
		if turn.Role == RoleSystem && !tpl.SystemTurns() {
			want = nil
		}
		if got := ids[before : len(ids)-after]; !slices.Equal(got, want) {
			t.Errorf("%s turn: text ids %v, want %v", turn.Role, got, want)
		}
		if turn.Role == RoleAssistant {
			if p := tpl.AppendPrompt(nil); !slices.Equal(p, ids[:before]) {
				t.Errorf("the prompt is %v, but the assistant's turns open with %v", p, ids[:before])
			}
		}
	}
}

func TestParseRole(t *testing.T) {
	for name, want := range map[string]Role{
		"system": RoleSystem, "developer": RoleSystem, "user": RoleUser, "assistant": RoleAssistant,
	} {
		if got, err := ParseRole(name); err != nil || got != want {
			t.Errorf("ParseRole(%q) = %q, %v", name, got, err)
		}
	}
	for _, name := range []string{"", "tool", "User", "bot"} {
		if got, err := ParseRole(name); err == nil {
			t.Errorf("ParseRole(%q) = %q, want an error", name, got)
		}
	}
}
