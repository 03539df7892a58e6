package dialogue_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"causerie/models/dialogue"
	"causerie/models/tokenizer"
)

// bpe makes a vocabulary of the single bytes, a few merges and special tokens.
func bpe(specials ...string) tokenizer.Tokenizer {
	texts := slices.Values([]string{"how are you, how are they", "你好，你好吗"})
	t, err := tokenizer.TrainBPE(texts, tokenizer.TrainOptions{VocabSize: 256 + len(specials) + 8, Specials: specials})
	if err != nil {
		panic(err)
	}
	return t
}

func wordPiece(t *testing.T) tokenizer.Tokenizer {
	t.Helper()
	vocab := "[PAD] [UNK] [CLS] [SEP] [MASK] how are you 你 好 < > | end"
	tok, err := tokenizer.Load(fstest.MapFS{"vocab.txt": {Data: []byte(strings.ReplaceAll(vocab, " ", "\n") + "\n")}})
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// TestRealTokenizers spells a conversation with this project's tokenizers and
// reads it back, special tokens by name.
func TestRealTokenizers(t *testing.T) {
	tests := []struct {
		name string
		tok  tokenizer.Tokenizer
		want string
	}{
		{
			"markers", bpe(dialogue.Specials()...),
			"<|system|>how<|end|><|user|>你好<|end|><|assistant|>how are you<|end|><|user|><|end|><|end|><|endoftext|>",
		},
		{"DialoGPT", bpe(dialogue.EndOfText), "你好<|endoftext|>how are you<|endoftext|><|end|><|endoftext|>"},
		{"no special token", bpe(), "你好\nhow are you\n<|end|>\n"},
		{"chitchat", wordPiece(t), "[CLS] 你 好 [SEP] how are you [SEP] < | end | > [SEP]"},
	}
	turns := []dialogue.Turn{dialogue.System("how"), dialogue.User("你好"), dialogue.Assistant("how are you"), dialogue.User("<|end|>")}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tpl := dialogue.ForTokenizer(tt.tok)
			ids := tpl.Begin(nil)
			for _, turn := range turns {
				ids = tpl.AppendTurn(ids, turn)
			}
			ids = tpl.End(ids)
			if got := tt.tok.Decode(ids); got != tt.want {
				t.Errorf("decoded %q, want %q", got, tt.want)
			}
			// The text is text: only the markers are special.
			for _, turn := range turns {
				ids := tpl.AppendTurn(nil, turn)
				before, after := tpl.Markers(turn.Role)
				for i, id := range ids {
					marker := i < before || i >= len(ids)-after
					if tt.tok.IsSpecial(id) != marker && tt.name != "no special token" {
						t.Errorf("id %d of %v is special: %v", i, turn, !marker)
					}
				}
			}
		})
	}
}

func ExampleForTokenizer() {
	tok := bpe(dialogue.Specials()...)
	tpl := dialogue.ForTokenizer(tok)

	ids := tpl.Begin(nil)
	ids = tpl.AppendTurn(ids, dialogue.User("how are you"))
	ids = tpl.AppendPrompt(ids)
	fmt.Println(tok.Decode(ids))
	// Output: <|user|>how are you<|end|><|assistant|>
}
