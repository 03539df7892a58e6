package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/rs/zerolog"

	"causerie/finetune"
	"causerie/finetune/files"
	"causerie/finetune/jobs"
)

// WorkerCmd works at fine-tuning jobs.
type WorkerCmd struct {
	Data       string `required:"" placeholder:"DIR" help:"The server's data folder."`
	Jobs       int    `default:"1" placeholder:"N" help:"Jobs that are trained at the same time."`
	Threads    int    `placeholder:"N" help:"Threads that a job computes on (default: all). They do not change the result."`
	Background bool   `default:"true" negatable:"" help:"Give way to replies of the server and to everything else on the machine."`
	LogJSON    bool   `name:"log-json" help:"Log JSON lines even to a terminal."`
}

// Help is what `causerie worker --help` says besides the flags.
func (*WorkerCmd) Help() string {
	return `Takes fine-tuning jobs out of the queue in the data folder of "causerie serve --data
DIR", trains them and puts the models there. Server and workers may run side by
side, on one machine; each job is trained by one of them. When a worker ends,
however it ends, another one, the server or its successor goes on with its job from
the last checkpoint, to the same bits.`
}

// Run works until ctx ends, and then saves what it is at.
func (c *WorkerCmd) Run(ctx context.Context, std *IO) (err error) {
	if c.Jobs < 1 {
		return usagef("--jobs must be positive, not %d", c.Jobs)
	}
	// A folder that is not there is rather misspelt than to be made.
	if info, err := os.Stat(c.Data); err != nil {
		return fmt.Errorf("the data folder: %w", err)
	} else if !info.IsDir() {
		return fmt.Errorf("the data folder %s is a file", c.Data)
	}
	if c.Background {
		if err := finetune.LowerPriority(); err != nil {
			return err
		}
	}
	log := newLogger(std, c.LogJSON)
	f, err := files.Open(ctx, files.Options{Folder: c.Data})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	s, err := jobs.Open(ctx, jobs.Options{
		Folder: c.Data, Files: f, Workers: c.Jobs, Threads: c.Threads, Log: slog.New(zerolog.NewSlogHandler(log)),
	})
	if err != nil {
		return err
	}
	log.Info().Str("data", c.Data).Msg("working")
	<-ctx.Done()
	log.Info().Msg("saving")
	return s.Close()
}
