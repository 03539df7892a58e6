package sampling

import (
	"encoding/json"
	"math"
	"os"
	"slices"
	"strconv"
	"testing"

	"causerie/models/kernels"
)

// row is logits in JSON, where null stands for minus infinity.
type row []float32

func (r *row) UnmarshalJSON(data []byte) error {
	var values []*float32
	if err := json.Unmarshal(data, &values); err != nil {
		return err
	}
	for _, v := range values {
		if v == nil {
			*r = append(*r, removed)
		} else {
			*r = append(*r, *v)
		}
	}
	return nil
}

type goldenCase struct {
	Rule   string
	Args   json.RawMessage
	Tokens []int32
	Logits row
	Want   row
}

// TestGoldenTransformers compares every rule that transformers has with
// testdata/golden.json, which testdata/golden.py made.
func TestGoldenTransformers(t *testing.T) {
	data, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden struct{ Cases []goldenCase }
	if err := json.Unmarshal(data, &golden); err != nil {
		t.Fatal(err)
	}
	if len(golden.Cases) < 90 {
		t.Fatalf("only %d cases", len(golden.Cases))
	}
	for i, c := range golden.Cases {
		got := applyRule(t, c)
		for id := range got {
			// The same float32 arithmetic on both sides: exactly equal.
			if got[id] != c.Want[id] {
				t.Errorf("case %d, %s(%s): logit %d is %v, transformers has %v", i, c.Rule, c.Args, id, got[id], c.Want[id])
			}
		}
	}
}

func applyRule(t *testing.T, c goldenCase) []float32 {
	t.Helper()
	var number float64
	_ = json.Unmarshal(c.Args, &number) // of rules with one number; others unmarshal their own
	logits := slices.Clone(c.Logits)
	switch c.Rule {
	case "repetition":
		RepetitionPenalty(logits, distinct(c.Tokens), number)
	case "no_repeat_ngram":
		NoRepeatNGrams(logits, c.Tokens, int(number))
	case "temperature":
		c := Candidates(nil, logits)
		Temperature(c, number)
		return spread(c, len(logits))
	case "top_k":
		return spread(TopK(Candidates(nil, logits), int(number)), len(logits))
	case "top_p":
		return spread(TopP(weighed(logits), number, 0), len(logits))
	case "min_p":
		return spread(MinP(Candidates(nil, logits), number), len(logits))
	case "bias":
		var byName map[string]float64
		if err := json.Unmarshal(c.Args, &byName); err != nil {
			t.Fatal(err)
		}
		bias := make(map[int32]float64)
		for name, b := range byName {
			id, err := strconv.Atoi(name)
			if err != nil {
				t.Fatal(err)
			}
			bias[int32(id)] = b
		}
		Bias(logits, bias)
	case "ban":
		var ids []int32
		if err := json.Unmarshal(c.Args, &ids); err != nil {
			t.Fatal(err)
		}
		Ban(logits, ids)
	case "chain":
		s := New(Options{
			Temperature: 0.8, TopK: 12, TopP: 0.95, MinP: 0.02, RepetitionPenalty: 1.3, NoRepeatNGram: 2,
			LogitBias: map[int32]float64{3: 1.5, 7: -2.25, 31: -100}, Banned: []int32{0, 5},
		}, c.Tokens, 1, 1)
		s.penalize(logits)
		s.maxima = maxima(nil, logits)
		return spread(s.truncate(logits, kernels.Max(s.maxima)), len(logits))
	default:
		t.Fatalf("unknown rule %q", c.Rule)
	}
	return logits
}

// weighed are the candidates of a row with their weights.
func weighed(logits []float32) []Candidate {
	c := Candidates(nil, logits)
	Weigh(c)
	return c
}

// spread writes candidates back into a row; the others are removed.
func spread(c []Candidate, vocab int) []float32 {
	out := slices.Repeat([]float32{removed}, vocab)
	for _, x := range c {
		out[x.ID] = x.Logit
	}
	return out
}

func distinct(ids []int32) []int32 {
	ids = slices.Clone(ids)
	slices.Sort(ids)
	return slices.Compact(ids)
}

func TestRowUnmarshal(t *testing.T) {
	var r row
	if err := json.Unmarshal([]byte(`[1.5, null]`), &r); err != nil || r[0] != 1.5 || !math.IsInf(float64(r[1]), -1) {
		t.Errorf("got %v, %v", r, err)
	}
}
