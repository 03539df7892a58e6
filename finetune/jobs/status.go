package jobs

import (
	"fmt"
	"slices"
)

// Status is what a job is doing.
type Status string

// The statuses, as OpenAI names them.
const (
	Validating Status = "validating_files" // its files are being checked, or wait for it
	Queued     Status = "queued"           // waits for its turn to train
	Running    Status = "running"
	Paused     Status = "paused" // until somebody resumes it
	Succeeded  Status = "succeeded"
	Failed     Status = "failed"
	Cancelled  Status = "cancelled"
)

// transitions are the changes of status that there are. Running goes back to
// Queued when the process that trained has ended: another one, or the next,
// goes on from the last checkpoint.
var transitions = map[Status][]Status{
	Validating: {Queued, Failed, Cancelled},
	Queued:     {Running, Paused, Failed, Cancelled},
	Running:    {Queued, Paused, Succeeded, Failed, Cancelled},
	Paused:     {Queued, Cancelled},
	Succeeded:  nil,
	Failed:     nil,
	Cancelled:  nil,
}

// Can reports whether a job may go from one status to another.
func (s Status) Can(next Status) bool { return slices.Contains(transitions[s], next) }

// Final reports whether nothing comes after a status.
func (s Status) Final() bool { return s == Succeeded || s == Failed || s == Cancelled }

// before are the statuses from which one may come.
func (s Status) before() (list []Status) {
	for from, to := range transitions {
		if slices.Contains(to, s) {
			list = append(list, from)
		}
	}
	slices.Sort(list)
	return list
}

// StatusError refuses what cannot be done to a job in its present status.
type StatusError struct {
	Job    string
	Status Status
	Action string // cancel, pause or resume
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("job %s is %s, and there is nothing to %s", e.Job, e.Status, e.Action)
}

// RequestError refuses a new job for what is wrong with a field of its request.
type RequestError struct {
	Param   string // as the API names it: training_file, method.type, …
	Code    string // a machine-readable reason, if there is one
	Message string
}

func (e *RequestError) Error() string { return e.Param + ": " + e.Message }

func badRequest(param, code, format string, args ...any) *RequestError {
	return &RequestError{Param: param, Code: code, Message: fmt.Sprintf(format, args...)}
}
