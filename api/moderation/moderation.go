// Package moderation looks for unwelcome text by a list of rules, rules.txt.
// It is no judge: it finds phrases, in English and Chinese, and neither irony
// nor quotation, nor what is said in other words. What it says is the same
// everywhere and can be looked up.
//
//	result := moderation.Check("I will kill you")
//	result.Flagged, result.Categories["violence"] // true, true
package moderation

import (
	_ "embed"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// Model names the list of rules; its number rises when the list changes.
const Model = "causerie-rules-1"

// Categories are OpenAI's, in their order.
var Categories = []string{
	"harassment", "harassment/threatening", "hate", "hate/threatening", "illicit", "illicit/violent",
	"self-harm", "self-harm/intent", "self-harm/instructions", "sexual", "sexual/minors", "violence", "violence/graphic",
}

// Result says which categories a text falls into.
type Result struct {
	Flagged    bool
	Categories map[string]bool // has every category
}

// rule finds a category's phrases in normalised text.
type rule struct {
	category string
	words    *regexp.Regexp // over words between single spaces
	han      *regexp.Regexp // over text without spaces and punctuation
}

//go:embed rules.txt
var source string

var rules = sync.OnceValues(func() ([]rule, error) { return parse(source) })

// Check applies the rules to a text.
func Check(text string) (Result, error) {
	list, err := rules()
	if err != nil {
		return Result{}, err
	}
	result := Result{Categories: make(map[string]bool, len(Categories))}
	for _, c := range Categories {
		result.Categories[c] = false
	}
	words, han := normalise(text)
	for _, r := range list {
		if r.words != nil && r.words.MatchString(words) || r.han != nil && r.han.MatchString(han) {
			result.Categories[r.category], result.Flagged = true, true
		}
	}
	return result, nil
}

// normalise gives a text's words, in lower case, between single spaces and with
// one at either end, and its letters alone. Full-width forms, ligatures and the
// like become plain, and marks that nobody sees go.
func normalise(text string) (words, letters string) {
	var w, l strings.Builder
	w.WriteByte(' ')
	spaced := true
	for _, r := range norm.NFKC.String(text) {
		switch {
		case unicode.Is(unicode.Cf, r), r == '\'', r == '’': // "can't" is one word
		case unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.IsMark(r):
			r = unicode.ToLower(r)
			w.WriteRune(r)
			l.WriteRune(r)
			spaced = false
		case !spaced:
			w.WriteByte(' ')
			spaced = true
		}
	}
	if !spaced {
		w.WriteByte(' ')
	}
	return w.String(), l.String()
}

// parse reads the list: a line [category] begins a category's rules, one a
// line; # begins a comment. A rule is a regular expression in RE2's syntax.
// One with Han characters is looked for anywhere, any other at word limits,
// where ~ stands for up to three words and NAME for what a line NAME = … said.
func parse(source string) ([]rule, error) {
	names := map[string]string{}
	words, han := map[string][]string{}, map[string][]string{}
	category := ""
	for i, line := range strings.Split(source, "\n") {
		line = strings.TrimSpace(line)
		name, value, isName := strings.Cut(line, " = ")
		switch {
		case line == "" || line[0] == '#':
		case line[0] == '[':
			category = strings.Trim(line, "[]")
		case isName:
			names[name] = "(?:" + value + ")"
		case category == "":
			return nil, fmt.Errorf("moderation: line %d stands before any category", i+1)
		case strings.ContainsFunc(line, func(r rune) bool { return unicode.Is(unicode.Han, r) }):
			han[category] = append(han[category], expand(line, names))
		default:
			line = strings.ReplaceAll(expand(line, names), " ~ ", " (?:[^ ]+ ){0,3}")
			words[category] = append(words[category], line)
		}
	}
	var list []rule
	for _, c := range Categories {
		r := rule{category: c}
		var err error
		if r.words, err = compile(words[c], " (?:", ") "); err != nil {
			return nil, fmt.Errorf("moderation: %s: %w", c, err)
		}
		if r.han, err = compile(han[c], "(?:", ")"); err != nil {
			return nil, fmt.Errorf("moderation: %s: %w", c, err)
		}
		list = append(list, r)
		delete(words, c)
		delete(han, c)
	}
	if len(words)+len(han) > 0 {
		return nil, fmt.Errorf("moderation: rules for categories that there are not: %v %v", words, han)
	}
	return list, nil
}

func expand(line string, names map[string]string) string {
	for name, value := range names {
		line = strings.ReplaceAll(line, name, value)
	}
	return line
}

func compile(rules []string, before, after string) (*regexp.Regexp, error) {
	if len(rules) == 0 {
		return nil, nil
	}
	return regexp.Compile(before + strings.Join(rules, "|") + after)
}
