package jobs

import (
	"errors"
	"fmt"
	"strings"
	"syscall"

	"causerie/finetune"
)

// Error makes a Problem the error that a job fails with.
func (p *Problem) Error() string { return p.Message }

// problemOf says in words for the job's owner why it has failed: names of files
// in the data folder mean nothing to them.
func (s *Service) problemOf(r record, err error) *Problem {
	if p, ok := errors.AsType[*Problem](err); ok {
		return p
	}
	message := s.readable(r, err.Error())
	switch {
	case noRoom(err):
		return &Problem{Code: CodeDiskFull, Message: "the disk is full: make room in the server's data folder and create the job again (" + message + ")"}
	case errors.Is(err, finetune.ErrDiverged):
		return &Problem{Code: CodeDiverged, Message: message + ". Create the job again with a smaller learning_rate_multiplier",
			Param: "method." + r.Method.Type + ".hyperparameters"}
	}
	return &Problem{Code: CodeInternal, Message: message}
}

// noRoom tells whether an error is that something does not fit on the disk.
func noRoom(err error) bool {
	for _, e := range []error{syscall.ENOSPC, syscall.EFBIG, ErrFull} {
		if errors.Is(err, e) {
			return true
		}
	}
	return overQuota(err)
}

// readable puts the names that the owner gave in the place of paths.
func (s *Service) readable(r record, message string) string {
	folder := s.jobFolder(r.ID)
	for from, to := range map[string]string{
		folder + "/" + r.plan.Training:   r.TrainingFile,
		folder + "/" + r.plan.Validation: r.ValidationFile,
		r.base:                           r.Model,
	} {
		if from != folder+"/" && from != "" {
			message = strings.ReplaceAll(message, from, to)
		}
	}
	return strings.ReplaceAll(message, s.folder+"/", "")
}

func baseProblem(r record, err error) *Problem {
	return &Problem{Code: CodeModel, Param: "model", Message: fmt.Sprintf("the model %q cannot be trained: %v", r.Model, err)}
}
