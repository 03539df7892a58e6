package corpora

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"causerie/models/dialogue"
)

// readAll reads to the end; errors of single lines are collected.
func readAll(r *Reader) (dialogues []Dialogue, bad []string, err error) {
	for d, err := range r.All() {
		switch {
		case err == nil:
			dialogues = append(dialogues, d)
		case errors.As(err, new(*BadLine)):
			bad = append(bad, err.Error())
		default:
			return dialogues, bad, err
		}
	}
	return dialogues, bad, nil
}

func readString(t *testing.T, name, content string, o Options) (*Reader, []Dialogue, []string) {
	t.Helper()
	r, err := NewReader(name, strings.NewReader(content), o)
	if err != nil {
		t.Fatal(err)
	}
	dialogues, bad, err := readAll(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	return r, dialogues, bad
}

// The same two dialogues in every format.
var sameDialogues = map[Format]string{
	FormatTurns: `{"id":"one","lang":"en","turns":["Hi!","Hello, you."]}
{"turns":["你好","你好呀","再见"],"lang":"zh","id":2,"more":[1]}
`,
	FormatOpenAI: `{"messages":[{"role":"user","content":"Hi!"},{"role":"assistant","content":"Hello, you."}]}
{"messages":[{"role":"user","content":"你好"},{"role":"assistant","content":"你好呀"},{"role":"user","content":"再见"}]}
`,
	FormatChitchat: "Hi!\nHello, you.\n\n你好\n你好呀\n再见\n",
	FormatTSV:      "Hi!\tHello, you.\n你好\t你好呀\t再见\n",
}

var extensions = map[Format]string{FormatTurns: ".jsonl", FormatOpenAI: ".json", FormatChitchat: ".txt", FormatTSV: ".tsv"}

// TestFormats reads the same dialogues from every format, under every
// compression, with Windows' and Unix' ends of lines, with and without a byte
// order mark, and with and without a telling name.
func TestFormats(t *testing.T) {
	packers := map[Compression]func(testing.TB, []byte) []byte{
		Plain: func(_ testing.TB, b []byte) []byte { return b },
		Gzip:  gzipped,
		Zstd:  zstandard,
	}
	variants := map[string]func(string) string{
		"as it is":      func(s string) string { return s },
		"CRLF":          func(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") },
		"BOM":           func(s string) string { return "\ufeff" + s },
		"no last LF":    func(s string) string { return strings.TrimSuffix(s, "\n") },
		"blank lines":   func(s string) string { return "\n \n" + s + "\n\t\n\n" },
		"BOM and blank": func(s string) string { return "\ufeff\r\n\r\n" + s },
	}
	want := [][]dialogue.Turn{
		{dialogue.User("Hi!"), dialogue.Assistant("Hello, you.")},
		{dialogue.User("你好"), dialogue.Assistant("你好呀"), dialogue.User("再见")},
	}
	for format, content := range sameDialogues {
		for compression, pack := range packers {
			for variant, change := range variants {
				for _, name := range []string{"x" + extensions[format], "x", "x.TXT.GZ"[:1] + strings.ToUpper(extensions[format]) + ".gz"} {
					t.Run(fmt.Sprint(format, "/", compression, "/", variant, "/", name), func(t *testing.T) {
						r, dialogues, bad := readString(t, name, string(pack(t, []byte(change(content)))), Options{})
						if len(bad) > 0 {
							t.Fatal(bad)
						}
						var got [][]dialogue.Turn
						for _, d := range dialogues {
							got = append(got, d.Turns)
						}
						if d := cmp.Diff(want, got); d != "" {
							t.Errorf("(-want +got):\n%s", d)
						}
						if r.Format() != format || r.Compression() != compression || r.Dialogues() != 2 {
							t.Errorf("format %q, compression %q, %d dialogues", r.Format(), r.Compression(), r.Dialogues())
						}
					})
				}
			}
		}
	}
}

func TestIDs(t *testing.T) {
	tests := []struct{ name, content, want string }{
		{"a/b.jsonl", sameDialogues[FormatTurns], "one/en 2/zh"},
		{"a/b.jsonl", sameDialogues[FormatOpenAI], "b.jsonl:1/ b.jsonl:2/"},
		{"b.txt", sameDialogues[FormatChitchat], "b.txt:1/ b.txt:4/"},
		{"b.tsv", sameDialogues[FormatTSV], "b.tsv:1/ b.tsv:2/"},
	}
	for _, tt := range tests {
		_, dialogues, _ := readString(t, tt.name, tt.content, Options{})
		var ids []string
		for _, d := range dialogues {
			ids = append(ids, d.ID+"/"+d.Lang)
		}
		if got := strings.Join(ids, " "); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestOpenAIMessages(t *testing.T) {
	const line = `{"messages":[
		{"role":"developer","content":"Be kind."},
		{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}],"name":"Ann"},
		{"role":"assistant","content":"c","weight":0,"tool_calls":null},
		{"role":"user","content":"d"},
		{"role":"assistant","content":"e","weight":1,"tool_calls":[]}]}`
	_, dialogues, bad := readString(t, "x", strings.ReplaceAll(line, "\n", " "), Options{})
	want := []dialogue.Turn{
		dialogue.System("Be kind."), dialogue.User("a\nb"), {Role: dialogue.RoleAssistant, Text: "c"}, dialogue.User("d"), dialogue.Assistant("e"),
	}
	if len(dialogues) != 1 {
		t.Fatalf("%d dialogues, bad lines: %q", len(dialogues), bad)
	}
	if d := cmp.Diff(want, dialogues[0].Turns); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// settledReasons are what TestBadLines hears of lines that say something else
// once the format is known.
var settledReasons = map[string]string{
	`{}`:           `key "turns" is missing or empty`,
	`{"text":"a"}`: `key "turns" is missing or empty`,
	`a,b`:          `not valid JSON at byte 1: invalid character 'a' looking for beginning of value`,
}

// TestBadLines: every kind of a bad line says what is wrong, and where; the good
// line after it is read all the same.
func TestBadLines(t *testing.T) {
	turns, openAI := `{"turns":["good"]}`, `{"messages":[{"role":"assistant","content":"good"}]}`
	message := func(rest string) string {
		return `{"messages":[{"role":"assistant","content":"fine"},` + rest + `]}`
	}
	tests := []struct{ name, line, good, reason string }{
		{"x.jsonl", `{"turns":["a"`, turns, `not valid JSON at byte 13: unexpected end of JSON input`},
		{"x.jsonl", `hello`, turns, `not valid JSON at byte 1: invalid character 'h' looking for beginning of value`},
		{"x.jsonl", `{"turns":["a"]} {}`, turns, `not valid JSON at byte 17: invalid character '{' after top-level value`},
		{"x.jsonl", `[{"turns":["a"]}]`, turns, `a JSON list: what is read is JSON Lines, one object on each line (jq -c '.[]' turns the one into the other)`},
		{"x.jsonl", `"a"`, turns, `a string where an object is expected`},
		{"x.jsonl", `{}`, turns, `none of the keys "turns", "messages" and "preferred_output"`},
		{"x.jsonl", `{"text":"a"}`, turns, `none of the keys "turns", "messages" and "preferred_output"`},
		{"x.jsonl", `{"turns":[]}`, turns, `key "turns" is missing or empty`},
		{"x.jsonl", `{"turns":"a"}`, turns, `key "turns": a string where a list of strings is expected`},
		{"x.jsonl", `{"turns":["a",3]}`, turns, `key "turns": a number where a string is expected`},
		{"x.jsonl", `{"turns":["a",["b"]]}`, turns, `key "turns": a list where a string is expected`},
		{"x.jsonl", `{"turns":["a",null]}`, turns, `turns[1] is empty`},
		{"x.jsonl", `{"turns":["a"," \t　"]}`, turns, `turns[1] is empty`},
		{"x.jsonl", `{"turns":["a"],"lang":1}`, turns, `key "lang": a number where a string is expected`},
		{"x.jsonl", `{"turns":["a"],"id":{}}`, turns, `key "id": neither a string nor a number`},
		{"x.jsonl", `{"turns":["a\ud800b"]}`, turns, `turn 1: a \u escape is half a surrogate pair, which is not Unicode`},
		{"x.jsonl", "{\"turns\":[\"a\xff\"]}", turns, `byte 13 is not UTF-8`},
		{"x.jsonl", "{\"turns\":[\"a\x00\"]}", turns, `byte 13 is NUL, so this is no text`},
		{"x.jsonl", `{"turns":["` + strings.Repeat("a", 2000) + `"]}`, turns, `longer than 1000 bytes`},
		{"x.jsonl", `{"messages":[]}`, openAI, `key "messages" is missing or empty`},
		{"x.jsonl", `{"messages":{}}`, openAI, `key "messages": an object where a list of objects is expected`},
		{"x.jsonl", `{"messages":["a"]}`, openAI, `key "messages": a string where an object is expected`},
		{"x.jsonl", `{"messages":[{"role":"user","content":"a"}]}`, openAI, `no message of the assistant, so there is nothing to learn`},
		{"x.jsonl", message(`{"content":"a"}`), openAI, `messages[1]: key "role" is missing`},
		{"x.jsonl", message(`{"role":7,"content":"a"}`), openAI, `key "messages.role": a number where a string is expected`},
		{"x.jsonl", message(`{"role":"bot","content":"a"}`), openAI, `messages[1]: unknown role "bot" (known are system, developer, user and assistant)`},
		{"x.jsonl", message(`{"role":"tool","content":"a"}`), openAI, `messages[1]: role "tool" is not supported: a dialogue here is made of what system, user and assistant say`},
		{"x.jsonl", message(`{"role":"user"}`), openAI, `messages[1]: key "content" is missing`},
		{"x.jsonl", message(`{"role":"user","content":null}`), openAI, `messages[1]: key "content" is missing`},
		{"x.jsonl", message(`{"role":"user","content":""}`), openAI, `messages[1]: key "content" is empty`},
		{"x.jsonl", message(`{"role":"user","content":[]}`), openAI, `messages[1]: key "content" is empty`},
		{"x.jsonl", message(`{"role":"user","content":5}`), openAI, `messages[1]: key "content": neither a string nor a list of parts`},
		{"x.jsonl", message(`{"role":"user","content":["a"]}`), openAI, `messages[1]: key "content": a string where an object is expected`},
		{"x.jsonl", message(`{"role":"user","content":[{"type":"image_url"}]}`), openAI, `messages[1]: content[0]: type "image_url" is not supported, only "text" is`},
		{"x.jsonl", message(`{"role":"user","content":[{"type":"text"}]}`), openAI, `messages[1]: content[0]: key "text" is missing`},
		{"x.jsonl", message(`{"role":"assistant","content":"a","weight":0.5}`), openAI, `messages[1]: key "weight": 0.5 is neither 0 nor 1`},
		{"x.jsonl", message(`{"role":"assistant","content":"a","weight":"1"}`), openAI, `key "messages.weight": a string where a number is expected`},
		{"x.jsonl", message(`{"role":"assistant","content":"a","tool_calls":[{}]}`), openAI, `messages[1]: calls of tools are not supported`},
		{"x.jsonl", message(`{"role":"assistant","function_call":{}}`), openAI, `messages[1]: calls of tools are not supported`},
		{"x.tsv", "alone", "a\tb", `one column only: the turns of a dialogue stand in two or more, with tabs between them`},
		{"x.tsv", "a\t\tb", "a\tb", `column 2 is empty`},
		{"x.tsv", "a\tb\t", "a\tb", `column 3 is empty`},
		{"x.csv.gz", "a,b", turns, `values separated by commas are not read: put tabs between the columns (tsv)`},
		{"x.txt", "a\xff\nb\n", "c", `byte 2 is not UTF-8`},
		{"x.txt", strings.Repeat("a", 1001) + "\nb\n", "c", `longer than 1000 bytes`},
	}
	for _, tt := range tests {
		o := Options{MaxLine: 1000}
		// First after a good line, which settles the format.
		_, dialogues, bad := readString(t, tt.name, tt.good+"\n\n"+tt.line+"\n"+tt.good+"\n", o)
		reason := tt.reason
		if settled, ok := settledReasons[tt.line]; ok {
			reason = settled
		}
		want := []string{fmt.Sprintf("%s:3: %s", tt.name, reason)}
		if d := cmp.Diff(want, bad); d != "" || len(dialogues) != 2 {
			t.Errorf("%.100s: %d dialogues, bad lines (-want +got):\n%s", tt.line, len(dialogues), d)
		}
		// Then as the first line; and skipped.
		o.SkipBad = true
		r, dialogues, _ := readString(t, tt.name, tt.line+"\n"+tt.good+"\n", o)
		if len(dialogues) != 1 || r.Skipped() != 1 || len(r.Bad()) != 1 {
			t.Errorf("%.100s: %d dialogues, %d skipped, %v", tt.line, len(dialogues), r.Skipped(), r.Bad())
		} else if got := r.Bad()[0]; got.Reason != tt.reason || got.Line != 1 {
			t.Errorf("%.100s: %v, want %s", tt.line, got, tt.reason)
		}
	}
}

// TestChitchatParagraph: a bad line spoils its paragraph, whichever line it is,
// and no other.
func TestChitchatParagraph(t *testing.T) {
	for bad := range 3 {
		lines := []string{"a", "b", "c"}
		lines[bad] = "\xff"
		content := "before\n\n" + strings.Join(lines, "\n") + "\n\nafter\nwards\n"
		_, dialogues, errs := readString(t, "x.txt", content, Options{})
		if len(dialogues) != 2 || dialogues[0].Turns[0].Text != "before" || len(dialogues[1].Turns) != 2 {
			t.Errorf("bad line %d: %+v", bad, dialogues)
		}
		if want := []string{fmt.Sprintf("x.txt:%d: byte 1 is not UTF-8", 3+bad)}; !cmp.Equal(want, errs) {
			t.Errorf("%q, want %q", errs, want)
		}
	}
}

// TestChitchatBook: a text without empty lines is bad in its first too many
// line, and does not fill the memory.
func TestChitchatBook(t *testing.T) {
	content := strings.Repeat("It was a dark and stormy night.\n", 100) + "\nHi!\n"
	_, dialogues, bad := readString(t, "x.txt", content, Options{MaxLine: 310})
	want := []string{"x.txt:11: a dialogue of more than 310 bytes: an empty line belongs between dialogues"}
	if diff := cmp.Diff(want, bad); diff != "" || len(dialogues) != 1 || dialogues[0].ID != "x.txt:102" {
		t.Errorf("%+v (-want +got):\n%s", dialogues, diff)
	}
}

func TestSkipBadKeepsTheFirst(t *testing.T) {
	content := `{"turns":["a"]}` + strings.Repeat("\n{}", 30)
	for keep, want := range map[int]int{0: 10, 3: 3, -1: 0, 100: 30} {
		r, dialogues, bad := readString(t, "x.jsonl", content, Options{SkipBad: true, KeepBad: keep})
		if len(dialogues) != 1 || len(bad) != 0 || r.Skipped() != 30 || len(r.Bad()) != want {
			t.Errorf("KeepBad %d: %d skipped, %d kept", keep, r.Skipped(), len(r.Bad()))
		}
	}
}

// TestFormatOption: a format that is asked for is not guessed.
func TestFormatOption(t *testing.T) {
	_, dialogues, _ := readString(t, "x.jsonl", sameDialogues[FormatTurns], Options{Format: FormatChitchat})
	if len(dialogues) != 1 || len(dialogues[0].Turns) != 2 || dialogues[0].Turns[0].Text[0] != '{' {
		t.Errorf("%+v", dialogues)
	}
	if _, err := NewReader("x", strings.NewReader(""), Options{Format: "csv"}); err == nil {
		t.Error("a format that does not exist is no error")
	}
	if _, err := NewReader("x", strings.NewReader(""), Options{MaxLine: -1}); err == nil {
		t.Error("lines of negative length are no error")
	}
}

// TestMisnamed: JSON in a file called .txt is not taken for small talk.
func TestMisnamed(t *testing.T) {
	for _, name := range []string{"x.txt", "x.tsv", "x.csv", "x.jsonl.txt"} {
		r, dialogues, _ := readString(t, name, sameDialogues[FormatOpenAI], Options{})
		if r.Format() != FormatOpenAI || len(dialogues) != 2 {
			t.Errorf("%s: format %q, %d dialogues", name, r.Format(), len(dialogues))
		}
	}
}

// TestFinalErrors: what makes the whole file unreadable names the file.
func TestFinalErrors(t *testing.T) {
	long := []byte(strings.Repeat(sameDialogues[FormatTurns], 1000))
	half := func(b []byte) string { return string(b[:len(b)/2]) }
	tests := []struct {
		name, content, want string
		is                  error
	}{
		{"cut.jsonl.gz", half(gzipped(t, long)), "the gzip data is cut short", io.ErrUnexpectedEOF},
		{"cut.jsonl.gz", string(gzipped(t, long)[:5]), "the gzip data is cut short", io.ErrUnexpectedEOF},
		{"cut.jsonl.zst", half(zstandard(t, long)), "the zstd data is cut short", io.ErrUnexpectedEOF},
		{"x.jsonl.gz", "\x1f\x8b\xff\xff\xff\xff\xff\xff\xff\xff\xff", "gzip", nil},
		{"x.zst", "\x28\xb5\x2f\xfd\xff\xff\xff\xff\xff\xff\xff\xff\xff", "", nil},
		{"x.zip", "PK\x03\x04.....", "the file is a zip archive", nil},
		{"x.bz2", "BZh91AY", "compressed with bzip2", nil},
		{"x.txt", "\xff\xfeh\x00i\x00", "the text is UTF-16", nil},
		{"x.txt", "\xfe\xff\x00h\x00i", "the text is UTF-16", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, err := NewReader(tt.name, strings.NewReader(tt.content), Options{SkipBad: true})
			if err == nil {
				_, _, err = readAll(r)
				if _, again := r.Next(); again != err {
					t.Errorf("the error %v did not stay, it became %v", err, again)
				}
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), tt.name) {
				t.Errorf("error %v, want one with %q and the file's name", err, tt.want)
			}
			if tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("error %v is no %v", err, tt.is)
			}
		})
	}
}

func TestOpen(t *testing.T) {
	path := writeFile(t, "x.jsonl.gz", gzipped(t, []byte(sameDialogues[FormatTurns])))
	r, err := Open(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if dialogues, _, err := readAll(r); err != nil || len(dialogues) != 2 {
		t.Errorf("%d dialogues, %v", len(dialogues), err)
	}
	if _, err := r.Next(); err != io.EOF {
		t.Errorf("after the end: %v", err)
	}
	for range 2 {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
	for _, missing := range []string{filepath.Join(t.TempDir(), "no.jsonl"), StarterPrefix + "no.jsonl"} {
		if _, err := Open(missing, Options{}); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "no.jsonl") {
			t.Errorf("%v", err)
		}
	}
	if _, err := Open(t.TempDir(), Options{}); err == nil {
		t.Error("a folder is no error")
	}
}

func TestReadAfterClose(t *testing.T) {
	r, err := NewReader("x.txt", strings.NewReader("a\nb\n"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Next(); err == nil || err == io.EOF {
		t.Errorf("error %v", err)
	}
}

// TestEmpty: a file without a line is an end, not an error.
func TestEmpty(t *testing.T) {
	for _, content := range []string{"", "\n", "\ufeff", string(gzipped(t, nil)), string(zstandard(t, nil))} {
		if _, dialogues, bad := readString(t, "x.jsonl", content, Options{}); len(dialogues)+len(bad) > 0 {
			t.Errorf("%q: %v %v", content, dialogues, bad)
		}
	}
}

// TestLongLines: a line of some megabytes is read, and the buffer is not the
// limit.
func TestLongLines(t *testing.T) {
	text := strings.Repeat("long ", 1<<20)
	content := `{"turns":["` + text + `","short"]}` + "\n" + sameDialogues[FormatTurns]
	_, dialogues, bad := readString(t, "x.jsonl", content, Options{})
	if len(dialogues) != 3 || len(bad) > 0 || dialogues[0].Turns[0].Text != text {
		t.Errorf("%d dialogues, bad lines %.100v", len(dialogues), bad)
	}
}

// slowReader gives a byte at a time, as a pipe may.
type slowReader struct{ r io.Reader }

func (s slowReader) Read(p []byte) (int, error) { return s.r.Read(p[:min(1, len(p))]) }

func TestSlowReader(t *testing.T) {
	for format, content := range sameDialogues {
		for _, data := range [][]byte{[]byte(content), gzipped(t, []byte(content)), zstandard(t, []byte(content))} {
			r, err := NewReader("pipe", slowReader{bytes.NewReader(data)}, Options{})
			if err != nil {
				t.Fatal(err)
			}
			if dialogues, _, err := readAll(r); err != nil || len(dialogues) != 2 || r.Format() != format {
				t.Errorf("%s: %d dialogues, %v", format, len(dialogues), err)
			}
		}
	}
}
