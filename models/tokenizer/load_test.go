package tokenizer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// folder makes a file system of names and contents.
func folder(files map[string]string) fstest.MapFS {
	m := fstest.MapFS{}
	for name, content := range files {
		m[name] = &fstest.MapFile{Data: []byte(content)}
	}
	return m
}

// smallVocab is a vocab.json of all bytes, "he" and "hel", with more entries appended.
func smallVocab(more string) string {
	var b strings.Builder
	b.WriteString("{")
	for id, c := range byteOrder {
		key, _ := marshal(string(visibleRune[c]))
		fmt.Fprintf(&b, "%s: %d,\n", strings.TrimSpace(string(key)), id)
	}
	return b.String() + `"he": 256, "hel": 257` + more + "}"
}

// smallJSON is a tokenizer.json of the same vocabulary, changed by edit.
func smallJSON(edit func(file, model map[string]any)) string {
	model := map[string]any{
		"type": "BPE", "vocab": json.RawMessage(smallVocab("")), "merges": []string{"h e", "he l"},
	}
	file := map[string]any{
		"model": model, "pre_tokenizer": map[string]any{"type": "ByteLevel", "add_prefix_space": false},
		"decoder": map[string]any{"type": "ByteLevel"},
	}
	if edit != nil {
		edit(file, model)
	}
	data, err := json.Marshal(file)
	if err != nil {
		panic(err)
	}
	return string(data)
}

