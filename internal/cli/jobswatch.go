package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
)

// JobsWatchCmd follows a job.
type JobsWatchCmd struct {
	jobFlags
	JSON bool `name:"json" help:"Print the events as JSON lines even in a terminal."`
}

// Run prints what happens to the job, until it ends.
func (c *JobsWatchCmd) Run(ctx context.Context, std *IO) error {
	return (&watcher{serverFlags: c.serverFlags, std: std, id: c.ID, json: c.JSON}).run(ctx)
}

// watcher follows a job's events: with a progress line where a person watches,
// and as JSON lines where a program reads.
type watcher struct {
	serverFlags
	std  *IO
	id   string
	json bool

	after string // the last event that was shown
	bar   *progressbar.ProgressBar
	valid string // what the last validation said
}

// jobEvent is an event as the API describes it.
type jobEvent struct {
	ID        string `json:"id"`
	CreatedAt int64  `json:"created_at"`
	Level     string `json:"level"`
	Message   string `json:"message"`
	Type      string `json:"type"`
	Data      struct {
		Step  int      `json:"step"`
		Steps int      `json:"total_steps"`
		Train *float64 `json:"train_loss"`
		Valid *float64 `json:"valid_loss"`
	} `json:"data"`
}

// A server that does not answer may be starting anew: the job goes on then.
const (
	reconnectPause = time.Second
	reconnectTimes = 30
)

func (w *watcher) run(ctx context.Context) error {
	w.json = w.json || !w.std.ErrTerminal()
	failures := 0
	for {
		before := w.after
		done, err := w.follow(ctx)
		if done || ctx.Err() != nil {
			break
		}
		if refused, ok := errors.AsType[*serverError](err); ok && refused.status < http.StatusInternalServerError {
			return err
		}
		if failures++; w.after != before {
			failures = 1
		}
		if failures > reconnectTimes || w.after == "" { // it has never answered
			return err
		}
		select {
		case <-time.After(reconnectPause):
		case <-ctx.Done():
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return w.end(ctx)
}

// errCutOff is a stream that ended before the job did.
var errCutOff = errors.New("the server has stopped sending events")

// follow shows events until the stream ends. It is done when the job is.
func (w *watcher) follow(ctx context.Context) (done bool, err error) {
	resp, err := w.send(ctx, http.MethodGet, jobPath(w.id, "/events?stream=true&after="+w.after), "", nil)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	lines := bufio.NewReader(resp.Body)
	for {
		line, err := lines.ReadString('\n')
		if err == io.EOF {
			return false, errCutOff
		}
		if err != nil {
			return false, fmt.Errorf("following the job: %w", err)
		}
		data, ok := strings.CutPrefix(strings.TrimSpace(line), "data: ")
		if !ok {
			continue
		}
		if data == "[DONE]" {
			return true, nil
		}
		var e jobEvent
		if err := json.Unmarshal([]byte(data), &e); err != nil {
			return false, fmt.Errorf("an event of the job: %w", err)
		}
		if e.ID == "" {
			return false, errCutOff // the error that ends a stream of a server that stops
		}
		w.after = e.ID
		if err := w.show(e, data); err != nil {
			return false, err
		}
	}
}

func (w *watcher) show(e jobEvent, raw string) error {
	switch {
	case w.json:
		_, err := fmt.Fprintln(w.std.Out, raw)
		return err
	case e.Type != "metrics":
		if w.bar != nil {
			if err := w.bar.Clear(); err != nil {
				return err
			}
		}
		_, err := fmt.Fprintf(w.std.Err, "%s  %s\n", time.Unix(e.CreatedAt, 0).Format(time.TimeOnly), e.Message)
		return err
	}
	if w.bar == nil {
		w.bar = progressbar.NewOptions(e.Data.Steps, progressbar.OptionSetWriter(w.std.Err), progressbar.OptionShowCount(),
			progressbar.OptionSetWidth(20), progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionShowDescriptionAtLineEnd(),
			progressbar.OptionSetElapsedTime(false))
	}
	if e.Data.Valid != nil {
		w.valid = fmt.Sprintf("  validation %.4f", *e.Data.Valid)
	}
	if e.Data.Train != nil {
		w.bar.Describe(fmt.Sprintf(" loss %.4f%s", *e.Data.Train, w.valid))
	}
	return w.bar.Set(e.Data.Step)
}

// end says what became of the job.
func (w *watcher) end(ctx context.Context) error {
	if w.bar != nil {
		fmt.Fprintln(w.std.Err)
	}
	var j jobInfo
	if err := w.get(ctx, jobPath(w.id, ""), &j); err != nil {
		return err
	}
	switch {
	case j.FineTunedModel != nil:
		if w.json {
			return nil // the events have said it
		}
		_, err := fmt.Fprintln(w.std.Out, *j.FineTunedModel)
		return err
	case j.Error != nil:
		return fmt.Errorf("job %s has failed: %s", j.ID, j.Error.Message)
	}
	return fmt.Errorf("job %s is %s", j.ID, j.Status)
}
