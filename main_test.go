package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMain runs the program itself when a test has started this file again.
func TestMain(m *testing.M) {
	if os.Getenv("CAUSERIE_TEST_PROGRAM") != "" {
		main()
	}
	os.Exit(m.Run())
}

// server is `causerie serve` in a process of its own.
type server struct {
	*exec.Cmd
	url   string
	ended chan error
	log   *bytes.Buffer // to be read when it has ended
}

func startServer(t *testing.T, args ...string) *server {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("there are no signals to send here")
	}
	s := &server{ended: make(chan error, 1), log: &bytes.Buffer{}}
	s.Cmd = exec.CommandContext(t.Context(), os.Args[0], append([]string{"--config", "", "serve", "--listen", "127.0.0.1:0"}, args...)...)
	s.Env = append(os.Environ(), "CAUSERIE_TEST_PROGRAM=1")
	stderr, err := s.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	ready := make(chan string, 1)
	go func() {
		address := ""
		for lines := bufio.NewScanner(io.TeeReader(stderr, s.log)); lines.Scan(); {
			var line struct{ Message, Address string }
			if json.Unmarshal(lines.Bytes(), &line) != nil {
				continue
			}
			switch line.Message {
			case "listening":
				address = line.Address
			case "ready":
				ready <- "http://" + address
			}
		}
		s.ended <- s.Wait()
	}()
	select {
	case s.url = <-ready:
	case err := <-s.ended:
		t.Fatalf("the server ended: %v\n%s", err, s.log)
	case <-time.After(time.Minute):
		t.Fatal("the server is never ready")
	}
	return s
}

// end waits for the process.
func (s *server) end(t *testing.T, within time.Duration) error {
	t.Helper()
	select {
	case err := <-s.ended:
		return err
	case <-time.After(within):
		t.Fatalf("the server has not ended after %s", within)
		return nil
	}
}

// chat begins a streamed reply of many tokens and returns when the first of its
// events is there.
func (s *server) chat(t *testing.T, body string) *bufio.Reader {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/v1/chat/completions", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	stream := bufio.NewReader(resp.Body)
	if line, err := stream.ReadString('\n'); err != nil || !strings.HasPrefix(line, "data: {") {
		t.Fatalf("%d, %q, %v", resp.StatusCode, line, err)
	}
	return stream
}

const (
	longReply = `{"messages":[{"role":"user","content":"hello"}],"stream":true,"ignore_eos":true,"min_tokens":200,"max_tokens":200}`
	// manyReplies take many times as long.
	manyReplies = `{"messages":[{"role":"user","content":"hello"}],"stream":true,"ignore_eos":true,"min_tokens":200,"max_tokens":200,"n":128}`
)

// TestStopLetsStreamsFinish sends SIGTERM while a reply is being written.
func TestStopLetsStreamsFinish(t *testing.T) {
	s := startServer(t)
	stream := s.chat(t, longReply)
	if err := s.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(stream)
	if err != nil || !strings.HasSuffix(string(rest), "data: [DONE]\n\n") || strings.Contains(string(rest), `"error"`) {
		t.Errorf("the stream ends with %q, %v", rest[max(0, len(rest)-200):], err)
	}
	if err := s.end(t, 10*time.Second); err != nil {
		t.Errorf("%v\n%s", err, s.log)
	}
}

// TestStopTellsStreams has no patience with a reply: its client is told.
func TestStopTellsStreams(t *testing.T) {
	s := startServer(t, "--drain", "100ms")
	stream := s.chat(t, manyReplies)
	if err := s.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(stream)
	events := strings.Split(strings.TrimSuffix(string(rest), "\n\n"), "\n\n")
	last := events[len(events)-1]
	if err != nil || !strings.HasPrefix(last, `data: {"error":`) || !strings.Contains(last, `"code":"shutting_down"`) {
		t.Errorf("the stream ends with %q, %v", last, err)
	}
	if err := s.end(t, 10*time.Second); err != nil || !strings.Contains(s.log.String(), "cut off") {
		t.Errorf("%v\n%s", err, s.log)
	}
}

// TestSecondSignal does not wait for anything.
func TestSecondSignal(t *testing.T) {
	s := startServer(t, "--drain", "1m")
	s.chat(t, manyReplies)
	for range 2 {
		if err := s.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		time.Sleep(200 * time.Millisecond) // or the two may be one
	}
	err := s.end(t, 5*time.Second)
	status, ok := s.ProcessState.Sys().(syscall.WaitStatus)
	if err == nil || !ok || status.Signal() != syscall.SIGTERM {
		t.Errorf("ended with %v\n%s", err, s.log)
	}
}
