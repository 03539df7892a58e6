package jobs

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"causerie/corpora"
	"causerie/finetune"
	"causerie/finetune/files"
	"causerie/internal/durable"
)

// localData names the copies of a job's files in its folder. The trainer reads
// those, so a file that is deleted while the job runs does not harm it.
type localData struct{ training, validation string }

// listedLines is how many lines of a kind an event or an error lists.
const listedLines = 20

// validate checks a job's files and plans its training, after which the job
// waits for its turn.
func (s *Service) validate(ctx context.Context, r record) error {
	base, err := finetune.OpenBase(r.base)
	if err != nil {
		return baseProblem(r, err)
	}
	data, err := s.fetchData(ctx, r)
	if err != nil {
		return err
	}
	r.plan.Training, r.plan.Validation = data.training, data.validation // for the words of errors
	o := s.trainOptions(r, r.plan)
	found, err := corpora.Validate(ctx, o.Data, o.Valid, corpora.ValidateOptions{
		Tokenizer: base.Tokenizer, Template: base.Template, List: listedLines,
		Read:   corpora.Options{Format: o.Format},
		Encode: corpora.EncodeOptions{Context: base.Shape.Positions, Loss: o.Loss, Preferences: o.DPO != nil},
	})
	if err != nil {
		return s.dataProblem(r, err)
	}
	if err := s.judge(r, found); err != nil {
		return err
	}
	p, err := s.planFor(ctx, &r, base, data, found)
	if err != nil {
		return err
	}
	return s.planned(ctx, r, p, found)
}

// dataProblem is what is wrong with files that cannot be read at all.
func (s *Service) dataProblem(r record, err error) error {
	if noRoom(err) || errors.Is(err, context.Canceled) {
		return err
	}
	return &Problem{Code: CodeTrainingFile, Param: "training_file", Message: s.readable(r, err.Error())}
}

// judge makes a problem of findings that stand in the way of training.
func (s *Service) judge(r record, found corpora.Findings) error {
	for _, part := range []struct {
		files       []corpora.FileFindings
		code, param string
		id          string
	}{
		{found.Train, CodeTrainingFile, "training_file", r.TrainingFile},
		{found.Valid, CodeValidationFile, "validation_file", r.ValidationFile},
	} {
		for _, f := range part.files {
			switch {
			case f.Skipped > 0:
				return &Problem{Code: part.code, Param: part.param, Message: badLines(part.id, f)}
			case f.Examples == 0:
				return &Problem{Code: part.code, Param: part.param,
					Message: fmt.Sprintf("there is nothing to learn in %s: it has %d dialogues, and no turn of the assistant that counts", part.id, f.Dialogues)}
			}
		}
	}
	return nil
}

// badLines lists the lines that hold no dialogue.
func badLines(id string, f corpora.FileFindings) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d of the lines of %s hold no dialogue; mend or remove them and upload the file again.", f.Skipped, id)
	for _, bad := range f.Bad {
		fmt.Fprintf(&b, " Line %d: %s.", bad.Line, bad.Reason)
	}
	if more := f.Skipped - len(f.Bad); more > 0 {
		fmt.Fprintf(&b, " And %d more.", more)
	}
	return b.String()
}

// planned puts a job that was found good in the queue.
func (s *Service) planned(ctx context.Context, r record, p plan, found corpora.Findings) error {
	plan, err := json.Marshal(p)
	if err != nil {
		return err
	}
	method, err := json.Marshal(r.Method)
	if err != nil {
		return err
	}
	var text strings.Builder
	if err := found.WriteText(&text); err != nil {
		return err
	}
	return s.change(ctx, func(tx *sql.Tx) error {
		moved, err := move(ctx, tx, r.ID, Queued)
		if err != nil || !moved {
			return err // not moved: it was cancelled meanwhile
		}
		_, err = tx.ExecContext(ctx, `UPDATE jobs SET plan = ?, method = ?, steps = ? WHERE id = ?`, string(plan), string(method), p.Steps, r.ID)
		if err != nil {
			return err
		}
		lines := strings.Split(strings.TrimSpace(s.readable(r, text.String())), "\n")
		for _, line := range slices.Concat(lines, []string{"Files validated, moving job to queued state", p.describe(r.Method.Hyperparameters)}) {
			if err := addEvent(ctx, tx, r.ID, LevelInfo, "%s", strings.TrimSpace(line)); err != nil {
				return err
			}
		}
		return s.enqueue(ctx, tx, r.ID, Queued)
	})
}

// fetchData copies the job's files to its folder, unless they are there.
func (s *Service) fetchData(ctx context.Context, r record) (d localData, err error) {
	if d.training, err = s.fetchFile(ctx, r, r.TrainingFile, "training", "training_file"); err != nil || r.ValidationFile == "" {
		return d, err
	}
	d.validation, err = s.fetchFile(ctx, r, r.ValidationFile, "validation", "validation_file")
	return d, err
}

func (s *Service) fetchFile(ctx context.Context, r record, id, name, param string) (_ string, err error) {
	content, file, err := s.o.Files.Open(ctx, r.Owner, id)
	if errors.Is(err, ErrNotFound) {
		return "", &Problem{Code: CodeFileNotFound, Param: param,
			Message: fmt.Sprintf("the file %s was deleted before the job could read it: upload it again and create a new job", id)}
	}
	if errors.Is(err, files.ErrGone) {
		return "", &Problem{Code: CodeFileNotFound, Param: param, Message: err.Error()}
	}
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, content.Close()) }()
	name += extensions(file.Filename) // they say what the format is, and the compression
	err = durable.ReplaceFiles(s.jobFolder(r.ID), func(dir string) error {
		return durable.WriteFile(filepath.Join(dir, name), func(w io.Writer) error {
			_, err := io.Copy(w, content)
			return err
		})
	})
	return name, err
}

// extensions are those of a file's name that corpora know.
func extensions(name string) (ext string) {
	for range 2 {
		last := strings.ToLower(filepath.Ext(name))
		if !slices.Contains([]string{".jsonl", ".json", ".ndjson", ".txt", ".text", ".tsv", ".tab", ".csv", ".gz", ".zst", ".zstd"}, last) {
			break
		}
		name, ext = name[:len(name)-len(last)], last+ext
	}
	return ext
}
