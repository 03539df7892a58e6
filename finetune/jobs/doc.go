// Package jobs fine-tunes models in the background: jobs as OpenAI's API has
// them, which survive whatever ends the process that works at them.
//
//	f, err := files.Open(ctx, files.Options{Folder: "data"})
//	s, err := jobs.Open(ctx, jobs.Options{Folder: "data", Files: f})
//	defer s.Close()
//	job, err := s.Create(ctx, owner, jobs.Request{Model: "default", TrainingFile: file.ID})
//	err = s.Follow(ctx, owner, job.ID, "", func(e jobs.Event) error { … })
//	model, err := s.Model(ctx, owner, job.FineTunedModel)
//
// Jobs, files and models belong to an owner, a name that the caller chooses
// (the id of an API key; empty where there are no keys). Questions about
// another owner's get ErrNotFound, the same as about what never was.
//
// # What a job goes through
//
//	validating_files ──► queued ◄──► running ──► succeeded
//	                        ▲           │
//	                        └─ paused ◄─┘         and failed or cancelled from (nearly) everywhere
//
// Create checks what can be checked at once and begins with validating_files
// (validate.go): the files are copied into the job's folder, every line is read,
// and a plan is made (plan.go) that settles what "auto" means for these data.
// From then on the job needs nothing but its folder and its base.
//
// What the plan chooses when nothing is asked for: a LoRA adapter of rank 8 on
// every linear layer; steps of 512 tokens; at least 3 passes over the data, and
// more over few of them (up to 15 with an adapter, 10 of all weights); and, with
// a validation file, an end when its loss no longer falls and the best weights as
// the result. When the number of passes is given, the last weights are.
//
// A job that runs (work.go) is finetune.Train with a reporter (report.go) that
// records progress, events and checkpoints. Up to five checkpoints, each after
// whole passes, become models that can be used by name; the last three stay.
// The result becomes one when the job has succeeded (publish.go).
//
// # Who works, and what a crash costs
//
// Everything that is known of jobs is in one SQLite file, jobs.db, and every
// call is a transaction there that changes a status only along the table in
// status.go. Whoever works at a job looks at its status and follows: Pause and
// Cancel are done when they return, and the training ends within a step.
//
// Work is handed out by River's queue in the same file (queue.go), to this
// process and to every other one that has the folder open (`causerie worker`).
// Who works at a job holds a lock on a file beside its folder, which the system
// takes back when the process ends, however it ends. So a job has one worker, and
// tend (tend.go), which every process runs, finds jobs without one: they go back
// into the queue, and go on from the last checkpoint to the very weights that
// they would have had. Files are written by package internal/durable and models
// are recorded after they are on the disk, so that nothing half-written can be
// seen; what nobody recorded is removed.
//
// Processes learn what others do by asking SQLite, five times a second, whether
// somebody has written (changes.go): that is how Follow, WatchModels and a
// training that is to stop wake up.
//
// # Where to add a training method
//
// Its name in job.go, its hyperparameters' bounds in create.go (Method.check),
// what files it reads in validate.go and its finetune.Options in plan.go
// (trainOptions). Nothing else has to know.
package jobs
