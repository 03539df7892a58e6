package cli

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"causerie/models/dialogue"
	"causerie/models/gpt2"
	"causerie/models/hf"
	"causerie/models/tokenizer"
)

// run runs a command line with the given input.
func run(t *testing.T, input string, args ...string) (code int, out, errOut string) {
	t.Helper()
	return runIO(t, strings.NewReader(input), nil, args...)
}

func runIO(t *testing.T, in io.Reader, interrupts <-chan os.Signal, args ...string) (code int, out, errOut string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	if interrupts == nil {
		interrupts = make(chan os.Signal) // tests do not listen to real ones
	}
	code = Main(t.Context(), args, IO{In: in, Out: &stdout, Err: &stderr, Interrupts: interrupts})
	return code, stdout.String(), stderr.String()
}

// modelFolder is a small chat model with random weights.
func modelFolder(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "model")
	if err := os.Mkdir(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	tok, err := tokenizer.TrainBPE(slices.Values([]string{"hello there, how are you? 你好，你好吗？"}),
		tokenizer.TrainOptions{VocabSize: 270, Specials: dialogue.Specials()})
	if err != nil {
		t.Fatal(err)
	}
	if err := tok.Save(dir); err != nil {
		t.Fatal(err)
	}
	net, err := gpt2.New(gpt2.Config{VocabSize: tok.VocabSize(), Positions: 96, Width: 32, Heads: 2, Layers: 2})
	if err != nil {
		t.Fatal(err)
	}
	net.Init(5)
	most := 12
	if err := hf.Save(dir, hf.Config{Model: net.Config}, hf.Generation{MaxNewTokens: &most}, net.Params(), hf.F32); err != nil {
		t.Fatal(err)
	}
	return dir
}

// typist is an input that gives its lines one at a time, each when the test
// says so, and ends when it is closed.
type typist struct{ lines chan string }

func (p *typist) Read(b []byte) (int, error) {
	line, ok := <-p.lines
	if !ok {
		return 0, io.EOF
	}
	return copy(b, line), nil
}

// cancelled is a context that has ended.
func cancelled(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}
