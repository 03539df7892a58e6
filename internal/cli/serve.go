package cli

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"causerie/api"
	"causerie/api/store"
	"causerie/internal/conformance"
	"causerie/internal/telemetry"
	"causerie/models/hf"
	"causerie/models/lora"
	"causerie/pipeline"
)

// ServeCmd answers OpenAI's API over HTTP.
type ServeCmd struct {
	Listen string `default:"127.0.0.1:8080" help:"Address to listen on." placeholder:"HOST:PORT"`
	Model  string `default:"default" help:"The bundled model (\"default\"), a Hugging Face GPT-2 folder, or a sentence encoder's, which only embeds." placeholder:"NAME|DIR"`
	dtypeFlag
	Adapter []namedFolder `sep:"none" placeholder:"NAME=DIR" help:"Serve the LoRA adapter in a folder beside the model, under a name of its own; may be repeated."`

	EmbeddingModel string `placeholder:"DIR" help:"Serve a sentence encoder of the BERT family beside the model, for /v1/embeddings."`
	EmbeddingDType string `name:"embedding-dtype" default:"auto" enum:"auto,f32,bf16,int8" help:"What the encoder's weights are kept in (${enum}; auto: bf16 if the file holds that, else f32)."`
	Truncate       bool   `help:"Leave out what is beyond the limit of a text to embed that is too long; requests can say so too."`

	Pooling string        `default:"mean" enum:"mean,last,decayed" help:"How /v1/embeddings makes one vector of a text's tokens (${enum}). An encoder's folder says it itself."`
	Threads int           `help:"Threads that compute; 0 means one for each CPU."`
	Slots   int           `default:"4" help:"Replies written at the same time."`
	Queue   int           `default:"64" help:"Requests that may wait besides; more get a 429."`
	Drain   time.Duration `default:"20s" help:"How long replies under way may take after SIGTERM."`
	engineFlags
	Timeout time.Duration `default:"10m" help:"How long a request may take in all."`
	Data    string        `placeholder:"DIR" help:"Folder for API keys, stored completions and conversations (default: in memory, gone with the server), for files, fine-tuning jobs and models (default: none)."`
	tuningFlags

	Auth              *bool    `negatable:"" help:"Ask for API keys (default: when others than this machine can connect). --no-auth serves everybody."`
	Host              []string `placeholder:"NAME" help:"Names that requests may be for (default: any; without keys on this machine only localhost and addresses)."`
	CORSOrigin        []string `name:"cors-origin" placeholder:"URL" help:"Web origins whose pages may use the API; * is any."`
	RequestsPerMinute int      `placeholder:"N" help:"Requests of one client in a minute; 0: any number."`
	TokensPerMinute   int      `placeholder:"N" help:"Tokens of one client's prompts and replies in a minute; 0: any number."`
	TLSCert           string   `name:"tls-cert" placeholder:"FILE" help:"Certificate in PEM, with those between it and the root after it."`
	TLSKey            string   `name:"tls-key" placeholder:"FILE" help:"Its private key in PEM."`

	OTLPEndpoint string `name:"otlp-endpoint" env:"CAUSERIE_OTLP_ENDPOINT,OTEL_EXPORTER_OTLP_ENDPOINT" placeholder:"URL" help:"Send traces of requests to this OpenTelemetry collector, such as http://127.0.0.1:4318, as OTLP over HTTP."`

	Pprof   bool `help:"Answer under /debug/pprof with profiles of the process, for keys of the scope admin."`
	LogText bool `help:"Write prompts and replies into the log."`
	LogJSON bool `name:"log-json" help:"Log JSON lines even to a terminal."`

	Conformance bool `hidden:"" help:"Begin with what the API tests of OpenAI's clients look for."`
}

// options are the server's, as the flags and the address have them.
func (c *ServeCmd) options(log zerolog.Logger, memory *store.Store) (api.Options, error) {
	o := api.Options{
		Log: log, LogText: c.LogText, Drain: c.Drain, Timeout: c.Timeout, Store: memory, Origins: c.CORSOrigin,
		RequestsPerMinute: c.RequestsPerMinute, TokensPerMinute: c.TokensPerMinute, Pprof: c.Pprof,
	}
	for _, host := range c.Host {
		o.Hosts = append(o.Hosts, strings.ToLower(host))
	}
	local := isLoopback(c.Listen)
	switch {
	case c.Auth != nil:
		o.Auth = *c.Auth
	default:
		o.Auth = !local
	}
	switch {
	case o.Auth && c.Data == "" && local:
		return o, usagef("--auth needs --data DIR, the folder with the keys of \"causerie keys create --data DIR\"")
	case o.Auth && c.Data == "":
		return o, usagef("others than this machine can connect to %s, so API keys are needed: make one with \"causerie keys create --data DIR\" "+
			"and serve with --data DIR, or say --no-auth to serve everybody", c.Listen)
	case !o.Auth && local && len(o.Hosts) == 0:
		// Without keys the address is all that keeps others out, and a web
		// page can have a name of its own lead to it.
		o.Hosts = []string{"localhost", "127.0.0.1", "::1"}
	}
	if (c.TLSCert == "") != (c.TLSKey == "") {
		return o, usagef("--tls-cert and --tls-key go together")
	}
	if c.TLSCert != "" {
		certificate, err := tls.LoadX509KeyPair(c.TLSCert, c.TLSKey)
		if err != nil {
			return o, fmt.Errorf("reading the certificate: %w", err)
		}
		o.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	}
	return o, nil
}

