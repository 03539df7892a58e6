// Package jobs fine-tunes models in the background: jobs as OpenAI's API has
// them, which survive whatever ends the process that runs them.
//
//	f, err := files.Open(ctx, files.Options{Folder: "data"})
//	s, err := jobs.Open(ctx, jobs.Options{Folder: "data", Files: f})
//	job, err := s.Create(ctx, owner, jobs.Request{Model: "default", TrainingFile: file.ID})
//	err = s.Follow(ctx, owner, job.ID, "", func(e jobs.Event) error { … })
//
// Jobs, files and models belong to an owner, a name that the caller chooses
// (the id of an API key; empty where there are no keys). Questions about
// another owner's get ErrNotFound, the same as about what never was.
package jobs
