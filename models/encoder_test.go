package models_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"causerie/models"
	"causerie/models/kernels"
)

const encoders = "hf/testdata/encoders"

// TestEncoderTokensAgainstTransformers: ids as sentence-transformers has them,
// before anything is cut off.
func TestEncoderTokensAgainstTransformers(t *testing.T) {
	for _, name := range []string{"mean", "cls", "max", "plain"} {
		e, err := models.OpenEncoder(t.Context(), filepath.Join(encoders, name), models.Options{})
		if err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(filepath.Join(encoders, name, "golden.json"))
		if err != nil {
			t.Fatal(err)
		}
		var golden struct {
			Texts []struct {
				Text string  `json:"text"`
				IDs  []int32 `json:"ids"`
			} `json:"texts"`
		}
		if err := json.Unmarshal(data, &golden); err != nil || len(golden.Texts) == 0 {
			t.Fatalf("%d texts, %v", len(golden.Texts), err)
		}
		for _, g := range golden.Texts {
			got := e.Tokens(g.Text)
			if most := e.Settings.MaxTokens; len(got) > most {
				got = append(got[:most-1:most-1], e.SEP)
			}
			if !slices.Equal(got, g.IDs) {
				t.Errorf("%s: %q is %d, want %d", name, g.Text, got, g.IDs)
			}
		}
	}
}

func TestEncoderDType(t *testing.T) {
	int8 := kernels.Int8
	for _, c := range []struct {
		name  string
		asked *kernels.DType
		want  kernels.DType
	}{{"mean", nil, kernels.Float32}, {"plain", nil, kernels.Float32}, {"max", nil, kernels.BFloat16}, {"max", &int8, kernels.Int8}} {
		e, err := models.OpenEncoder(t.Context(), filepath.Join(encoders, c.name), models.Options{DType: c.asked})
		if err != nil {
			t.Fatal(err)
		}
		if e.Net.DType() != c.want {
			t.Errorf("%s is served as %s, want %s", c.name, e.Net.DType(), c.want)
		}
	}
}

func TestEncoderWithoutTokenizer(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(encoders, "cls"))); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "vocab.txt")); err != nil {
		t.Fatal(err)
	}
	if _, err := models.OpenEncoder(t.Context(), dir, models.Options{}); err == nil || !strings.Contains(err.Error(), dir+": tokenizer") {
		t.Errorf("error %v", err)
	}
}

func TestOpenRefusesAnEncoder(t *testing.T) {
	_, err := models.Open(t.Context(), filepath.Join(encoders, "mean"), models.Options{})
	if !errors.Is(err, models.ErrEncoder) || !strings.Contains(err.Error(), "encoders/mean is a sentence encoder") {
		t.Errorf("error %v", err)
	}
}
