package tokenizer

import (
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the golden files that this package makes itself")

// trainingText is what testdata/bpe is trained on.
var trainingText = []string{
	"hello hello hello world, the world says hello back; it's what worlds do",
	"I'll say what they've done; we're here and don't know what the others do.",
	"你好世界，世界你好，你好你好。今天天气怎么样？今天天气很好。",
	"aaaa aaaaaaa aaa  aa   a", "the the the then there\n\nand\n\tthat", "123 123 12 1 😀 😀 😀",
	"中英 mixed 文字，中文和 English 都好。",
}

var bundledSpecials = []string{"<|endoftext|>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>"}

func trainSmall(t testing.TB) *BPE {
	t.Helper()
	bpe, err := TrainBPE(slices.Values(trainingText), TrainOptions{VocabSize: 360, Specials: bundledSpecials})
	if err != nil {
		t.Fatal(err)
	}
	return bpe
}

// TestTrainGolden trains testdata/bpe anew: training is deterministic and Save writes
// the same bytes.
func TestTrainGolden(t *testing.T) {
	dir := t.TempDir()
	golden := filepath.Join("testdata", "bpe")
	if *update {
		dir = golden
	}
	if err := trainSmall(t).Save(dir); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{fileVocab, fileMerges, fileTokenizer, fileConfig, fileSpecials} {
		got, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(filepath.Join(golden, name))
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != string(want) {
			t.Errorf("%s differs from testdata/bpe", name)
		}
	}
}

// TestTrainIsBPE checks the trainer's bookkeeping against the definition, which counts
// all pairs afresh for every merge.
func TestTrainIsBPE(t *testing.T) {
	const vocabSize = 390
	texts := append(slices.Clone(trainingText), samples...)
	bpe, err := TrainBPE(slices.Values(texts), TrainOptions{VocabSize: vocabSize, Specials: []string{"he", "<|end|>"}})
	if err != nil {
		t.Fatal(err)
	}
	type word struct {
		tokens []string
		count  int64
	}
	var words []word
	for w, c := range countWords(slices.Values(texts), 1<<20) {
		words = append(words, word{byteStrings(w), *c})
	}
	rank := map[string]int{}
	for id, b := range byteOrder {
		rank[string([]byte{b})] = id
	}
	for i, m := range bpe.merges {
		counts := map[[2]string]int64{}
		for _, w := range words {
			for j := range len(w.tokens) - 1 {
				counts[[2]string{w.tokens[j], w.tokens[j+1]}] += w.count
			}
		}
		var best [2]string
		var most int64
		for p, c := range counts {
			if _, known := rank[p[0]+p[1]]; known || p[0]+p[1] == "he" || c < most {
				continue
			}
			if c > most || rank[p[0]] < rank[best[0]] || p[0] == best[0] && rank[p[1]] < rank[best[1]] {
				best, most = p, c
			}
		}
		if got := [2]string{bpe.text[m.left], bpe.text[m.right]}; got != best {
			t.Fatalf("merge %d is %q, want %q, which occurs %d times (it: %d)", i, got, best, most, counts[got])
		}
		rank[best[0]+best[1]] = 256 + i
		for k := range words {
			words[k].tokens = mergeStrings(words[k].tokens, best)
		}
	}
	if bpe.VocabSize() != vocabSize {
		t.Errorf("VocabSize is %d, want %d", bpe.VocabSize(), vocabSize)
	}
}

func byteStrings(s string) []string {
	var out []string
	for i := range len(s) {
		out = append(out, s[i:i+1])
	}
	return out
}

// mergeStrings merges a pair wherever it stands, from the left.
func mergeStrings(tokens []string, pair [2]string) []string {
	var out []string
	for i := 0; i < len(tokens); i++ {
		if i+1 < len(tokens) && tokens[i] == pair[0] && tokens[i+1] == pair[1] {
			out = append(out, pair[0]+pair[1])
			i++
		} else {
			out = append(out, tokens[i])
		}
	}
	return out
}

func TestTrainOrderDoesNotMatter(t *testing.T) {
	reversed := slices.Clone(trainingText)
	slices.Reverse(reversed)
	a := trainSmall(t)
	b, err := TrainBPE(slices.Values(reversed), TrainOptions{VocabSize: 360, Specials: bundledSpecials})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(a.entries, b.entries) || !slices.Equal(a.merges, b.merges) {
		t.Error("the order of the texts changed the result")
	}
}

func TestTrainEdges(t *testing.T) {
	for name, c := range map[string]struct {
		texts []string
		opts  TrainOptions
		size  int
		err   string
	}{
		"no text":        {nil, TrainOptions{VocabSize: 1000}, 256, ""},
		"empty texts":    {[]string{"", ""}, TrainOptions{VocabSize: 1000}, 256, ""},
		"only bytes":     {[]string{"ab ab"}, TrainOptions{VocabSize: 256}, 256, ""},
		"specials":       {nil, TrainOptions{VocabSize: 300, Specials: []string{"<|a|>"}}, 257, ""},
		"rare":           {[]string{"ab ab abc"}, TrainOptions{VocabSize: 300, MinCount: 3}, 257, ""},
		"short tokens":   {[]string{"你好啊 你好啊 abc abc"}, TrainOptions{VocabSize: 300, MaxTokenRunes: 1}, 256 + 2*3, ""},
		"long word":      {[]string{strings.Repeat("字", 100_000)}, TrainOptions{VocabSize: 262}, 262, ""},
		"invalid UTF-8":  {[]string{"\xff\xff\xff\xff"}, TrainOptions{VocabSize: 300}, 257, ""},
		"many words":     {[]string{"ab ab ab", "cd", "ef", "gh", "ab"}, TrainOptions{VocabSize: 300, MaxWords: 2}, 258, ""},
		"too many words": {nil, TrainOptions{VocabSize: 300, MaxWords: 1 << 30}, 0, "MaxWords"},
		"too large":      {nil, TrainOptions{VocabSize: 1 << 30}, 0, "too large"},
		"too small":      {nil, TrainOptions{VocabSize: 255}, 0, "too small"},
		"twice":          {nil, TrainOptions{VocabSize: 300, Specials: []string{"<a>", "<a>"}}, 0, "twice"},
		"short special":  {nil, TrainOptions{VocabSize: 300, Specials: []string{"a"}}, 0, "two characters"},
		"bad special":    {nil, TrainOptions{VocabSize: 300, Specials: []string{"a\xff"}}, 0, "UTF-8"},
		"bad count":      {nil, TrainOptions{VocabSize: 300, MinCount: -1}, 0, "negative"},
	} {
		bpe, err := TrainBPE(slices.Values(c.texts), c.opts)
		switch {
		case c.err != "":
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: error %v, want one with %q", name, err, c.err)
			}
		case err != nil:
			t.Errorf("%s: %v", name, err)
		case bpe.VocabSize() != c.size:
			t.Errorf("%s: %d tokens, want %d: %q", name, bpe.VocabSize(), c.size, bpe.text[256:])
		}
	}
}

