package finetune

import (
	"encoding/json"
	"io"
)

// Names of the events in JSON lines.
const (
	eventStage      = "stage"
	eventStart      = "start"
	EventStep       = "step"
	EventValidation = "validation"
	eventCheckpoint = "checkpoint"
	eventEnd        = "end"
)

// jsonLines writes what happens as JSON Lines.
type jsonLines struct {
	w     io.Writer
	every int
}

// NewJSONLines returns a hook that writes one JSON object a line, the kind of
// event under the key "event" and the fields of Start, Step and so on beside
// it. Of the steps, it writes the first, the last and each whose number is a
// multiple of every.
func NewJSONLines(w io.Writer, every int) Hook {
	return &jsonLines{w: w, every: max(1, every)}
}

func (j *jsonLines) OnStage(name string) error {
	return writeEvent(j.w, eventStage, map[string]string{"stage": name})
}
func (j *jsonLines) OnStart(s Start) error           { return writeEvent(j.w, eventStart, s) }
func (j *jsonLines) OnValidation(v Validation) error { return writeEvent(j.w, EventValidation, v) }
func (j *jsonLines) OnCheckpoint(c Checkpoint) error { return writeEvent(j.w, eventCheckpoint, c) }
func (j *jsonLines) OnEnd(r Result) error            { return writeEvent(j.w, eventEnd, r) }

func (j *jsonLines) OnStep(s Step) error {
	if s.Step%j.every != 0 && s.Step != 1 && s.Step != s.Steps {
		return nil
	}
	return writeEvent(j.w, EventStep, s)
}

// writeEvent writes v, which becomes a JSON object, with the kind of event as
// its first key, in one Write.
func writeEvent(w io.Writer, event string, v any) error {
	fields, err := json.Marshal(v)
	if err != nil {
		return err
	}
	line, err := json.Marshal(map[string]string{"event": event})
	if err != nil {
		return err
	}
	line = line[:len(line)-1]
	if len(fields) > 2 {
		line = append(line, ',')
	}
	line = append(append(line, fields[1:]...), '\n')
	_, err = w.Write(line)
	return err
}
