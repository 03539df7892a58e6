package tokenizer

import (
	"fmt"
	"slices"
)

// json is the token as all of Hugging Face's files write it.
func (t addedToken) json() object {
	return object{
		"content": t.content, "special": t.special, "single_word": t.singleWord,
		"lstrip": t.lstrip, "rstrip": t.rstrip, "normalized": t.normalized,
	}
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

// listJSON is the list of added tokens in tokenizer.json.
func (a *addedTokens) listJSON() []object {
	list := []object{}
	for _, t := range a.list() {
		o := t.json()
		o["id"] = t.id
		list = append(list, o)
	}
	return list
}

// configJSON completes tokenizer_config.json by the added tokens and their roles.
func (a *addedTokens) configJSON(r roles, o object) object {
	byID := object{}
	for _, t := range a.list() {
		byID[fmt.Sprint(t.id)] = t.json()
	}
	o["added_tokens_decoder"] = byID
	for key, value := range a.specialsJSON(r) {
		o[key] = value
	}
	return o
}

// specialsJSON is special_tokens_map.json: the roles, and the special tokens without one.
func (a *addedTokens) specialsJSON(r roles) object {
	o := object{}
	played := []string{}
	for role, name := range r {
		if _, ok := a.specialID(name); ok {
			o[role] = name
			played = append(played, name)
		}
	}
	additional := []string{}
	for _, t := range a.list() {
		if t.special && !slices.Contains(played, t.content) {
			additional = append(additional, t.content)
		}
	}
	if len(additional) > 0 {
		o["additional_special_tokens"] = additional
	}
	return o
}
