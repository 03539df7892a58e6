package cli

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"causerie/corpora"
	"causerie/corpora/starter"
)

// JobsCreateCmd uploads files and makes a job of them.
type JobsCreateCmd struct {
	serverFlags
	Data   string `required:"" short:"d" config:"-" placeholder:"FILE" help:"Dialogues to learn from, in OpenAI's chat format or any other that is known."`
	Valid  string `short:"v" config:"-" placeholder:"FILE" help:"Dialogues to measure on."`
	Model  string `short:"m" default:"default" config:"-" placeholder:"NAME" help:"Model to begin with, by the server's name for it."`
	Suffix string `config:"-" placeholder:"NAME" help:"Part of the new model's name."`
	Seed   *int64 `config:"-" placeholder:"N" help:"Equal seeds, data and settings give equal models (default: a random one)."`
	Epochs int    `config:"-" placeholder:"N" help:"Passes over the data (default: the server chooses)."`
	LoRA   int    `name:"lora" config:"-" placeholder:"RANK" help:"Rank of the adapter (default 8)."`
	Full   bool   `xor:"lora" config:"-" help:"Train all weights instead of an adapter."`
	Watch  bool   `config:"-" help:"Follow the job to its end, as jobs watch does."`
}

// Run prints the job's id.
func (c *JobsCreateCmd) Run(ctx context.Context, std *IO) error {
	if c.Full && c.LoRA != 0 {
		return usagef("--lora and --full exclude each other")
	}
	request := map[string]any{"model": c.Model}
	for field, path := range map[string]string{"training_file": c.Data, "validation_file": c.Valid} {
		if path == "" {
			continue
		}
		id, err := c.upload(ctx, path)
		if err != nil {
			return err
		}
		request[field] = id
	}
	if c.Suffix != "" {
		request["suffix"] = c.Suffix
	}
	if c.Seed != nil {
		request["seed"] = *c.Seed
	}
	adapter, hyperparameters := map[string]any{}, map[string]any{}
	if c.Full {
		adapter["type"] = "full"
	}
	if c.LoRA != 0 {
		adapter["rank"] = c.LoRA
	}
	if c.Epochs != 0 {
		hyperparameters["n_epochs"] = c.Epochs
	}
	request["method"] = map[string]any{"type": "supervised", "supervised": map[string]any{"adapter": adapter, "hyperparameters": hyperparameters}}
	var j jobInfo
	if err := c.post(ctx, "/fine_tuning/jobs", request, &j); err != nil {
		return err
	}
	if !c.Watch {
		_, err := fmt.Fprintln(std.Out, j.ID)
		return err
	}
	return (&watcher{serverFlags: c.serverFlags, std: std, id: j.ID}).run(ctx)
}

// upload sends a file, a piece at a time, and returns its id.
func (c *JobsCreateCmd) upload(ctx context.Context, path string) (string, error) {
	file, err := openData(path)
	if err != nil {
		return "", err
	}
	defer file.Close() // it is only read
	body, w := io.Pipe()
	form := multipart.NewWriter(w)
	go func() { w.CloseWithError(writeForm(form, filepath.Base(path), file)) }()
	defer body.Close() // which ends the goroutine
	var made struct{ ID string }
	err = c.call(ctx, http.MethodPost, "/files", form.FormDataContentType(), body, &made)
	if err != nil {
		return "", fmt.Errorf("uploading %s: %w", path, err)
	}
	return made.ID, nil
}

func openData(path string) (fs.File, error) {
	name, ok := strings.CutPrefix(path, corpora.StarterPrefix)
	if ok {
		return starter.Files.Open(name)
	}
	return os.Open(path)
}

func writeForm(form *multipart.Writer, name string, file io.Reader) error {
	if err := form.WriteField("purpose", "fine-tune"); err != nil {
		return err
	}
	part, err := form.CreateFormFile("file", name)
	if err != nil {
		return err
	}
	if _, err := io.Copy(part, file); err != nil {
		return err
	}
	return form.Close()
}
