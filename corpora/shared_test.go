package corpora

import (
	"context"
	"path/filepath"
	"testing"

	"causerie/models/dialogue"
)

// TestSharedCorpora reads, to the end, whatever corpora lie beside the module.
func TestSharedCorpora(t *testing.T) {
	paths, err := filepath.Glob("../../shared/corpora/*.valid.jsonl*")
	if err != nil {
		t.Fatal(err)
	}
	tpl := dialogue.ForTokenizer(markerTokens)
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			report, err := Measure(context.Background(), []string{path}, MeasureOptions{})
			if err != nil {
				t.Fatal(err)
			}
			f := report.Files[0]
			if f.Format != FormatTurns || f.Dialogues == 0 || f.Turns < f.Dialogues || f.Runes > f.Bytes || f.Duplicates > 0 {
				t.Errorf("implausible: %+v", f)
			}
			d, err := Load(context.Background(), markerTokens, tpl, []Source{{Path: path}}, LoadOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if total := d.Total(); total.TextBytes != f.Bytes || total.Dialogues != f.Dialogues {
				t.Errorf("loaded %d dialogues with %d bytes of text, measured %d with %d", total.Dialogues, total.TextBytes, f.Dialogues, f.Bytes)
			}
		})
	}
}
