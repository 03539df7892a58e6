package tokenizer

import (
	"errors"
	"fmt"
	"io/fs"
)

// The files a tokenizer may consist of, by Hugging Face's names.
const (
	fileTokenizer   = "tokenizer.json"          // everything in one
	fileVocab       = "vocab.json"              // byte-level BPE: entry -> id
	fileMerges      = "merges.txt"              // byte-level BPE: one merge a line
	fileWordPiece   = "vocab.txt"               // WordPiece: one entry a line
	fileConfig      = "tokenizer_config.json"   // settings, roles of special tokens
	fileSpecials    = "special_tokens_map.json" // roles of special tokens
	fileAddedTokens = "added_tokens.json"       // content -> id
)

// FileNames lists the files that a tokenizer may consist of, the template of
// its conversations included: what goes along with a model's weights.
func FileNames() []string {
	return []string{
		fileTokenizer, fileVocab, fileMerges, fileWordPiece,
		fileConfig, fileSpecials, fileAddedTokens, "chat_template.jinja",
	}
}

// Load reads the tokenizer of a model's folder, in any of the forms that Hugging
// Face's libraries write:
//
//   - tokenizer.json: byte-level BPE or BERT's WordPiece; other kinds are refused by
//     name, unless the files below are there too;
//   - vocab.json and merges.txt: byte-level BPE;
//   - vocab.txt: WordPiece.
//
// special_tokens_map.json, tokenizer_config.json and added_tokens.json are honoured
// where present. "<|endoftext|>" in a BPE vocabulary, and [PAD], [UNK], [CLS], [SEP]
// and [MASK] in a WordPiece one, are special even if no file says so.
//
// The error names the file and, where there is one, the line or entry at fault; it
// wraps [fs.ErrNotExist] if the folder holds no tokenizer.
func Load(fsys fs.FS) (Tokenizer, error) {
	t, err := load(fsys)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %w", err)
	}
	return t, nil
}

func load(fsys fs.FS) (Tokenizer, error) {
	t, err := loadTokenizerJSON(fsys)
	var refused *unsupportedError
	switch {
	case err == nil:
		return t, nil
	case !errors.Is(err, fs.ErrNotExist) && !errors.As(err, &refused):
		return nil, err
	case exists(fsys, fileVocab) && (refused == nil || exists(fsys, fileMerges)):
		return noNil(loadVocabMerges(fsys))
	case exists(fsys, fileWordPiece):
		return noNil(loadWordPiece(fsys))
	case refused != nil:
		return nil, err
	}
	return nil, fmt.Errorf("none of %s, %s with %s, or %s is there: %w",
		fileTokenizer, fileVocab, fileMerges, fileWordPiece, fs.ErrNotExist)
}

func exists(fsys fs.FS, name string) bool {
	_, err := fs.Stat(fsys, name)
	return err == nil
}

// unsupportedError says that a file is well-formed but of a kind this package does
// not read.
type unsupportedError struct{ what string }

func (e *unsupportedError) Error() string { return e.what }

func unsupported(format string, args ...any) error {
	return &unsupportedError{fmt.Sprintf(format, args...)}
}
