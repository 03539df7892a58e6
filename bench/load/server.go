package load

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"time"
)

// server is this program serving, in a process of its own.
type server struct {
	url     string
	command *exec.Cmd
	errors  chan string // what it logged at level error or could not say as JSON
}

// startTime is how long a server may take to be ready.
const startTime = 2 * time.Minute

// failTime is how long one that fails may take to say why.
const failTime = 3 * time.Second

// startServer starts the command line, which ends with flags of "serve", on a
// loopback port that is free, and waits until it is ready.
func startServer(ctx context.Context, args []string) (*server, error) {
	args = append(args, "--listen", "127.0.0.1:0", "--log-json")
	s := &server{errors: make(chan string, 1)}
	// Not of ctx: it is to end by itself even when the run is interrupted.
	s.command = exec.Command(args[0], args[1:]...) //nolint:gosec,noctx // it is this program
	s.command.WaitDelay = 5 * time.Second
	log, err := s.command.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := s.command.Start(); err != nil {
		return nil, fmt.Errorf("starting the server: %w", err)
	}
	address := make(chan string, 1)
	go s.listen(log, address)
	select {
	case a, ok := <-address:
		if !ok {
			return nil, s.stop(failTime)
		}
		s.url = "http://" + a
	case <-ctx.Done():
		return nil, errors.Join(ctx.Err(), s.stop(0))
	}
	if err := s.ready(ctx); err != nil {
		return nil, errors.Join(err, s.stop(failTime))
	}
	return s, nil
}

// listen reads the server's log to its end. Only errors are kept.
func (s *server) listen(log io.Reader, address chan<- string) {
	defer close(address)
	kept := ""
	lines := bufio.NewScanner(log)
	for lines.Scan() {
		var line struct{ Level, Message, Address string }
		err := json.Unmarshal(lines.Bytes(), &line)
		switch {
		case err == nil && line.Message == "listening":
			address <- line.Address
		case (err != nil || line.Level == "error") && len(kept) < 4<<10:
			kept += strings.TrimPrefix(lines.Text(), "causerie: ") + "\n"
		}
	}
	s.errors <- strings.TrimSpace(kept)
}

// ready waits for the model.
func (s *server) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for {
		response, err := get(ctx, c, s.url+"/readyz", "")
		if err != nil {
			return fmt.Errorf("the server does not become ready: %w", err)
		}
		_ = response.Body.Close()
		if response.StatusCode == http.StatusOK {
			return nil
		}
		pause(ctx, 20*time.Millisecond)
	}
}

// stop asks the server to end, unless it does so by itself within a time, waits
// and says what went wrong.
func (s *server) stop(byItself time.Duration) error {
	killed, said := false, ""
	select {
	case said = <-s.errors: // the pipe must be read to its end before Wait
	case <-time.After(byItself):
		if err := s.command.Process.Signal(os.Interrupt); err != nil && !errors.Is(err, os.ErrProcessDone) {
			killed = s.command.Process.Kill() == nil // this system has no such signal
		}
		said = <-s.errors
	}
	err := s.command.Wait()
	switch {
	case killed:
		return nil
	case err != nil && said != "":
		return errors.New(said)
	case err != nil:
		return fmt.Errorf("it ended with %w", err)
	case said != "":
		return fmt.Errorf("it logged %s", said)
	}
	return nil
}