func TestLoadErrors(t *testing.T) {
	const merges = "#version: 0.2\nh e\nhe l\n"
	file := func(content string) map[string]string { return map[string]string{fileTokenizer: content} }
	edited := func(edit func(file, model map[string]any)) map[string]string { return file(smallJSON(edit)) }
	for name, c := range map[string]struct {
		files map[string]string
		want  string // a part of the error
	}{
		"no files":           {nil, "vocab.txt is there"},
		"no merges":          {map[string]string{fileVocab: "{\"a\":0}"}, "merges.txt"},
		"vocab not JSON":     {map[string]string{fileVocab: "{\n\"a\": 0,\n\"b\" 1}", fileMerges: merges}, "vocab.json:3:"},
		"vocab of strings":   {map[string]string{fileVocab: "{\n\"a\": \"x\"}", fileMerges: merges}, "vocab.json:2:"},
		"vocab a list":       {map[string]string{fileVocab: "[1]", fileMerges: merges}, "vocab.json:1:"},
		"vocab null":         {map[string]string{fileVocab: "null", fileMerges: merges}, "vocab.json: there are no entries"},
		"vocab empty file":   {map[string]string{fileVocab: "", fileMerges: merges}, "vocab.json:1:"},
		"negative id":        {map[string]string{fileVocab: smallVocab(`,"x y":-1`), fileMerges: merges}, `vocab.json: entry "x y": id -1 is out of range`},
		"absurd id":          {map[string]string{fileVocab: smallVocab(`,"x y":2000000000`), fileMerges: merges}, "id 2000000000 is out of range"},
		"huge id":            {map[string]string{fileVocab: smallVocab(`,"x y":3000000000`), fileMerges: merges}, "vocab.json:"},
		"same id twice":      {map[string]string{fileVocab: smallVocab(`,"x y":257`), fileMerges: merges}, `id 257 belongs to two entries, "hel" and "x y"`},
		"empty entry":        {map[string]string{fileVocab: smallVocab(`,"":258`), fileMerges: merges}, "entry with id 258 is empty"},
		"merge of one":       {map[string]string{fileVocab: smallVocab(""), fileMerges: "#version: 0.2\nh e\nhel\n"}, `merges.txt:3: "hel" is not two`},
		"merge of three":     {map[string]string{fileVocab: smallVocab(""), fileMerges: "h e\r\nh e l\r\n"}, "merges.txt:2:"},
		"merge with gap":     {map[string]string{fileVocab: smallVocab(""), fileMerges: "h e\n\nhe l\n"}, "merges.txt:2:"},
		"merge unknown":      {map[string]string{fileVocab: smallVocab(""), fileMerges: "#version: 0.2\nh e\nx hex\n"}, `merges.txt:3: "hex" is not in the vocabulary`},
		"merge to nothing":   {map[string]string{fileVocab: smallVocab(""), fileMerges: "h e\nl l\n"}, `merges.txt:2: "ll" is not in the vocabulary`},
		"merge not UTF-8":    {map[string]string{fileVocab: smallVocab(""), fileMerges: "h \xff\n"}, "merges.txt:1:"},
		"JSON cut off":       {file("{\n\"model\": {\n"), "tokenizer.json:3:"},
		"JSON without model": {file("{}"), `of type ""`},
		"JSON null":          {file("null"), `of type ""`},
		"Unigram":            {file(`{"model":{"type":"Unigram","vocab":[["a",0.1]]}}`), `of type "Unigram"`},
		"BPE without vocab":  {edited(func(_, m map[string]any) { delete(m, "vocab") }), "model.vocab is missing"},
		"bad merge": {edited(func(_, m map[string]any) { m["merges"] = []any{"h e", []string{"he", "l", "x"}} }),
			"tokenizer.json: model.merges[1]:"},
		"merge is a number": {edited(func(_, m map[string]any) { m["merges"] = []any{7} }), "model.merges[0]: 7 is neither"},
		"merge pair unknown": {edited(func(_, m map[string]any) { m["merges"] = []any{[]string{"h", "x"}} }),
			`model.merges[0]: "hx" is not in the vocabulary`},
		"merge with empty side": {edited(func(_, m map[string]any) { m["merges"] = []any{[]string{"h", ""}} }),
			"model.merges[0]: one side is empty"},
		"normalizer": {edited(func(f, _ map[string]any) { f["normalizer"] = map[string]any{"type": "NFC"} }), `the normalizer "NFC"`},
		"Metaspace": {edited(func(f, _ map[string]any) { f["pre_tokenizer"] = map[string]any{"type": "Metaspace"} }),
			`the pre_tokenizer "Metaspace"`},
		"no pre-tokenizer": {edited(func(f, _ map[string]any) { delete(f, "pre_tokenizer") }), `the pre_tokenizer "none"`},
		"other pattern": {edited(func(f, _ map[string]any) {
			f["pre_tokenizer"] = map[string]any{"type": "Sequence", "pretokenizers": []any{
				map[string]any{"type": "Split"}, map[string]any{"type": "ByteLevel", "use_regex": false}}}
		}), `the pre_tokenizer "Sequence"`},
		"no pattern": {edited(func(f, _ map[string]any) {
			f["pre_tokenizer"] = map[string]any{"type": "ByteLevel", "use_regex": false}
		}), "without use_regex"},
		"decoder":       {edited(func(f, _ map[string]any) { f["decoder"] = map[string]any{"type": "BPEDecoder"} }), `the decoder "BPEDecoder"`},
		"word ends":     {edited(func(_, m map[string]any) { m["end_of_word_suffix"] = "</w>" }), "end_of_word_suffix"},
		"byte fallback": {edited(func(_, m map[string]any) { m["byte_fallback"] = true }), "byte_fallback"},
		"added token empty": {edited(func(f, _ map[string]any) { f["added_tokens"] = []any{map[string]any{"id": 300}} }),
			"added_tokens[0]: the content is empty"},
		"added token twice": {edited(func(f, _ map[string]any) {
			f["added_tokens"] = []any{map[string]any{"id": 300, "content": "x"}, map[string]any{"id": 301, "content": "x"}}
		}), `added_tokens[1]: "x" is listed twice`},
		"added token taken": {edited(func(f, _ map[string]any) {
			f["added_tokens"] = []any{map[string]any{"id": 256, "content": "<x>"}}
		}), `id 256 belongs to two entries, "<x>" and "he"`},
		"added token moved": {edited(func(f, _ map[string]any) {
			f["added_tokens"] = []any{map[string]any{"id": 300, "content": "he"}}
		}), `"he" has id 300, but the vocabulary gives it 256`},
		"added token far away": {edited(func(f, _ map[string]any) {
			f["added_tokens"] = []any{map[string]any{"id": 1 << 30, "content": "<x>"}}
		}), "out of range"},
		"side file": {map[string]string{fileVocab: smallVocab(""), fileMerges: merges, fileSpecials: "{\"eos_token\": 7}"},
			"special_tokens_map.json"},
		"side file id": {map[string]string{fileVocab: smallVocab(""), fileMerges: merges,
			fileConfig: `{"added_tokens_decoder": {"x": {"content": "<x>"}}}`}, `added_tokens_decoder: "x" is not an id`},
		"side files differ": {map[string]string{fileVocab: smallVocab(""), fileMerges: merges,
			fileConfig: `{"added_tokens_decoder": {"258": {"content": "<x>"}}}`, fileAddedTokens: `{"<x>": 259}`},
			`added_tokens.json: "<x>" has the id 259, but elsewhere it has 258`},
		"words without UNK":   {map[string]string{fileWordPiece: "a\nb\n"}, `vocab.txt: the vocabulary has no "[UNK]"`},
		"words empty":         {map[string]string{fileWordPiece: ""}, `vocab.txt: the vocabulary has no "[UNK]"`},
		"words not UTF-8":     {map[string]string{fileWordPiece: "a\n\xff\n"}, "vocab.txt:2:"},
		"words, added is far": {map[string]string{fileWordPiece: "[UNK]\n", fileAddedTokens: `{"<x>": 99999999}`}, "out of range"},
		"words, added taken":  {map[string]string{fileWordPiece: "[UNK]\na\n", fileAddedTokens: `{"<x>": 1}`}, `"<x>" has the id 1 of "a"`},
	} {
		t.Run(name, func(t *testing.T) {
			tok, err := Load(folder(c.files))
			if err == nil || tok != nil {
				t.Fatalf("loaded %v, error %v", tok, err)
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("error is\n%q, want\n%q in it", err, c.want)
			}
		})
	}
}

