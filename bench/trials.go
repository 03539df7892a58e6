package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"causerie/pipeline"
)

// measure tries everything that was asked for, in the order of what people ask
// first.
func (s *session) measure(ctx context.Context) error {
	trials := slices.Concat(s.decoding("short"), s.prefilling(), s.firstTokens(), s.embedding(), s.decoding("full"))
	trials = slices.DeleteFunc(trials, func(t trial) bool { return !s.options.wants(t.group) })
	s.schedule.plan(trials)
	for i := range trials {
		t := &trials[i]
		s.options.Progress(fmt.Sprintf("%s, %s: %s", s.source.label, s.dtype, t.label))
		figure, err := s.try(ctx, t, s.schedule.next(t))
		if figure != nil {
			s.result.Figures = append(s.result.Figures, *figure)
		}
		if _, ok := errors.AsType[*errNoTime](err); ok {
			s.skip(t.name, err.Error())
			continue
		}
		if err != nil {
			return err
		}
	}
	if s.options.wants(groupLoad) {
		return s.loading(ctx)
	}
	return nil
}

func (s *session) skip(name, reason string) {
	s.result.Skipped = append(s.result.Skipped, Skip{Name: name, Reason: reason})
}

// decoding is replies to several prompts at the same time. The prompts are held
// in KV caches already, so that a reply of n tokens is n steps of decoding.
func (s *session) decoding(extent string) []trial {
	var trials []trial
	n := s.short()
	size := n
	if extent == "full" {
		size = s.engine.Context() - n
	}
	for _, streams := range s.options.Streams {
		if extent == "full" && s.options.Quick && streams > 1 {
			continue
		}
		step := s.load.decodeStep(float64(streams), float64(size)+float64(n)/2)
		work := step.times(float64(n))
		var prompts [][]int32
		t := trial{
			group: groupDecode, weight: 4,
			name:   fmt.Sprintf("decode_%d_%s", streams, extent),
			label:  fmt.Sprintf("decoding, %s, context %d to %d", count(streams, "stream"), size, size+n),
			unit:   "tokens/s",
			amount: float64(streams * n),
			work:   &work,
			prepare: func(ctx context.Context) error {
				prompts = s.prompts(streams, size)
				return s.replies(ctx, prompts, 1)
			},
			sample: func(ctx context.Context) error { return s.replies(ctx, prompts, n) },
		}
		if extent == "full" {
			t.estimate = func() time.Duration { return s.prefillTime(streams, size) }
		}
		trials = append(trials, t)
	}
	return trials
}

// prompts are the first so many of those that fill the context, or short ones.
func (s *session) prompts(streams, size int) [][]int32 {
	if size == s.short() {
		fresh := make([][]int32, streams)
		for i := range fresh {
			fresh[i] = s.prompt(size)
		}
		return fresh
	}
	for len(s.contexts) < streams {
		s.contexts = append(s.contexts, s.prompt(size))
	}
	return s.contexts[:streams]
}

// prefillTime is about how long it takes to read the prompts that no cache
// holds yet, by the speed that was measured for the longest prompt.
func (s *session) prefillTime(streams, size int) time.Duration {
	rate := 0.0
	for _, f := range s.result.Figures {
		if slices.Contains([]string{"prefill_128", "prefill_512"}, f.Name) {
			rate = f.Median
		}
	}
	if rate == 0 {
		return 0 // unknown, so it is tried
	}
	missing := max(0, streams-len(s.contexts)) * size
	return time.Duration(float64(missing) / rate * float64(time.Second))
}

// holds reports whether the context holds so many tokens, and notes it if not.
func (s *session) holds(group, name string, tokens int) bool {
	held := s.engine.Context()
	if tokens > held && s.options.wants(group) {
		s.skip(name, fmt.Sprintf("the context holds %d tokens", held))
	}
	return tokens <= held
}

// prefilling is prompts that nobody has seen before, up to their first token.
func (s *session) prefilling() []trial {
	var trials []trial
	for _, size := range []int{128, 512} {
		if !s.holds(groupPrefill, fmt.Sprintf("prefill_%d", size), size) {
			continue
		}
		n := min(size, s.engine.Context()-1)
		work := s.load.prefill(float64(n))
		trials = append(trials, trial{
			group: groupPrefill, weight: 2,
			name:   fmt.Sprintf("prefill_%d", size),
			label:  fmt.Sprintf("prompt of %d tokens", n),
			unit:   "tokens/s",
			amount: float64(n),
			work:   &work,
			sample: func(ctx context.Context) error { return s.reply(ctx, s.prompt(n), 1, nil) },
		})
	}
	return trials
}

// firstTokens is the time from a request to its first token.
func (s *session) firstTokens() []trial {
	n := s.short()
	one := func(ctx context.Context) error { return s.reply(ctx, s.prompt(n), 1, nil) }
	work := s.load.prefill(float64(n))
	return []trial{{
		group: groupFirstToken, weight: 1, name: "first_token_idle", unit: "ms",
		label:  fmt.Sprintf("first token after %d", n),
		work:   &work,
		sample: one,
	}, {
		group: groupFirstToken, weight: 3, name: "first_token_loaded", unit: "ms",
		label: fmt.Sprintf("first token after %d, beside %d replies", n, loadedStreams-1),
		around: func(ctx context.Context, f func(context.Context) error) error {
			return s.underLoad(ctx, loadedStreams-1, f)
		},
		sample: one,
	}}
}

// embedding is a request of several texts.
func (s *session) embedding() []trial {
	const texts, n = 8, 128
	if !s.holds(groupEmbeddings, "embeddings_128", n) {
		return nil
	}
	work := s.load.embed(texts, n)
	inputs := make([]pipeline.EmbedInput, texts)
	for i := range inputs {
		inputs[i].IDs = s.prompt(n)
	}
	return []trial{{
		group: groupEmbeddings, weight: 2, name: "embeddings_128", unit: "texts/s",
		label:  fmt.Sprintf("embedding texts of %d tokens", n),
		amount: texts,
		work:   &work,
		sample: func(ctx context.Context) error {
			_, err := s.engine.Embed(ctx, pipeline.EmbedRequest{Inputs: inputs})
			return err
		},
	}}
}
