package corpora

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// TestSharedCorpora reads whatever corpora lie beside the module, to the end.
func TestSharedCorpora(t *testing.T) {
	paths, err := filepath.Glob("../../shared/corpora/*.valid.jsonl*")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			report, err := Measure(context.Background(), []string{path}, MeasureOptions{})
			if err != nil {
				t.Fatal(err)
			}
			f := report.Files[0]
			if f.Format != FormatTurns || f.Dialogues == 0 || f.Turns < f.Dialogues || f.Runes > f.Bytes {
				t.Errorf("implausible: %+v", f)
			}
		})
	}
	_ = io.Discard
	if testing.Verbose() {
		all, _ := filepath.Glob("../../shared/corpora/*.jsonl*")
		if len(all) > 0 {
			r, err := Measure(context.Background(), append(all, "starter"), MeasureOptions{})
			if err != nil {
				t.Fatal(err)
			}
			r.WriteTable(os.Stdout)
		}
	}
}
