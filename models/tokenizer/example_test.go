package tokenizer_test

import (
	"fmt"
	"os"
	"slices"

	"causerie/models/tokenizer"
)

// Train a vocabulary on your own text, and use it.
func Example() {
	texts := []string{"hello hello world", "你好，你好，世界"}
	t, err := tokenizer.TrainBPE(slices.Values(texts), tokenizer.TrainOptions{
		VocabSize: 270,
		Specials:  []string{"<|endoftext|>"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ids := t.Encode(nil, "hello 你好")
	for _, id := range ids {
		fmt.Printf("%d %q\n", id, t.AppendToken(nil, id))
	}
	fmt.Println(t.Decode(ids))
	// Output:
	// 265 "hello"
	// 220 " "
	// 266 "你好"
	// hello 你好
}

// A special token's name in a text is text, unless the caller asks.
func ExampleTokenizer_encodeSpecial() {
	t, err := tokenizer.Load(os.DirFS("testdata/bpe"))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(len(t.Encode(nil, "<|end|>")), len(t.EncodeSpecial(nil, "<|end|>")))
	// Output: 7 1
}

// Characters appear when they are whole.
func ExampleStream() {
	t, err := tokenizer.Load(os.DirFS("testdata/bpe"))
	if err != nil {
		fmt.Println(err)
		return
	}
	s := tokenizer.NewStream(t)
	for _, id := range t.Encode(nil, "hi 😃") {
		fmt.Printf("%q ", s.Push(id))
	}
	fmt.Printf("%q\n", s.Flush())
	// Output: "h" "i" " " "" "😃" ""
}
