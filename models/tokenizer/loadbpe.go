package tokenizer

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"unicode/utf8"
)

// endOfText is GPT-2's only special token. Its vocab.json holds it like any other
// entry and no further file is needed to know what it is.
const endOfText = "<|endoftext|>"

// loadVocabMerges reads vocab.json and merges.txt.
func loadVocabMerges(fsys fs.FS) (*BPE, error) {
	var vocab map[string]int32
	if err := readJSON(fsys, fileVocab, &vocab); err != nil {
		return nil, err
	}
	if len(vocab) == 0 {
		return nil, fmt.Errorf("%s: there are no entries", fileVocab)
	}
	merges, lines, err := readMerges(fsys)
	if err != nil {
		return nil, err
	}
	side, err := readSideFiles(fsys)
	if err != nil {
		return nil, err
	}
	added, err := side.addedTokens(vocab, map[string]addedToken{}, []string{endOfText})
	if err != nil {
		return nil, err
	}
	t, err := newBPE(vocab, merges, added, bpeOptions{
		addPrefixSpace: side.config.AddPrefixSpace,
		roles:          side.roles.withDefaults(gpt2Roles),
	})
	var bad *mergeError
	switch {
	case errors.As(err, &bad):
		return nil, fmt.Errorf("%s:%d: %w", fileMerges, lines[bad.index], bad.err)
	case err != nil:
		return nil, fmt.Errorf("%s: %w", fileVocab, err)
	}
	return t, nil
}

// readMerges reads merges.txt: two entries a line, separated by a space, after an
// optional line "#version: …". It also returns the line number of each merge.
func readMerges(fsys fs.FS) (merges [][2]string, lines []int, err error) {
	data, err := fs.ReadFile(fsys, fileMerges)
	if err != nil {
		return nil, nil, err
	}
	text := strings.TrimRight(strings.TrimPrefix(string(data), "\uFEFF"), "\r\n")
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimRight(line, "\r\n")
		if strings.HasPrefix(line, "#version") {
			continue
		}
		m, err := parseMerge(line)
		if err != nil {
			return nil, nil, fmt.Errorf("%s:%d: %w", fileMerges, number, err)
		}
		merges = append(merges, m)
		lines = append(lines, number)
	}
	return merges, lines, nil
}

// parseMerge reads "left right".
func parseMerge(s string) ([2]string, error) {
	left, right, ok := strings.Cut(s, " ")
	if !ok || left == "" || right == "" || strings.Contains(right, " ") {
		return [2]string{}, fmt.Errorf("%q is not two entries separated by one space", clip(s))
	}
	if !utf8.ValidString(s) {
		return [2]string{}, fmt.Errorf("%q is not valid UTF-8", clip(s))
	}
	return [2]string{left, right}, nil
}

// clip shortens what an error message quotes.
func clip(s string) string {
	if len(s) > 40 {
		return strings.ToValidUTF8(s[:40], "\uFFFD") + "…"
	}
	return s
}
