package tokenizer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Save writes the tokenizer into the folder dir, which is made if need be, as the five
// files that Hugging Face's transformers reads: vocab.json, merges.txt,
// tokenizer.json, tokenizer_config.json and special_tokens_map.json. [Load] reads
// them back, and both give the same ids.
func (t *BPE) Save(dir string) error {
	if len(t.entries) == 0 {
		return errors.New("tokenizer: save: the vocabulary is empty")
	}
	return saveFiles(dir, map[string]any{
		fileVocab:     vocabulary(t.entries),
		fileMerges:    t.mergesText(),
		fileTokenizer: t.tokenizerJSON(),
		fileConfig:    t.configJSON(),
		fileSpecials:  t.added.specialsJSON(t.opts.roles),
	})
}

// plain is the content of a file that is not JSON.
type plain []byte

// saveFiles writes files of the given contents into a folder.
func saveFiles(dir string, files map[string]any) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return fmt.Errorf("tokenizer: save: %w", err)
	}
	for name, content := range files {
		data, ok := content.(plain)
		if !ok {
			var err error
			if data, err = marshal(content); err != nil {
				return fmt.Errorf("tokenizer: save: %s: %w", name, err)
			}
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o666); err != nil {
			return fmt.Errorf("tokenizer: save: %w", err)
		}
	}
	return nil
}

// marshal is json.MarshalIndent without escaping <, > and &, which tokens are full of.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := enc.Encode(v)
	return b.Bytes(), err
}

// vocabulary is a JSON object of entries and ids, in the order of ids, which a Go map
// would not keep.
type vocabulary []string

func (v vocabulary) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteString("{")
	for id, entry := range v {
		if entry == "" {
			continue
		}
		key, err := marshal(entry)
		if err != nil {
			return nil, err
		}
		if b.Len() > 1 {
			b.WriteString(",")
		}
		fmt.Fprintf(&b, "%s:%d", bytes.TrimSpace(key), id)
	}
	b.WriteString("}")
	return b.Bytes(), nil
}

// mergesText is merges.txt.
func (t *BPE) mergesText() plain {
	var b bytes.Buffer
	b.WriteString("#version: 0.2\n")
	for _, m := range t.merges {
		fmt.Fprintf(&b, "%s %s\n", t.entries[m.left], t.entries[m.right])
	}
	return b.Bytes()
}

// object is a JSON object; its keys are written in alphabetical order.
type object map[string]any

// tokenizerJSON is tokenizer.json.
func (t *BPE) tokenizerJSON() object {
	merges := make([][2]string, len(t.merges))
	for i, m := range t.merges {
		merges[i] = [2]string{t.entries[m.left], t.entries[m.right]}
	}
	var unknown *string
	if t.opts.unknown != "" {
		unknown = &t.opts.unknown
	}
	byteLevel := object{"type": "ByteLevel", "add_prefix_space": t.opts.addPrefixSpace, "trim_offsets": true, "use_regex": true}
	return object{
		"version":        "1.0",
		"truncation":     nil,
		"padding":        nil,
		"added_tokens":   t.added.listJSON(),
		"normalizer":     nil,
		"pre_tokenizer":  byteLevel,
		"post_processor": nil,
		"decoder":        byteLevel,
		"model": object{
			"type":                      "BPE",
			"dropout":                   nil,
			"unk_token":                 unknown,
			"continuing_subword_prefix": nil,
			"end_of_word_suffix":        nil,
			"fuse_unk":                  t.opts.fuseUnknown,
			"byte_fallback":             false,
			"ignore_merges":             t.opts.ignoreMerges,
			"vocab":                     vocabulary(t.entries),
			"merges":                    merges,
		},
	}
}

// configJSON is tokenizer_config.json.
func (t *BPE) configJSON() object {
	return t.added.configJSON(t.opts.roles, object{
		"tokenizer_class":              "GPT2Tokenizer",
		"add_prefix_space":             t.opts.addPrefixSpace,
		"clean_up_tokenization_spaces": false,
	})
}
