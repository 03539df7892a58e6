package tokenizer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// Save writes the tokenizer into the folder dir, which is made if need be, as the five
// files that Hugging Face's transformers reads: vocab.json, merges.txt,
// tokenizer.json, tokenizer_config.json and special_tokens_map.json. [Load] reads
// them back, and both give the same ids.
func (t *BPE) Save(dir string) error {
	if err := t.save(dir); err != nil {
		return fmt.Errorf("tokenizer: save: %w", err)
	}
	return nil
}

func (t *BPE) save(dir string) error {
	if len(t.entries) == 0 {
		return errors.New("the vocabulary is empty")
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	vocab, err := t.vocabJSON()
	if err != nil {
		return err
	}
	files := []struct {
		name    string
		content any
	}{
		{fileVocab, vocab},
		{fileTokenizer, t.tokenizerJSON(vocab)},
		{fileConfig, t.configJSON()},
		{fileSpecials, t.specialsJSON()},
	}
	for _, f := range files {
		data, err := marshal(f.content)
		if err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
		if err := os.WriteFile(filepath.Join(dir, f.name), data, 0o666); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(dir, fileMerges), t.mergesText(), 0o666)
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

// vocabJSON is the vocabulary in order of ids, which a Go map would not keep.
func (t *BPE) vocabJSON() (json.RawMessage, error) {
	var b bytes.Buffer
	b.WriteString("{")
	for id, entry := range t.entries {
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
func (t *BPE) mergesText() []byte {
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
func (t *BPE) tokenizerJSON(vocab json.RawMessage) object {
	merges := make([][2]string, len(t.merges))
	for i, m := range t.merges {
		merges[i] = [2]string{t.entries[m.left], t.entries[m.right]}
	}
	var unknown *string
	if t.opts.unknown != "" {
		unknown = &t.opts.unknown
	}
	added := []object{}
	for _, a := range t.added.list() {
		o := a.json()
		o["id"] = a.id
		added = append(added, o)
	}
	byteLevel := object{"type": "ByteLevel", "add_prefix_space": t.opts.addPrefixSpace, "trim_offsets": true, "use_regex": true}
	return object{
		"version":        "1.0",
		"truncation":     nil,
		"padding":        nil,
		"added_tokens":   added,
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
			"vocab":                     vocab,
			"merges":                    merges,
		},
	}
}

// configJSON is tokenizer_config.json.
func (t *BPE) configJSON() object {
	byID := object{}
	for _, a := range t.added.list() {
		byID[fmt.Sprint(a.id)] = a.json()
	}
	o := object{
		"tokenizer_class":              "GPT2Tokenizer",
		"add_prefix_space":             t.opts.addPrefixSpace,
		"clean_up_tokenization_spaces": false,
		"added_tokens_decoder":         byID,
	}
	for key, value := range t.specialsJSON() {
		o[key] = value
	}
	return o
}

// specialsJSON is special_tokens_map.json: the roles, and the special tokens without one.
func (t *BPE) specialsJSON() object {
	o := object{}
	played := []string{}
	for role, name := range t.opts.roles {
		if _, ok := t.SpecialID(name); ok {
			o[role] = name
			played = append(played, name)
		}
	}
	additional := []string{}
	for _, a := range t.added.list() {
		if a.special && !slices.Contains(played, a.content) {
			additional = append(additional, a.content)
		}
	}
	if len(additional) > 0 {
		o["additional_special_tokens"] = additional
	}
	return o
}

// list returns the added tokens by id.
func (a *addedTokens) list() []addedToken {
	if a == nil {
		return nil
	}
	found := make(map[string]addedToken, len(a.byID))
	for _, t := range a.byID {
		found[t.content] = t
	}
	return sortedTokens(found)
}

func (t addedToken) json() object {
	return object{
		"content": t.content, "special": t.special, "single_word": t.singleWord,
		"lstrip": t.lstrip, "rstrip": t.rstrip, "normalized": t.normalized,
	}
}