func TestLoadNothing(t *testing.T) {
	if _, err := Load(fstest.MapFS{"config.json": {}}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v does not wrap fs.ErrNotExist", err)
	}
}

// TestLoadPrefers says which files count when there are several.
func TestLoadPrefers(t *testing.T) {
	files := map[string]string{
		fileTokenizer: `{"model":{"type":"Unigram"}}`, fileVocab: smallVocab(""), fileMerges: "h e\nhe l",
		fileWordPiece: "[UNK]\nhel\n",
	}
	if tok, err := Load(folder(files)); err != nil || !slices.Equal(tok.Encode(nil, "hel"), []int32{257}) {
		t.Errorf("a tokenizer.json of another kind hides vocab.json: %v", err)
	}
	delete(files, fileVocab)
	if tok, err := Load(folder(files)); err != nil || !slices.Equal(tok.Encode(nil, "hel"), []int32{1}) {
		t.Errorf("a tokenizer.json of another kind hides vocab.txt: %v", err)
	}
	files[fileTokenizer] = smallJSON(nil)
	if tok, err := Load(folder(files)); err != nil || !slices.Equal(tok.Encode(nil, "hel"), []int32{257}) {
		t.Errorf("tokenizer.json does not come first: %v", err)
	}
	files[fileTokenizer] = "{"
	if _, err := Load(folder(files)); err == nil {
		t.Error("a broken tokenizer.json was passed over")
	}
}

func TestLoadSpecials(t *testing.T) {
	const merges = "#version: 0.2\nh e\nhe l\n"
	vocab := smallVocab(`,"<|endoftext|>":258,"<s>":259,"<x>":260,"<y>":261`)
	for name, c := range map[string]struct {
		files map[string]string
		want  []string
	}{
		"none":           {nil, []string{"<|endoftext|>"}},
		"map of names":   {map[string]string{fileSpecials: `{"bos_token":"<s>","pad_token":"<lost>"}`}, []string{"<s>", "<|endoftext|>"}},
		"map of objects": {map[string]string{fileSpecials: `{"bos_token":{"content":"<s>","lstrip":false},"mask_token":null}`}, []string{"<s>", "<|endoftext|>"}},
		"additional":     {map[string]string{fileSpecials: `{"additional_special_tokens":["<x>",{"content":"<y>"}]}`}, []string{"<x>", "<y>", "<|endoftext|>"}},
		"config":         {map[string]string{fileConfig: `{"eos_token":"<x>","extra_special_tokens":{}}`}, []string{"<x>", "<|endoftext|>"}},
		"by id": {map[string]string{fileConfig: `{"added_tokens_decoder":{"259":{"content":"<s>","special":true},"262":{"content":"<new>","special":true}}}`},
			[]string{"<new>", "<s>", "<|endoftext|>"}},
		"added": {map[string]string{fileAddedTokens: `{"<new>":262,"<newer>":263}`, fileSpecials: `{"sep_token":"<new>"}`},
			[]string{"<new>", "<|endoftext|>"}},
	} {
		t.Run(name, func(t *testing.T) {
			files := map[string]string{fileVocab: vocab, fileMerges: merges}
			maps.Copy(files, c.files)
			tok, err := Load(folder(files))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for id := range int32(tok.VocabSize()) {
				if tok.IsSpecial(id) {
					name := string(tok.AppendToken(nil, id))
					got = append(got, name)
					if back, ok := tok.SpecialID(name); !ok || back != id {
						t.Errorf("SpecialID(%q) = %d, %v; want %d", name, back, ok, id)
					}
				}
			}
			slices.Sort(got)
			slices.Sort(c.want)
			if !slices.Equal(got, c.want) {
				t.Errorf("special are %q, want %q", got, c.want)
			}
		})
	}
}

