package models

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"causerie/models/dialogue"
	"causerie/models/gpt2"
	"causerie/models/hf"
	"causerie/models/lora"
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

func TestOpenAdapter(t *testing.T) {
	tok := trainTokenizer(t)
	base := writeFolder(t, tok.VocabSize(), tok)
	plain, err := Open(t.Context(), base, Options{})
	if err != nil {
		t.Fatal(err)
	}
	a, err := lora.New(plain.Net.Config, lora.Config{Base: base}, 3)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range a.Params() {
		for i := range p.Data {
			p.Data[i] = float32(i%5) - 2
		}
	}
	dir := filepath.Join(t.TempDir(), "adapter")
	if err := a.Save(dir); err != nil {
		t.Fatal(err)
	}
	logits := func(m *gpt2.Model, a *gpt2.Adapter) []float32 {
		dst := make([]float32, m.Config.VocabSize)
		if err := gpt2.NewRunner(m, nil).Logits([]gpt2.Segment{{Tokens: []int32{5, 6, 7}, Adapter: a}}, []int{2}, dst); err != nil {
			t.Fatal(err)
		}
		return dst
	}
	want := logits(plain.Net, a.Net)
	if slices.Equal(want, logits(plain.Net, nil)) {
		t.Fatal("the adapter changes nothing")
	}
	for _, open := range []func() (*Bundle, error){
		func() (*Bundle, error) { return Open(t.Context(), dir, Options{Frozen: true}) },
		func() (*Bundle, error) { return Open(t.Context(), base, Options{Adapter: dir}) },
	} {
		b, err := open()
		if err != nil {
			t.Fatal(err)
		}
		if b.Name != filepath.ToSlash(dir) || b.Tokenizer == nil || !slices.Equal(logits(b.Net, nil), want) {
			t.Errorf("bundle %q gives other logits", b.Name)
		}
	}
	if _, err := Open(t.Context(), dir, Options{Adapter: dir}); err == nil || !strings.Contains(err.Error(), "merge that first") {
		t.Errorf("an adapter on an adapter: %v", err)
	}
	if err := os.RemoveAll(base); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), dir, Options{}); err == nil || !strings.Contains(err.Error(), "name the base") {
		t.Errorf("without its base: %v", err)
	}
}
