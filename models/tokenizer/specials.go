package tokenizer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strconv"
)

// roleNames are the roles that Hugging Face's files give to special tokens.
var roleNames = []string{"bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"}

// roles maps a role's name to the special token that plays it.
type roles map[string]string

// gpt2Roles and bertRoles are those where no file says otherwise.
var (
	gpt2Roles = roles{"bos_token": endOfText, "eos_token": endOfText, "unk_token": endOfText}
	bertRoles = roles{
		"unk_token": "[UNK]", "sep_token": "[SEP]", "pad_token": "[PAD]", "cls_token": "[CLS]", "mask_token": "[MASK]",
	}
)

// withDefaults returns r with the roles of defaults that it lacks.
func (r roles) withDefaults(defaults roles) roles {
	all := maps.Clone(defaults)
	maps.Copy(all, r)
	return all
}

// tokenJSON is a special token in the side files: its name alone, or an object.
type tokenJSON struct {
	Content    string `json:"content"`
	ID         int32  `json:"id"` // in tokenizer.json only
	SingleWord bool   `json:"single_word"`
	LStrip     bool   `json:"lstrip"`
	RStrip     bool   `json:"rstrip"`
	Normalized bool   `json:"normalized"`
	Special    bool   `json:"special"`
}

func (t *tokenJSON) UnmarshalJSON(data []byte) error {
	if bytes.HasPrefix(data, []byte("{")) {
		type plain tokenJSON
		return json.Unmarshal(data, (*plain)(t))
	}
	return json.Unmarshal(data, &t.Content)
}

func (t tokenJSON) token(id int32) addedToken {
	return addedToken{
		content: t.Content, id: id, special: t.Special, singleWord: t.SingleWord,
		lstrip: t.LStrip, rstrip: t.RStrip, normalized: t.Normalized,
	}
}

// specialsJSON is what special_tokens_map.json holds and tokenizer_config.json repeats.
type specialsJSON struct {
	Roles      map[string]tokenJSON
	Additional []tokenJSON
}

func (s *specialsJSON) UnmarshalJSON(data []byte) error {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(data, &fields); err != nil {
		return err
	}
	s.Roles = map[string]tokenJSON{}
	for _, role := range roleNames {
		raw, ok := fields[role]
		if !ok || string(raw) == "null" {
			continue
		}
		var t tokenJSON
		if err := json.Unmarshal(raw, &t); err != nil {
			return fmt.Errorf("%s: %w", role, err)
		}
		s.Roles[role] = t
	}
	for _, key := range []string{"additional_special_tokens", "extra_special_tokens"} {
		raw, ok := fields[key]
		if !ok || !bytes.HasPrefix(raw, []byte("[")) {
			continue // newer files may hold an object of named roles here
		}
		var list []tokenJSON
		if err := json.Unmarshal(raw, &list); err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		s.Additional = append(s.Additional, list...)
	}
	return nil
}

// configJSON is the part of tokenizer_config.json that matters here.
type configJSON struct {
	AddPrefixSpace  bool                 `json:"add_prefix_space"`
	DoLowerCase     *bool                `json:"do_lower_case"`
	StripAccents    *bool                `json:"strip_accents"`
	ChineseChars    *bool                `json:"tokenize_chinese_chars"`
	AddedTokensByID map[string]tokenJSON `json:"added_tokens_decoder"`
}

// sideFiles is what the files beside the vocabulary say.
type sideFiles struct {
	config   configJSON
	roles    roles
	specials []tokenJSON
	added    map[string]int32
}

func readSideFiles(fsys fs.FS) (*sideFiles, error) {
	s := &sideFiles{roles: roles{}}
	if err := readOptionalJSON(fsys, fileConfig, &s.config); err != nil {
		return nil, err
	}
	// What special_tokens_map.json says counts, so it is read last.
	for _, name := range []string{fileConfig, fileSpecials} {
		var specials specialsJSON
		if err := readOptionalJSON(fsys, name, &specials); err != nil {
			return nil, err
		}
		for _, role := range roleNames {
			if t, ok := specials.Roles[role]; ok && t.Content != "" {
				s.roles[role] = t.Content
				s.specials = append(s.specials, t)
			}
		}
		s.specials = append(s.specials, specials.Additional...)
	}
	if err := readOptionalJSON(fsys, fileAddedTokens, &s.added); err != nil {
		return nil, err
	}
	return s, nil
}

// addedTokens lists the special and added tokens of a vocabulary, by id. found are
// those known so far, by content; known are names that are special if the vocabulary
// has them. A special token without an id is left out: the model has no embedding for it.
func (s *sideFiles) addedTokens(vocab map[string]int32, found map[string]addedToken, known []string) ([]addedToken, error) {
	if err := s.numbered(found); err != nil {
		return nil, err
	}
	special := func(t tokenJSON) {
		a, ok := found[t.Content]
		if !ok {
			id, inVocab := vocab[t.Content]
			if !inVocab || t.Content == "" {
				return
			}
			a = t.token(id)
		}
		a.special = true
		a.normalized = a.normalized && t.Normalized
		found[t.Content] = a
	}
	for _, t := range s.specials {
		special(t)
	}
	for _, name := range known {
		special(tokenJSON{Content: name})
	}
	return sortedTokens(found), nil
}

// numbered adds the tokens that the files give ids to.
func (s *sideFiles) numbered(found map[string]addedToken) error {
	add := func(file string, t addedToken) error {
		old, ok := found[t.content]
		switch {
		case t.content == "":
			return fmt.Errorf("%s: the token with id %d is empty", file, t.id)
		case ok && old.id != t.id:
			return fmt.Errorf("%s: %q has the id %d, but elsewhere it has %d", file, clip(t.content), t.id, old.id)
		case !ok:
			found[t.content] = t
		}
		return nil
	}
	for _, key := range slices.Sorted(maps.Keys(s.config.AddedTokensByID)) {
		id, err := strconv.ParseInt(key, 10, 32)
		if err != nil {
			return fmt.Errorf("%s: added_tokens_decoder: %q is not an id", fileConfig, clip(key))
		}
		if err := add(fileConfig, s.config.AddedTokensByID[key].token(int32(id))); err != nil {
			return err
		}
	}
	for _, content := range slices.Sorted(maps.Keys(s.added)) {
		t := addedToken{content: content, id: s.added[content], normalized: true}
		if err := add(fileAddedTokens, t); err != nil {
			return err
		}
	}
	return nil
}

func sortedTokens(found map[string]addedToken) []addedToken {
	list := make([]addedToken, 0, len(found))
	for _, a := range found {
		list = append(list, a)
	}
	slices.SortFunc(list, func(a, b addedToken) int {
		if a.id != b.id {
			return int(a.id) - int(b.id)
		}
		return bytes.Compare([]byte(a.content), []byte(b.content))
	})
	return list
}
