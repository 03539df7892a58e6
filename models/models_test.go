package models

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"causerie/models/dialogue"
	"causerie/models/gpt2"
	"causerie/models/hf"
	"causerie/models/tokenizer"
)

// writeFolder makes a folder with a small random network and, unless it is
// nil, a tokenizer.
func writeFolder(t *testing.T, vocab int, tok *tokenizer.BPE) string {
	t.Helper()
	dir := t.TempDir()
	net, err := gpt2.New(gpt2.Config{VocabSize: vocab, Positions: 16, Width: 8, Heads: 2, Layers: 1})
	if err != nil {
		t.Fatal(err)
	}
	net.Init(1)
	if err := hf.Save(dir, hf.Config{Model: net.Config}, hf.Generation{}, net.Params(), hf.F16); err != nil {
		t.Fatal(err)
	}
	if tok != nil {
		if err := tok.Save(dir); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func trainTokenizer(t *testing.T) *tokenizer.BPE {
	t.Helper()
	texts := func(yield func(string) bool) { yield("hello hello, 你好你好") }
	tok, err := tokenizer.TrainBPE(texts, tokenizer.TrainOptions{VocabSize: 265, Specials: dialogue.Specials()})
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func TestOpenFolder(t *testing.T) {
	tok := trainTokenizer(t)
	b, err := Open(t.Context(), writeFolder(t, tok.VocabSize()+3, tok)+"/", Options{})
	if err != nil {
		t.Fatal(err)
	}
	if b.Tokenizer == nil || b.Template == nil || b.Net.Config.VocabSize != tok.VocabSize()+3 || strings.HasSuffix(b.Name, "/") {
		t.Errorf("unexpected bundle %+v", b)
	}
	if b, err = Open(t.Context(), writeFolder(t, 20, nil), Options{}); err != nil || b.Tokenizer != nil || b.Template != nil {
		t.Errorf("without tokenizer files: %+v, %v", b, err)
	}
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	tok := trainTokenizer(t)
	file := filepath.Join(t.TempDir(), "model.bin")
	if err := os.WriteFile(file, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, path, want string }{
		{"nothing there", filepath.Join(t.TempDir(), "none"), "neither a folder here nor the bundled model"},
		{"a file", file, "is a file"},
		{"an empty folder", t.TempDir(), "config.json"},
		{"more tokens than embeddings", writeFolder(t, 200, tok), "the network embeds only 200"},
	} {
		if _, err := Open(t.Context(), c.path, Options{}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

func TestBundledModel(t *testing.T) {
	for _, name := range []string{"", Default} {
		b, err := Open(t.Context(), name, Options{})
		if err != nil {
			t.Fatal(err)
		}
		cfg := b.Net.Config
		if b.Name != Default || b.Tokenizer.VocabSize() != cfg.VocabSize || cfg.Positions != 512 {
			t.Errorf("unexpected bundle %q with %+v and %d tokens", b.Name, cfg, b.Tokenizer.VocabSize())
		}
		if n := b.Net.ParamCount(); n < 5e6 || n > 12e6 {
			t.Errorf("the bundled model has %d parameters", n)
		}
		for _, text := range []string{"hi, how are you?", "你好，今天天气怎么样？"} {
			if got := b.Tokenizer.Decode(b.Tokenizer.Encode(nil, text)); got != text {
				t.Errorf("%q became %q", text, got)
			}
		}
	}
}
