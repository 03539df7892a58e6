package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Greedy ids agree with transformers': ../../models/hf/testdata/make.py made
// the folders and their golden.json.
func TestGenerateGolden(t *testing.T) {
	folders, err := filepath.Glob("../../models/hf/testdata/*/golden.json")
	if err != nil || len(folders) < 5 {
		t.Fatalf("golden folders: %v, %v", folders, err)
	}
	for _, file := range folders {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var golden struct {
			Greedy struct{ Prompt, Tokens []int32 }
		}
		if err := json.Unmarshal(data, &golden); err != nil {
			t.Fatal(err)
		}
		want := golden.Greedy.Tokens
		if len(want) == 0 {
			t.Fatalf("%s has no greedy tokens", file)
		}
		code, out, errOut := run(t, "", "generate", "--model", filepath.Dir(file), "--ids", spaced(golden.Greedy.Prompt),
			"--max-tokens", fmt.Sprint(len(want)), "--temperature", "0", "--ignore-end", "--output", "ids")
		if code != 0 || out != spaced(want)+"\n" || errOut != "" {
			t.Errorf("%s: exit code %d, %q, stderr %q; want %q", file, code, out, errOut, spaced(want))
		}
	}
}

func spaced(ids []int32) string { return strings.Trim(fmt.Sprint(ids), "[]") }

func TestGenerateText(t *testing.T) {
	model := modelFolder(t)
	code, out, errOut := run(t, "", "generate", "--model", model, "--prompt", "hello", "--seed", "3", "--max-tokens", "8")
	if code != 0 || !strings.HasSuffix(out, "\n") || errOut != "" {
		t.Fatalf("exit code %d, %q, stderr %q", code, out, errOut)
	}
	_, again, _ := run(t, "hello\n", "generate", "--model", model, "--seed", "3", "--max-tokens", "8")
	if again != out {
		t.Errorf("from a pipe and the same seed: %q, before: %q", again, out)
	}
	code, out, _ = run(t, "", "generate", "--model", model, "--prompt", "hello", "--output", "ids", "--max-tokens", "5", "--ignore-end")
	if n := len(strings.Fields(out)); code != 0 || n != 5 {
		t.Errorf("ids of a text: exit code %d, %q", code, out)
	}
}

func TestGenerateErrors(t *testing.T) {
	model, bare := modelFolder(t), "../../models/hf/testdata/bare"
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"--model", model, "--ids", "0 270"}, "token id 270 (number 2 of the prompt) is not in the vocabulary"},
		{[]string{"--model", model, "--ids", "0 1", "--max-tokens", "95"}, "the prompt has 2 tokens and its reply needs up to 95, but the model's context holds 96"},
		{[]string{"--model", bare, "--prompt", "hello"}, "no tokenizer"},
	} {
		code, out, errOut := run(t, "", append([]string{"generate"}, test.args...)...)
		if code == 0 || out != "" || !strings.Contains(errOut, test.want) {
			t.Errorf("%q: exit code %d, stdout %q, stderr %q", test.args, code, out, errOut)
		}
	}
	if code, _, errOut := run(t, "", "generate", "--model", model); code != exitFailure || !strings.Contains(errOut, "the prompt is empty") {
		t.Errorf("an empty pipe: exit code %d, %q", code, errOut)
	}
	// Without --max-tokens a prompt that leaves little room gets a short reply.
	code, out, errOut := run(t, "", "generate", "--model", model, "--ids", strings.Repeat("1 ", 94), "--ignore-end")
	if code != 0 || len(strings.Fields(out)) != 2 {
		t.Errorf("room for two: exit code %d, %q, %q", code, out, errOut)
	}
}

func FuzzParseIDs(f *testing.F) {
	f.Add("0 0 0 52")
	f.Add("1,2,\t3\n-4 99999999999")
	f.Fuzz(func(t *testing.T, list string) {
		ids, err := parseIDs(list)
		if err != nil {
			return
		}
		again, err := parseIDs(spaced(ids))
		if err != nil || len(ids) == 0 || spaced(again) != spaced(ids) {
			t.Fatalf("%q: %v, again %v, %v", list, ids, again, err)
		}
	})
}
