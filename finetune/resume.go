package finetune

import (
	"fmt"
	"path/filepath"
	"strings"
)

// MismatchError says that a run cannot be resumed because something that
// decides its result is not as it was.
type MismatchError struct {
	Checkpoint  string
	Differences []string
}

func (e *MismatchError) Error() string {
	return fmt.Sprintf("%s cannot be resumed, because the result would not be that of one run: %s. "+
		"Give the settings it was started with, or start a new run from its weights in another folder",
		e.Checkpoint, strings.Join(e.Differences, "; "))
}

// resume puts the trainer where the checkpoint was written. The model's weights
// are loaded already.
func (t *trainer) resume(s state) error {
	path := t.checkpoints.path(s.Step)
	if err := t.optimizer.load(filepath.Join(path, optimizerFile)); err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	if err := t.stream.Restore(s.Data); err != nil {
		return fmt.Errorf("checkpoint %s: %w", path, err)
	}
	t.state, t.saved, t.hasSaved = s, s, true
	return nil
}
