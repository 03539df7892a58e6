package cli

import (
	"context"
	"fmt"
	"path/filepath"

	"causerie/models"
	"causerie/models/hf"
	"causerie/models/hf/safetensors"
)

// QuantizeCmd is `causerie quantize`.
type QuantizeCmd struct {
	In    string `arg:"" placeholder:"IN" help:"Model to read: a GPT-2 folder or \"default\", the bundled model."`
	Out   string `arg:"" placeholder:"OUT" help:"Folder to write; it must be new or empty."`
	DType string `name:"dtype" default:"int8" enum:"int8,bf16,f32" help:"How the weights are stored (${enum})."`
}

// Help is what `causerie quantize --help` says besides the flags.
func (*QuantizeCmd) Help() string {
	return `int8 makes the file a quarter of float32's size, at a cost that eval shows:

  causerie quantize runs/mine mine-int8
  causerie serve --model mine-int8
  causerie eval --model runs/mine --data held-out.jsonl --dtype f32,bf16,int8

A folder in bf16 or f32 can be read by transformers and trained further; one in
int8 is for causerie, to serve. A model need not be quantized to be served in
int8: --dtype int8 rounds any model while it is loaded. Quantizing it once makes
the file smaller and loading faster.`
}

// Run writes the folder.
func (c *QuantizeCmd) Run(ctx context.Context, std *IO) error {
	if filepath.Clean(c.In) == filepath.Clean(c.Out) {
		return usagef("the new folder would replace %s, from which it is made", c.In)
	}
	s, err := models.Quantize(ctx, c.In, c.Out, map[string]safetensors.DType{"int8": hf.I8, "bf16": hf.BF16, "f32": hf.F32}[c.DType])
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(std.Out, "%s: %s, %.1f MB (%s: %s, %.1f MB)\n",
		c.Out, storedName(s.To), megabytes(s.ToBytes), c.In, storedName(s.From), megabytes(s.FromBytes))
	return err
}

// storedName is how the command line calls what a file holds.
func storedName(d safetensors.DType) string {
	switch d {
	case hf.I8:
		return "int8"
	case hf.BF16:
		return "bf16"
	case hf.F16:
		return "f16"
	}
	return "f32"
}

func megabytes(bytes int64) float64 { return float64(bytes) / 1e6 }
