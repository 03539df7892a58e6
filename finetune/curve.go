package finetune

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"causerie/internal/durable"
)

// CurveFile is the training curve's name in Out: a line of JSON for every step
// (its key "event" is EventStep) and every validation.
const CurveFile = "metrics.jsonl"

// curve is the hook that keeps the training curve, metrics.jsonl: a line for
// every step and every validation. Each is written at once. When a run is
// resumed, the lines of steps that are taken anew are removed first.
type curve struct {
	NoHook
	path string
	f    *os.File
}

func newCurve(path string) *curve { return &curve{path: path} }

// OnStart opens the file and cuts off what the run is about to do again.
func (c *curve) OnStart(s Start) error {
	f, err := os.OpenFile(c.path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	c.f = f
	size, err := curveUntil(f, s.Step, s.Validated)
	if err == nil {
		err = f.Truncate(size)
	}
	if err == nil {
		_, err = f.Seek(size, io.SeekStart)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", c.path, err)
	}
	return nil
}

// curveUntil returns the length of the file up to the last whole line about a
// step up to step, and a validation up to validated.
func curveUntil(r io.Reader, step, validated int) (size int64, err error) {
	for b := bufio.NewReader(r); ; {
		line, err := b.ReadBytes('\n')
		if err == io.EOF {
			return size, nil // a last line without end was not finished
		}
		if err != nil {
			return 0, err
		}
		var event struct {
			Event string `json:"event"`
			Step  int    `json:"step"`
		}
		last := step
		if json.Unmarshal(line, &event) != nil || event.Event == "" {
			return size, nil
		}
		if event.Event == EventValidation {
			last = validated
		}
		if event.Step > last {
			return size, nil
		}
		size += int64(len(line))
	}
}

func (c *curve) OnStep(s Step) error             { return c.write(EventStep, s) }
func (c *curve) OnValidation(v Validation) error { return c.write(EventValidation, v) }

func (c *curve) write(event string, v any) error {
	var b bytes.Buffer
	if err := writeEvent(&b, event, v); err != nil {
		return err
	}
	_, err := durable.Writer(c.f).Write(b.Bytes())
	return err
}

// close flushes the file to the disk.
func (c *curve) close() error {
	if c.f == nil {
		return nil
	}
	err := errors.Join(c.f.Sync(), c.f.Close())
	if errors.Is(err, fs.ErrClosed) {
		return nil
	}
	return err
}