// engineOptions are the engine's.
func (c *ServeCmd) engineOptions() (pipeline.EngineOptions, error) {
	dtype, err := c.dtype()
	return c.apply(pipeline.EngineOptions{Threads: c.Threads, DType: dtype, MaxSequences: c.Slots, MaxQueue: c.Queue}), err
}

// check says what is wrong with the flags as far as that can be told without
// serving.
func (c *ServeCmd) check() error {
	o, err := c.options(zerolog.Nop(), new(store.Store))
	if err != nil {
		return err
	}
	if err := o.Validate(); err != nil {
		return err
	}
	engine, err := c.engineOptions()
	if err != nil {
		return err
	}
	return asUsage(engine.Validate())
}

// trace has the server's requests traced. stop sends what is left.
func (c *ServeCmd) trace(ctx context.Context, o *api.Options) (stop func() error, err error) {
	log := o.Log
	traces, err := telemetry.Start(ctx, telemetry.Options{
		Endpoint: c.OTLPEndpoint, Service: "causerie", Version: version(),
		Failed: func(err error) {
			log.Warn().AnErr("error", err).Msg("traces are lost: the collector does not take them")
		},
	})
	if err != nil {
		return nil, err
	}
	o.Tracer = traces
	return func() error {
		patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		return traces.Shutdown(patience)
	}, nil
}

// isLoopback reports whether only this machine can connect to an address.
func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return true // nobody can: listening will fail and say why
	}
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

// warn says what the operator should know of the chosen protection.
func (c *ServeCmd) warn(ctx context.Context, log zerolog.Logger, o api.Options) error {
	if !o.Auth {
		if !isLoopback(c.Listen) {
			log.Warn().Msg("everybody who can connect may use this server: it asks for no API keys")
		}
		return nil
	}
	keys, err := o.Store.Keys(ctx)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(keys, func(k store.Key) bool { return k.Revoked.IsZero() }) {
		log.Warn().Msgf("there is no API key yet: make one with \"causerie keys create --data %s\"", c.Data)
	}
	if o.TLS == nil && !isLoopback(c.Listen) {
		log.Warn().Msg("API keys travel in the clear: say --tls-cert and --tls-key, unless a proxy speaks TLS before this server")
	}
	return nil
}

// Run listens at once, loads the model behind the open door and serves until
// ctx ends.
func (c *ServeCmd) Run(ctx context.Context, std *IO, files configFiles) (err error) {
	log := c.logger(std)
	memory, err := store.Open(ctx, store.Options{Folder: c.Data})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, memory.Close()) }()
	if c.Conformance {
		if err := conformance.Seed(ctx, memory); err != nil {
			return err
		}
	}
	options, err := c.options(log, memory)
	if err != nil {
		return err
	}
	if c.OTLPEndpoint != "" {
		stopTraces, err := c.trace(ctx, &options)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, stopTraces()) }()
	}
	tuning, err := c.openTuning(ctx, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, tuning.close()) }()
	options.Files, options.Jobs, options.Engines, options.Stopping = tuning.files, tuning.jobs, tuning.engines, tuning.stopping
	server, err := api.New(options)
	if err != nil {
		return err
	}
	if err := c.warn(ctx, log, options); err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", c.Listen)
	if err != nil {
		return fmt.Errorf("listening on %s: %w", c.Listen, err)
	}
	log.Info().Str("address", listener.Addr().String()).Stringer("configuration", files).Msg("listening")
	loading, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	loaded := make(chan []embedder, 1)
	go func() {
		engines, err := c.load(loading, server, log)
		if err != nil {
			stop(err)
		}
		loaded <- engines
	}()
	err = server.Serve(loading, listener)
	stop(nil)
	engines := <-loaded
	if cause := context.Cause(loading); ctx.Err() == nil && cause != nil && !errors.Is(cause, context.Canceled) {
		return errors.Join(cause, err)
	}
	return errors.Join(err, closeAll(engines)) // no request is left in them
}

func closeAll(engines []embedder) (err error) {
	for _, e := range engines {
		err = errors.Join(err, closeEmbedder(e))
	}
	return err
}

