package corpora

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"causerie/models/dialogue"
)

func validateOptions(loss Loss, context int) ValidateOptions {
	return ValidateOptions{
		Tokenizer: markerTokens, Template: dialogue.ForTokenizer(markerTokens),
		Encode: EncodeOptions{Context: context, Loss: loss}, List: 3,
	}
}

const trainLines = `{"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"hello"}]}
{"messages":[{"role":"user","content":"hi"}]}
not JSON
{"messages":[{"role":"user","content":"a long question, which does not fit at all"},{"role":"assistant","content":"yes"}]}

{"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"hello"}]}
{"messages":[{"role":"user","content":"hm"},{"role":"assistant","content":"never","weight":0}]}
{"messages":[{"role":"user","content":"hm"},{"role":"assistant","content":"twice","weight":2}]}
{"messages":[]}
{"messages":[{"role":"robot","content":"hm"}]}
`

func TestValidate(t *testing.T) {
	train := writeFile(t, "train.jsonl", []byte(trainLines))
	valid := writeFile(t, "valid.jsonl", []byte(`{"messages":[{"role":"user","content":"new"},{"role":"assistant","content":"yes"}]}
{"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"hello"}]}
`))
	f, err := Validate(context.Background(), []Source{{Path: train, Weight: 2}}, []string{valid}, validateOptions(LossReplies, 30))
	if err != nil {
		t.Fatal(err)
	}
	got := f.Train[0]
	if got.Skipped != 5 || len(got.Bad) != 3 || got.Bad[0].Line != 2 || got.Bad[1].Line != 3 || got.Bad[2].Line != 8 {
		t.Errorf("%d bad lines: %v", got.Skipped, got.Bad)
	}
	for _, c := range []struct {
		what  string
		got   Lines
		count int
		first []int
	}{
		{"too long", got.TooLong, 1, []int{4}},
		{"duplicated", got.Duplicated, 1, []int{6}},
		{"unlearnt", got.Unlearnt, 1, []int{7}},
		{"overlap", f.Valid[0].Overlap, 1, []int{2}},
	} {
		if c.got.Count != c.count || !slices.Equal(c.got.First, c.first) {
			t.Errorf("%s: %+v, want lines %d", c.what, c.got, c.first)
		}
	}
	if got.Dialogues != 4 || got.Examples == 0 || got.Learnt == 0 || f.Rows() != 2*float64(got.Rows) || got.LongestRow > 30 {
		t.Errorf("findings %+v", got)
	}
	if err := f.Err(false); err == nil || !strings.Contains(err.Error(), "train.jsonl:2:") || !strings.Contains(err.Error(), "4 more") {
		t.Errorf("the error is %v", err)
	}
	if err := f.Err(true); err != nil {
		t.Errorf("without the bad lines: %v", err)
	}
	var text bytes.Buffer
	if err := f.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"5 bad lines", "line 3: not valid JSON", "and 2 more", "1 dialogue there before, word for word: line 6",
		"longer than the context, cut into windows: line 4", "1 dialogue also in the training data",
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%q is not in\n%s", want, text.String())
		}
	}
}

// TestValidateCountsWhatLoadMakes: the figures are those of the dataset.
func TestValidateCountsWhatLoadMakes(t *testing.T) {
	for _, loss := range []Loss{LossAll, LossReplies} {
		for _, context := range []int{40, 500} {
			o := validateOptions(loss, context)
			f, err := Validate(t.Context(), []Source{{Path: "starter:en.jsonl"}}, []string{"starter:zh.jsonl"}, o)
			if err != nil {
				t.Fatal(err)
			}
			for i, path := range []string{"starter:en.jsonl", "starter:zh.jsonl"} {
				d, err := Load(t.Context(), o.Tokenizer, o.Template, []Source{{Path: path}}, LoadOptions{Encode: o.Encode})
				if err != nil {
					t.Fatal(err)
				}
				total, found := d.Total(), slices.Concat(f.Train, f.Valid)[i]
				if total.Tokens != found.Rows || total.Learnt != found.Learnt || total.Examples != found.Examples ||
					total.CutBytes != found.CutBytes || d.Longest() != found.LongestRow {
					t.Errorf("%s, %s, %d: loaded %+v, found %+v", path, loss, context, total, found)
				}
			}
			if err := f.Err(false); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestValidateFails(t *testing.T) {
	good := []Source{{Path: "starter:en.jsonl"}}
	o := validateOptions(LossAll, 40)
	if _, err := Validate(t.Context(), nil, nil, o); err == nil {
		t.Error("nothing was checked")
	}
	if _, err := Validate(t.Context(), []Source{{Path: "nowhere.jsonl"}}, nil, o); err == nil || !strings.Contains(err.Error(), "nowhere.jsonl") {
		t.Errorf("a missing file: %v", err)
	}
	if _, err := Validate(t.Context(), good, []string{"nowhere.jsonl"}, o); err == nil || !strings.Contains(err.Error(), "nowhere.jsonl") {
		t.Errorf("a missing validation file: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Validate(ctx, good, nil, o); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := Validate(t.Context(), good, nil, ValidateOptions{}); err == nil {
		t.Error("checked without a tokenizer")
	}
	silent := writeFile(t, "a.jsonl", []byte(fmt.Sprintln(`{"turns":["nobody answers"]}`)))
	f, err := Validate(t.Context(), []Source{{Path: silent}}, nil, validateOptions(LossReplies, 40))
	if err != nil || f.Train[0].NoAnswer.Count != 1 || f.Err(false) == nil {
		t.Errorf("%+v, %v, %v", f.Train, err, f.Err(false))
	}
}
