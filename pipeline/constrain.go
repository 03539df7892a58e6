package pipeline

import (
	"slices"
	"strings"
	"sync"

	"causerie/models/tokenizer"
	"causerie/pipeline/grammar"
)

// forms are an engine's automata of grammars. Who asks for one form often asks
// for it again, and an automaton knows more each time.
type forms struct {
	once       sync.Once
	vocabulary *grammar.Vocabulary

	mu   sync.Mutex
	list []*form // the most recently used last
}

type form struct {
	key       string
	once      sync.Once
	automaton *grammar.Automaton
}

// maxForms bounds how many are kept. Each may take some ten megabytes.
const maxForms = 8

// constrain makes the automaton of the options' grammar, nil if there is none,
// and changes the options to go with it.
func (e *Engine) constrain(o *Options) (*grammar.Automaton, error) {
	if o.Grammar == nil {
		return nil, nil
	}
	if e.model.Tokenizer == nil {
		return nil, ErrNoTokenizer
	}
	a := e.automaton(o.Grammar)
	fewest, ok := a.Shortest()
	if !ok {
		return nil, &OptionError{Field: "response_format", Problem: "asks for text that the model's vocabulary cannot write"}
	}
	if o.WholeSentences {
		o.MaxTokens += fewest
	}
	o.Raw, o.WholeSentences, o.NoRepeatNGram = true, false, 0
	return a, nil
}

func (e *Engine) automaton(g *grammar.Grammar) *grammar.Automaton {
	e.forms.once.Do(func() { e.forms.vocabulary = e.vocabulary() })
	f := e.forms.of(g.Key())
	f.once.Do(func() { f.automaton = grammar.NewAutomaton(g, e.forms.vocabulary) })
	return f.automaton
}

// of is the form with a key, an empty one if it is new.
func (f *forms) of(key string) *form {
	f.mu.Lock()
	defer f.mu.Unlock()
	i := slices.IndexFunc(f.list, func(x *form) bool { return x.key == key })
	found := &form{key: key}
	if i >= 0 {
		found = f.list[i]
		f.list = slices.Delete(f.list, i, i+1)
	} else if len(f.list) == maxForms {
		f.list = slices.Delete(f.list, 0, 1)
	}
	f.list = append(f.list, found)
	return found
}

// vocabulary is what a reply with a form is made of: all tokens but special ones
// and those that end a text.
func (e *Engine) vocabulary() *grammar.Vocabulary {
	t := e.model.Tokenizer
	ends := e.ends(nil)
	if e.model.Template != nil {
		ends = e.ends(e.model.Template.Stops())
	}
	_, words := t.(*tokenizer.WordPiece)
	var tokens []grammar.Token
	for id := range int32(min(t.VocabSize(), e.model.Net.Config.VocabSize)) {
		if t.IsSpecial(id) || slices.Contains(ends, id) {
			continue
		}
		token := grammar.Token{ID: id, Text: string(t.AppendToken(nil, id))}
		if words {
			rest, inside := strings.CutPrefix(token.Text, "##")
			token.Text, token.Spaced = rest, !inside
		}
		tokens = append(tokens, token)
	}
	return grammar.NewVocabulary(e.model.Net.Config.VocabSize, tokens)
}
