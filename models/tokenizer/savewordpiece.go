package tokenizer

import (
	"bytes"
	"errors"
)

// Save writes the tokenizer into the folder dir, which is made if need be, as
// transformers reads it: vocab.txt, tokenizer.json, tokenizer_config.json and
// special_tokens_map.json. [Load] reads them back.
func (t *WordPiece) Save(dir string) error {
	if len(t.entries) == 0 {
		return errors.New("tokenizer: save: the vocabulary is empty")
	}
	return saveFiles(dir, map[string]any{
		fileWordPiece: t.vocabText(),
		fileTokenizer: t.tokenizerJSON(),
		fileConfig:    t.configJSON(),
		fileSpecials:  t.added.specialsJSON(t.opts.roles),
	})
}

// vocabText is vocab.txt: one entry a line, a blank line for an id without one.
func (t *WordPiece) vocabText() plain {
	var b bytes.Buffer
	for _, entry := range t.entries {
		b.WriteString(entry)
		b.WriteByte('\n')
	}
	return b.Bytes()
}

// tokenizerJSON is tokenizer.json.
func (t *WordPiece) tokenizerJSON() object {
	// Of an entry that occurs twice only the id in use can be written.
	entries := make(vocabulary, len(t.entries))
	for entry, id := range t.ids {
		entries[id] = entry
	}
	return object{
		"version":      "1.0",
		"truncation":   nil,
		"padding":      nil,
		"added_tokens": t.added.listJSON(),
		"normalizer": object{
			"type":                 "BertNormalizer",
			"clean_text":           t.opts.cleanText,
			"handle_chinese_chars": t.opts.spaceHan,
			"strip_accents":        t.opts.stripAccents,
			"lowercase":            t.opts.lowerCase,
		},
		"pre_tokenizer":  object{"type": "BertPreTokenizer"},
		"post_processor": t.postProcessorJSON(),
		"decoder":        object{"type": "WordPiece", "prefix": t.opts.prefix, "cleanup": t.opts.tidy},
		"model": object{
			"type":                      "WordPiece",
			"unk_token":                 t.opts.unknown,
			"continuing_subword_prefix": t.opts.prefix,
			"max_input_chars_per_word":  t.opts.maxRunes,
			"vocab":                     entries,
		},
	}
}

// postProcessorJSON says what Hugging Face's libraries, when asked to add special
// tokens, put around a text: [CLS] before and [SEP] after it. This package adds none.
func (t *WordPiece) postProcessorJSON() any {
	const cls, sep = "[CLS]", "[SEP]"
	clsID, ok1 := t.SpecialID(cls)
	sepID, ok2 := t.SpecialID(sep)
	if !ok1 || !ok2 {
		return nil
	}
	special := func(name string, segment int) object {
		return object{"SpecialToken": object{"id": name, "type_id": segment}}
	}
	sequence := func(name string, segment int) object {
		return object{"Sequence": object{"id": name, "type_id": segment}}
	}
	entry := func(name string, id int32) object {
		return object{"id": name, "ids": []int32{id}, "tokens": []string{name}}
	}
	return object{
		"type":   "TemplateProcessing",
		"single": []object{special(cls, 0), sequence("A", 0), special(sep, 0)},
		"pair": []object{
			special(cls, 0), sequence("A", 0), special(sep, 0), sequence("B", 1), special(sep, 1),
		},
		"special_tokens": object{cls: entry(cls, clsID), sep: entry(sep, sepID)},
	}
}

// configJSON is tokenizer_config.json.
func (t *WordPiece) configJSON() object {
	return t.added.configJSON(t.opts.roles, object{
		"tokenizer_class":              "BertTokenizer",
		"do_lower_case":                t.opts.lowerCase,
		"strip_accents":                t.opts.stripAccents,
		"tokenize_chinese_chars":       t.opts.spaceHan,
		"clean_up_tokenization_spaces": false,
	})
}