func TestTrainProgress(t *testing.T) {
	texts := slices.Values(samples)
	var seen []int
	opts := TrainOptions{VocabSize: 500, MinCount: 1, Progress: func(done, total int) error {
		if total != 500-256 {
			t.Errorf("%d merges to make", total)
		}
		seen = append(seen, done)
		return nil
	}}
	if _, err := TrainBPE(texts, opts); err != nil || !slices.Equal(seen, []int{64, 128, 192}) {
		t.Errorf("progress at %v, error %v", seen, err)
	}
	opts.Progress = func(int, int) error { return context.Canceled }
	if _, err := TrainBPE(texts, opts); !errors.Is(err, context.Canceled) {
		t.Errorf("stopped with error %v", err)
	}
}

func TestSaveLoad(t *testing.T) {
	bpe := trainSmall(t)
	dir := t.TempDir()
	if err := bpe.Save(dir); err != nil {
		t.Fatal(err)
	}
	check := func(loaded Tokenizer) {
		t.Helper()
		if loaded.VocabSize() != bpe.VocabSize() {
			t.Errorf("loaded %d tokens, saved %d", loaded.VocabSize(), bpe.VocabSize())
		}
		for _, text := range append(samples, trainingText...) {
			a, b := bpe.Encode(nil, text), loaded.Encode(nil, text)
			if !slices.Equal(a, b) || loaded.Decode(b) != text {
				t.Errorf("%q: %v, loaded %v -> %q", text, a, b, loaded.Decode(b))
			}
		}
		for i, s := range bundledSpecials {
			id, ok := loaded.SpecialID(s)
			if want := int32(bpe.VocabSize() - len(bundledSpecials) + i); !ok || id != want || !loaded.IsSpecial(id) {
				t.Errorf("SpecialID(%q) = %d, %v; want %d", s, id, ok, want)
			}
			if got := loaded.EncodeSpecial(nil, s); !slices.Equal(got, []int32{id}) {
				t.Errorf("EncodeSpecial(%q) = %v", s, got)
			}
			if got := loaded.Encode(nil, s); slices.Contains(got, id) || loaded.Decode(got) != s {
				t.Errorf("Encode(%q) = %v", s, got)
			}
		}
	}
	loaded, err := Load(os.DirFS(dir))
	if err != nil {
		t.Fatal(err)
	}
	check(loaded)
	if err := os.Remove(filepath.Join(dir, fileTokenizer)); err != nil {
		t.Fatal(err)
	}
	if loaded, err = Load(os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	check(loaded)
}
