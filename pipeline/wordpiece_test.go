package pipeline

import (
	"strings"
	"testing"
	"testing/fstest"

	"causerie/models/dialogue"
	"causerie/models/tokenizer"
)

// A Chinese GPT-2 with BERT's vocabulary: [CLS]turn[SEP]turn[SEP], and text
// whose spaces are the tokenizer's.
func TestChatWordPiece(t *testing.T) {
	words := "[PAD] [UNK] [CLS] [SEP] [MASK] 你 好 ！ 我 是 小 明 。 hello , i don ' t know ##ing 3 个 ? ."
	tok, err := tokenizer.Load(fstest.MapFS{"vocab.txt": {Data: []byte(strings.ReplaceAll(words, " ", "\n") + "\n")}})
	if err != nil {
		t.Fatal(err)
	}
	tpl := dialogue.ForTokenizer(tok)
	question := []dialogue.Turn{dialogue.User("你好")}
	prompt, _, err := chatPrompt(tpl, question, 10, 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ says, want string }{
		{"你 好 ！ 我 是 小 明 。", "你好！我是小明。"},
		{"hello , i don ' t know .", "hello, i don't know."},
		{"i don ' t know ##ing 3 个", "i don't knowing 3个"},
		{"我 [UNK] 好 。", "我好。"},
	} {
		var script []int32
		for word := range strings.FieldsSeq(test.says + " [SEP]") {
			script = append(script, idOf(t, words, word))
		}
		e := engineOf(t, reciter(t, tok, len(prompt), script), EngineOptions{})
		reply, err := e.Chat(t.Context(), ChatRequest{Messages: question, Options: Options{MaxTokens: 30}}, nil)
		if err != nil || reply.Text != test.want || reply.FinishReason != FinishStop {
			t.Errorf("%q: %q (%s), %v; want %q", test.says, reply.Text, reply.FinishReason, err, test.want)
		}
	}
}

func idOf(t *testing.T, vocabulary, word string) int32 {
	t.Helper()
	for i, entry := range strings.Fields(vocabulary) {
		if entry == word {
			return int32(i)
		}
	}
	t.Fatalf("%q is not in the vocabulary", word)
	return 0
}
