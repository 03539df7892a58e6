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
//
// The folder examples is no part of that corpus: teahouse.jsonl, also written
// for this project, is what somebody might teach the bundled model. In it Mei,
// who knows all about a small tea house, answers its guests, in the form of
// OpenAI's fine-tuning files. It is opened as "starter:examples/teahouse.jsonl".
// manners.jsonl, written likewise, holds preferences in OpenAI's form: of two
// replies, the short and polite one is better than the chatty one.
package starter

import "embed"

// Files holds en.jsonl, zh.jsonl and the examples.
//
//go:embed *.jsonl examples/*.jsonl
var Files embed.FS
