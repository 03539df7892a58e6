package cli

import (
	"context"
	"errors"
	"log/slog"
	"path"
	"path/filepath"
	"strings"

	"github.com/rs/zerolog"

	"causerie/finetune/files"
	"causerie/finetune/jobs"
	"causerie/models"
	"causerie/pipeline"
)

// tuningFlags say how a server with a data folder fine-tunes.
type tuningFlags struct {
	Workers   int `default:"1" placeholder:"N" help:"Fine-tuning jobs that are trained at the same time (with --data); 0 leaves them to \"causerie worker\"."`
	MaxLoaded int `name:"max-loaded" default:"1" placeholder:"N" help:"Models besides --model that are in memory at a time: those that jobs have trained whole. The one used least recently goes first."`
}

// modelID is the name that a model is served by: its folder's.
func modelID(model string) string {
	if model == "" || model == models.Default {
		return models.Default
	}
	return path.Base(strings.TrimRight(filepath.ToSlash(model), "/"))
}

// modelFolder is where a model is, the same from any working directory.
func modelFolderOf(model string) (string, error) {
	if id := modelID(model); id == models.Default && (model == "" || model == models.Default) {
		return models.Default, nil
	}
	return filepath.Abs(model)
}

// tuning is what a server fine-tunes with.
type tuning struct {
	files   *files.Files
	jobs    *jobs.Service
	engines *pipeline.Shelf
}

// openTuning opens the files and jobs in the data folder, if there is one, and
// goes on with what an earlier server left.
func (c *ServeCmd) openTuning(ctx context.Context, log zerolog.Logger) (_ *tuning, err error) {
	t := &tuning{}
	if c.Data == "" {
		return t, nil
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, t.close())
		}
	}()
	base, err := modelFolderOf(c.Model)
	if err != nil {
		return t, err
	}
	t.engines = pipeline.NewShelf(pipeline.ShelfOptions{
		Most: c.MaxLoaded,
		Open: func(ctx context.Context, folder string) (*pipeline.Engine, error) {
			options, err := c.engineOptions()
			if err != nil {
				return nil, err
			}
			return pipeline.Open(ctx, folder, options)
		},
		Failed: func(err error) { log.Error().Err(err).Msg("a fine-tuned model did not leave memory well") },
	})
	if t.files, err = files.Open(ctx, files.Options{Folder: c.Data}); err != nil {
		return t, err
	}
	workers := c.Workers
	if workers == 0 {
		workers = -1 // jobs.Options takes 0 for the default
	}
	t.jobs, err = jobs.Open(ctx, jobs.Options{
		Folder: c.Data, Files: t.files, Workers: workers, Threads: c.Threads, Log: slog.New(zerolog.NewSlogHandler(log)),
		Base: func(name string) (string, bool) { return base, name == modelID(c.Model) },
	})
	return t, err
}

// stopping saves the jobs that are being trained while replies under way finish.
func (t *tuning) stopping(ctx context.Context) error {
	if t.jobs == nil {
		return nil
	}
	return t.jobs.StopWork(ctx)
}

// close saves the jobs that are being trained and ends them.
func (t *tuning) close() error {
	var errs []error
	if t.engines != nil {
		ctx, cancel := context.WithTimeout(context.Background(), closeTime)
		defer cancel()
		errs = append(errs, t.engines.Close(ctx))
	}
	if t.jobs != nil {
		errs = append(errs, t.jobs.Close())
	}
	if t.files != nil {
		errs = append(errs, t.files.Close())
	}
	return errors.Join(errs...)
}
