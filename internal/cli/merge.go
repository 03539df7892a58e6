package cli

import (
	"context"
	"fmt"
	"path/filepath"

	"causerie/finetune"
)

// MergeCmd is `causerie merge`.
type MergeCmd struct {
	Adapter string `arg:"" placeholder:"ADAPTER" help:"Folder of a LoRA adapter, in PEFT's format."`
	Out     string `arg:"" placeholder:"OUT" help:"Folder to write; it must not be there yet."`
	Base    string `short:"b" placeholder:"NAME|DIR" help:"Model that the adapter belongs to (default: the one that its configuration names)."`
	DType   string `name:"dtype" default:"f32" enum:"f32,f16,bf16" help:"How the weights are stored (${enum})."`
}

// Help is what `causerie merge --help` says besides the flags.
func (*MergeCmd) Help() string {
	return `An adapter is served beside its base (chat --model ADAPTER). Merged into it, it
becomes a model like any other, for programs that know no adapters:

  causerie merge mine mine-merged`
}

// Run writes the merged model.
func (c *MergeCmd) Run(_ context.Context, std *IO) error {
	dtype, err := finetune.ParseDType(c.DType)
	if err != nil {
		return usagef("--dtype: %w", err)
	}
	if filepath.Clean(c.Adapter) == filepath.Clean(c.Out) {
		return usagef("the merged model would replace the adapter %s", c.Adapter)
	}
	base, err := finetune.Merge(c.Base, c.Adapter, c.Out, dtype)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(std.Out, "%s: %s with the adapter %s\n", c.Out, base, c.Adapter)
	return err
}
