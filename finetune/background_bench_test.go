package finetune_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"causerie/api"
	"causerie/bench/openai"
	"causerie/corpora"
	"causerie/finetune"
	"causerie/models"
	"causerie/pipeline"
)

// BenchmarkFirstTokenBesideTraining serves the bundled model over HTTP and
// measures the time from a chat request of some 80 tokens to the first token
// of its reply: alone, while the same process trains that model, in the
// background and not, and while another process of low priority does.
//
//	go test -run '^$' -bench FirstTokenBesideTraining -benchtime 120x ./finetune
//
// Between requests the server rests for a moment, so that the training is at
// full speed when the next one arrives; under "load" there is no rest.
func BenchmarkFirstTokenBesideTraining(b *testing.B) {
	client := serveBundled(b)
	const rest = 40 * time.Millisecond
	b.Run("rest/idle", func(b *testing.B) { firstTokens(b, client, rest) })
	b.Run("load/idle", func(b *testing.B) { firstTokens(b, client, 0) })
	for _, background := range []bool{true, false} {
		t := trainBeside(b, background)
		name := map[bool]string{true: "background", false: "foreground"}[background]
		b.Run("rest/"+name, func(b *testing.B) { t.during(b, func() { firstTokens(b, client, rest) }) })
		b.Run("load/"+name, func(b *testing.B) { t.during(b, func() { firstTokens(b, client, 0) }) })
		b.Run("alone/"+name, func(b *testing.B) { t.during(b, func() { time.Sleep(3 * time.Second) }) })
		t.end(b)
	}
	stop := trainInChild(b)
	b.Run("rest/other-process", func(b *testing.B) { firstTokens(b, client, rest) })
	b.Run("load/other-process", func(b *testing.B) { firstTokens(b, client, 0) })
	stop()
}

// serveBundled starts a server with the bundled model and returns its client.
func serveBundled(b *testing.B) *openai.Client {
	b.Helper()
	ctx, stop := context.WithCancel(context.Background())
	engine, err := pipeline.Open(ctx, models.Default, pipeline.EngineOptions{})
	if err != nil {
		b.Fatal(err)
	}
	server, err := api.New(api.Options{Log: zerolog.Nop(), Drain: time.Second})
	if err != nil {
		b.Fatal(err)
	}
	model := api.ModelOf("default", time.Now(), engine)
	model.Defaults = pipeline.Options{IgnoreEnd: true}
	server.SetModel(model)
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(ctx, listener) }()
	client, err := openai.New("http://"+listener.Addr().String(), openai.Options{Model: "default"})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		client.Close()
		stop()
		if err := errors.Join(<-served, engine.Close(context.Background())); err != nil {
			b.Error(err)
		}
	})
	return client
}

// firstTokens sends one request after the other. No two prompts begin alike, so
// that no cache helps.
func firstTokens(b *testing.B, client *openai.Client, rest time.Duration) {
	var took []time.Duration
	tokens := 0
	for b.Loop() {
		time.Sleep(rest)
		t, err := client.Reply(b.Context(), openai.Request{Prompt: madeUpText(), MaxTokens: 8})
		if err != nil {
			b.Fatal(err)
		}
		took = append(took, t.FirstToken)
		tokens += t.PromptTokens
	}
	slices.Sort(took)
	at := func(part float64) float64 { return took[int(part*float64(len(took)-1))].Seconds() * 1e3 }
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(tokens)/float64(len(took)), "prompt-tokens")
	b.ReportMetric(at(0.5), "ms-median")
	b.ReportMetric(at(0.1), "ms-p10")
	b.ReportMetric(at(0.9), "ms-p90")
}

// madeUpText is some 70 tokens of text that begins like no other.
func madeUpText() string {
	words := strings.Fields("the a tea rain garden letter friend morning river song lamp window walk bread answer quiet old")
	var text strings.Builder
	fmt.Fprintf(&text, "%06d", rand.IntN(1e6))
	for range 44 {
		text.WriteString(" " + words[rand.IntN(len(words))])
	}
	return text.String()
}

// training is a run that goes on until it is ended.
type training struct {
	tokens atomic.Int64
	stop   context.CancelFunc
	ended  chan error
}

// endlessTraining is a training of the bundled model that takes long.
func endlessTraining(b *testing.B) finetune.Options {
	b.Helper()
	data, err := corpora.ParseSources(corpora.Starter)
	if err != nil {
		b.Fatal(err)
	}
	return finetune.Options{
		Out: b.TempDir(), Model: models.Default, Data: data,
		Steps: 1e6, Rows: 512, EvalEvery: -1, SaveEvery: finetune.Every{Steps: 1e6}, Seed: 1,
	}
}

func trainBeside(b *testing.B, background bool) *training {
	b.Helper()
	ctx, stop := context.WithCancel(context.Background())
	t := &training{stop: stop, ended: make(chan error, 1)}
	o := endlessTraining(b)
	o.Background = background
	started := make(chan struct{})
	go func() {
		_, err := finetune.Train(ctx, o, &stepCounter{tokens: &t.tokens, started: started})
		t.ended <- err
	}()
	select {
	case <-started:
	case err := <-t.ended:
		b.Fatal(err)
	}
	return t
}

// during calls f and reports how fast the training was meanwhile.
func (t *training) during(b *testing.B, f func()) {
	before, start := t.tokens.Load(), time.Now()
	f()
	b.ReportMetric(float64(t.tokens.Load()-before)/time.Since(start).Seconds(), "training-tokens/s")
}

func (t *training) end(b *testing.B) {
	t.stop()
	if err := <-t.ended; !errors.As(err, new(*finetune.Interrupted)) {
		b.Fatal(err)
	}
}

// stepCounter tells when the training has begun and how far it is.
type stepCounter struct {
	finetune.NoHook
	tokens  *atomic.Int64
	started chan struct{}
}

func (c *stepCounter) OnStep(s finetune.Step) error {
	c.tokens.Store(s.Tokens)
	if s.Step == 3 {
		close(c.started)
	}
	return nil
}

// trainInChild trains in a process of low priority until stop is called.
func trainInChild(b *testing.B) (stop func()) {
	b.Helper()
	o := endlessTraining(b)
	options, err := json.Marshal(o)
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "CAUSERIE_TEST_TRAIN="+string(options), "CAUSERIE_TEST_TRAIN_NICELY=1")
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	stop = sync.OnceFunc(func() { _, _ = cmd.Process.Kill(), cmd.Wait() }) // its end is an error
	b.Cleanup(stop)
	for range 300 {
		if _, err := os.Stat(filepath.Join(o.Out, "checkpoints", "step-000000")); err == nil {
			return stop
		}
		time.Sleep(100 * time.Millisecond)
	}
	b.Fatal("the training in a child process does not begin")
	return nil
}
