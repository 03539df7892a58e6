package tokenizer

import (
	"os"
	"slices"
	"testing"
)

var trainingText = []string{
	"hello hello hello world, the world says hello back; it's what worlds do",
	"你好世界，世界你好，你好你好。", "aaaa aaaaaaa aaa", "the the the then there",
}

func TestTrainSaveLoad(t *testing.T) {
	specials := []string{"<|endoftext|>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>"}
	bpe, err := TrainBPE(slices.Values(trainingText), TrainOptions{VocabSize: 320, Specials: specials})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := bpe.Save(dir); err != nil {
		t.Fatal(err)
	}
	loaded, err := Load(os.DirFS(dir))
	if err != nil {
		t.Fatal(err)
	}
	if loaded.VocabSize() != bpe.VocabSize() {
		t.Errorf("loaded %d tokens, saved %d", loaded.VocabSize(), bpe.VocabSize())
	}
	for _, text := range append(samples, trainingText...) {
		a, b := bpe.Encode(nil, text), loaded.Encode(nil, text)
		if !slices.Equal(a, b) || loaded.Decode(b) != text {
			t.Errorf("%q: %v, loaded %v -> %q", text, a, b, loaded.Decode(b))
		}
	}
	for i, s := range specials {
		id, ok := loaded.SpecialID(s)
		if want := int32(bpe.VocabSize() - len(specials) + i); !ok || id != want || !loaded.IsSpecial(id) {
			t.Errorf("SpecialID(%q) = %d, %v; want %d", s, id, ok, want)
		}
		if got := loaded.EncodeSpecial(nil, s); !slices.Equal(got, []int32{id}) {
			t.Errorf("EncodeSpecial(%q) = %v", s, got)
		}
	}
}
