package cli

import (
	"github.com/alecthomas/kong"
)

// commands is the whole command line: one field per command, in the order
// that --help lists them. A new command is a struct in a file of its own, with
// a method Run(ctx context.Context, std *IO) error, and one line here.
//
// The flags of commands with the tag common mean the same in all of them: a
// configuration file may have them at its top, and their variables are called
// CAUSERIE_FLAG. Those of other commands are called CAUSERIE_COMMAND_FLAG.
type commands struct {
	Version kong.VersionFlag `config:"-" help:"Print the version and exit."`
	File    *string          `name:"config" env:"CAUSERIE_CONFIG" placeholder:"FILE" config:"-" help:"Configuration file; \"\" for none (default: causerie.yaml here, then in the user's configuration folder)."`

	Chat     ChatCmd     `cmd:"" common:"" help:"Talk with a model."`
	Generate GenerateCmd `cmd:"" common:"" help:"Continue a text, or a row of token ids."`
	Embed    EmbedCmd    `cmd:"" help:"Turn texts into vectors, or compare them by meaning."`
	Serve    ServeCmd    `cmd:"" common:"" help:"Answer OpenAI's chat API over HTTP."`
	Worker   WorkerCmd   `cmd:"" help:"Work at the fine-tuning jobs of a server, in a process of its own."`
	Health   HealthCmd   `cmd:"" common:"" help:"Ask whether the server on this machine is ready."`
	Keys     KeysCmd     `cmd:"" common:"" help:"Make, list and revoke API keys."`
	Jobs     JobsCmd     `cmd:"" help:"Make, watch and control the fine-tuning jobs of a server."`
	Train    TrainCmd    `cmd:"" help:"Train a model on dialogues, from scratch or from a model."`
	Finetune FinetuneCmd `cmd:"" help:"Teach a model your dialogues: checked, measured, with a LoRA adapter or all weights."`
	Merge    MergeCmd    `cmd:"" help:"Merge a LoRA adapter into its base model."`
	Eval     EvalCmd     `cmd:"" help:"Measure loss, perplexity and bits per byte of a model."`
	Quantize QuantizeCmd `cmd:"" help:"Store a model's weights in int8 or bfloat16."`
	Config   ConfigCmd   `cmd:"" help:"Show or check the configuration that a command has."`
	Corpora  CorporaCmd  `cmd:"" help:"Look into dialogue corpora."`
	Bench    BenchCmd    `cmd:"" help:"Measure a model on this machine, or beside another server."`
}
