package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"time"

	"causerie/bench/openai"
)

// Compare sends the same requests to this program, which serves the model on a
// loopback port for the purpose, and to the server at Options.Against: a pair
// at a time, who goes first alternating. What one of the two cannot do is left
// out, with its reason. When ctx ends, the report holds what was measured until
// then.
func Compare(ctx context.Context, o Options) (*Report, error) {
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	if o.Against == "" {
		return nil, errors.New("bench: there is no server to compare with")
	}
	if len(o.Streams) == 0 {
		o.Streams = []int{1, 8}
	}
	o.EnsureDefaults()
	report := newReport(o)
	err := compare(ctx, &o, report)
	report.close(err)
	if report.Comparison == nil {
		return nil, err
	}
	return report, err
}

func compare(ctx context.Context, o *Options, report *Report) (err error) {
	theirs, err := openai.New(o.Against, openai.Options{Model: o.AgainstModel, Key: o.AgainstKey})
	if err != nil {
		return err
	}
	defer theirs.Close()
	o.Progress("looking at " + theirs.URL())
	if err := theirs.Discover(ctx); err != nil && !o.onlyEmbeddings() {
		return fmt.Errorf("the other server, %s: %w", theirs.URL(), err)
	}
	o.Progress("loading")
	source, err := prepareSource(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, source.close()) }()
	server, err := startServer(ctx, o, source, slices.Max(o.Streams))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.close()) }()
	ours, err := openai.New(server.url, openai.Options{})
	if err != nil {
		return err
	}
	defer ours.Close()
	if err := ours.Discover(ctx); err != nil {
		return fmt.Errorf("this program's own server: %w", err)
	}
	report.Comparison = &Comparison{
		Ours:   Side{URL: ours.URL(), Model: label(source, o.DTypes[0]), Endpoint: string(ours.Endpoint())},
		Theirs: Side{URL: theirs.URL(), Model: theirs.Model(), Endpoint: string(theirs.Endpoint())},
	}
	c := &comparison{
		options: o, result: report.Comparison, ours: ours, theirs: theirs,
		encoder: server.engine.Model().Tokenizer, context: server.engine.Context(),
		// Another seed each time, so that a second run finds no prompt in the
		// other server's cache.
		random: rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 1)),
	}
	return c.run(ctx, source)
}

// onlyEmbeddings reports whether no reply is asked for: some servers either
// embed or write.
func (o *Options) onlyEmbeddings() bool {
	return !slices.ContainsFunc(o.Only, func(g string) bool { return g != groupEmbeddings })
}

// comparison is the two sides and what they are asked.
type comparison struct {
	options      *Options
	result       *Comparison
	ours, theirs *openai.Client
	encoder      encoder
	context      int
	random       *rand.Rand
}

// text is a new text of n tokens.
func (c *comparison) text(n int) string { return textOf(c.encoder, c.random, n) }

func (c *comparison) run(ctx context.Context, source *source) error {
	contests := slices.DeleteFunc(c.contests(), func(t contest) bool { return !c.options.wants(t.group) })
	end := time.Now().Add(c.options.Time)
	for i := range contests {
		t := &contests[i]
		c.options.Progress(t.metrics[0].label + ", both sides in turn")
		share := time.Until(end) / time.Duration(len(contests)-i)
		if err := c.hold(ctx, t, time.Now().Add(share)); err != nil {
			return err
		}
	}
	if c.options.AgainstPID != 0 {
		return c.memory(source)
	}
	return nil
}

// hold holds a contest until there are enough pairs or time is up. A first pair
// does not count.
func (c *comparison) hold(ctx context.Context, t *contest, end time.Time) error {
	wanted := maxSamples
	if c.options.Quick {
		wanted = minSamples
	}
	var ours, theirs []outcome
	for n := -1; n < wanted && (n < 1 || time.Now().Before(end)); n++ {
		ask := t.pose()
		order := []*openai.Client{c.ours, c.theirs}
		if n%2 == 1 {
			slices.Reverse(order)
		}
		for _, side := range order {
			rest(ctx)
			got, err := ask(ctx, side)
			if ctx.Err() != nil {
				err = ctx.Err()
			}
			if err != nil {
				c.add(t, ours, theirs)
				return c.failed(ctx, t, side, err)
			}
			switch {
			case n < 0:
			case side == c.ours:
				ours = append(ours, got)
			default:
				theirs = append(theirs, got)
			}
		}
	}
	c.add(t, ours, theirs)
	return nil
}

// rest gives the threads of the side that was asked last time to fall asleep.
func rest(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(30 * time.Millisecond):
	}
}

// failed notes that a side could not take part. Only the end of ctx ends it all.
func (c *comparison) failed(ctx context.Context, t *contest, side *openai.Client, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	who := "theirs"
	if side == c.ours {
		who = "ours"
	}
	c.result.Skipped = append(c.result.Skipped, Skip{Name: t.metrics[0].name, Reason: fmt.Sprintf("%s: %v", who, err)})
	return nil
}

// add puts the pairs into the result, if there are any.
func (c *comparison) add(t *contest, ours, theirs []outcome) {
	n := min(len(ours), len(theirs))
	if n == 0 {
		return
	}
	for i, m := range t.metrics {
		a, b, ratio := make([]float64, n), make([]float64, n), make([]float64, n)
		for j := range n {
			a[j], b[j] = ours[j].values[i], theirs[j].values[i]
			ratio[j] = a[j] / b[j]
		}
		c.result.Figures = append(c.result.Figures, Duel{
			Name: m.name, Label: m.label, Unit: m.unit,
			Ours: Summarize(a), Theirs: Summarize(b), Ratio: Summarize(ratio),
			OurTokens: typical(ours[:n]), TheirTokens: typical(theirs[:n]),
		})
	}
}

// typical is the median number of tokens.
func typical(outcomes []outcome) Tokens {
	var prompt, reply []float64
	for _, o := range outcomes {
		prompt, reply = append(prompt, float64(o.tokens.Prompt)), append(reply, float64(o.tokens.Reply))
	}
	return Tokens{Prompt: int(median(prompt)), Reply: int(median(reply))}
}

// memory compares the most memory that both processes have had resident.
func (c *comparison) memory(source *source) error {
	const name = "memory"
	if source.folder != "" || source.name == "" {
		c.result.Skipped = append(c.result.Skipped, Skip{Name: name, Reason: "ours: the weights were made up in this process, which took memory of its own"})
		return nil
	}
	theirs, err := PeakMemory(c.options.AgainstPID)
	if err != nil {
		return err
	}
	ours, err := PeakMemory(os.Getpid())
	if err != nil {
		return err
	}
	const mib = 1 << 20
	a, b := float64(ours)/mib, float64(theirs)/mib
	c.result.Figures = append(c.result.Figures, Duel{
		Name: name, Label: "peak memory", Unit: "MiB",
		Ours: Summarize([]float64{a}), Theirs: Summarize([]float64{b}), Ratio: Summarize([]float64{a / b}),
	})
	return nil
}
