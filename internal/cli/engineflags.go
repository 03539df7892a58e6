package cli

import "causerie/pipeline"

// engineFlags say how a server uses memory and time. They change no reply.
type engineFlags struct {
	KVMemory    int  `name:"kv-memory" placeholder:"MIB" help:"Memory for keys and values: of replies being written, and of earlier prompts and replies in case a request starts alike (default: enough for all slots)."`
	StepTokens  int  `placeholder:"N" help:"Tokens of prompts computed at once (default 512)."`
	MixedTokens int  `placeholder:"N" help:"The same beside replies being written; fewer let these flow more evenly (default 128)."`
	PrefixCache bool `default:"true" negatable:"" help:"Keep what was computed for requests that start alike."`
	Speculation bool `default:"true" negatable:"" help:"Guess ahead while that saves time. Guesses change no reply."`
}

// apply puts the flags into o.
func (f *engineFlags) apply(o pipeline.EngineOptions) pipeline.EngineOptions {
	o.KVBytes = int64(f.KVMemory) << 20
	o.StepTokens, o.MixedTokens = f.StepTokens, f.MixedTokens
	o.NoPrefixCache, o.NoSpeculation = !f.PrefixCache, !f.Speculation
	return o
}
