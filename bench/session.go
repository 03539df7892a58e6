package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"causerie/models/gpt2"
	"causerie/models/kernels"
	"causerie/pipeline"
	"causerie/pipeline/sampling"
)

// session is a model under measurement.
type session struct {
	options  *Options
	ruler    *ruler
	source   *source
	dtype    kernels.DType
	engine   *pipeline.Engine
	load     load
	top      ceiling // as it was measured last
	random   *rand.Rand
	schedule *schedule
	result   *Run

	contexts [][]int32 // prompts that fill the context, one for each stream
}

// loadedStreams is how many requests run in all when a figure is measured
// under load.
const loadedStreams = 8

func newSession(ctx context.Context, b *bench, source *source, d kernels.DType) (*session, error) {
	model, err := source.open(ctx, d)
	if err != nil {
		return nil, err
	}
	config := model.Net.Config
	if config.Positions < minContext || config.VocabSize < minVocabulary {
		return nil, fmt.Errorf("%s: a context of at least %d tokens and a vocabulary of at least %d are needed", source.label, minContext, minVocabulary)
	}
	sequences := max(loadedStreams, slices.Max(b.options.Streams))
	engine, err := pipeline.NewEngine(model, pipeline.EngineOptions{
		Threads: b.options.Threads, DType: &d, MaxSequences: sequences, KVBytes: fullContexts(model.Net, sequences),
		NoSpeculation: !b.options.Speculate,
	})
	if err != nil {
		return nil, err
	}
	return &session{
		options: &b.options, ruler: b.ruler, source: source, dtype: d, engine: engine,
		load:   load{config: config, weightBytes: weightBytes(d), cacheValue: cacheValueBytes(d)},
		random: rand.New(rand.NewPCG(1, 2)),
	}, nil
}

// fullContexts is the memory of keys and values that keeps so many contexts for
// the requests that go on from them. The engine's own default keeps less of
// what no reply uses, and they would be computed again.
func fullContexts(net *gpt2.Model, n int) int64 {
	blocks := (net.Config.Positions+gpt2.BlockTokens-1)/gpt2.BlockTokens + 1
	return int64(n*blocks) * net.NewKVMemory(0).BlockBytes()
}

func (s *session) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	return s.engine.Close(ctx)
}

// describe is the head of the session's results.
func (s *session) describe() Run {
	return Run{
		Model: s.source.label, DType: s.dtype.String(),
		Parameters: s.engine.Model().Net.ParamCount(), Context: s.engine.Context(),
		StepBytes: int64(s.load.stepBytes()), CacheTokenBytes: int64(s.load.cacheBytes()),
	}
}

// prompt is n random ids: no two prompts begin alike, so that no cache helps.
func (s *session) prompt(n int) []int32 {
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = int32(s.random.IntN(s.load.config.VocabSize))
	}
	return ids
}

// reply writes exactly n tokens after a prompt.
func (s *session) reply(ctx context.Context, prompt []int32, n int, emit func(pipeline.Piece) error) error {
	r, err := s.engine.Generate(ctx, pipeline.GenerateRequest{IDs: prompt, Options: pipeline.Options{
		Options: sampling.Options{Temperature: 0}, MaxTokens: n, IgnoreEnd: true, Raw: true,
	}}, emit)
	if err == nil && r.CompletionTokens != n {
		err = fmt.Errorf("the engine wrote %d tokens where %d were asked for", r.CompletionTokens, n)
	}
	return err
}

// replies writes n tokens after each prompt, all at the same time.
func (s *session) replies(ctx context.Context, prompts [][]int32, n int) error {
	var group sync.WaitGroup
	errs := make([]error, len(prompts))
	for i, p := range prompts {
		group.Go(func() { errs[i] = s.reply(ctx, p, n, nil) })
	}
	group.Wait()
	return errors.Join(errs...)
}

// underLoad calls f while other requests keep the engine busy.
func (s *session) underLoad(ctx context.Context, others int, f func(context.Context) error) error {
	inner, stop := context.WithCancel(ctx)
	var group sync.WaitGroup
	defer group.Wait()
	defer stop()
	writing := make(chan error, others)
	size := s.short()
	for range others {
		prompt := s.prompt(size)
		group.Go(func() {
			started := sync.OnceFunc(func() { writing <- nil })
			emit := func(pipeline.Piece) error { started(); return nil }
			for inner.Err() == nil {
				if err := s.reply(inner, prompt, s.engine.Context()-size, emit); err != nil && inner.Err() == nil {
					writing <- err
					return
				}
			}
		})
	}
	for range others {
		select {
		case err := <-writing:
			if err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return f(ctx)
}

// short is the length of a short prompt and of a reply: 64 tokens, or less
// where that would be more than a quarter of the context.
func (s *session) short() int { return min(64, s.engine.Context()/4) }
