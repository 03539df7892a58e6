package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path"
	"time"

	"github.com/rs/zerolog"

	"causerie/api"
	"causerie/api/store"
	"causerie/pipeline"
)

// ServeCmd answers OpenAI's chat API over HTTP.
type ServeCmd struct {
	Listen string `default:"127.0.0.1:8080" help:"Address to listen on." placeholder:"HOST:PORT"`
	Model  string `default:"default" help:"The bundled model (\"default\") or a Hugging Face GPT-2 folder." placeholder:"NAME|DIR"`
	dtypeFlag
	Pooling string        `default:"mean" enum:"mean,last,decayed" help:"How /v1/embeddings makes one vector of a text's tokens (${enum})."`
	Threads int           `help:"Threads that compute; 0 means one for each CPU."`
	Slots   int           `default:"4" help:"Replies written at the same time."`
	Queue   int           `default:"64" help:"Requests that may wait besides; more get a 429."`
	Drain   time.Duration `default:"20s" help:"How long replies under way may take after SIGTERM."`
	engineFlags
	LogText bool   `help:"Write prompts and replies into the log."`
	Data    string `placeholder:"DIR" help:"Folder for stored completions and conversations (default: in memory, gone with the server)."`
	LogJSON bool   `name:"log-json" help:"Log JSON lines even to a terminal."`
}

// Run listens at once, loads the model behind the open door and serves until
// ctx ends.
func (c *ServeCmd) Run(ctx context.Context, std *IO) (err error) {
	log := c.logger(std)
	memory, err := store.Open(ctx, store.Options{Folder: c.Data})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, memory.Close()) }()
	server, err := api.New(api.Options{Log: log, LogText: c.LogText, Drain: c.Drain, Store: memory})
	if err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", c.Listen)
	if err != nil {
		return fmt.Errorf("listening on %s: %w", c.Listen, err)
	}
	log.Info().Str("address", listener.Addr().String()).Msg("listening")
	loading, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	loaded := make(chan *pipeline.Engine, 1)
	go func() {
		engine, err := c.load(loading, server, log)
		if err != nil {
			stop(err)
		}
		loaded <- engine
	}()
	err = server.Serve(loading, listener)
	stop(nil)
	engine := <-loaded
	if cause := context.Cause(loading); ctx.Err() == nil && cause != nil && !errors.Is(cause, context.Canceled) {
		return errors.Join(cause, err)
	}
	if engine != nil {
		err = errors.Join(err, closeEngine(engine)) // no request is left in it
	}
	return err
}

// load opens the model and makes the server ready.
func (c *ServeCmd) load(ctx context.Context, server *api.Server, log zerolog.Logger) (*pipeline.Engine, error) {
	start := time.Now()
	dtype, err := c.dtype()
	if err != nil {
		return nil, err
	}
	engine, err := pipeline.Open(ctx, c.Model, c.apply(pipeline.EngineOptions{
		Threads: c.Threads, DType: dtype, MaxSequences: c.Slots, MaxQueue: c.Queue,
	}))
	if err != nil {
		return nil, err
	}
	if engine.Model().Tokenizer == nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", engine.Name(), pipeline.ErrNoTokenizer), closeEngine(engine))
	}
	id := path.Base(engine.Name())
	model := api.ModelOf(id, start, engine)
	model.Pooling = pipeline.Pooling(c.Pooling)
	server.SetModel(model)
	net := engine.Model().Net
	log.Info().Str("model", id).Int("parameters", net.ParamCount()).Stringer("dtype", net.DType()).
		Float64("weights_mb", megabytes(net.WeightBytes())).Dur("load_ms", time.Since(start)).Msg("ready")
	return engine, nil
}

// logger writes JSON lines, or coloured ones where a person watches.
func (c *ServeCmd) logger(std *IO) zerolog.Logger {
	var w io.Writer = std.Err
	if std.ErrTerminal() && !c.LogJSON {
		w = zerolog.ConsoleWriter{Out: std.Err, TimeFormat: time.TimeOnly}
	}
	return zerolog.New(w).With().Timestamp().Logger()
}
