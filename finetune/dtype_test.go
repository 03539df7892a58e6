package finetune

import (
	"bufio"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"causerie/corpora/starter"
	"causerie/models"
	"causerie/models/kernels"
)

// What serving in fewer bytes may cost: the bundled model's perplexity rises
// by at most half a percent in int8 and a twentieth of a percent in bfloat16.
// Text that it has learnt by heart is the severer test: a loss near zero shows
// every disturbance.
func TestPerplexityOfDTypes(t *testing.T) {
	f32, bf16, int8 := kernels.Float32, kernels.BFloat16, kernels.Int8
	o := EvalOptions{Model: models.Default, Data: []string{starterSample(t)}}
	if os.Getenv("CAUSERIE_LONG") != "" {
		o.Data = append(o.Data, "starter")
		held, err := filepath.Glob("../../shared/corpora/*.valid.jsonl.gz")
		if err != nil {
			t.Fatal(err)
		}
		o.Data = append(o.Data, held...)
	}
	reports, err := Compare(t.Context(), o, []*kernels.DType{&f32, &bf16, &int8})
	if err != nil {
		t.Fatal(err)
	}
	for i, most := range []float64{0, 0.05, 0.5} {
		for j, s := range append(reports[i].Files, reports[i].Score) {
			base := reports[0].Score
			if j < len(reports[0].Files) {
				base = reports[0].Files[j]
			}
			change := 100 * (s.Perplexity/base.Perplexity - 1)
			t.Logf("%s: perplexity %.3f, %+.3f %%, on %d tokens of %s", reports[i].DType, s.Perplexity, change, s.Tokens, s.File)
			if j == len(reports[i].Files) && change > most {
				t.Errorf("%s: perplexity rises by %.3f %%, at most %g %% are allowed", reports[i].DType, change, most)
			}
		}
	}
}

// starterSample is a file with the first dialogues of the starter corpus in
// each language.
func starterSample(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "sample.jsonl")
	out, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := out.Close(); err != nil {
			t.Error(err)
		}
	}()
	names, err := fs.Glob(starter.Files, "*.jsonl")
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	for _, name := range names {
		in, err := starter.Files.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(in)
		for range 100 {
			if !lines.Scan() {
				t.Fatal(name, lines.Err())
			}
			if _, err := out.WriteString(lines.Text() + "\n"); err != nil {
				t.Fatal(err)
			}
		}
		if err := in.Close(); err != nil {
			t.Error(err)
		}
	}
	return path
}
