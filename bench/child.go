package bench

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"time"

	"causerie/models/kernels"
)

// childJob is what a process of its own is asked to do: load a model, say so,
// write replies.
type childJob struct {
	Model   string `json:"model"`
	DType   string `json:"dtype"` // by name
	Threads int    `json:"threads"`
	Streams int    `json:"streams"`
}

// childNews is a line of its answer.
type childNews struct {
	LoadSeconds float64 `json:"load_seconds,omitempty"` // with the first line
	Peak        int64   `json:"peak"`                   // bytes of memory that were resident at most; 0: unknown here
}

// Child is the other side of Options.Self: it loads the model that the job on
// in names, reports on out, writes a reply to each of several short prompts at
// the same time, and reports again.
func Child(ctx context.Context, in io.Reader, out io.Writer) (err error) {
	var job childJob
	if err := json.NewDecoder(in).Decode(&job); err != nil {
		return fmt.Errorf("bench: reading the job: %w", err)
	}
	d, err := kernels.ParseDType(job.DType)
	if err != nil {
		return err
	}
	o := Options{Threads: job.Threads, Streams: []int{job.Streams}}
	o.EnsureDefaults()
	start := time.Now()
	s, err := newSession(ctx, &bench{options: o}, &source{label: job.Model, name: job.Model}, d)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	news := json.NewEncoder(out)
	if err := news.Encode(childNews{LoadSeconds: time.Since(start).Seconds(), Peak: peakMemory()}); err != nil {
		return err
	}
	if err := s.replies(ctx, s.prompts(job.Streams, s.short()), s.short()); err != nil {
		return err
	}
	return news.Encode(childNews{Peak: peakMemory()})
}

// started is what one child told.
type started struct {
	load, ready float64 // milliseconds: of loading alone; from the program's start until it could answer
	loaded      float64 // MiB at most until then
	served      float64 // MiB at most in all
}

// startChild runs one child to its end.
func startChild(ctx context.Context, self []string, job childJob) (_ started, err error) {
	input, err := json.Marshal(job)
	if err != nil {
		return started{}, err
	}
	command := exec.CommandContext(ctx, self[0], self[1:]...)
	var complaint bytes.Buffer
	command.Stdin, command.Stderr = bytes.NewReader(input), &complaint
	command.WaitDelay = 5 * time.Second
	out, err := command.StdoutPipe()
	if err != nil {
		return started{}, err
	}
	begin := time.Now()
	if err := command.Start(); err != nil {
		return started{}, fmt.Errorf("starting a process to measure loading: %w", err)
	}
	var s started
	err = s.listen(out, begin)
	if failed := command.Wait(); failed != nil {
		err = fmt.Errorf("the process that loads the model: %w: %s", failed, bytes.TrimSpace(complaint.Bytes()))
	}
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	return s, err
}

// listen reads the two lines of a child.
func (s *started) listen(out io.Reader, begin time.Time) error {
	const mib = 1 << 20
	lines := bufio.NewScanner(out)
	var loaded, served childNews
	for i, news := range []*childNews{&loaded, &served} {
		if !lines.Scan() {
			return errors.Join(errors.New("the process that loads the model said nothing"), lines.Err())
		}
		if i == 0 {
			s.ready = 1e3 * time.Since(begin).Seconds()
		}
		if err := json.Unmarshal(lines.Bytes(), news); err != nil {
			return fmt.Errorf("the process that loads the model: %w", err)
		}
	}
	s.load, s.loaded, s.served = 1e3*loaded.LoadSeconds, float64(loaded.Peak)/mib, float64(served.Peak)/mib
	return nil
}

// loading measures how long the model takes to load, with its file in the page
// cache, and the memory it needs, each time in a process of its own.
func (s *session) loading(ctx context.Context) error {
	if s.options.Self == nil {
		return nil
	}
	runs := minSamples
	if s.options.Quick {
		runs = 1
	}
	folder, err := s.source.stored(ctx, s.dtype)
	if err != nil {
		return err
	}
	job := childJob{Model: folder, DType: s.dtype.String(), Threads: s.options.Threads, Streams: loadedStreams}
	var load, ready, loaded, served []float64
	for i := range runs {
		s.options.Progress(fmt.Sprintf("%s, %s: loading, time %d of %d", s.source.label, s.dtype, i+1, runs))
		got, err := startChild(ctx, s.options.Self, job)
		if err != nil {
			return err
		}
		load, ready = append(load, got.load), append(ready, got.ready)
		loaded, served = append(loaded, got.loaded), append(served, got.served)
		if i > 0 && time.Now().After(s.schedule.end) {
			break
		}
	}
	n := s.short()
	s.result.Figures = append(s.result.Figures,
		Figure{Name: "load", Label: "loading the model", Unit: "ms", Summary: Summarize(load)},
		Figure{Name: "ready", Label: "program start to ready", Unit: "ms", Summary: Summarize(ready)},
		Figure{Name: "memory_loaded", Label: "peak memory, loaded", Unit: "MiB", Summary: Summarize(loaded)},
		Figure{Name: "memory_served", Label: fmt.Sprintf("peak memory, %d replies to %d + %d tokens", loadedStreams, n, n), Unit: "MiB", Summary: Summarize(served)},
	)
	return nil
}
