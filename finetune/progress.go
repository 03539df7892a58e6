package finetune

import (
	"fmt"
	"io"
	"time"

	"github.com/schollz/progressbar/v3"
)

// progress shows a run to a person at a terminal.
type progress struct {
	w    io.Writer
	bar  *progressbar.ProgressBar
	loss float64 // smoothed
}

// NewProgress returns a hook for terminals: a bar with the loss (smoothed), the
// learning rate, tokens per second and the time left, and a line for every
// validation.
func NewProgress(w io.Writer) Hook { return &progress{w: w} }

func (p *progress) OnStage(name string) error {
	_, err := fmt.Fprintf(p.w, "%s…\n", name)
	return err
}

func (p *progress) OnStart(s Start) error {
	what := "training"
	if s.Resumed {
		what = fmt.Sprintf("going on after step %d with", s.Step)
	}
	if _, err := fmt.Fprintf(p.w, "%s %s parameters on %d dialogues (%s tokens), %d threads, into %s\n",
		what, amount(s.Parameters), s.Dialogues, amount(s.Tokens), s.Threads, s.Out); err != nil {
		return err
	}
	if s.SkippedBad > 0 {
		if _, err := fmt.Fprintf(p.w, "%d bad lines were skipped\n", s.SkippedBad); err != nil {
			return err
		}
	}
	p.bar = progressbar.NewOptions(s.Steps,
		progressbar.OptionSetWriter(p.w),
		progressbar.OptionShowCount(),
		progressbar.OptionSetWidth(20),
		progressbar.OptionThrottle(100*time.Millisecond),
		// Its own guess would count the steps of earlier sessions.
		progressbar.OptionSetPredictTime(false),
		progressbar.OptionSetElapsedTime(false),
		progressbar.OptionShowDescriptionAtLineEnd(),
	)
	return p.bar.Set(s.Step)
}

func (p *progress) OnStep(s Step) error {
	p.bar.Describe(p.describe(s))
	return p.bar.Set(s.Step)
}

// describe is what stands beside the bar. The loss of one step says little:
// shown is an average in which the last twenty count most.
func (p *progress) describe(s Step) string {
	const mix = 0.05
	if p.loss == 0 {
		p.loss = s.Loss
	}
	p.loss += mix * (s.Loss - p.loss)
	if r := s.Rewards; r != nil {
		return fmt.Sprintf(" loss %.3f  margin %.2f  lr %.2e  %s tok/s  %s left", p.loss, r.Margin, s.LR, thousands(s.TokensPerSecond), s.TimeLeft())
	}
	return fmt.Sprintf(" loss %.3f  lr %.2e  %s tok/s  %s left", p.loss, s.LR, thousands(s.TokensPerSecond), s.TimeLeft())
}

// amount writes a large number shortly.
func amount(n int) string {
	if n < 100_000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%.1f M", float64(n)/1e6)
}

// thousands writes a speed with three digits.
func thousands(x float64) string {
	if x < 1000 {
		return fmt.Sprintf("%.0f", x)
	}
	return fmt.Sprintf("%.3gk", x/1000)
}

func (p *progress) OnValidation(v Validation) error {
	mark := ""
	if v.Best {
		mark = "  (best so far)"
	}
	if r := v.Rewards; r != nil {
		return p.line("step %d: validation loss %.4f, reward margin %.3f, the preferred reply wins in %.1f %% of %d pairs%s",
			v.Step, v.Loss, r.Margin, 100*r.Accuracy, r.Pairs, mark)
	}
	return p.line("step %d: validation loss %.4f, perplexity %.2f, %.4f bits per byte%s",
		v.Step, v.Loss, v.Perplexity, v.BitsPerByte, mark)
}

func (p *progress) OnCheckpoint(Checkpoint) error { return nil }

func (p *progress) OnEnd(r Result) error {
	if err := p.bar.Exit(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(p.w, "\nthe weights of step %d are in %s\n", r.ResultStep, r.Out)
	return err
}

// line writes a line above the bar.
func (p *progress) line(format string, args ...any) error {
	if err := p.bar.Clear(); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(p.w, format+"\n", args...); err != nil {
		return err
	}
	return p.bar.RenderBlank()
}
