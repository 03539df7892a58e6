package load

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"causerie/bench/openai"
)

// Run puts the server under load and reports. When ctx ends, the report is of
// what was measured until then, and comes with the error.
func Run(ctx context.Context, o Options) (*Report, error) {
	o.EnsureDefaults()
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	if err := o.checkFiles(); err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	r := &run{options: o, report: newReport(&o)}
	if o.URL != "" {
		return r.report.orNothing(r.measure(ctx))
	}
	child, err := startServer(ctx, append(append([]string{}, o.Self...), o.Flags...))
	if err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	r.options.URL = child.url
	err = r.measure(ctx)
	if stopped := child.stop(0); stopped != nil {
		r.report.Server.Exit = stopped.Error()
		err = errors.Join(err, fmt.Errorf("load: the server did not stop well: %w", stopped))
	}
	return r.report.orNothing(err)
}

// run is one run.
type run struct {
	options Options
	report  *Report
	watch   *watch
	api     *openai.Client
	begun   time.Time
	clients []*client
	idle    *idlers
	slow    []*slowReader
}

// measure finds the model, begins all that asks, waits, and takes stock.
func (r *run) measure(ctx context.Context) error {
	if err := r.discover(ctx); err != nil {
		return err
	}
	r.watch = newWatch(r.options.URL, r.options.Key)
	defer r.watch.close()
	r.watch.rest(ctx, &r.report.Server)
	r.idle = &idlers{url: r.options.URL}
	defer r.idle.close()
	if err := r.openIdle(ctx); err != nil {
		return err
	}
	asked := r.ask(ctx)
	r.idle.check(&r.report.Requests)
	r.idle.close()
	r.report.tally(r.clients, r.slow, asked)
	r.watch.after(ctx, &r.report.Server)
	return ctx.Err()
}

// discover finds the model, with a reply that also warms the server up.
func (r *run) discover(ctx context.Context) error {
	api, err := openai.New(r.options.URL, openai.Options{
		Key: r.options.Key, Silence: r.options.Patience, KeepAlive: time.Minute, Endpoint: openai.Chat,
	})
	if err != nil {
		return fmt.Errorf("load: %w", err)
	}
	defer api.Close()
	if err := api.Discover(ctx); err != nil {
		return fmt.Errorf("load: the server, %s: %w", r.options.URL, err)
	}
	r.api = api
	r.report.Server.URL, r.report.Server.Model = api.URL(), api.Model()
	return nil
}

// openIdle opens the connections that only wait, and measures what they take.
func (r *run) openIdle(ctx context.Context) error {
	if r.options.Idle == 0 {
		return nil
	}
	before := r.watch.sample(ctx)
	for n := range r.options.Idle {
		if n%1000 == 0 {
			r.options.Progress(fmt.Sprintf("opening idle connections: %d of %d", n, r.options.Idle))
		}
		if err := r.idle.open(ctx); err != nil {
			return fmt.Errorf("load: idle connection %d: %w", n+1, err)
		}
	}
	after := r.watch.sample(ctx)
	r.report.Server.idle(before, after, r.options.Idle)
	return nil
}

// ask runs clients and slow readers for the duration, or until ctx ends, and
// samples the server meanwhile. It returns how long they asked.
func (r *run) ask(ctx context.Context) time.Duration {
	r.begun = time.Now()
	asking, stop := context.WithTimeout(ctx, r.options.Duration) // no new requests after it
	defer stop()
	cut, cutOff := context.WithTimeout(ctx, r.options.Duration+r.options.Drain)
	defer cutOff()
	var group sync.WaitGroup
	for i := range r.options.Clients {
		c := &client{index: i, api: r.api.Another(), tokens: r.options.Tokens, patience: r.options.Patience}
		r.clients = append(r.clients, c)
		group.Go(func() { c.run(asking, cut) })
	}
	for range r.options.Slow {
		s := &slowReader{url: r.options.URL, key: r.options.Key, model: r.api.Model()}
		r.slow = append(r.slow, s)
		group.Go(func() { s.run(asking) })
	}
	r.observe(asking)
	took := min(time.Since(r.begun), r.options.Duration)
	group.Wait()
	return took
}

// observe samples the server every second until ctx ends.
func (r *run) observe(ctx context.Context) {
	tick := time.NewTicker(min(time.Second, r.options.Duration/4))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		s := r.watch.sample(ctx)
		if ctx.Err() != nil {
			return
		}
		s.Seconds = time.Since(r.begun).Seconds()
		r.report.Server.Samples = append(r.report.Server.Samples, s)
		replies, refused := 0, 0
		for _, c := range r.clients {
			replies += int(c.replies.Load())
			refused += int(c.refused.Load())
		}
		r.options.Progress(fmt.Sprintf("%.0f s: %d replies, %d times refused, %d goroutines, %s", s.Seconds, replies, refused, s.Goroutines, size(s.Resident)))
	}
}

// get is the answer to a plain request.
func get(ctx context.Context, c *http.Client, url, key string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	if key != "" {
		request.Header.Set("Authorization", "Bearer "+key)
	}
	return c.Do(request)
}

// base is a server's address without /v1.
func base(url string) string { return strings.TrimSuffix(strings.TrimRight(url, "/"), "/v1") }
