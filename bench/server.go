package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/rs/zerolog"

	"causerie/api"
	"causerie/models/kernels"
	"causerie/pipeline"
)

// server is this program's own server on a loopback port, with replies that
// are greedy and as long as they are asked to be.
type server struct {
	engine *pipeline.Engine
	url    string
	stop   context.CancelFunc
	served chan error
}

func startServer(ctx context.Context, o *Options, source *source, streams int) (*server, error) {
	model, err := source.open(ctx, o.DTypes[0])
	if err != nil {
		return nil, err
	}
	engine, err := pipeline.NewEngine(model, pipeline.EngineOptions{
		Threads: o.Threads, DType: &o.DTypes[0], MaxSequences: max(streams, loadedStreams),
		NoSpeculation: !o.Speculate,
	})
	if err != nil {
		return nil, err
	}
	s := &server{engine: engine, served: make(chan error, 1)}
	if err := s.listen(ctx); err != nil {
		return nil, errors.Join(err, s.closeEngine())
	}
	return s, nil
}

func (s *server) listen(ctx context.Context) error {
	handler, err := api.New(api.Options{Log: zerolog.Nop(), Drain: time.Second})
	if err != nil {
		return err
	}
	model := api.ModelOf("causerie", time.Now(), s.engine)
	model.Defaults = pipeline.Options{IgnoreEnd: true}
	model.GenerateDefaults = model.Defaults
	if err := handler.SetModel(model); err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("a port to compare on: %w", err)
	}
	s.url = "http://" + listener.Addr().String()
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop = stop
	go func() { s.served <- handler.Serve(serving, listener) }()
	return nil
}

func (s *server) close() error {
	s.stop()
	return errors.Join(<-s.served, s.closeEngine())
}

func (s *server) closeEngine() error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	return s.engine.Close(ctx)
}

// label names the model and its type of weights.
func label(source *source, d kernels.DType) string { return source.label + ", " + d.String() }
