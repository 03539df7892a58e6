package finetune

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"causerie/corpora"
	"causerie/models/dialogue"
	"causerie/models/tokenizer"
)

// heldOut is a corpus to measure on.
type heldOut struct {
	name string
	data *corpora.Dataset
}

// loadHeldOut reads corpora, each to be measured on its own. A path may be a
// pattern, or "starter".
func loadHeldOut(ctx context.Context, t tokenizer.Tokenizer, template dialogue.Template, paths []string, o corpora.LoadOptions) ([]heldOut, error) {
	var list []heldOut
	for _, path := range paths {
		files, err := corpora.ExpandPath(path)
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			data, err := corpora.Load(ctx, t, template, []corpora.Source{{Path: file}}, o)
			if err != nil {
				return nil, err
			}
			list = append(list, heldOut{name: file, data: data})
		}
	}
	return list, nil
}

// nameOf is a short name for exactly this content, of which so many tokens are
// measured; "" when there is none.
func nameOf(list []heldOut, tokens int) string {
	if len(list) == 0 {
		return ""
	}
	h := sha256.New()
	fmt.Fprintln(h, tokens)
	for _, held := range list {
		h.Write([]byte(held.data.Fingerprint()))
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}
