package pipeline

import (
	"math"
	"slices"
	"strings"
	"testing"

	"causerie/models/gpt2"
	"causerie/pipeline/sampling"
)

// logSoftmax is the textbook's, in float64.
func logSoftmax(logits []float32) []float64 {
	largest, sum := math.Inf(-1), 0.0
	for _, l := range logits {
		largest = max(largest, float64(l))
	}
	for _, l := range logits {
		sum += math.Exp(float64(l) - largest)
	}
	out := make([]float64, len(logits))
	for i, l := range logits {
		out[i] = float64(l) - largest - math.Log(sum)
	}
	return out
}

// Log-probabilities are the log-softmax of the network's own logits, whatever
// the options make of these afterwards.
func TestLogProbs(t *testing.T) {
	m := randomModel(t, 64)
	prompt := m.Tokenizer.Encode(nil, "rain 你 rain")
	e := engineOf(t, m, EngineOptions{})
	o := Options{
		Options:   sampling.Options{Temperature: 1.3, TopK: 30, RepetitionPenalty: 1.5, LogitBias: map[int32]float64{3: 2}},
		MaxTokens: 9, IgnoreEnd: true, Seed: seed(5), LogProbs: true, TopLogProbs: 4, PromptLogProbs: true,
	}
	var carried []LogProb
	text := ""
	reply, err := e.Generate(t.Context(), GenerateRequest{IDs: prompt, Options: o}, func(p Piece) error {
		carried = append(carried, p.LogProbs...)
		text += p.Text
		return nil
	})
	if err != nil || len(reply.LogProbs) != 9 || len(reply.PromptLogProbs) != len(prompt)-1 || len(carried) != 9 || text != reply.Text {
		t.Fatalf("%d of the reply, %d in pieces, %d of the prompt, %v", len(reply.LogProbs), len(carried), len(reply.PromptLogProbs), err)
	}
	tokens := slices.Concat(prompt, reply.IDs)
	vocab := m.Net.Config.VocabSize
	logits, rows := make([]float32, len(tokens)*vocab), make([]int, len(tokens))
	for i := range rows {
		rows[i] = i
	}
	if err := gpt2.NewRunner(m.Net, nil).Logits([]gpt2.Segment{{Tokens: tokens}}, rows, logits); err != nil {
		t.Fatal(err)
	}
	for i, got := range append(reply.PromptLogProbs, reply.LogProbs...) {
		want := logSoftmax(logits[i*vocab : (i+1)*vocab])
		id := tokens[i+1]
		if got.ID != id || math.Abs(got.LogProb-want[id]) > 1e-5 || string(got.Bytes) != string(m.Tokenizer.AppendToken(nil, id)) {
			t.Errorf("token %d: %+v, want id %d at %v", i+1, got, id, want[id])
		}
		order := make([]int32, vocab)
		for j := range order {
			order[j] = int32(j)
		}
		slices.SortStableFunc(order, func(a, b int32) int {
			switch {
			case want[a] > want[b]:
				return -1
			case want[a] < want[b]:
				return 1
			}
			return 0
		})
		if len(got.Top) != 4 {
			t.Fatalf("token %d has %d alternatives", i+1, len(got.Top))
		}
		for j, top := range got.Top {
			if top.ID != order[j] || math.Abs(top.LogProb-want[order[j]]) > 1e-5 {
				t.Errorf("token %d, alternative %d: %+v, want id %d at %v", i+1, j, top, order[j], want[order[j]])
			}
		}
	}
}

// Tokens that end a reply have no entry, those of a dropped text have.
func TestLogProbsOfWhatIsNotShown(t *testing.T) {
	e := recite(t, "One two three")
	o := Options{Stop: []string{" two"}, LogProbs: true}
	var carried []LogProb
	reply, err := e.Chat(t.Context(), ChatRequest{Messages: hello, Options: o}, func(p Piece) error {
		carried = append(carried, p.LogProbs...)
		return nil
	})
	said := ""
	for _, l := range carried {
		said += l.Text
	}
	if err != nil || reply.Text != "One" || said != "One two" || len(reply.LogProbs) != reply.CompletionTokens {
		t.Errorf("%+v, %v, carried %q", reply, err, said)
	}
	reply, err = recite(t, "Hi").Chat(t.Context(), ChatRequest{Messages: hello, Options: Options{LogProbs: true}}, nil)
	if err != nil || len(reply.LogProbs) != 2 || len(reply.IDs) != 3 {
		t.Errorf("%d entries for %d tokens, %v", len(reply.LogProbs), len(reply.IDs), err)
	}
	if _, err := e.Chat(t.Context(), ChatRequest{Messages: hello, Options: Options{TopLogProbs: 21}}, nil); err == nil || !strings.Contains(err.Error(), "top_logprobs") {
		t.Errorf("too many alternatives: %v", err)
	}
}
