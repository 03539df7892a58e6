// Package finetune trains GPT-2 models on dialogues and measures them.
//
// # Training
//
// Train is the whole of it: give it Options and it reads the corpora, trains a
// tokenizer if none is given, makes a model or opens one, trains, and leaves a
// Hugging Face folder behind.
//
//	result, err := finetune.Train(ctx, finetune.Options{
//		Out:   "runs/small",
//		Data:  []corpora.Source{{Path: "dialogues.jsonl.gz"}},
//		Valid: []string{"held-out.jsonl.gz"},
//		Steps: 2000,
//	}, finetune.NewJSONLines(os.Stdout, 10))
//
// A run lives in one folder:
//
//	runs/small/model.safetensors, config.json, tokenizer.json, …   the result, at the end
//	runs/small/metrics.jsonl                                       the training curve, line by line
//	runs/small/checkpoints/step-000500/                            a model folder like the result,
//	                                                               and what is needed to go on:
//	                        optimizer.safetensors, state.json, and reference.json of preferences
//
// A step (step.go) gathers micro-batches of whole dialogues, adds up their
// gradients, scales the sum down if it is too long (clip.go) and lets AdamW
// (adamw.go) take a step of the length that the schedule says (schedule.go).
// The trainer (trainer.go) repeats that, measures the model now and then
// (score.go), saves (checkpoint.go, internal/durable) and tells its hooks (hooks.go)
// what happens: a progress bar (progress.go), JSON lines (jsonlines.go), the
// training curve (curve.go). What a run is made of is put together in
// train.go, and its result written in export.go.
//
// # Preferences
//
// With Options.DPO the data are pairs of replies to one prompt, and the model
// learns which of the two is better: direct preference optimization, Rafailov
// et al. (2023). objective.go says what a run minimizes; the usual objective
// is there, and that of pairs in preference.go. How probable each reply was at
// the beginning of the run is found before the first step and kept in every
// checkpoint (reference.go). Everything else, from the shuffled stream to early
// stopping, is the same.
//
// # Reproducible and resumable
//
// Equal seed, data and options give bit-equal weights, on one thread or many,
// whether a run was stopped and resumed or not. Three things make that true:
// every kernel reduces in one fixed order; the only state besides the weights
// is AdamW's two moments, the step and the position in the data, all of which
// a checkpoint holds exactly; and nothing that a step does depends on the
// clock. What two runs must agree in is the identity in state.go.
//
// A checkpoint is written beside its place, flushed to the disk and renamed,
// and older ones go only after that. So a crash, a full disk or a pulled plug
// costs the steps since the last checkpoint and nothing else.
//
// # Faster, or in less memory
//
// Options.Precision rounds the operands of matrix products to bfloat16, which
// takes two thirds of the time or less on processors that can; Options.Recompute
// computes each block of the model twice and keeps less of it in between. The
// first changes the result a little and is part of a run's identity, the second
// changes nothing; both are as reproducible as the rest.
//
// # Beside a server
//
// With Options.Background a run gives way to the engines of its own process: it
// pauses within a fraction of a millisecond when a request comes, keeps a
// tenth of the threads' time while there are any, and goes on at full speed
// when the last one is answered. In a process of its own, LowerPriority leaves
// the same to the operating system. Neither changes a weight.
//
// # Measuring
//
// Evaluate gives loss, perplexity and bits per byte of any model on any
// corpus. Bits per byte count text alone, not the markers between turns, so
// they can be compared between models with different vocabularies.
package finetune
