package corpora

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"

	"causerie/models/dialogue"
)

// ChainOptions say how short dialogues become longer conversations.
type ChainOptions struct {
	Read  Options
	Count int    // conversations of each language; 0 means 1000
	Most  int    // dialogues in one, at least 2; 0 means 4
	Seed  uint64 // of the choice
}

// EnsureDefaults fills the fields that may be left zero.
func (o *ChainOptions) EnsureDefaults() {
	o.Read.EnsureDefaults()
	if o.Count == 0 {
		o.Count = 1000
	}
	if o.Most == 0 {
		o.Most = 4
	}
}

// Validate says which option makes no sense.
func (o ChainOptions) Validate() error {
	switch {
	case o.Count < 0:
		return fmt.Errorf("the number of conversations must be positive, not %d", o.Count)
	case o.Most < 2:
		return fmt.Errorf("a conversation of several dialogues has at least 2, not %d", o.Most)
	}
	return o.Read.Validate()
}

// Chain joins dialogues of one language, drawn at random, to conversations of 2
// to Most of them. A model that learnt only from dialogues with one subject each
// is at a loss when somebody changes it; in these, somebody always does.
//
// Dialogues that do not begin with the user and those without a reply are left
// out, and a last turn that nobody answers is cut off, so that the speakers
// keep taking turns. Paths may be what ExpandPath takes. The conversations are the same for the same files and
// options.
func Chain(ctx context.Context, paths []string, o ChainOptions) (iter.Seq[Dialogue], error) {
	o.EnsureDefaults()
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("corpus: %w", err)
	}
	byLang := map[string][]Dialogue{}
	var langs []string
	take := func(d Dialogue) {
		if d.Turns = exchanges(d.Turns); len(d.Turns) == 0 {
			return
		}
		if _, known := byLang[d.Lang]; !known {
			langs = append(langs, d.Lang)
		}
		byLang[d.Lang] = append(byLang[d.Lang], d)
	}
	for _, path := range paths {
		files, err := ExpandPath(path)
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			if err := eachDialogue(ctx, file, o.Read, take); err != nil {
				return nil, err
			}
		}
	}
	if len(langs) == 0 {
		return nil, errors.New("corpus: no dialogue in which a user is answered")
	}
	return func(yield func(Dialogue) bool) {
		rng := rand.New(rand.NewPCG(o.Seed, 0))
		for _, lang := range langs {
			for i := range o.Count {
				d := Dialogue{ID: fmt.Sprintf("chain-%s-%04d", lang, i+1), Lang: lang}
				for range 2 + rng.IntN(o.Most-1) {
					d.Turns = append(d.Turns, byLang[lang][rng.IntN(len(byLang[lang]))].Turns...)
				}
				if !yield(d) {
					return
				}
			}
		}
	}, nil
}

// exchanges are the turns up to the last reply, if the speakers take turns from
// the user on; nil otherwise.
func exchanges(turns []dialogue.Turn) []dialogue.Turn {
	turns = turns[:len(turns)/2*2]
	for i, t := range turns {
		want := dialogue.RoleUser
		if i%2 == 1 {
			want = dialogue.RoleAssistant
		}
		if t.Role != want {
			return nil
		}
	}
	return turns
}

// eachDialogue calls f for every dialogue of a file.
func eachDialogue(ctx context.Context, path string, o Options, f func(Dialogue)) (err error) {
	r, err := Open(path, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	for ctx.Err() == nil {
		d, err := r.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		f(d)
	}
	return ctx.Err()
}
