package jobs

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"causerie/finetune"
	"causerie/finetune/files"
)

// curve reads the metrics that the trainer has written, step by step.
func (s *Service) curve(r record) (list []Metrics, err error) {
	f, err := os.Open(filepath.Join(s.jobFolder(r.ID), runName, finetune.CurveFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close() // read only
	for b := bufio.NewReader(f); ; {
		line, err := b.ReadBytes('\n')
		if err == io.EOF {
			return list, nil
		}
		if err != nil {
			return nil, err
		}
		var event struct {
			Event   string            `json:"event"`
			Step    int               `json:"step"`
			Loss    float64           `json:"loss"`
			Rewards *finetune.Rewards `json:"rewards"`
		}
		if err := json.Unmarshal(line, &event); err != nil {
			return nil, err
		}
		if len(list) == 0 || list[len(list)-1].Step != event.Step {
			list = append(list, Metrics{Step: event.Step})
		}
		last := &list[len(list)-1]
		if event.Event == finetune.EventStep {
			last.TrainLoss = &event.Loss
			if event.Rewards != nil {
				last.TrainAccuracy = &event.Rewards.Accuracy
			}
		} else {
			last.ValidLoss = &event.Loss
		}
	}
}

// metricsOf is what is known of a step.
func (s *Service) metricsOf(r record, step int) (Metrics, error) {
	list, err := s.curve(r)
	for _, m := range list {
		if m.Step == step {
			return m, err
		}
	}
	return Metrics{Step: step}, err
}

// keepMetrics makes the job's result file: OpenAI's step_metrics.csv, with the
// columns that are known here. There is an accuracy where preferences are
// learnt: the share of pairs in which the preferred reply is the likelier.
func (s *Service) keepMetrics(ctx context.Context, r record) error {
	list, err := s.curve(r)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	rows := [][]string{{"step", "train_loss", "train_accuracy", "valid_loss"}}
	for _, m := range list {
		rows = append(rows, []string{strconv.Itoa(m.Step), cell(m.TrainLoss), cell(m.TrainAccuracy), cell(m.ValidLoss)})
	}
	if err := w.WriteAll(rows); err != nil {
		return err
	}
	_, err = s.o.Files.Create(ctx, r.Owner, files.New{ID: r.resultFile, Filename: "step_metrics.csv", Purpose: files.FineTuneResults}, &b)
	return err
}

func cell(v *float64) string {
	if v == nil {
		return ""
	}
	return strconv.FormatFloat(*v, 'g', -1, 64)
}
