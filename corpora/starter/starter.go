// Package starter holds the starter corpus: short dialogues in English and
// Chinese, written for this project, in which a friendly model says hello, who
// it is and what it can do, and talks about feelings, food, the weather and
// hobbies. It gives the bundled model its identity, and everybody a corpus to
// try fine-tuning with.
//
// Each line of a file is a dialogue in the turns format of package corpora:
//
//	{"id": "starter-en-0001", "lang": "en", "turns": ["user", "assistant", …]}
//
// Package corpora opens the files by the paths that corpora.StarterPaths lists.
package starter

import "embed"

// Files holds en.jsonl and zh.jsonl.
//
//go:embed *.jsonl
var Files embed.FS
