// Package store keeps what the server was asked to remember: stored chat
// completions, conversations and API keys. It is one SQLite file in a data
// folder, or a database in memory that ends with the process.
//
//	s, err := store.Open(ctx, store.Options{Folder: "data"})
//	defer s.Close()
//	err = s.AddCompletion(ctx, owner, completion)
//
// Everything belongs to an owner, a name that the caller chooses (the id of an
// API key; empty where there are no keys). An owner's question about something
// of another's gets ErrNotFound, the same as about something that never was.
//
// The schema is the files in migrations/, applied in their order by goose when
// the store is opened; a released file is never changed, only followed.
package store
