package cli

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

	"causerie/pipeline"
)

func TestChatPipe(t *testing.T) {
	model := modelFolder(t)
	const questions = "你好\n\n  \nwhat can you do?\r\n/unknown\nlast one"
	code, first, errOut := run(t, questions, "chat", "--model", model, "--seed", "1")
	if code != 0 || strings.Count(first, "\n") != 3 {
		t.Fatalf("exit code %d, stdout %q, stderr %q", code, first, errOut)
	}
	if errOut != "There is no command /unknown; /help lists those there are.\n" {
		t.Errorf("stderr %q", errOut)
	}
	if _, again, _ := run(t, questions, "chat", "--model", model, "--seed", "1"); again != first {
		t.Errorf("the same seed gave %q, then %q", first, again)
	}
	if _, other, _ := run(t, questions, "chat", "--model", model, "--seed", "2"); other == first {
		t.Errorf("another seed gave the same replies: %q", other)
	}
	if _, other, _ := run(t, questions, "chat", "--model", model, "--seed", "1", "--system", "Be brief."); other == first {
		t.Errorf("system text changed nothing: %q", other)
	}
}

func TestChatCommands(t *testing.T) {
	model := modelFolder(t)
	file := filepath.Join(t.TempDir(), "chat.jsonl")
	_, plain, _ := run(t, "hello\n", "chat", "--model", model, "--seed", "1")
	input := "hello\n/save " + file + "\nhow are you?\n/save " + file + "\n/reset\nhello\n/help\n/quit\nnever read\n"
	code, out, errOut := run(t, input, "chat", "--model", model, "--seed", "1")
	lines := strings.SplitAfter(strings.TrimSuffix(out, "\n"), "\n")
	if code != 0 || len(lines) != 3 {
		t.Fatalf("exit code %d, stdout %q, stderr %q", code, out, errOut)
	}
	if lines[0] != plain || lines[2]+"\n" != plain {
		t.Errorf("alone %q; first %q; after /reset %q", plain, lines[0], lines[2])
	}
	for _, want := range []string{"(saved in " + file + ")", "(a new conversation)", "/reset "} {
		if !strings.Contains(errOut, want) {
			t.Errorf("stderr lacks %q: %q", want, errOut)
		}
	}
	saved, err := os.ReadFile(file)
	if err != nil || strings.Count(string(saved), "\n") != 1 || strings.Count(string(saved), `"role":"user"`) != 2 {
		t.Errorf("saved %q, %v", saved, err)
	}
	// Somebody else's file is left alone.
	code, _, errOut = run(t, "/save "+file+"\n/save\n", "chat", "--model", model)
	if again, _ := os.ReadFile(file); code != exitFailure || string(again) != string(saved) || !strings.Contains(errOut, "is there already") || !strings.Contains(errOut, "name a file") {
		t.Errorf("exit code %d, %q, the file is now %q", code, errOut, again)
	}
}

func TestChatErrors(t *testing.T) {
	model := modelFolder(t)
	// A question that does not fit is answered by an empty line; the next one
	// is answered as usual, and the exit code tells.
	code, out, errOut := run(t, strings.Repeat("long ", 200)+"\nhello\n", "chat", "--model", model, "--seed", "1")
	lines := strings.Split(out, "\n")
	if code != exitFailure || len(lines) != 3 || lines[0] != "" || lines[1] == "" || !strings.Contains(errOut, "the model's context holds 96") {
		t.Errorf("exit code %d, stdout %q, stderr %q", code, out, errOut)
	}
	code, _, errOut = run(t, strings.Repeat("x", maxLine+1), "chat", "--model", model)
	if code != exitFailure || !strings.Contains(errOut, "longer than") {
		t.Errorf("an endless line: exit code %d, %q", code, errOut)
	}
	code, _, errOut = runIO(t, iotest.ErrReader(io.ErrUnexpectedEOF), nil, "chat", "--model", model)
	if code != exitFailure || !strings.Contains(errOut, "reading the input: unexpected EOF") {
		t.Errorf("a broken input: exit code %d, %q", code, errOut)
	}
	code, _, errOut = run(t, "", "chat", "--model", "../../models/hf/testdata/bare")
	if code != exitFailure || !strings.Contains(errOut, "no tokenizer") {
		t.Errorf("a model without tokenizer: exit code %d, %q", code, errOut)
	}
}

// Ctrl-C while waiting for a question ends the conversation.
func TestChatInterruptWhileWaiting(t *testing.T) {
	in := &typist{lines: make(chan string)}
	defer close(in.lines)
	interrupts := make(chan os.Signal)
	model := modelFolder(t)
	go func() {
		in.lines <- "hello\n"
		// The reply takes milliseconds; then the chat waits.
		time.Sleep(50 * time.Millisecond)
		interrupts <- os.Interrupt
	}()
	if code, _, errOut := runIO(t, in, interrupts, "chat", "--model", model); code != exitInterrupted {
		t.Errorf("exit code %d, stderr %q", code, errOut)
	}
}

// Ctrl-C during a reply stops the reply and the conversation goes on; any
// other signal, or a Ctrl-C in a pipe, ends it.
func TestChatInterruptReply(t *testing.T) {
	engine, err := pipeline.Open(t.Context(), modelFolder(t), pipeline.EngineOptions{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := closeEngine(engine); err != nil {
			t.Error(err)
		}
	}()
	for _, test := range []struct {
		name   string
		typed  bool
		signal os.Signal
		want   error
	}{
		{"Ctrl-C at a terminal", true, os.Interrupt, nil},
		{"Ctrl-C in a pipe", false, os.Interrupt, errInterrupted},
		{"the end of the session", true, syscall.SIGTERM, errInterrupted},
	} {
		interrupts := make(chan os.Signal)
		var notices strings.Builder
		// A model that says "aaaa…".
		chatty := pipeline.Options{MaxTokens: 40, Raw: true}
		chatty.LogitBias = map[int32]float64{engine.Model().Tokenizer.Encode(nil, "a")[0]: 900}
		out := &interruptingWriter{interrupts: interrupts, signal: test.signal}
		talk := conversation{
			std:        &IO{Out: out, Err: &notices},
			session:    pipeline.NewSession(engine, "", chatty),
			typed:      test.typed,
			interrupts: interrupts,
		}
		if err := talk.answer(t.Context(), "hello"); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", test.name, err, test.want)
		}
		if turns := talk.session.Turns(); len(turns) != 2 || !strings.Contains(out.String(), turns[1].Text) {
			t.Errorf("%s: shown %q, remembered %v", test.name, out.String(), turns)
		}
		if told := notices.String() == "(stopped)\n"; told != (test.want == nil) {
			t.Errorf("%s: notices %q", test.name, notices.String())
		}
	}
}

// interruptingWriter sends a signal at the first write. The later ones take a
// moment, as a screen does: a small model would otherwise be done before the
// goroutine that got the signal has run at all.
type interruptingWriter struct {
	strings.Builder
	interrupts chan<- os.Signal
	signal     os.Signal
}

func (w *interruptingWriter) Write(p []byte) (int, error) {
	if w.Len() == 0 {
		select {
		case w.interrupts <- w.signal:
		case <-time.After(5 * time.Second): // nobody listens: the test will tell
		}
	} else {
		time.Sleep(time.Millisecond)
	}
	return w.Builder.Write(p)
}

func (w *interruptingWriter) WriteString(s string) (int, error) { return w.Write([]byte(s)) }
