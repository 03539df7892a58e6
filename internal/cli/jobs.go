package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"text/tabwriter"
	"time"
)

// JobsCmd speaks with a server about its fine-tuning jobs.
type JobsCmd struct {
	Create JobsCreateCmd `cmd:"" help:"Upload dialogues and make a job of them."`
	List   JobsListCmd   `cmd:"" help:"List the jobs, newest first."`
	Show   JobsShowCmd   `cmd:"" help:"Show all that is known of a job."`
	Watch  JobsWatchCmd  `cmd:"" help:"Follow a job to its end."`
	Cancel JobsCancelCmd `cmd:"" help:"End a job for good."`
	Pause  JobsPauseCmd  `cmd:"" help:"Stop a job for the time being."`
	Resume JobsResumeCmd `cmd:"" help:"Let a paused job go on."`
}

// Help is what `causerie jobs --help` says besides the flags.
func (*JobsCmd) Help() string {
	return `Speaks with a server of "causerie serve --data DIR", here or elsewhere:

  causerie jobs create --data my.jsonl --suffix mine --watch
  causerie jobs list
  causerie jobs watch ftjob-…

watch ends with exit code 0 when the job has succeeded and 1 when it has not.`
}

// jobInfo is a job as the API describes it, as far as the commands need it.
type jobInfo struct {
	ID              string  `json:"id"`
	Status          string  `json:"status"`
	Model           string  `json:"model"`
	FineTunedModel  *string `json:"fine_tuned_model"`
	CreatedAt       int64   `json:"created_at"`
	EstimatedFinish *int64  `json:"estimated_finish"`
	Error           *struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
	Progress struct {
		Step  int `json:"step"`
		Steps int `json:"total_steps"`
	} `json:"progress"`
}

// steps is how far the job has come.
func (j *jobInfo) steps() string {
	if j.Progress.Steps == 0 {
		return "-"
	}
	return fmt.Sprintf("%d/%d", j.Progress.Step, j.Progress.Steps)
}

// result is what the job has to show, or will have.
func (j *jobInfo) result() string {
	switch {
	case j.FineTunedModel != nil:
		return *j.FineTunedModel
	case j.Error != nil:
		return j.Error.Message
	case j.EstimatedFinish != nil:
		return fmt.Sprintf("ends about %s", time.Unix(*j.EstimatedFinish, 0).Format(time.TimeOnly))
	}
	return "-"
}

// JobsListCmd lists jobs.
type JobsListCmd struct {
	serverFlags
	Limit int  `config:"-" default:"20" help:"Jobs at most."`
	JSON  bool `name:"json" help:"Print a JSON object a line."`
}

// Run prints a table.
func (c *JobsListCmd) Run(ctx context.Context, std *IO) error {
	if c.Limit < 1 || c.Limit > 100 {
		return usagef("--limit must lie between 1 and 100, not %d", c.Limit)
	}
	var page struct{ Data []json.RawMessage }
	if err := c.get(ctx, fmt.Sprintf("/fine_tuning/jobs?limit=%d", c.Limit), &page); err != nil {
		return err
	}
	w := tabwriter.NewWriter(std.Out, 0, 0, 2, ' ', 0)
	if !c.JSON {
		fmt.Fprintln(w, "ID\tSTATUS\tSTEPS\tMODEL\tCREATED\tRESULT")
	}
	for _, raw := range page.Data {
		if c.JSON {
			fmt.Fprintf(std.Out, "%s\n", raw)
			continue
		}
		var j jobInfo
		if err := json.Unmarshal(raw, &j); err != nil {
			return fmt.Errorf("the server's answer: %w", err)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", j.ID, j.Status, j.steps(), j.Model, time.Unix(j.CreatedAt, 0).Format(time.DateTime), j.result())
	}
	return w.Flush()
}

// jobFlags name a job of a server.
type jobFlags struct {
	serverFlags
	ID string `arg:"" help:"The job's id, ftjob-…, as jobs list shows it."`
}

// JobsShowCmd shows a job.
type JobsShowCmd struct{ jobFlags }

// Run prints the job as the server describes it.
func (c *JobsShowCmd) Run(ctx context.Context, std *IO) error {
	var job json.RawMessage
	if err := c.get(ctx, jobPath(c.ID, ""), &job); err != nil {
		return err
	}
	return printJSON(std, job)
}

// JobsCancelCmd ends a job.
type JobsCancelCmd struct{ jobFlags }

// Run cancels it.
func (c *JobsCancelCmd) Run(ctx context.Context, std *IO) error { return c.act(ctx, std, "cancel") }

// JobsPauseCmd stops a job for the time being.
type JobsPauseCmd struct{ jobFlags }

// Run pauses it.
func (c *JobsPauseCmd) Run(ctx context.Context, std *IO) error { return c.act(ctx, std, "pause") }

// JobsResumeCmd lets a paused job go on.
type JobsResumeCmd struct{ jobFlags }

// Run resumes it.
func (c *JobsResumeCmd) Run(ctx context.Context, std *IO) error { return c.act(ctx, std, "resume") }

func (c *jobFlags) act(ctx context.Context, std *IO, action string) error {
	var j jobInfo
	if err := c.post(ctx, jobPath(c.ID, "/"+action), nil, &j); err != nil {
		return err
	}
	fmt.Fprintf(std.Err, "%s is %s.\n", j.ID, j.Status)
	return nil
}
