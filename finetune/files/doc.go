// Package files keeps what clients upload: training data, validation data, and
// what the server makes for them to fetch, such as the results of a
// fine-tuning job. The bytes are in a bucket (a folder of the data folder, or
// what a gocloud.dev/blob URL names), the records in a SQLite file beside it.
//
//	f, err := files.Open(ctx, files.Options{Folder: "data"})
//	defer f.Close()
//	file, err := f.Create(ctx, owner, files.New{Filename: "chats.jsonl", Purpose: files.FineTune}, body)
//
// A file is there as a whole or not at all: its record becomes visible only
// after the last byte is in the bucket. What a killed process left behind is
// swept away when the files are opened the next time.
//
// Files belong to an owner, a name that the caller chooses (the id of an API
// key; empty where there are no keys). Questions about another owner's file
// get ErrNotFound, the same as about one that never was.
package files
