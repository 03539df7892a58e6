package cli

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const encoderFolder = "../../models/hf/testdata/encoders/mean"

// TestEmbedGolden: vectors agree with sentence-transformers', whose values
// ../../models/hf/testdata/encoders/make.py wrote.
func TestEmbedGolden(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(encoderFolder, "golden.json"))
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		Texts []struct {
			Text   string
			Vector []float64
		}
	}
	if err := json.Unmarshal(data, &golden); err != nil {
		t.Fatal(err)
	}
	args := []string{"embed", "--model", encoderFolder, "--truncate"}
	for _, g := range golden.Texts {
		args = append(args, g.Text)
	}
	code, out, errOut := run(t, "", args...)
	lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	if code != 0 || errOut != "" || len(lines) != len(golden.Texts) {
		t.Fatalf("exit code %d, %d lines, stderr %q", code, len(lines), errOut)
	}
	for i, line := range lines {
		var got []float64
		if err := json.Unmarshal([]byte(line), &got); err != nil || len(got) != len(golden.Texts[i].Vector) {
			t.Fatalf("line %d: %v, %d numbers", i, err, len(got))
		}
		for j, want := range golden.Texts[i].Vector {
			if math.Abs(got[j]-want) > 1e-5 {
				t.Errorf("%q: number %d is %g, want %g", golden.Texts[i].Text, j, got[j], want)
			}
		}
	}
}

func TestEmbedCompares(t *testing.T) {
	file := filepath.Join(t.TempDir(), "lines.txt")
	if err := os.WriteFile(file, []byte("hello world\n\nthe cat sat on the mat\n你好世界\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	code, out, errOut := run(t, "", "embed", "--model", encoderFolder, "--file", file, "--query", "the cat sat on the mat", "--top", "2")
	if lines := strings.Split(out, "\n"); code != 0 || len(lines) != 3 || lines[0] != " 1.0000\tthe cat sat on the mat" {
		t.Errorf("exit code %d, %q, stderr %q", code, out, errOut)
	}
	code, out, errOut = run(t, "hello\nworld\nhello\n", "embed", "--model", encoderFolder, "--similarity", "--dtype", "int8")
	rows := strings.Split(strings.TrimSpace(out), "\n")
	if code != 0 || len(rows) != 3 || rows[0] != rows[2] || !strings.HasPrefix(rows[0], "1.0000\t") || !strings.HasSuffix(rows[0], "\t1.0000") {
		t.Errorf("exit code %d, %q, stderr %q", code, out, errOut)
	}
	code, out, errOut = run(t, "", "embed", "--model", modelFolder(t), "hello", "--dimensions", "3", "--pooling", "last")
	if code != 0 || strings.Count(out, ",") != 2 {
		t.Errorf("with a model that chats: exit code %d, %q, stderr %q", code, out, errOut)
	}
}

func TestEmbedErrors(t *testing.T) {
	long := strings.Repeat("cat ", 30)
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"--model", encoderFolder, "cat", long}, 1, "input 1 has 32 tokens, but the model's context holds 16; --truncate"},
		{[]string{"--model", encoderFolder, "cat", " "}, 1, "input 1 is empty"},
		{[]string{"--model", encoderFolder, "--dimensions", "33", "cat"}, 2, "--dimensions must lie between 1 and 32"},
		{[]string{"--model", encoderFolder, "--file", "none.txt"}, 1, "none.txt"},
		{[]string{"--model", encoderFolder, "--file", "none.txt", "cat"}, 2, "not both"},
		{[]string{"--model", encoderFolder, "--top", "0", "cat"}, 2, "--top"},
		{[]string{"--model", modelFolder(t), "--pooling", "cls", "cat"}, 1, "unknown pooling"},
		{[]string{"--model", t.TempDir(), "cat"}, 1, "config.json"},
	} {
		code, out, errOut := run(t, "", append([]string{"embed"}, c.args...)...)
		if code != c.code || out != "" || !strings.HasPrefix(errOut, "causerie: ") || !strings.Contains(errOut, c.want) {
			t.Errorf("%q: exit code %d, %q, stderr %q; want %d and %q", c.args, code, out, errOut, c.code, c.want)
		}
	}
	code, _, errOut := run(t, "", "chat", "--model", encoderFolder)
	if code != 1 || !strings.Contains(errOut, "is a sentence encoder: it embeds texts and cannot chat") {
		t.Errorf("chatting with an encoder: exit code %d, %q", code, errOut)
	}
}