// TestLoadLineEnds reads files as Windows may have left them.
func TestLoadLineEnds(t *testing.T) {
	tok, err := Load(folder(map[string]string{
		fileVocab: "\uFEFF" + smallVocab(""), fileMerges: "\uFEFF#version: 0.2\r\nh e\r\nhe l\r\n\r\n",
	}))
	if err != nil {
		t.Fatal(err)
	}
	if got := tok.Encode(nil, "hel"); !slices.Equal(got, []int32{257}) {
		t.Errorf("merges.txt: %v", got)
	}
	tok, err = Load(folder(map[string]string{fileWordPiece: "[UNK]\r\nhel\r\n\r\n##lo\r\n"}))
	if err != nil {
		t.Fatal(err)
	}
	if got := tok.Encode(nil, "hello"); !slices.Equal(got, []int32{1, 3}) || tok.VocabSize() != 4 {
		t.Errorf("vocab.txt: %v", got)
	}
}

// use calls everything a tokenizer can do; none of it may panic.
func use(t *testing.T, tok Tokenizer, text string) {
	t.Helper()
	ids := tok.EncodeSpecial(tok.Encode(nil, text), text)
	for _, id := range ids {
		if id < 0 || int(id) >= tok.VocabSize() {
			t.Fatalf("%q gives id %d, outside of %d", text, id, tok.VocabSize())
		}
	}
	ids = append(ids, -1, 0, int32(tok.VocabSize())-1, int32(tok.VocabSize()), 1<<31-1, -1<<31)
	checkStream(t, tok, ids)
	for _, id := range ids {
		tok.AppendToken(nil, id)
		tok.IsSpecial(id)
	}
}

func FuzzLoadTokenizerJSON(f *testing.F) {
	f.Add([]byte(smallJSON(nil)), "hello")
	f.Add([]byte(`{"model":{"merges":[["a","b"]],"vocab":{"a":0,"b":1,"ab":2}},"pre_tokenizer":{"type":"ByteLevel"}}`), "abq")
	f.Add([]byte(`{"model":{"type":"WordPiece","unk_token":"u","vocab":{"u":0,"##b":1}},"pre_tokenizer":{"type":"BertPreTokenizer"}}`), "ub b")
	f.Add([]byte(`{"added_tokens":[{"id":3,"content":"b","lstrip":true,"rstrip":true}],"model":{"type":"BPE","unk_token":"u","fuse_unk":true,"vocab":{"a":0,"u":1}},"pre_tokenizer":{"type":"ByteLevel"}}`), "a  b ")
	for _, name := range []string{"testdata/bpe/tokenizer.json"} {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data, "hello 你好")
	}
	f.Fuzz(func(t *testing.T, data []byte, text string) {
		if tok, err := Load(fstest.MapFS{fileTokenizer: {Data: data}}); err == nil {
			use(t, tok, text)
		}
	})
}

func FuzzLoadMerges(f *testing.F) {
	f.Add([]byte(`{"a":0,"b":1,"ab":2,"<|endoftext|>":3}`), []byte("#version: 0.2\na b\n"), []byte(`{"eos_token":"ab"}`), "abab")
	f.Add([]byte(smallVocab("")), []byte("h e\nhe l"), []byte(`{"added_tokens_decoder":{"258":{"content":"x"}}}`), "hexhel")
	f.Fuzz(func(t *testing.T, vocab, merges, config []byte, text string) {
		files := fstest.MapFS{fileVocab: {Data: vocab}, fileMerges: {Data: merges}, fileConfig: {Data: config}}
		if tok, err := Load(files); err == nil {
			use(t, tok, text)
		}
	})
}

func FuzzLoadWordPiece(f *testing.F) {
	f.Add([]byte("[UNK]\nhe\n##llo\n你\n"), []byte(`{"do_lower_case":false}`), "hello 你好 é")
	f.Add([]byte("[UNK]\n\n\n##\n#\n"), []byte(`{"unk_token":"##","strip_accents":true}`), "##")
	f.Fuzz(func(t *testing.T, vocab, config []byte, text string) {
		if tok, err := Load(fstest.MapFS{fileWordPiece: {Data: vocab}, fileConfig: {Data: config}}); err == nil {
			use(t, tok, text)
			use(t, tok.(*WordPiece).JoinHan(), text)
		}
	})
}
