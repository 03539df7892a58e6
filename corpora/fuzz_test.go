package corpora

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"causerie/models/dialogue"
)

// checkReading holds what is true of whatever bytes are read: no panic, an end,
// dialogues that keep the promises of Dialogue, and the same ones with SkipBad.
func checkReading(t *testing.T, name string, data []byte, o Options) {
	o.MaxLine = 1 << 16
	r, err := NewReader(name, bytes.NewReader(data), o)
	if err != nil {
		return
	}
	dialogues, bad, final := readAll(r)
	if len(dialogues)+len(bad) > len(data)+1 {
		t.Errorf("%d dialogues and %d bad lines from %d bytes", len(dialogues), len(bad), len(data))
	}
	for _, d := range dialogues {
		if d.ID == "" && !strings.HasPrefix(string(data), "{") || len(d.Turns) == 0 {
			t.Errorf("id %q, %d turns", d.ID, len(d.Turns))
		}
		for _, turn := range d.Turns {
			if strings.TrimSpace(turn.Text) == "" || !utf8.ValidString(turn.Text) || turn.Weight != 0 && turn.Weight != 1 {
				t.Errorf("%+v", turn)
			}
			if _, err := dialogue.ParseRole(string(turn.Role)); err != nil {
				t.Error(err)
			}
		}
	}
	o.SkipBad = true
	again, err := NewReader(name, bytes.NewReader(data), o)
	if err != nil {
		t.Fatal(err)
	}
	skipped, none, finalAgain := readAll(again)
	if len(skipped) != len(dialogues) || len(none) > 0 || again.Skipped() != len(bad) || (final == nil) != (finalAgain == nil) {
		t.Errorf("skipping: %d dialogues for %d, %d bad lines for %d, error %v for %v",
			len(skipped), len(dialogues), again.Skipped(), len(bad), finalAgain, final)
	}
	if err := errors.Join(r.Close(), again.Close()); err != nil {
		t.Error(err)
	}
}

func fuzzFormat(f *testing.F, format Format) {
	for _, content := range sameDialogues {
		f.Add([]byte(content))
		f.Add([]byte("\ufeff" + strings.ReplaceAll(content, "\n", "\r\n")))
	}
	f.Add([]byte(`{"messages":[{"role":"system","content":[{"type":"text","text":"a"}]},{"role":"assistant","content":"b","weight":0}]}`))
	f.Add([]byte("{\"turns\":[\"\\ud800\"]}\n\n[1]\n\xff\n\x00"))
	f.Add([]byte("a\n\n\xff\nb\n\nc\td\t\n"))
	f.Fuzz(func(t *testing.T, data []byte) { checkReading(t, "fuzz", data, Options{Format: format}) })
}

func FuzzTurns(f *testing.F)    { fuzzFormat(f, FormatTurns) }
func FuzzOpenAI(f *testing.F)   { fuzzFormat(f, FormatOpenAI) }
func FuzzChitchat(f *testing.F) { fuzzFormat(f, FormatChitchat) }
func FuzzTSV(f *testing.F)      { fuzzFormat(f, FormatTSV) }

// FuzzAuto leaves format and compression to be found out.
func FuzzAuto(f *testing.F) {
	for format, content := range sameDialogues {
		f.Add(extensions[format], []byte(content))
		f.Add(extensions[format]+".gz", gzipped(f, []byte(content)))
		f.Add("", zstandard(f, []byte(content)))
	}
	f.Fuzz(func(t *testing.T, ext string, data []byte) { checkReading(t, "fuzz"+ext, data, Options{}) })
}

// FuzzEncode: any text, in any window, gives examples that keep their promises.
func FuzzEncode(f *testing.F) {
	f.Add("hello", "你好", 9, byte(0))
	f.Add("<|end|>", "🙂\xff", 3, byte(5))
	f.Add(strings.Repeat("long ", 99), "x", 64, byte(3))
	f.Fuzz(func(t *testing.T, a, b string, context int, kind byte) {
		o := EncodeOptions{Context: context % 600, Loss: []Loss{LossAll, LossReplies}[kind>>2&1]}
		if o.Validate() != nil {
			return
		}
		tok := []byteTokenizer{markerTokens, chitchatTokens, dialoGPTTokens, nil}[kind&3]
		tpl := dialogue.ForTokenizer(tok)
		if tok == nil {
			return // the newline that separates turns cannot be told from text
		}
		d := talk(a, b, a+b, b)
		if kind&8 != 0 {
			d.Turns = append([]dialogue.Turn{dialogue.System(b)}, d.Turns...)
		}
		for _, e := range Encode(tok, tpl, d, o) {
			checkExample(t, tok, tpl, o, e)
		}
	})
}

// write is the inverse of reading, for dialogues that the format can express.
func write(w io.Writer, format Format, d Dialogue) error {
	var texts []string
	type message struct {
		Role    string  `json:"role"`
		Content string  `json:"content"`
		Weight  float32 `json:"weight"`
	}
	var messages []message
	for _, turn := range d.Turns {
		texts = append(texts, turn.Text)
		messages = append(messages, message{string(turn.Role), turn.Text, turn.Weight})
	}
	switch format {
	case FormatTurns:
		return json.NewEncoder(w).Encode(map[string]any{"turns": texts})
	case FormatOpenAI:
		return json.NewEncoder(w).Encode(map[string]any{"messages": messages})
	case FormatChitchat:
		_, err := io.WriteString(w, strings.Join(texts, "\n")+"\n\n")
		return err
	default:
		_, err := io.WriteString(w, strings.Join(texts, "\t")+"\n")
		return err
	}
}

// TestRoundTrip: what was written is what is read, in every format.
func TestRoundTrip(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for format, ext := range extensions {
		for range 50 {
			var dialogues []Dialogue
			var b bytes.Buffer
			for range 1 + rng.IntN(5) {
				d := randomDialogue(rng)
				for i := range d.Turns {
					turn := &d.Turns[i]
					turn.Text = strings.TrimSpace(turn.Text) + "."
					if format != FormatOpenAI { // the others know no roles
						*turn = talk(turn.Text, turn.Text).Turns[i%2]
					}
				}
				// OpenAI wants an answer, columns are two at least.
				last := dialogue.Assistant("good")
				if format != FormatOpenAI && len(d.Turns)%2 == 0 {
					last.Role = dialogue.RoleUser
				}
				d.Turns = append(d.Turns, last)
				dialogues = append(dialogues, d)
				if err := write(&b, format, d); err != nil {
					t.Fatal(err)
				}
			}
			_, got, bad := readString(t, "x"+ext, b.String(), Options{})
			if len(got) != len(dialogues) || len(bad) > 0 {
				t.Fatalf("%s: %d dialogues of %d, bad lines %q", format, len(got), len(dialogues), bad)
			}
			for i, d := range dialogues {
				for j, turn := range d.Turns {
					if j >= len(got[i].Turns) || got[i].Turns[j] != turn {
						t.Fatalf("%s: wrote %+v, read %+v", format, d.Turns, got[i].Turns)
					}
				}
			}
		}
	}
}