// load opens the models and makes the server ready.
func (c *ServeCmd) load(ctx context.Context, server *api.Server, log zerolog.Logger) (engines []embedder, err error) {
	defer func() {
		if err != nil {
			err = errors.Join(err, closeAll(engines))
			engines = nil
		}
	}()
	var more []api.Model
	if c.EmbeddingModel != "" {
		encoder, model, err := c.loadEncoder(ctx, c.EmbeddingModel, c.EmbeddingDType, log)
		if err != nil {
			return engines, err
		}
		engines, more = append(engines, encoder), append(more, model)
	}
	if hf.IsEncoder(c.Model) {
		if len(c.Adapter) > 0 {
			return engines, usagef("--adapter: %s is a sentence encoder, which has none", c.Model)
		}
		encoder, model, err := c.loadEncoder(ctx, c.Model, c.DType, log)
		if err != nil {
			return engines, err
		}
		return append(engines, encoder), server.SetModel(model, more...)
	}
	engine, err := c.loadEngine(ctx, server, log, more)
	if err != nil {
		return engines, err
	}
	return append(engines, engine), nil
}

// loadEncoder opens a sentence encoder.
func (c *ServeCmd) loadEncoder(ctx context.Context, dir, weights string, log zerolog.Logger) (*pipeline.Encoder, api.Model, error) {
	start := time.Now()
	dtype, err := parseDType(weights)
	if err != nil {
		return nil, api.Model{}, err
	}
	encoder, err := pipeline.OpenEncoder(ctx, dir, pipeline.EncoderOptions{Threads: c.Threads, DType: dtype, MaxQueue: c.Slots + c.Queue})
	if err != nil {
		return nil, api.Model{}, err
	}
	model := api.EncoderOf(modelID(encoder.Name()), start, encoder)
	model.Truncate = c.Truncate
	net := encoder.Model().Net
	log.Info().Str("embedding_model", model.ID).Int("parameters", net.ParamCount()).Stringer("dtype", net.DType()).
		Float64("weights_mb", megabytes(net.WeightBytes())).Str("pooling", string(encoder.Pooling())).
		Int("max_tokens", encoder.MaxTokens()).Dur("load_ms", time.Since(start)).Msg("ready to embed")
	return encoder, model, nil
}

// loadEngine opens the model that chats and makes the server ready with it, and
// with others beside it.
func (c *ServeCmd) loadEngine(ctx context.Context, server *api.Server, log zerolog.Logger, more []api.Model) (*pipeline.Engine, error) {
	start := time.Now()
	o, err := c.engineOptions()
	if err != nil {
		return nil, err
	}
	engine, err := pipeline.Open(ctx, c.Model, o)
	if err != nil {
		return nil, err
	}
	if engine.Model().Tokenizer == nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", engine.Name(), pipeline.ErrNoTokenizer), closeEngine(engine))
	}
	model := api.ModelOf(modelID(c.Model), start, engine)
	model.Pooling, model.Truncate = pipeline.Pooling(c.Pooling), c.Truncate
	if model.Folder, err = modelFolderOf(c.Model); err != nil {
		return nil, errors.Join(err, closeEngine(engine))
	}
	if c.Conformance {
		more = append(more, conformance.Models(model)...)
	}
	adapters, err := c.adapters(model, engine)
	if err == nil {
		err = server.SetModel(model, append(more, adapters...)...)
	}
	if err != nil {
		return nil, errors.Join(err, closeEngine(engine))
	}
	net := engine.Model().Net
	log.Info().Str("model", model.ID).Int("parameters", net.ParamCount()).Stringer("dtype", net.DType()).
		Float64("weights_mb", megabytes(net.WeightBytes())).Int("adapters", len(adapters)).
		Dur("load_ms", time.Since(start)).Msg("ready")
	return engine, nil
}

// adapters reads those that are to be served beside the model.
func (c *ServeCmd) adapters(model api.Model, engine *pipeline.Engine) ([]api.Model, error) {
	models := make([]api.Model, len(c.Adapter))
	for i, given := range c.Adapter {
		start := time.Now()
		adapter, err := lora.OpenDir(given.dir, engine.Model().Net.Config)
		if err != nil {
			return nil, err
		}
		models[i] = model.Adapted(given.name, start, adapter)
	}
	return models, nil
}

// logger writes JSON lines, or coloured ones where a person watches.
func (c *ServeCmd) logger(std *IO) zerolog.Logger { return newLogger(std, c.LogJSON) }

func newLogger(std *IO, json bool) zerolog.Logger {
	var w io.Writer = std.Err
	if std.ErrTerminal() && !json {
		w = zerolog.ConsoleWriter{Out: std.Err, TimeFormat: time.TimeOnly}
	}
	return zerolog.New(w).With().Timestamp().Logger()
}
