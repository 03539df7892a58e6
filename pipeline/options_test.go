package pipeline

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"causerie/models/hf"
	"causerie/pipeline/sampling"
)

func TestOptionsRecommended(t *testing.T) {
	if diff := cmp.Diff(ChatDefaults(), ChatDefaults().Recommended(hf.Generation{})); diff != "" {
		t.Errorf("a folder that recommends nothing (-want +got):\n%s", diff)
	}
	g, err := hf.ParseGeneration([]byte(`{"do_sample": true, "temperature": 0.5, "top_k": 20, "top_p": 0.8, "min_p": 0.1,
		"repetition_penalty": 1.3, "no_repeat_ngram_size": 4, "max_new_tokens": 33}`))
	if err != nil {
		t.Fatal(err)
	}
	want := Options{
		Options:   sampling.Options{Temperature: 0.5, TopK: 20, TopP: 0.8, MinP: 0.1, RepetitionPenalty: 1.3, NoRepeatNGram: 4},
		MaxTokens: 33, MinTokens: 1, WholeSentences: true,
	}
	if diff := cmp.Diff(want, ChatDefaults().Recommended(g)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	greedy := false
	if o := GenerateDefaults().Recommended(hf.Generation{DoSample: &greedy}); !o.Greedy() {
		t.Errorf("do_sample false gives temperature %v", o.Temperature)
	}
}

func TestOptionsValidate(t *testing.T) {
	for want, o := range map[string]Options{
		"temperature must lie between 0 and 100, not -0.5":                {Options: sampling.Options{Temperature: -0.5}},
		"max_tokens must be at least 1, not -3":                           {MaxTokens: -3},
		"min_tokens must be at least 0, not -3":                           {MinTokens: -3},
		"stop may hold 16 strings at most, not 17":                        {Stop: strings.Split(strings.Repeat("x", 17), "")},
		"stop holds an empty string, which would end every reply at once": {Stop: []string{"a", ""}},
		"stop holds a string of 1025 bytes; 1024 are allowed":             {Stop: []string{strings.Repeat("x", 1025)}},
		"stop holds a string that is not valid UTF-8":                     {Stop: []string{"\xff"}},
		"logit_bias has the token id 10, but the vocabulary ends at 9":    {Options: sampling.Options{LogitBias: map[int32]float64{10: 1}}},
		"repetition_penalty must lie between 0.01 and 100, not -1":        {Options: sampling.Options{RepetitionPenalty: -1}},
	} {
		err := o.validateFor(10)
		if bad, ok := errors.AsType[*OptionError](err); !ok || bad.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	o := Options{}
	o.EnsureDefaults()
	if err := o.validateFor(10); err != nil || o.MaxTokens != 80 || o.TopP != 1 || o.RepetitionPenalty != 1 || !o.Greedy() {
		t.Errorf("the zero value becomes %+v, %v", o, err)
	}
}

// FuzzOptions: options are refused with the name of a field, or they work.
func FuzzOptions(f *testing.F) {
	f.Add(0.7, 0.9, 1.1, 40, 80, 1, "stop", int32(3))
	f.Add(-1.0, 2.0, 0.0, -1, -1, -1, "", int32(-1))
	e := engineOf(f, randomModel(f, 32), EngineOptions{})
	f.Fuzz(func(t *testing.T, temperature, topP, penalty float64, topK, most, least int, stop string, biased int32) {
		o := Options{
			Options: sampling.Options{Temperature: temperature, TopP: topP, RepetitionPenalty: penalty, TopK: topK,
				LogitBias: map[int32]float64{biased: 5}},
			MaxTokens: most, MinTokens: least, Stop: []string{stop}, Seed: seed(1),
		}
		reply, err := e.Chat(t.Context(), ChatRequest{Messages: hello, Options: o}, nil)
		if bad, ok := errors.AsType[*OptionError](err); ok {
			if bad.Field == "" || bad.Problem == "" {
				t.Fatalf("%+v: %v", o, err)
			}
			return
		}
		if err != nil || reply.FinishReason == "" || strings.Contains(reply.Text, stop) {
			t.Fatalf("%+v: %+v, %v", o, reply, err)
		}
	})
}
