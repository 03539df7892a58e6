package cli

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// A folder of int8 weights answers as the model does that is rounded while it
// is loaded: token for token. One of bfloat16 has its norms and biases rounded
// as well.
func TestQuantizeThenServe(t *testing.T) {
	model := modelFolder(t)
	for _, dtype := range []string{"int8", "bf16"} {
		out := filepath.Join(t.TempDir(), "out")
		code, stdout, errOut := run(t, "", "quantize", model, out, "--dtype", dtype)
		if code != exitOK || !strings.HasPrefix(stdout, out+": "+dtype+", 0.") || !strings.Contains(stdout, model+": f32, 0.") {
			t.Fatalf("exit code %d, %q, %s", code, stdout, errOut)
		}
		ask := func(args ...string) string {
			code, stdout, errOut := run(t, "hello\nhow are you?\n", append([]string{"chat", "--seed", "3", "--model"}, args...)...)
			if code != exitOK {
				t.Fatalf("%q: exit code %d, %s", args, code, errOut)
			}
			return stdout
		}
		same := model
		if dtype == "bf16" {
			same = out
		}
		if got, want := ask(out), ask(same, "--dtype", dtype); got != want {
			t.Errorf("%s: the stored model says %q, want %q", dtype, got, want)
		}
		ask(out, "--dtype", "f32")
	}
}

func TestQuantizeFailures(t *testing.T) {
	model := modelFolder(t)
	int8s := filepath.Join(t.TempDir(), "int8")
	if code, _, errOut := run(t, "", "quantize", model, int8s); code != exitOK {
		t.Fatal(errOut)
	}
	taken, err := os.ReadFile(filepath.Join(int8s, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"quantize", model}, exitUsage, "<out>"},
		{[]string{"quantize", model, model + "/"}, exitUsage, "the new folder would replace"},
		{[]string{"quantize", model, int8s}, exitFailure, int8s + ": there is something in that folder already"},
		{[]string{"quantize", model + "x", int8s + "2"}, exitFailure, "no model"},
		{[]string{"quantize", model, int8s + "2", "--dtype", "f16"}, exitUsage, "--dtype"},
		{[]string{"chat", "--model", model, "--dtype", "int4"}, exitUsage, "--dtype"},
		{[]string{"serve", "--dtype", "fp16"}, exitUsage, "--dtype"},
		{[]string{"eval", "--data", "starter", "--dtype", "f32,int9"}, exitUsage, "--dtype"},
		{[]string{"eval", "--data", "starter", "--dtype", "f32,f32"}, exitUsage, "--dtype: f32 is there twice"},
		{[]string{"train", "--model", int8s, "--data", "starter", "--out", int8s + "3"}, exitFailure,
			"rounded to int8, for serving; train from the folder that they were made from"},
	} {
		code, _, errOut := run(t, "", test.args...)
		if code != test.code || !strings.Contains(errOut, test.want) {
			t.Errorf("%q: exit code %d, %s", test.args, code, errOut)
		}
	}
	again, err := os.ReadFile(filepath.Join(int8s, "config.json"))
	if err != nil || string(again) != string(taken) {
		t.Errorf("the folder that was there has changed: %v", err)
	}
}

// The way out of int8 that the refusal names.
func TestTrainFromDequantized(t *testing.T) {
	root := t.TempDir()
	int8s, floats := filepath.Join(root, "int8"), filepath.Join(root, "f32")
	for _, args := range [][]string{
		{"quantize", modelFolder(t), int8s},
		{"quantize", int8s, floats, "--dtype", "f32"},
		{"train", "--model", floats, "--data", dialogues(t), "--steps", "1", "--out", filepath.Join(root, "tuned")},
		{"quantize", filepath.Join(root, "tuned"), filepath.Join(root, "tuned-int8")},
	} {
		if code, _, errOut := run(t, "", args...); code != exitOK {
			t.Fatalf("%q: exit code %d, %s", args, code, errOut)
		}
	}
}

// The table of eval, to the character but for the speed. The figures are the
// same on every processor, as all paths compute the same bits.
func TestEvalTable(t *testing.T) {
	model, data := modelFolder(t), dialogues(t)
	code, out, errOut := run(t, "", "eval", "--model", model, "--data", data, "--dtype", "f32,bf16,int8")
	if code != exitOK {
		t.Fatalf("exit code %d, %s", code, errOut)
	}
	got := regexp.MustCompile(`(?m) +(\d+|tokens/s) *$`).ReplaceAllString(out, " N")
	if got != evalTable {
		t.Errorf("got\n%s\nwant\n%s", got, evalTable)
	}

	code, out, errOut = run(t, "", "eval", "--model", model, "--data", data, "--dtype", "int8,f32", "--json")
	var c struct {
		Model  string
		DTypes []struct {
			DType           string
			WeightBytes     int64 `json:"weight_bytes"`
			Loss            float64
			Perplexity      float64
			Change          *float64 `json:"perplexity_change_percent"`
			TokensPerSecond float64  `json:"tokens_per_second"`
			Files           []struct{ File string }
		}
	}
	if err := json.Unmarshal([]byte(out), &c); code != exitOK || err != nil {
		t.Fatalf("exit code %d, %v, %s%s", code, err, out, errOut)
	}
	if len(c.DTypes) != 2 || c.Model != model || c.DTypes[0].DType != "int8" || c.DTypes[1].DType != "f32" {
		t.Fatalf("got %+v", c)
	}
	small, full := c.DTypes[0], c.DTypes[1]
	if want := 100 * (small.Perplexity/full.Perplexity - 1); small.Change == nil || math.Abs(*small.Change-want) > 1e-12 || *full.Change != 0 {
		t.Errorf("changes %v and %v, want %g and 0", small.Change, full.Change, want)
	}
	if small.WeightBytes*2 > full.WeightBytes || small.TokensPerSecond <= 0 || len(small.Files) != 1 || small.Loss == full.Loss {
		t.Errorf("got %+v", c)
	}
	// Without f32 there is nothing to compare with.
	if _, out, _ = run(t, "", "eval", "--model", model, "--data", data, "--dtype", "bf16,int8"); !strings.Contains(out, " - ") {
		t.Errorf("got\n%s", out)
	}
}

const evalTable = `  dtype  weights    loss  perplexity  against f32  bits per byte N
    f32   0.2 MB  5.6065     272.201     +0.000 %         5.5733 N
   bf16   0.1 MB  5.6066     272.207     +0.002 %         5.5733 N
   int8   0.1 MB  5.6065     272.202     +0.000 %         5.5734 N
52 tokens of 2 dialogues
`
