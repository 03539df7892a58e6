package corpora_test

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"causerie/corpora"
	"causerie/models/dialogue"
	"causerie/models/tokenizer"
)

// starterBPE learns a small vocabulary from the starter corpus.
var starterBPE = sync.OnceValues(func() (tokenizer.Tokenizer, error) { return trainBPE(dialogue.Specials()...) })

func trainBPE(specials ...string) (tokenizer.Tokenizer, error) {
	texts, failed := corpora.Texts(context.Background(), corpora.StarterPaths(), corpora.Options{})
	t, err := tokenizer.TrainBPE(texts, tokenizer.TrainOptions{VocabSize: 800, Specials: specials})
	if err == nil {
		err = failed()
	}
	return t, err
}

func starterSources() []corpora.Source {
	var sources []corpora.Source
	for _, path := range corpora.StarterPaths() {
		sources = append(sources, corpora.Source{Path: path})
	}
	return sources
}

func loadStarter(t testing.TB, tok tokenizer.Tokenizer, o corpora.EncodeOptions) *corpora.Dataset {
	t.Helper()
	d, err := corpora.Load(context.Background(), tok, dialogue.ForTokenizer(tok), starterSources(), corpora.LoadOptions{Encode: o})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestStarterThroughBPE: with a byte-level BPE, the targets marked as text are
// the corpus' text, byte for byte, and TextBytes is its length.
func TestStarterThroughBPE(t *testing.T) {
	markers, err := starterBPE()
	if err != nil {
		t.Fatal(err)
	}
	plain, err := trainBPE(dialogue.EndOfText)
	if err != nil {
		t.Fatal(err)
	}
	for name, tok := range map[string]tokenizer.Tokenizer{"markers": markers, "DialoGPT": plain} {
		for _, loss := range []corpora.Loss{corpora.LossAll, corpora.LossReplies} {
			t.Run(fmt.Sprint(name, "/", loss), func(t *testing.T) {
				checkText(t, tok, loss, name == "DialoGPT" && loss == corpora.LossAll)
			})
		}
	}
}

func checkText(t *testing.T, tok tokenizer.Tokenizer, loss corpora.Loss, firstIDMissing bool) {
	var want, got strings.Builder
	texts := func(d corpora.Dialogue) {
		for i, turn := range d.Turns {
			switch {
			case loss == corpora.LossReplies && turn.Role == dialogue.RoleUser:
			case i == 0 && firstIDMissing:
				first := tok.Encode(nil, turn.Text)[0]
				want.WriteString(turn.Text[len(tok.AppendToken(nil, first)):])
			default:
				want.WriteString(turn.Text)
			}
		}
	}
	for _, path := range corpora.StarterPaths() {
		r, err := corpora.Open(path, corpora.Options{})
		if err != nil {
			t.Fatal(err)
		}
		for d, err := range r.All() {
			if err != nil {
				t.Fatal(err)
			}
			texts(d)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
	data := loadStarter(t, tok, corpora.EncodeOptions{Loss: loss})
	for b := range data.Batches(4096) {
		var ids []int32
		for i, target := range b.Targets {
			if b.Text[i] {
				ids = append(ids, target)
			}
		}
		text := tok.Decode(ids)
		if len(text) != b.TextBytes {
			t.Errorf("a batch has %d bytes of text, TextBytes is %d", len(text), b.TextBytes)
		}
		got.WriteString(text)
	}
	if got.String() != want.String() {
		t.Errorf("%d bytes of text are learnt, the corpus has %d, or they differ", got.Len(), want.Len())
	}
	if total := data.Total().TextBytes; total != want.Len() {
		t.Errorf("TextBytes is %d in all, want %d", total, want.Len())
	}
}

// TestChitchatBytes: WordPiece changes and loses text, but a byte of text is
// counted as it stands in the corpus.
func TestChitchatBytes(t *testing.T) {
	tok, err := tokenizer.Load(fstest.MapFS{"vocab.txt": {Data: []byte("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n你\n好\nhi\n")}})
	if err != nil {
		t.Fatal(err)
	}
	d := corpora.Dialogue{Turns: []dialogue.Turn{dialogue.User("  HI 你好 unknown"), dialogue.Assistant("你 好")}}
	examples := corpora.Encode(tok, dialogue.ForTokenizer(tok), d, corpora.EncodeOptions{})
	if len(examples) != 1 {
		t.Fatalf("%d examples", len(examples))
	}
	e := examples[0]
	if got, want := tok.Decode(e.Targets), "hi 你 好 [UNK] [SEP] 你 好 [SEP]"; got != want {
		t.Errorf("targets %q, want %q", got, want)
	}
	if want := []bool{true, true, true, true, false, true, true, false}; !slices.Equal(e.Text, want) {
		t.Errorf("text %v, want %v: an unknown word is text", e.Text, want)
	}
	if want := len(d.Turns[0].Text) + len(d.Turns[1].Text); e.TextBytes != want {
		t.Errorf("TextBytes %d, want %d", e.TextBytes, want)
	}
}

// TestLoadThreads: the dataset does not depend on the number of threads.
func TestLoadThreads(t *testing.T) {
	tok, err := starterBPE()
	if err != nil {
		t.Fatal(err)
	}
	var prints []string
	for _, threads := range []int{1, 2, 4} {
		before := runtime.GOMAXPROCS(threads)
		prints = append(prints, loadStarter(t, tok, corpora.EncodeOptions{Context: 128}).Fingerprint())
		runtime.GOMAXPROCS(before)
	}
	if len(slices.Compact(prints)) != 1 {
		t.Errorf("fingerprints %v", prints)
	}
}

func ExampleNewReader() {
	text := "Hi!\nHello, how are you?\n\n你好\n你好呀\n"
	r, err := corpora.NewReader("talk.txt", strings.NewReader(text), corpora.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	for d, err := range r.All() {
		if err != nil {
			fmt.Println(err)
			continue
		}
		for _, turn := range d.Turns {
			fmt.Printf("%s %s: %s\n", d.ID, turn.Role, turn.Text)
		}
	}
	// Output:
	// talk.txt:1 user: Hi!
	// talk.txt:1 assistant: Hello, how are you?
	// talk.txt:4 user: 你好
	// talk.txt:4 assistant: 你好呀
}

func BenchmarkLoad(b *testing.B) {
	tok, err := starterBPE()
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		b.SetBytes(int64(loadStarter(b, tok, corpora.EncodeOptions{Context: 512}).Total().TextBytes))
	}
}

func BenchmarkNext(b *testing.B) {
	tok, err := starterBPE()
	if err != nil {
		b.Fatal(err)
	}
	s, err := loadStarter(b, tok, corpora.EncodeOptions{Context: 512}).Stream(2048, 1)
	if err != nil {
		b.Fatal(err)
	}
	rows := 0
	for b.Loop() {
		rows += s.Next().Rows()
	}
	b.ReportMetric(float64(rows)/b.Elapsed().Seconds()/1e6, "Mtokens/s")
}
