package jobs

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"causerie/finetune"
)

const (
	// reportedSteps is how many steps of a job have an event of their own at
	// most; the result file has all.
	reportedSteps = 500
	// progressInterval is how often a job's progress is recorded otherwise.
	progressInterval = time.Second
)

// reporter tells the database what a training does.
type reporter struct {
	finetune.NoHook
	s        *Service
	ctx      context.Context // of the work; what is to be recorded is recorded at its end, too
	r        record
	recorded time.Time
	every    int // steps between events
}

func (s *Service) newReporter(ctx context.Context, r record) *reporter {
	return &reporter{s: s, ctx: context.WithoutCancel(ctx), r: r, every: max(1, r.plan.Steps/reportedSteps)}
}

// OnStart publishes the checkpoint that the training goes on from, which may
// have been written just before a process ended.
func (h *reporter) OnStart(start finetune.Start) error {
	message := "Training started"
	if start.Step > 0 {
		message = fmt.Sprintf("Training goes on after step %d of %d", start.Step, start.Steps)
	}
	err := h.s.change(h.ctx, func(tx *sql.Tx) error { return addEvent(h.ctx, tx, h.r.ID, LevelInfo, "%s", message) })
	if err == nil && start.Checkpoint != "" {
		err = h.checkpoint(start.Step, start.Checkpoint)
	}
	return err
}

// OnStep records progress, and now and then an event.
func (h *reporter) OnStep(step finetune.Step) error {
	due := step.Step == 1 || step.Step == step.Steps || step.Step%h.every == 0
	if !due && time.Since(h.recorded) < progressInterval {
		return nil
	}
	h.recorded = time.Now()
	return h.s.change(h.ctx, func(tx *sql.Tx) error {
		finish := time.Now().Add(step.TimeLeft()).Unix()
		_, err := tx.ExecContext(h.ctx, `UPDATE jobs SET trained_tokens = ?, step = ?,
			estimated_finish = CASE status WHEN ? THEN ? ELSE 0 END WHERE id = ?`, step.Tokens, step.Step, Running, finish, h.r.ID)
		if err != nil || !due {
			return err
		}
		data := map[string]any{"step": step.Step, "total_steps": step.Steps, "train_loss": step.Loss, "learning_rate": step.LR}
		if step.Rewards != nil {
			data["train_accuracy"], data["reward_margin"] = step.Rewards.Accuracy, step.Rewards.Margin
		}
		return h.metrics(tx, step.Step, fmt.Sprintf("Step %d/%d: training loss=%.4g", step.Step, step.Steps, step.Loss), data)
	})
}

// OnValidation records the loss on the validation file.
func (h *reporter) OnValidation(v finetune.Validation) error {
	return h.s.change(h.ctx, func(tx *sql.Tx) error {
		return h.metrics(tx, v.Step, fmt.Sprintf("Step %d/%d: validation loss=%.4g", v.Step, h.r.plan.Steps, v.Loss),
			map[string]any{"step": v.Step, "total_steps": h.r.plan.Steps, "valid_loss": v.Loss})
	})
}

func (h *reporter) metrics(tx *sql.Tx, step int, message string, data map[string]any) error {
	return insertEvent(h.ctx, tx, Event{Job: h.r.ID, Level: LevelInfo, Message: message, Type: TypeMetrics, Data: data}, step)
}

// OnCheckpoint publishes those that are to be models.
func (h *reporter) OnCheckpoint(c finetune.Checkpoint) error { return h.checkpoint(c.Step, c.Path) }

func (h *reporter) checkpoint(step int, path string) error {
	if step == 0 || step%h.r.plan.SaveSteps != 0 && step != h.r.plan.Steps {
		return nil
	}
	return h.s.publishCheckpoint(h.ctx, h.r, path, step)
}
